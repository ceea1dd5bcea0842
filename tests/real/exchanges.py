"""Exchanges of every shape over HTTP/1.1 and 2, each straight to a stack and through twinread: both see the same."""

import contextlib
import itertools
import pathlib

from harness import LOCALHOST, Process, Sidecar, free_port
from wire import Exchange, Http1, Http2, Raw, chunked, request

HERE = pathlib.Path(__file__).parent

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
allow_same_stack: true
limits: {header_bytes: 64KiB}
old: {url: 'http://127.0.0.1:STACK', http2: HTTP2, connect_timeout: 30s}
new: {url: 'http://127.0.0.1:STACK', http2: HTTP2, max_per_second: 10000, connect_timeout: 30s}
sample: {rate: RATE}
recheck: {after: []}
"""

#: What twinread answers otherwise than the stack alone; docs/operations.md says why.
EXPLAINED = {
    "HTTP/1.1 to HTTP/1 a half-closed request",
    "HTTP/1.1 to HTTP/1 a half-closed request with a body",
    "HTTP/1.1 to HTTP/1 absolute form",
    "HTTP/1.1 to HTTP/2 status 205",
}

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "REPORT"]
STATUSES = [
    200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308,
    400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424, 425,
    426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511, 599,
]  # fmt: skip
ANSWER_HEADERS = [
    "none", "repeated", "lists", "empty", "long", "many", "bytes", "odd", "cors", "validators", "location", "auth", "range",
]  # fmt: skip
REQUEST_HEADERS = {
    "many": [(f"x-many-{index}", str(index)) for index in range(60)],
    "repeated": [("x-twice", "a"), ("x-twice", "b"), ("x-twice", "a, b")],
    "cookies": [("cookie", "a=1; b=2; c=%20")],
    "empty": [("x-empty", ""), ("x-after", "1")],
    "long": [("x-long", "v" * 15000)],
    "quoted": [("x-quoted", '"a, b"; c="d\\"e"')],
    "latin": [("x-latin", "caf\u00e9")],
    "conditions": [("if-none-match", '"x"'), ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")],
    "range": [("range", "bytes=0-3"), ("if-range", '"x"')],
    "accept": [("accept", "text/*;q=0.3, */*"), ("accept-encoding", "gzip, br;q=0.5"), ("accept-language", "de, en;q=0.7")],
    "auth": [("authorization", "Bearer abc.def")],
    "origin": [("origin", "https://a.example"), ("referer", "https://a.example/b?c")],
    "forwarded": [("x-forwarded-for", "192.0.2.1, 192.0.2.2"), ("forwarded", "for=192.0.2.1;proto=https")],
    "trace": [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("tracestate", "a=b")],
    "odd": [("x_underscore", "1"), ("x.dot", "2"), ("x!bang~", "3")],
    "type": [("content-type", 'multipart/form-data; boundary="a b"')],
}
TARGETS = [
    "/", "//a//b", "/a%20b%2Fc", "/a?", "/a?b", "/a?b=c&b=d&e", "/a?q=%22%3C%3E", "/%C3%A9", "/a;p=1/b;q", "/a/./b", "/a/../b",
    "/a:b@c", "/~a!$&'()*+,=", "/" + "a" * 4000, "/a?" + "b" * 4000, "/a?x=[1]&y={2}|3", "/?a?b/c", "/%00", "/a/",
]  # fmt: skip
SIZES = [0, 1, 2, 1023, 1024, 16384, 65535, 65536, 65537, 131072, 1 << 20, 3_000_000]
LARGE = [1 << 27, 1 << 30]


def run(checks, tools, twinread, is_all=False):
    exchanges = 0
    with contextlib.ExitStack() as running:
        straight = {version: running.enter_context(stack_on(tools, version)) for version in (1, 2)}
        for behind in (1, 2):
            sidecar = running.enter_context(sidecar_on(tools, twinread, straight[behind], behind))
            for caller in (Http1, Http2):
                shapes = list(of_both(is_all)) + (list(of_http1()) if (caller, behind) == (Http1, 1) else [])
                for shape in shapes:
                    name = f"{caller.NAME} to HTTP/{behind} {shape.name}"
                    expected = caller.send(straight[caller.VERSION], shape)
                    found = caller.send(sidecar.listen, shape)
                    if behind == 2 or caller.VERSION == 2:
                        expected["informational"] = found["informational"] = "dropped over HTTP/2"
                    if name in EXPLAINED:
                        checks.that(f"{name}: differs, as explained", found != expected)
                    else:
                        checks.equal(name, found, expected)
                exchanges += len(shapes)
            after(checks, sidecar)
    checks.that(f"{exchanges} exchanges are at least 250", exchanges >= 250)


@contextlib.contextmanager
def stack_on(tools, version):
    port = free_port()
    command = ["node", HERE / "adapters/exchange.mjs", port, version]
    with Process(tools, f"exchange-stack-{version}", command) as process:
        process.wait_for_port(port)
        yield port


def sidecar_on(tools, twinread, port, version, rate="0.2"):
    configuration = CONFIGURATION.replace("RATE", rate)
    configuration = configuration.replace("STACK", str(port)).replace("HTTP2", str(version == 2).lower())
    return Sidecar(tools, twinread, f"exchanges-{version}", configuration)


def after(checks, sidecar):
    sidecar.wait_until_quiet()
    checks.equal("no live failure", sidecar.total("twinread_live_failures_total"), 0)
    broken = sidecar.total("twinread_checks_total", outcome="not_compared", detail="internal")
    checks.equal("nothing broke inside", broken, 0)


def of_both(is_all):
    """Shapes that both versions have."""
    bodies = {"without a body": None, "with an empty body": b"", "with a body": b'{"a": 1}', "with 100 kB": bytes_of(100_000)}
    for method, (what, body) in itertools.product(METHODS, bodies.items()):
        yield Exchange(f"{method} {what}", method, "/echo?a=b", body=body)
    for status in STATUSES:
        yield Exchange(f"status {status}", "GET", f"/status/{status}")
        if status % 100 < 6:
            yield Exchange(f"HEAD, status {status}", "HEAD", f"/status/{status}")
    for kind in ANSWER_HEADERS:
        yield Exchange(f"answer headers: {kind}", "GET", f"/headers/{kind}")
        yield Exchange(f"HEAD, answer headers: {kind}", "HEAD", f"/headers/{kind}")
    for name, headers in REQUEST_HEADERS.items():
        yield Exchange(f"request headers: {name}", "GET", "/echo", headers)
        yield Exchange(f"request headers with a body: {name}", "POST", "/echo", headers, b"body")
    for target in TARGETS:
        yield Exchange(f"target {target[:40]}", "GET", target)
    for encoding in ("gzip", "deflate", "br"):
        yield Exchange(f"encoded {encoding}", "GET", f"/encoded/{encoding}")
    for size in SIZES + (LARGE if is_all else []):
        for kind in ("size", "stream", "closing"):
            yield Exchange(f"answer of {size} bytes, {kind}", "GET", f"/{kind}/{size}")
        yield Exchange(f"HEAD of {size} bytes", "HEAD", f"/size/{size}")
    whole = memoryview(bytes_of(LARGE[-1] if is_all else SIZES[-1]))
    for size in SIZES + (LARGE if is_all else []):
        yield Exchange(f"request of {size} bytes", "POST", "/hash", body=whole[:size])
    yield Exchange("answer with trailers", "GET", "/trailers", [("te", "trailers")])
    yield Exchange("early hints", "GET", "/hints")
    yield Exchange("events", "GET", "/events")


def of_http1():
    """Shapes that only HTTP/1.1 has."""
    for size in SIZES:
        chunks = [bytes_of(size)[at : at + 30_000] for at in range(0, size, 30_000)]
        yield Raw(f"request of {size} bytes in chunks", chunked("/hash", chunks))
    for trailers in ([], [("x-sum", "abc")], [("x-sum", ""), ("x-second", "b, c")]):
        yield Raw(f"request with {len(trailers)} trailers", chunked("/echo", [b"a", b"bc"], trailers))
    yield Raw("an early answer", request("POST", "/early", [("Content-Length", "3000000")]))
    yield Raw("a half-closed request", request("GET", "/echo"), half_close=True)
    yield Raw("a half-closed request with a body", request("POST", "/hash", body=bytes_of(70_000)), half_close=True)
    yield Raw("expect: 100-continue", request("POST", "/echo", [("Expect", "100-continue")], b"wanted"))
    yield Raw("HTTP/1.0", b"GET /echo HTTP/1.0\r\nHost: stack.example\r\n\r\n")
    yield Raw("absolute form", request("GET", f"http://{LOCALHOST}/echo?a"))


def bytes_of(size):
    return (b"twinread exchange " * (size // 18 + 1))[:size]
