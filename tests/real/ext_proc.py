"""Envoy shows requests and answers to twinread by the file of deploy/: each read is offered once, and no caller notices a twinread that fails."""

import contextlib
import http.client
import http.server
import json
import pathlib
import re
import signal
import socket
import statistics
import threading
import time

import rpc
from harness import LOCALHOST, Process, Sidecar, call, free_port, wait_for

FILE = pathlib.Path(__file__).parent.parent.parent / "deploy/envoy/ext_proc.yaml"

CONFIGURATION = """
listen: null
ext_proc: {listen: 'LISTEN'}
admin: ADMIN
old: {url: 'http://127.0.0.1:OLD', max_per_second: 100000}
new: {url: 'http://127.0.0.1:NEW', max_per_second: 100000}
reads: [{methods: [GET, HEAD]}, {methods: [POST], path: /search}]
routes:
  - {name: get-item, path: '/items/{id}'}
  - {name: planted, path: '/planted/{id}'}
  - {name: cut, path: '/cut/{id}'}
  - {name: unanswered, path: '/unanswered/{id}'}
  - {name: slow, path: '/slow/{id}'}
  - {name: large, path: '/large'}
sample: {rate: 1.0, max_per_second: 100000}
recheck: {after: [50ms], max_per_second: 1000}
"""

#: Reads, and how many of them differ.
READS, PLANTED = 200, 5

#: Requests at once, on a new connection as well.
BURST = 150

HOST = "shop.example:8080"

LARGE = 100 << 20
PIECE = bytes(1 << 20)

#: Callers begin at this rate, in seconds, for so long; one of LARGE_EVERY gets a large body.
INTERVAL, SPAN, LARGE_EVERY = 0.05, 5, 20

#: Seconds that callers may wait longer than with a sound twinread, whose figures may triple. Whoever waited for one that hangs would
#: need up to 7 s, until Envoy gives its connection up.
LONGER_SMALL, LONGER_LARGE = 0.3, 1
#: Seconds that no caller may wait, whatever the machine.
MOST_SMALL, MOST_LARGE = 2, 4


GRPC = """
listen: null
ext_proc: {listen: 'LISTEN'}
admin: ADMIN
allow_same_stack: true
old: {url: 'http://127.0.0.1:STACK', http2: true}
new: {url: 'http://127.0.0.1:STACK', http2: true, max_per_second: 10000}
reads: [{grpc: 'kinds.v1.Kinds/{Unary,Down}'}]
grpc: {descriptors: [PROTO]}
sample: {rate: 1.0, max_per_second: 1000}
rules: [builtin:http, builtin:grpc]
"""


def run(checks, tools, twinread):
    check_grpc(checks, tools, twinread)
    with old_stack(False) as (old, at_old), old_stack(True) as (new, at_new):
        configuration = CONFIGURATION.replace("OLD", str(old)).replace("NEW", str(new))
        with Sidecar(tools, twinread, "ext-proc", configuration) as sidecar:
            port, admin = free_port(), free_port()
            with envoy(tools, {8000: port, 9001: old, 8081: sidecar.listen}, admin) as proxy:
                proxy.wait_for_port(port)
                check_reads(checks, port, sidecar)
                check_stacks(checks, at_old, at_new)
                check_broken(checks, port, sidecar)
                check_streams(checks, port, admin, sidecar)
                check_failures(checks, port, admin, sidecar)


