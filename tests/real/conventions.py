"""What a run exports by OTLP, held against OpenTelemetry's registry of names (PyPI)."""

import contextlib
import http.server
import json
import pathlib
import threading
import time

import shop
from harness import LOCALHOST, Sidecar, stack

HERE = pathlib.Path(__file__).parent

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
old: {url: 'http://127.0.0.1:OLD'}
new: {url: 'http://127.0.0.1:NEW', timeout: 1500ms}
routes: [{name: get-user, path: '/users/{id}', required: true}]
sample: {rate: 1.0}
recheck: {after: [50ms], max_per_second: 1000}
"""

TELEMETRY = """
telemetry:
  otlp: {endpoint: 'http://127.0.0.1:OTLP', protocol: http/protobuf}
  traced: all
"""

# Of a client's span, by the conventions.
REQUIRED = {"http.request.method", "server.address", "server.port", "url.full"}
REQUIRED_OF_CALLS = {"rpc.system.name", "rpc.method", "rpc.response.status_code", "server.address", "server.port"}
INTERNAL, CLIENT, ERROR = 1, 3, 2


def run(checks, tools, twinread):
    folder = emptied(tools, "otlp")
    with (
        receiver(folder) as port,
        stack(lambda path: {"name": "Ada"}) as (old, _),
        stack(new_answers) as (new, replays),
    ):
        configuration = CONFIGURATION + TELEMETRY
        for word, value in {"OLD": old, "NEW": new, "OTLP": port}.items():
            configuration = configuration.replace(word, str(value))
        with Sidecar(tools, twinread, "conventions", configuration) as sidecar:
            for path in ("/users/1?token=abc", "/users/2", "/slow"):
                sidecar.get(path)
            sidecar.wait_until_quiet(3)
    found = exported(tools, folder)
    check_names(checks, found)
    check_spans(checks, found["spans"], replays)
    folder = emptied(tools, "otlp-calls")
    with receiver(folder) as port, shop.serving(tools, "conventions") as ports:
        words = {**shop.PLAIN, **ports, "OTLP": port}
        with shop.sidecar_between(tools, twinread, "conventions", words, TELEMETRY) as sidecar:
            for defect in ("none", "status"):
                tools.run(shop.command(tools, sidecar.listen, "call", defect))
            sidecar.wait_until_quiet(2)
    found = exported(tools, folder)
    check_names(checks, found)
    check_calls(checks, found["spans"])


def emptied(tools, name):
    folder = tools.scratch / name
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    return folder


def exported(tools, folder):
    return json.loads(tools.run([tools.venv / "python", HERE / "otlp_names.py", folder]).stdout)


def new_answers(path):
    if path == "/slow":
        time.sleep(3)
    return {"name": "Eve" if path.startswith("/users/1") else "Ada"}


def check_names(checks, found):
    registered = set(found["registered"])
    for what in ("attributes", "metrics"):
        names = found[what]
        unknown = [name for name in names if not name.startswith("twinread.") and name not in registered]
        checks.equal(f"{what} are twinread's own or registered", unknown, [])
        checks.that(f"there are {what} of both kinds", any(name in registered for name in names), names)
    checks.equal("one schema", len(found["schemas"]), 1)
    checks.that("the schema is known", found["schemas"][0] in found["known_schemas"], found["schemas"])
    for name in ("service.name", "service.version", "service.instance.id"):
        checks.that(f"the resource has {name}", found["resource"].get(name), found["resource"])


def check_spans(checks, spans, replays):
    parents = {span["id"]: span for span in spans if span["name"] == "twinread.check"}
    outcomes = sorted(span["attributes"]["twinread.outcome"] for span in parents.values())
    checks.equal("a span for each check", outcomes, ["match", "mismatch", "shadow_error"])
    checks.equal("checks are internal", {span["kind"] for span in parents.values()}, {INTERNAL})
    failed = {span["attributes"]["twinread.outcome"] for span in parents.values() if span["status"] == ERROR}
    checks.equal("status error", failed, {"mismatch", "shadow_error"})
    children = [span for span in spans if span["id"] not in parents]
    # Three replays, and both stacks once more for the one that differs.
    checks.equal("requests are clients", [span["kind"] for span in children], [CLIENT] * 5)
    checks.that("all below a check", all(span["parent"] in parents for span in children), children)
    lacking = [span for span in children if not REQUIRED <= span["attributes"].keys()]
    checks.equal("each has what the conventions require", lacking, [])
    errors = [span["attributes"]["error.type"] for span in children if span["status"] == ERROR]
    checks.equal("a request without an answer names its error", errors, ["timeout"])
    to_new = {(span["trace"], span["id"]) for span in children if span["attributes"]["twinread.stack"] == "new"}
    carried = {tuple(headers["traceparent"].split("-")[1:3]) for _, headers in replays}
    checks.equal("the new stack received these spans", carried, to_new)
    checks.that("the secret is masked", "abc" not in json.dumps(spans), spans)


def check_calls(checks, spans):
    children = [span for span in spans if span["name"] != "twinread.check"]
    checks.equal("calls are named by their method", {span["name"] for span in children}, {shop.GET})
    lacking = [span for span in children if not REQUIRED_OF_CALLS <= span["attributes"].keys()]
    checks.equal("each call has what the conventions require", lacking, [])
    names = {(span["attributes"]["rpc.system.name"], span["attributes"]["rpc.method"]) for span in children}
    checks.equal("system and method", names, {("grpc", shop.GET)})
    # The call that fails is made again, on both stacks.
    results = sorted(result(span) for span in children)
    checks.equal("status codes, with an error if it is not OK", results, [("NOT_FOUND", "NOT_FOUND")] * 2 + [("OK", None)] * 2)


def result(span):
    return span["attributes"]["rpc.response.status_code"], span["attributes"].get("error.type")


@contextlib.contextmanager
def receiver(folder):
    """Takes OTLP over HTTP, and keeps what it was sent in files. Yields the port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            signal = self.path.rsplit("/", 1)[-1]
            (folder / f"{time.time_ns()}.{signal}").write_bytes(body)
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer((LOCALHOST, 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
