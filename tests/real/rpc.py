"""gRPC of every kind, by clients and servers of others: straight to a service and through twinread, they see the same."""

import contextlib
import itertools
import json

from exchanges import HERE
from harness import LOCALHOST, Process, Sidecar, certificate, free_port

PROTO = HERE / "grpc/kinds.proto"

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
allow_same_stack: true
old: {url: 'SCHEME://127.0.0.1:STACK', http2: true}
new: {url: 'SCHEME://127.0.0.1:STACK', http2: true, max_per_second: 10000, timeout: 60s}
reads: [{grpc: 'kinds.v1.Kinds/{Unary,Down}'}]
grpc: {descriptors: [PROTO]}
sample: {rate: 1.0, max_per_second: 1000}
capture: {max_body: 8MiB}
recheck: {after: []}
rules: [builtin:http, builtin:grpc]
"""
SECURED = """
listen_tls: {cert: CERT, key: KEY}
"""

#: What `buf curl` calls: the method, its messages, and further options.
BUFFED = [
    ("Unary", [{"what": "echo", "count": 7, "payload": "AP8="}], []),
    ("Unary", [{}], []),
    ("Unary", [{"what": "gzip", "count": 100_000, "payload": "AP8=" * 20_000}], []),
    ("Unary", [{"what": "seen"}], ["-H", "x-text: a", "-H", "x-text: b, c", "-H", "x-blob-bin: AP8"]),
    *(("Unary", [{"what": "fail", "count": code}], []) for code in (1, 5, 16)),
    ("Down", [{"what": "down", "count": 30}], []),
    ("Down", [{"what": "fail", "count": 3}], []),
    ("Up", [{"payload": "AP8="}] * 30, []),
    ("Up", [], []),
    ("Both", [{"what": "both", "count": 3}] * 30, []),
    ("Both", [{"what": "fail"}], []),
    ("Unknown", [{}], []),
]

#: Client, server, and whether there is TLS on both sides.
PAIRS = {("grpcio", "grpcio", True), ("grpc-js", "grpc-js", False), ("buf", "grpcio", True)}


def run(checks, tools, twinread, is_all=False):
    for server, is_secure in itertools.product(("grpcio", "grpc-js"), (True, False)):
        clients = [client for client in CLIENTS if is_all or (client, server, is_secure) in PAIRS]
        if clients:
            serve(checks, tools, twinread, server, is_secure, clients)


def serve(checks, tools, twinread, server, is_secure, clients):
    files = certificate(tools) if is_secure else {}
    port = free_port()
    name = f"{server}{' over TLS' if is_secure else ''}"
    command = [*adapter(tools, server), PROTO, "serve", port, *list(files.values())[1:]]
    with contextlib.ExitStack() as running:
        service = running.enter_context(Process(tools, f"kinds-{server}", command)).wait_for_port(port)
        sidecar = running.enter_context(Sidecar(tools, twinread, "kinds", configuration(port, files)))
        for client in clients:
            straight, through = (CLIENTS[client](tools, to, files) for to in (port, sidecar.listen))
            is_whole = client == "buf" or straight[-1] == "exit 0"
            checks.that(f"{client} to {name}: {len(straight)} calls", is_whole and len(straight) > 10, straight)
            for expected, found in itertools.zip_longest(straight, through):
                checks.equal(f"{client} to {name}: {str(expected)[:50]}", found, expected)
        sidecar.wait_until_quiet()
        checks.equal(f"{name}: no live failure", sidecar.total("twinread_live_failures_total"), 0)
        checks.equal(f"{name}: no difference is invented", sidecar.classes(), set())
        broken = {outcome: sidecar.total("twinread_checks_total", outcome=outcome) for outcome in ("shadow_error", "skipped")}
        matches = sidecar.total("twinread_checks_total", outcome="match")
        checks.that(f"{name}: {matches:.0f} reads matched", matches > 10, broken)
        service.stop()
        ended = buffed(tools, sidecar.listen, files, BUFFED[0])[-1]
        checks.that(f"{name}: a service that is gone is unavailable", '"unavailable"' in ended, ended)


def configuration(port, files):
    text = CONFIGURATION
    if files:
        text = text.replace("http2: true", "http2: true, tls: {ca: CA}") + SECURED
    words = {"SCHEME": "https" if files else "http", "STACK": str(port), "PROTO": str(PROTO), **files}
    for word, value in words.items():
        text = text.replace(word, str(value))
    return text


def adapter(tools, library):
    if library == "grpcio":
        return [tools.venv / "python", HERE / "adapters/kinds.py"]
    return ["node", HERE / "adapters/kinds.mjs", tools.scratch / "npm/node_modules"]


def by_library(library):
    def calls(tools, port, files):
        return tools.lines([*adapter(tools, library), PROTO, "call", port, *list(files.values())[:1]])

    return calls


def by_buf(tools, port, files):
    return [buffed(tools, port, files, called) for called in BUFFED]


def buffed(tools, port, files, called):
    method, messages, options = called
    secure = ["--cacert", files["CA"]] if files else ["--http2-prior-knowledge"]
    url = f"{'https' if files else 'http'}://{LOCALHOST}:{port}/kinds.v1.Kinds/{method}"
    command = [tools.venv / "buf", "curl", "--schema", PROTO, "--protocol", "grpc", *secure, *options, "-d", "@-", url]
    ran = tools.run([str(part) for part in command], input="".join(map(json.dumps, messages)))
    return method, str(messages)[:60], ran.returncode, ran.stdout, ran.stderr


CLIENTS = {"grpcio": by_library("grpcio"), "grpc-js": by_library("grpc-js"), "buf": by_buf}
