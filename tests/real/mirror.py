"""nginx and Envoy mirror to twinread by the files of deploy/: each read is offered once, and no caller notices a slow or a failing twinread."""

import contextlib
import http.client
import pathlib
import re
import signal
import threading
import time

from harness import LOCALHOST, Process, Sidecar, call, free_port, stack, wait_for

DEPLOY = pathlib.Path(__file__).parent.parent.parent / "deploy"

CONFIGURATION = """
listen: null
mirror: {listen: 'LISTEN'}
admin: ADMIN
old: {url: 'http://127.0.0.1:OLD', max_per_second: 100000}
new: {url: 'http://127.0.0.1:NEW', max_per_second: 100000}
reads: [{methods: [GET, HEAD]}, {methods: [POST], path: /search}]
routes: [{name: get-item, path: '/items/{id}'}, {name: planted, path: '/planted/{id}'}]
sample: {rate: 1.0, max_per_second: 100000}
recheck: {after: [50ms], max_per_second: 1000}
"""

#: Reads through each proxy, and how many of them differ.
READS, PLANTED = 200, 5

HOST = "shop.example:8080"

#: Seconds for READS callers, one after the other. Whoever waited for copies would need 10 s at nginx, and longer at Envoy.
PROMPT = 5

#: Seconds of each pulse in which a slow twinread is stopped, and in which it runs; and for which the stack behind it is silent.
STOPPED, RUNNING, SILENT = 0.4, 0.003, 0.5
PULSES = 8


def run(checks, tools, twinread):
    is_slow = threading.Event()

    def new_answers(path):
        if is_slow.is_set():
            time.sleep(SILENT)
        return {"path": path, **({"more": 1} if "planted" in path else {})}

    for name, start in (("nginx", nginx), ("envoy over HTTP/2", envoy), ("envoy over HTTP/1.1", envoy_http1)):
        with (
            stack(lambda path: {"path": path}, is_prompt=True) as (old, at_old),
            stack(new_answers, is_prompt=True) as (new, at_new),
        ):
            configuration = CONFIGURATION.replace("OLD", str(old)).replace("NEW", str(new))
            slug = re.sub(r"\W+", "-", name)
            with Sidecar(tools, twinread, f"mirror-{slug}", configuration) as sidecar:
                port = free_port()
                with start(tools, f"proxy-{slug}", {8000: port, 9001: old, 8081: sidecar.listen}) as proxy:
                    proxy.wait_for_port(port)
                    check_reads(checks, name, port, sidecar)
                    check_stacks(checks, name, at_old, at_new)
                    check_failures(checks, name, port, sidecar, is_slow)


