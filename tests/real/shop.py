"""A grpcio service with a planted defect of each kind: all are found at their fields, and none is invented."""

import contextlib

from exchanges import HERE
from harness import Process, Sidecar, free_port

PROTO = HERE / "grpc/shop.proto"

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
old: {url: 'http://127.0.0.1:OLD', http2: true}
new: {url: 'http://127.0.0.1:NEW', http2: true, max_per_second: 1000}
reads: [{grpc: 'shop.v1.Shop/{Get,List}'}]
grpc: {descriptors: [PROTO]}
sample: {rate: 1.0, max_per_second: 1000}
recheck: {after: [10ms]}
rules: [builtin:http, builtin:grpc]
"""

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
    with contextlib.ExitStack() as running:
        ports = {which: free_port() for which in ("old", "new")}
        for which, port in ports.items():
            server = running.enter_context(Process(tools, f"shop-{which}", command(tools, port, which)))
            server.wait_for_port(port)
        words = {"OLD": str(ports["old"]), "NEW": str(ports["new"]), "PROTO": str(PROTO)}
        configuration = CONFIGURATION
        for word, value in words.items():
            configuration = configuration.replace(word, value)
        sidecar = running.enter_context(Sidecar(tools, twinread, "shop", configuration))
        known, sampled = set(), 0
        for defect, expected in PLANTED.items():
            straight = tools.run(command(tools, ports["old"], "call", defect)).stdout
            through = tools.run(command(tools, sidecar.listen, "call", defect))
            checks.equal(f"{defect}: the caller sees old's answer", through.stdout, straight)
            sampled += 1
            sidecar.wait_until_quiet(sampled)
            found = sidecar.classes()
            checks.equal(f"{defect}: found", found - known, expected - known)
            known |= found
        # Another status also has another message, and no answer.
        tools.run(command(tools, sidecar.listen, "call", "status", "details"))
        sidecar.wait_until_quiet(sampled + 2)
        found = {place for _, place, _ in sidecar.classes() - known}
        checks.that("status: found", "trailer.grpc-status" in found, found)
        checks.that("details: found", any(place.startswith("trailer.grpc-status-details-bin") for place in found), found)


def command(tools, port, *what):
    return [str(part) for part in (tools.venv / "python", HERE / "adapters/shop.py", PROTO, port, *what)]
