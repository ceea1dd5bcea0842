"""A grpcio service with a planted defect of each kind: all are found at their fields, and none is invented.

Once by the file that describes it, and once over TLS by server reflection alone."""

import contextlib

from exchanges import HERE
from harness import Process, Sidecar, call, free_port, wait_for

PROTO = HERE / "grpc/shop.proto"

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
old: {url: 'SCHEME://127.0.0.1:OLD', http2: true, tls: {ca: CA}}
new: {url: 'SCHEME://127.0.0.1:NEW', http2: true, tls: {ca: CA}, max_per_second: 1000}
reads: [{grpc: 'shop.v1.Shop/{Get,List}'}]
grpc: DESCRIBED
sample: {rate: 1.0, max_per_second: 1000}
recheck: {after: [10ms]}
rules: [builtin:http, builtin:grpc]
"""

PLAIN = {"SCHEME": "http", "CA": "null", "DESCRIBED": f"{{descriptors: [{PROTO}]}}"}

GET, LIST = "shop.v1.Shop/Get", "shop.v1.Shop/List"

#: Where each defect is to be found, and in which kind; empty where both sides are alike.
PLANTED = {
    "none": set(),
    "nan": set(),
    "same-status": set(),
    "missing": {(GET, "$.part", "missing")},
    "extra": {(GET, "$.parts[*]", "extra")},
    "value": {(GET, "$.name", "value")},
    "enum": {(GET, "$.colour", "value")},
    # Only a number is known of it.
    "enum-unknown": {(GET, "$.colour", "type")},
    "order": {(GET, "$.tags", "order")},
    "unknown": {(GET, "$['#12']", "extra")},
    "presence": {(GET, "$.rating", "missing")},
    "any": {(GET, "$.extra.count", "value")},
    "map": {(GET, "$.sizes.m", "value")},
    "nan-new": {(GET, "$.price", "type")},
    "number": {(GET, "$.stock", "value")},
    "bytes": {(GET, "$.blob", "value")},
    "fewer": {(LIST, "$[*]", "missing")},
}


def run(checks, tools, twinread):
    find_all(checks, tools, twinread, "files", PLAIN)
    key, certificate = tools.scratch / "shop.key", tools.scratch / "shop.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=shop", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    tools.run([*made, *names, "-keyout", key, "-out", certificate], check=True)
    words = {"SCHEME": "https", "CA": str(certificate), "DESCRIBED": "{reflection: old}"}
    find_all(checks, tools, twinread, "reflection", words, (key, certificate))


def find_all(checks, tools, twinread, name, words, tls=()):
    with serving(tools, name, *tls) as ports, sidecar_between(tools, twinread, name, {**words, **ports}) as sidecar:
        wait_for("descriptors", lambda: "reflection" not in call(sidecar.admin, "GET", "/readyz").body.decode())
        known, sampled = set(), 0
        for defect, expected in PLANTED.items():
            straight = tools.run(command(tools, ports["OLD"], "call", *tls, defect)).stdout
            through = tools.run(command(tools, sidecar.listen, "call", defect))
            checks.equal(f"{name}: {defect}: the caller sees old's answer", through.stdout, straight)
            sampled += 1
            sidecar.wait_until_quiet(sampled)
            found = sidecar.classes()
            checks.equal(f"{name}: {defect}: found", found - known, expected - known)
            known |= found
        # Another status also has another message, and no answer.
        tools.run(command(tools, sidecar.listen, "call", "status", "details"))
        sidecar.wait_until_quiet(sampled + 2)
        found = {place for _, place, _ in sidecar.classes() - known}
        checks.that(f"{name}: status: found", "trailer.grpc-status" in found, found)
        details = [place for place in found if place.startswith("trailer.grpc-status-details-bin")]
        checks.that(f"{name}: details: found", details, found)
        checks.equal(f"{name}: nothing is compared as bytes", sidecar.total("twinread_bound_reached_total", bound="descriptors"), 0)


def sidecar_between(tools, twinread, name, words, more=""):
    configuration = CONFIGURATION + more
    for word, value in words.items():
        configuration = configuration.replace(word, str(value))
    return Sidecar(tools, twinread, f"shop-{name}", configuration)


@contextlib.contextmanager
def serving(tools, name, *tls):
    """Both services. Yields their ports."""
    ports = {which: free_port() for which in ("OLD", "NEW")}
    with contextlib.ExitStack() as running:
        for which, port in ports.items():
            server = Process(tools, f"shop-{name}-{which.lower()}", command(tools, port, which.lower(), *tls))
            running.enter_context(server).wait_for_port(port)
        yield ports


def command(tools, port, *what):
    return [str(part) for part in (tools.venv / "python", HERE / "adapters/shop.py", PROTO, port, *what)]