def nginx(tools, name, ports):
    folder = tools.scratch / name
    folder.mkdir(exist_ok=True)
    paths = "".join(f"{each}_temp_path {folder};" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    text = with_ports((DEPLOY / "nginx/nginx.conf").read_text(), ports)
    file = folder / "nginx.conf"
    file.write_text(text.replace("http {", f"http {{ access_log off; {paths}", 1))
    start = f"daemon off; pid {folder}/pid; worker_processes 1;"
    return Process(tools, name, ["nginx", "-c", file, "-e", "stderr", "-g", start])


def envoy(tools, name, ports, leaves_out="nothing"):
    (binary,) = tools.scratch.glob("venv/lib/python3*/site-packages/envoy/_bin/envoy")
    lines = with_ports((DEPLOY / "envoy/mirror.yaml").read_text(), ports).splitlines()
    file = tools.scratch / f"{name}.yaml"
    file.write_text("\n".join(line for line in lines if leaves_out not in line))
    return Process(tools, name, [binary, "-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "warning"])


def envoy_http1(tools, name, ports):
    return envoy(tools, name, ports, "typed_extension_protocol_options")


def with_ports(text, ports):
    for documented, port in ports.items():
        text = re.sub(rf"\b{documented}\b", str(port), text)
    return text


def check_reads(checks, name, port, sidecar):
    for index in range(READS):
        path = f"/planted/{index}" if index < PLANTED else f"/items/{index}?q=%20"
        right = call(port, "GET", path, headers={"host": HOST})
        if (right.status, right.json()) != (200, {"path": path}):
            checks.that(f"{name}: the answer is the old stack's", False, (path, right.status, right.body))
    call(port, "POST", "/items/7", b"a write")
    call(port, "POST", "/search", b"needle")
    sampled = sidecar.wait_until_quiet(READS + 1)
    checks.equal(f"{name}: each read that was served is offered once", sampled, READS + 1)
    live = sidecar.total("twinread_live_requests_total", answered_by="twinread")
    checks.equal(f"{name}: the write is counted, too", live, READS + 2)
    outcomes = {each: sidecar.total("twinread_checks_total", route="get-item", outcome=each) for each in ("match", "mismatch")}
    checks.equal(f"{name}: what is equal matches", outcomes, {"match": READS - PLANTED, "mismatch": 0})
    checks.equal(f"{name}: the planted difference is found", sidecar.classes(), {("planted", "$.more", "extra")})
    planted = sidecar.total("twinread_checks_total", route="planted", outcome="mismatch")
    checks.equal(f"{name}: in each read that has it", planted, PLANTED)


def check_stacks(checks, name, at_old, at_new):
    items = [path for path, _ in at_new if path.startswith("/items")]
    checks.equal(f"{name}: the new stack got each read once", (len(items), len(set(items))), (READS - PLANTED, READS - PLANTED))
    checks.equal(f"{name}: for the host that was asked", {headers["host"] for _, headers in [*at_old, *at_new]}, {HOST})
    ours = [path for path, headers in at_old if "x-twinread" in headers and path.startswith("/items")]
    checks.equal(f"{name}: and so did the old one, of twinread", len(ours), READS - PLANTED)


def check_failures(checks, name, port, sidecar, is_slow):
    """Callers get the same, and as promptly, while twinread is slow, while it hangs and when it is gone."""
    checks.equal(f"{name}: with a sound twinread", callers(port), "prompt and right")
    sound = sidecar.wait_until_quiet()
    with slowed(sidecar.child, is_slow) as pulses:
        said = set()
        while len(pulses) < PULSES:
            said.add(callers(port))
        checks.equal(f"{name}: while twinread is slow", said, {"prompt and right"})
        checks.equal(f"{name}: on a kept connection, too", kept_callers(port), "right")
    checks.that(f"{name}: a slow twinread takes copies all the same", sidecar.wait_until_quiet() > sound, sound)
    sidecar.child.send_signal(signal.SIGSTOP)
    try:
        checks.equal(f"{name}: while twinread hangs", callers(port), "prompt and right")
        checks.equal(f"{name}: on a kept connection, too", kept_callers(port), "right")
    finally:
        sidecar.child.send_signal(signal.SIGCONT)
    wait_for("twinread to go on", lambda: call(sidecar.admin, "GET", "/livez").status == 200)
    sidecar.wait_until_quiet()
    checks.that(f"{name}: sampled = sum of outcomes", True)
    sidecar.stop()
    checks.equal(f"{name}: without twinread", callers(port), "prompt and right")


@contextlib.contextmanager
def slowed(child, is_slow):
    """It runs for a moment at a time, and the stack behind it is slow. Yields the pulses so far."""
    pulses, ended = [], threading.Event()

    def pulse():
        while not ended.is_set():
            child.send_signal(signal.SIGSTOP)
            ended.wait(STOPPED)
            child.send_signal(signal.SIGCONT)
            pulses.append(time.monotonic())
            ended.wait(RUNNING)

    thread = threading.Thread(target=pulse)
    is_slow.set()
    thread.start()
    try:
        yield pulses
    finally:
        ended.set()
        thread.join()
        is_slow.clear()


def callers(port):
    begun = time.monotonic()
    for index in range(READS):
        answer = call(port, "GET", f"/items/{index}")
        if (answer.status, answer.json()) != (200, {"path": f"/items/{index}"}):
            return f"{answer.status} {answer.body!r}"
    took = time.monotonic() - begun
    return "prompt and right" if took < PROMPT else f"{took:.1f} s for {READS} callers"


def kept_callers(port):
    connection = http.client.HTTPConnection(LOCALHOST, port, timeout=20)
    for index in range(20):
        connection.request("GET", f"/items/{index}")
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200 or f"/items/{index}".encode() not in body:
            return f"{answer.status} {body!r}"
    connection.close()
    return "right"