def envoy(tools, ports, admin, of_old=""):
    (binary,) = tools.scratch.glob("venv/lib/python3*/site-packages/envoy/_bin/envoy")
    text = FILE.read_text()
    for documented, port in ports.items():
        text = re.sub(rf"\b{documented}\b", str(port), text)
    text = text.replace("    - name: old\n", f"    - name: old\n{of_old}", 1)
    file = tools.scratch / "ext-proc-envoy.yaml"
    file.write_text(f"{text}admin: {{address: {{socket_address: {{address: {LOCALHOST}, port_value: {admin}}}}}}}\n")
    return Process(tools, "ext-proc-envoy", [binary, "-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "warning"])


def check_grpc(checks, tools, twinread):
    """Reads of gRPC, of which Envoy shows the trailers as well."""
    stack, port, admin = free_port(), free_port(), free_port()
    service = [*rpc.adapter(tools, "grpcio"), rpc.PROTO, "serve", stack]
    configuration = GRPC.replace("STACK", str(stack)).replace("PROTO", str(rpc.PROTO))
    with (
        Process(tools, "ext-proc-grpc", service).wait_for_port(stack),
        Sidecar(tools, twinread, "ext-proc-grpc-sidecar", configuration) as sidecar,
        envoy(tools, {8000: port, 9001: stack, 8081: sidecar.listen}, admin, "      http2_protocol_options: {}\n") as proxy,
    ):
        proxy.wait_for_port(port)
        reads = 0
        for called in rpc.BUFFED:
            straight, through = (rpc.buffed(tools, to, {}, called) for to in (stack, port))
            checks.equal(f"gRPC, {called[0]}: the answer is the service's", through, straight)
            # buf ends with 1 if it sends nothing.
            reads += called[0] in ("Unary", "Down") and straight[2] != 1
        checks.equal("gRPC: each read is offered once", sidecar.wait_until_quiet(reads), reads)
        checks.equal("gRPC: and matches, with its trailers", sidecar.total("twinread_checks_total", outcome="match"), reads)


@contextlib.contextmanager
def old_stack(is_new):
    """A stack with bodies of every kind; the new one differs at `/planted`. Yields the port and the requests seen."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self):
            asked = self.rfile.read(int(self.headers.get("content-length", 0)))
            seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, asked))
            kind, size = self.path.split("/")[1], LARGE if self.path == "/large" else 4 << 20
            if kind == "unanswered" and not is_new:
                self.close_connection = True
                return
            if kind == "slow" and not is_new:
                time.sleep(1)
            document = {"path": self.path, "asked": asked.decode(), **({"more": 1} if is_new and kind == "planted" else {})}
            pieces = [PIECE] * (size >> 20) if kind in ("large", "hashed") else [json.dumps(document).encode()]
            self.send_response(200)
            self.send_header("content-type", "application/json")
            if kind == "chunked":
                self.send_header("transfer-encoding", "chunked")
            else:
                self.send_header("content-length", str(sum(map(len, pieces)) + (kind == "cut" and not is_new)))
            with contextlib.suppress(ConnectionError):  # whoever asked may be gone by now
                self.end_headers()
                for piece in pieces:
                    self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(piece), piece) if kind == "chunked" else piece)
            self.close_connection = kind == "cut"

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer((LOCALHOST, 0), Handler)
    server.daemon_threads = True
    server.request_queue_size = 128
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, seen
    finally:
        server.shutdown()
        server.server_close()


def check_reads(checks, port, sidecar):
    paths = [f"/planted/{index}" if index < PLANTED else f"/items/{index}?q=%20" for index in range(READS)]
    for path in paths:
        right = call(port, "GET", path, headers={"host": HOST})
        if (right.status, right.json()["path"]) != (200, path):
            checks.that("the answer is the old stack's", False, (path, right.status, right.body))
    call(port, "PUT", "/items/7", b"a write")
    found = call(port, "POST", "/search", b"needle")
    checks.equal("a read with a body is answered", found.json()["asked"], "needle")
    call(port, "GET", "/chunked/1")
    checks.equal("a body over capture.max_body passes", len(call(port, "GET", "/hashed").body), 4 << 20)
    sampled = sidecar.wait_until_quiet(READS + 3)
    checks.equal("each read that was served is offered once", sampled, READS + 3)
    live = sidecar.total("twinread_live_requests_total", answered_by="old")
    checks.equal("the write is counted, too", live, READS + 4)
    outcomes = {each: sidecar.total("twinread_checks_total", outcome=each) for each in ("match", "mismatch")}
    checks.equal("what is equal matches, what is planted does not", outcomes, {"match": READS - PLANTED + 3, "mismatch": PLANTED})
    checks.equal("nothing but the planted difference is found", sidecar.classes(), {("planted", "$.more", "extra")})


def check_stacks(checks, at_old, at_new):
    items = [path for path, headers, _ in at_new if path.startswith("/items")]
    checks.equal("the new stack got each read once", (len(items), len(set(items))), (READS - PLANTED, READS - PLANTED))
    hosts = {headers["host"] for path, headers, _ in [*at_old, *at_new] if path.startswith("/items") and path != "/items/7"}
    checks.equal("for the host that was asked", hosts, {HOST})
    checks.equal("and with its body", [asked for path, _, asked in at_new if path == "/search"], [b"needle"])
    ours = [path for path, headers, _ in at_old if "x-twinread" in headers]
    checks.equal("the old stack is read for re-checks alone", {path.split("/")[1] for path in ours}, {"planted"})
    extra = {name for path, headers, _ in at_new if path.startswith("/items") for name in headers}
    theirs = {name for path, headers, _ in at_old if path.startswith("/items") for name in headers}
    checks.equal("the new stack gets the headers that the old one got", extra - theirs, {"traceparent", "x-twinread", "x-twinread-hop"})


def check_broken(checks, port, sidecar):
    """An answer that breaks off, and one that never came: counted, and never compared."""
    before = sidecar.wait_until_quiet()
    with contextlib.suppress(http.client.IncompleteRead):
        call(port, "GET", "/cut/1")
    unanswered = call(port, "GET", "/unanswered/1")
    checks.equal("Envoy answers for a stack that does not", unanswered.status, 503)
    sidecar.wait_until_quiet(before + 2)

    def ended(route):
        found = re.findall(rf'twinread_checks_total{{detail="(\w*)",outcome="(\w+)",route="{route}"}} 1', sidecar.metrics())
        return found

    checks.equal("what breaks off is no answer", ended("cut"), [("client_gone", "not_compared")])
    failures = sidecar.total("twinread_live_failures_total")
    checks.equal("neither is a failure of twinread's", failures, 0)
    checks.equal("nor is Envoy's own", ended("unanswered"), [("primary_error", "not_compared")])


def check_streams(checks, port, admin, sidecar):
    """Streams end with the answers, or with the head of what is not sampled."""
    wait_for("no stream to be open", lambda: stat(admin, "cluster.twinread.upstream_rq_active") == 0, 5)
    checks.that("no stream stays open", True)
    with in_flight(port, "/slow/1"):
        begun = time.monotonic()
        wait_for("the stream of a sampled read", lambda: stat(admin, "cluster.twinread.upstream_rq_active") == 1, 5)
        time.sleep(max(0, begun + 0.5 - time.monotonic()))
        checks.equal("a sampled read has a stream until its answer ends", stat(admin, "cluster.twinread.upstream_rq_active"), 1)
    sidecar.patch({"sample": {"rate": 0, "per_route_floor": "0/s"}})
    started = stat(admin, "http.callers.ext_proc.streams_started")
    with in_flight(port, "/slow/2") as caller:
        wait_for("the next stream", lambda: stat(admin, "http.callers.ext_proc.streams_started") > started, 5)
        wait_for("its end", lambda: stat(admin, "cluster.twinread.upstream_rq_active") == 0, 5)
        checks.that("what is not sampled has none while its answer is awaited", caller.is_alive())
    sidecar.patch({"sample": {"rate": 1, "per_route_floor": "1/s"}})
    before = sidecar.wait_until_quiet()
    with contextlib.ExitStack() as burst:
        for index in range(BURST):
            burst.enter_context(in_flight(port, f"/slow/{index}"))
    sampled = sidecar.wait_until_quiet(before + BURST) - before
    checks.equal("more requests at once than limits.streams are all offered", sampled, BURST)
    failed = stat(admin, "http.callers.ext_proc.streams_failed")
    checks.equal("no stream has failed", failed, 0)


@contextlib.contextmanager
def in_flight(port, path):
    caller = threading.Thread(target=call, args=(port, "GET", path))
    caller.start()
    yield caller
    caller.join()


def stat(admin, name):
    found = call(admin, "GET", f"/stats?filter=^{re.escape(name)}$").body.decode()
    return int(found.rpartition(":")[2])


def check_failures(checks, port, admin, sidecar):
    """Callers get the same, and as promptly, whatever becomes of twinread: measured at a steady rate."""
    sound = check_callers(checks, "with a sound twinread", port)
    sidecar.wait_until_quiet()
    # A debug build may take longer for them than the second that Envoy keeps what is not read.
    ends = {detail: sidecar.total("twinread_checks_total", route="large", detail=detail) for detail in ("exact", "rules", "client_gone")}
    checks.equal(f"bodies of 100 MiB are compared or given up: {ends}", sum(ends.values()), SPAN / INTERVAL / LARGE_EVERY)
    with slowed(sidecar):
        check_callers(checks, "with a slow one", port, sound)
    sidecar.child.send_signal(signal.SIGSTOP)
    try:
        check_callers(checks, "with a frozen one", port, sound)
    finally:
        sidecar.child.send_signal(signal.SIGCONT)
    wait_for("twinread to go on", lambda: call(sidecar.admin, "GET", "/livez").status == 200)
    check_offered(checks, "one that was frozen", port, sidecar)
    sidecar.wait_until_quiet(seconds=60)
    checks.that("sampled = sum of outcomes", True)
    sidecar.stop()
    check_callers(checks, "without twinread", port, sound)
    with hanging(sidecar.listen):
        check_callers(checks, "with one that accepts and reads nothing", port, sound)
    sidecar.start()
    check_offered(checks, "one that was started again", port, sidecar)
    wait_for("no stream to be open", lambda: stat(admin, "cluster.twinread.upstream_rq_active") == 0, 10)
    checks.that("and no stream stays open", True)


def check_offered(checks, what, port, sidecar):
    def is_offered():
        before = sidecar.total("twinread_sampled_total")
        call(port, "GET", "/items/1")
        time.sleep(0.1)
        return sidecar.total("twinread_sampled_total") > before

    wait_for(f"a read to be offered to {what}", is_offered)
    checks.that(f"reads are offered to {what}", True)


def check_callers(checks, when, port, sound=None):
    """The p99 of small bodies, and the most of large ones, in seconds; `sound` are those to compare with."""
    small, large, wrong = [], [], []

    def ask(path, took, right):
        begun = time.monotonic()
        try:
            answer = call(port, "GET", path)
            is_right = answer.status == 200 and (len(answer.body) == LARGE if path == "/large" else answer.json()["path"] == path)
        except (OSError, http.client.HTTPException) as error:
            answer, is_right = error, False
        took.append(time.monotonic() - begun)
        if not is_right:
            right.append((path, answer if isinstance(answer, Exception) else (answer.status, len(answer.body))))

    callers, begun = [], time.monotonic()
    for index in range(int(SPAN / INTERVAL)):
        is_large = index % LARGE_EVERY == 0
        arguments = ("/large", large, wrong) if is_large else (f"/items/{index}", small, wrong)
        callers.append(threading.Thread(target=ask, args=arguments))
        time.sleep(max(0, begun + index * INTERVAL - time.monotonic()))
        callers[-1].start()
    for caller in callers:
        caller.join()
    percentile = statistics.quantiles(small, n=100)[98]
    print(f"      {when}: p99 {percentile * 1000:.0f} ms; 100 MiB in {statistics.median(large):.2f} s, at most {max(large):.2f} s", flush=True)
    checks.equal(f"{when}: every caller gets the old stack's answer", wrong[:3], [])
    took = percentile, max(large)
    limits = (3 * sound[0] + LONGER_SMALL, 3 * sound[1] + LONGER_LARGE) if sound else (MOST_SMALL, MOST_LARGE)
    is_prompt = all(each < min(limit, most) for each, limit, most in zip(took, limits, (MOST_SMALL, MOST_LARGE), strict=True))
    checks.that(f"{when}: as promptly as ever", is_prompt, (took, limits))
    return took


@contextlib.contextmanager
def slowed(sidecar):
    """It runs for a tenth of the time."""
    is_over = threading.Event()

    def slow():
        while not is_over.is_set():
            sidecar.child.send_signal(signal.SIGSTOP)
            is_over.wait(0.09)
            sidecar.child.send_signal(signal.SIGCONT)
            is_over.wait(0.01)

    thread = threading.Thread(target=slow)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@contextlib.contextmanager
def hanging(port):
    """Accepts connections, and reads nothing of them."""
    accepted = []
    with socket.create_server((LOCALHOST, port)) as listener:

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    accepted.append(listener.accept()[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    for connection in accepted:
        connection.close()
