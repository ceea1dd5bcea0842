"""Malformed messages over HTTP/1.1: none crashes, hangs or desynchronizes, and the stack sees no request of its own."""

import contextlib
import itertools
import json
import re
import socket

from exchanges import sidecar_on, stack_on
from harness import LOCALHOST, call, wait_for
from wire import AUTHORITY

SMUGGLED = f"GET /smuggled HTTP/1.1\r\nHost: {AUTHORITY}\r\n\r\n".encode()
CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"
SECONDS = 5


def run(checks, tools, twinread):
    cases = list(of_http1())
    names = [name for name, _ in cases]
    checks.equal("each case has a name of its own", len(set(names)), len(names))
    with stack_on(tools, 1) as port, sidecar_on(tools, twinread, port, 1, "0") as sidecar:
        for index, (name, sent) in enumerate(cases):
            check(checks, sidecar, port, f"HTTP/1.1 {name}", sent.replace(b"/at", b"/at/%d" % index))
        alive = sidecar.get("/echo")
        checks.equal("it still answers", alive.status, 200)
        checks.equal("it still runs", sidecar.child.poll(), None)
    print(f"      {len(cases)} messages")


def check(checks, sidecar, stack, name, sent):
    """The stack sees no more requests than twinread counted: they agree where each message ends."""
    before, seen = count(sidecar), reached(stack)
    answer = exchange(sidecar.listen, sent)
    seen = reached(stack) - seen
    counted = counted_since(sidecar, before, seen)
    waits = answer is None and exchange(stack, sent) is None
    checks.that(f"{name}: an answer or an end, or the stack alone waits for more, too", answer is not None or waits)
    # Fewer, where a parser refuses one.
    checks.that(f"{name}: {seen} seen of {counted} counted", seen <= counted)
    is_answer = answer is None or answer == b"" or re.match(rb"HTTP/1\.[01] [1-5]\d\d ", answer)
    checks.that(f"{name}: an answer is HTTP", is_answer, answer)


def count(sidecar):
    return int(sidecar.total("twinread_live_requests_total"))


def counted_since(sidecar, before, seen):
    """How many requests were counted. One is counted at its end, which may come after that of its connection."""
    with contextlib.suppress(TimeoutError):
        wait_for("the count", lambda: count(sidecar) - before >= seen, 5)
    return count(sidecar) - before


def reached(stack):
    return json.loads(call(stack, "GET", "/seen").body)["seen"]


def exchange(port, sent):
    """All that comes until the connection ends; `None` if it does not end. The sender's end is closed last."""
    received = b""
    with socket.create_connection((LOCALHOST, port), SECONDS) as connection:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(sent)
            # A well-formed request asks for the end, so that a connection that goes on ends, too.
            connection.sendall(f"GET /last HTTP/1.1\r\nHost: {AUTHORITY}\r\nConnection: close\r\n\r\n".encode())
        while True:
            try:
                data = connection.recv(1 << 16)
            except ConnectionResetError:
                return received
            except TimeoutError:
                return None
            if not data:
                return received
            received += data


def of_http1():
    yield from request_lines()
    yield from fields()
    yield from lengths()
    yield from codings()
    yield from chunks()
    yield from sizes()


def head(line="POST /at HTTP/1.1", *lines, host=True):
    named = [f"Host: {AUTHORITY}"] if host else []
    return "\r\n".join([line, *named, *lines, "", ""]).encode("latin-1")


def request_lines():
    lines = {
        "two spaces": "GET  /at HTTP/1.1",
        "a tab": "GET\t/at HTTP/1.1",
        "a space before": " GET /at HTTP/1.1",
        "a space after": "GET /at HTTP/1.1 ",
        "a space in the target": "GET /at /smuggled HTTP/1.1",
        "no version": "GET /at",
        "version 1.2": "GET /at HTTP/1.2",
        "version 2.0": "GET /at HTTP/2.0",
        "version 0.9": "GET /at HTTP/0.9",
        "version 1.10": "GET /at HTTP/1.10",
        "version of another protocol": "GET /at ICY/1.1",
        "a version in lower case": "GET /at http/1.1",
        "no target": "GET  HTTP/1.1",
        "an empty line": "",
        "a fragment": "GET /at#part HTTP/1.1",
        "no slash": "GET at HTTP/1.1",
        "a star": "GET * HTTP/1.1",
        "a name as target": "GET stack.example HTTP/1.1",
        "another scheme": "GET ftp://stack.example/at HTTP/1.1",
        "a user in the target": "GET http://user:secret@stack.example/at HTTP/1.1",
        "an empty authority": "GET http:///at HTTP/1.1",
        "another authority": "GET http://other.example/at HTTP/1.1",
        "CONNECT to a host": "CONNECT stack.example:443 HTTP/1.1",
        "CONNECT to a path": "CONNECT /at HTTP/1.1",
        "a method in lower case": "get /at HTTP/1.1",
        "a method with a bracket": "G(T /at HTTP/1.1",
        "an empty method": " /at HTTP/1.1",
        "a long method": "G" * 300 + " /at HTTP/1.1",
        "bytes over 127 in the target": "GET /at\xe9\xff HTTP/1.1",
        "a NUL in the target": "GET /at\0 HTTP/1.1",
        "a control character in the target": "GET /at\x0b HTTP/1.1",
        "DEL in the target": "GET /at\x7f HTTP/1.1",
        "a backslash": "GET \\at HTTP/1.1",
        "two slashes and a host": "GET //other.example/at HTTP/1.1",
        "PRI": "PRI * HTTP/2.0",
    }
    for name, line in lines.items():
        yield f"request line: {name}", head(line)
        yield f"request line: {name}, with a body", head(line, "Content-Length: 5") + b"hello"
    yield "bare LF", head().replace(b"\r\n", b"\n")
    yield "bare CR", head().replace(b"\r\n", b"\r")
    yield "CR CR LF", head().replace(b"\r\n", b"\r\r\n")
    yield "LF after the request line", head().replace(b"1.1\r\n", b"1.1\n", 1)
    yield "empty lines before", b"\r\n\r\n\r\n" + head()
    yield "NUL before", b"\0" + head()


def fields():
    lines = {
        "a space before the colon": "X-A : 1",
        "a tab before the colon": "X-A\t: 1",
        "a space in a name": "X A: 1",
        "an empty name": ": 1",
        "no colon": "X-A",
        "a NUL in a name": "X\0A: 1",
        "a NUL in a value": "X-A: 1\x002",
        "a CR in a value": "X-A: 1\r2",
        "an LF in a value": "X-A: 1\nX-B: 2",
        "a folded line": "X-A: 1\r\n  2",
        "a folded length": "Content-Length:\r\n 5",
        "a fold of nothing": "X-A:\r\n \r\n",
        "a bracket in a name": "X(A): 1",
        "a quote in a name": 'X"A: 1',
        "bytes over 127 in a name": "X-\xe9: 1",
        "DEL in a value": "X-A: 1\x7f",
        "a control character in a value": "X-A: 1\x01",
        "VT before a coding": "Transfer-Encoding:\x0bchunked",
        "FF before a coding": "Transfer-Encoding:\x0cchunked",
        "a length with a NUL": "Content-Length: 5\0",
    }
    for name, line in lines.items():
        yield f"field: {name}", head("POST /at HTTP/1.1", line) + SMUGGLED
        yield f"field: {name}, first", head("POST /at HTTP/1.1", line, f"Host: {AUTHORITY}", host=False) + SMUGGLED
    hosts = {
        "none": [],
        "two": ["Host: a", "Host: b"],
        "two alike": ["Host: a", "Host: a"],
        "empty": ["Host:"],
        "a list": ["Host: a, b"],
        "a space": ["Host: a b"],
        "a path": ["Host: a/b"],
        "a user": ["Host: a@b"],
        "a port that is none": ["Host: a:b"],
        "a bracket": ["Host: [::1"],
        "a NUL": ["Host: a\0b"],
        "bytes over 127": ["Host: \xe9"],
    }
    for name, lines in hosts.items():
        yield f"host: {name}", head("GET /at HTTP/1.1", *lines, host=False)
    for name in ("Connection: host", "Connection: content-length", "Connection: transfer-encoding", "Connection: close, x-a"):
        yield f"field: {name}", head("POST /at HTTP/1.1", name, "Content-Length: 5") + b"hello" + SMUGGLED
    for value in ("h2c", "h2c, websocket", "websocket, h2c", "HTTP/2.0", "TLS/1.0", "", "a b"):
        lines = [f"Upgrade: {value}", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__"]
        yield f"upgrade: {value!r}", head("GET /at HTTP/1.1", *lines) + SMUGGLED
    for value in ("100-continue, x", "200-ok", "100-Continue ", ""):
        yield f"expect: {value!r}", head("POST /at HTTP/1.1", f"Expect: {value}", "Content-Length: 5") + b"hello"


def lengths():
    values = [
        "", " ", "+5", "-5", "5 ", "05", "0x5", "5.0", "5e0", "5,5", "5, 5", "5,6", "6,5", "5;", "five", "5 5", "\xb2", "5\t", "\"5\"",
        "18446744073709551615", "18446744073709551616", "18446744073709551621", "-1", "5_0", "5\x0b",
    ]  # fmt: skip
    for value in values:
        yield f"length {value!r}", head("POST /at HTTP/1.1", f"Content-Length: {value}") + b"hello" + SMUGGLED
        both = head("POST /at HTTP/1.1", f"Content-Length: {value}", "Transfer-Encoding: chunked")
        yield f"length {value!r} and chunks", both + CHUNKED + SMUGGLED
    pairs = [("5", "5"), ("5", "6"), ("6", "5"), ("0", "5"), ("5", "0"), ("5", ""), ("", "5"), ("5", "x")]
    for one, two in pairs:
        lines = [f"Content-Length: {one}", f"Content-Length: {two}"]
        yield f"lengths {one!r} and {two!r}", head("POST /at HTTP/1.1", *lines) + b"hello" + SMUGGLED
    yield "no length and a body", head() + SMUGGLED
    yield "GET with a length", head("GET /at HTTP/1.1", f"Content-Length: {len(SMUGGLED)}") + SMUGGLED
    yield "a length with an underscore", head("POST /at HTTP/1.1", "Content_Length: 5") + b"hello" + SMUGGLED
    yield "HTTP/1.0 with chunks", head("POST /at HTTP/1.0", "Transfer-Encoding: chunked") + CHUNKED + SMUGGLED


def codings():
    values = [
        "chunked, chunked", "chunked, identity", "identity, chunked", "identity", "gzip", "gzip, chunked", "chunked, gzip", "xchunked",
        "chunkedx", "x chunked", "Chunked", "CHUNKED", " chunked", "chunked ", "\tchunked", "chunked\t", "chunked;q=1", "\"chunked\"", "'chunked'",
        "chunked,", ",chunked", ", ,chunked", "", "chunked\x00", "\x00chunked", "chunked\x7f", "chunk ed", "cow", "deflate, cow", "trailers",
    ]  # fmt: skip
    for value in values:
        yield f"coding {value!r}", head("POST /at HTTP/1.1", f"Transfer-Encoding: {value}") + CHUNKED + SMUGGLED
        both = head("POST /at HTTP/1.1", f"Transfer-Encoding: {value}", "Content-Length: 5")
        yield f"coding {value!r} and a length", both + CHUNKED + SMUGGLED
    for one, two in itertools.permutations(["chunked", "identity", "gzip", "x"], 2):
        lines = [f"Transfer-Encoding: {one}", f"Transfer-Encoding: {two}"]
        yield f"codings {one!r} and {two!r}", head("POST /at HTTP/1.1", *lines) + CHUNKED + SMUGGLED
    for name in ("Transfer_Encoding", "Transfer-Encoding ", " Transfer-Encoding", "X\r\nTransfer-Encoding", "transfer-encoding"):
        both = head("POST /at HTTP/1.1", "Content-Length: 5", f"{name}: chunked")
        yield f"coding by the name {name!r}", both + CHUNKED + SMUGGLED


def chunks():
    bodies = {
        "0x before a size": b"0x5\r\nhello\r\n0\r\n\r\n",
        "a plus before a size": b"+5\r\nhello\r\n0\r\n\r\n",
        "a minus before a size": b"-5\r\nhello\r\n0\r\n\r\n",
        "a space before a size": b" 5\r\nhello\r\n0\r\n\r\n",
        "a space after a size": b"5 \r\nhello\r\n0\r\n\r\n",
        "a tab after a size": b"5\t\r\nhello\r\n0\r\n\r\n",
        "zeros before a size": b"0000005\r\nhello\r\n0\r\n\r\n",
        "many zeros before a size": b"0" * 100 + b"5\r\nhello\r\n0\r\n\r\n",
        "a size of 17 digits": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
        "a size of 16 digits": b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "a size that is none": b"five\r\nhello\r\n0\r\n\r\n",
        "no size": b"\r\nhello\r\n0\r\n\r\n",
        "an extension": b"5;a=b\r\nhello\r\n0\r\n\r\n",
        "an extension in quotes": b'5;a="b;c"\r\nhello\r\n0\r\n\r\n',
        "an LF in an extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        "a CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        "a long extension": b"5;" + b"a" * 70_000 + b"\r\nhello\r\n0\r\n\r\n",
        "LF after a size": b"5\nhello\r\n0\r\n\r\n",
        "CR after a size": b"5\rhello\r\n0\r\n\r\n",
        "LF after the data": b"5\r\nhello\n0\r\n\r\n",
        "nothing after the data": b"5\r\nhello0\r\n\r\n",
        "more data than said": b"5\r\nhello world\r\n0\r\n\r\n",
        "less data than said": b"50\r\nhello\r\n0\r\n\r\n",
        "LF at the end": b"5\r\nhello\r\n0\n\n",
        "no last line": b"5\r\nhello\r\n0\r\n",
        "a length as trailer": b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
        "a coding as trailer": b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "a host as trailer": b"5\r\nhello\r\n0\r\nHost: other\r\n\r\n",
        "a control header as trailer": b"5\r\nhello\r\n0\r\nx-twinread-sample: 1\r\n\r\n",
        "a NUL in a trailer": b"5\r\nhello\r\n0\r\nX: a\0b\r\n\r\n",
        "a folded trailer": b"5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n",
        "a trailer without a colon": b"5\r\nhello\r\n0\r\nX\r\n\r\n",
        "long trailers": b"5\r\nhello\r\n0\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        "many trailers": b"5\r\nhello\r\n0\r\n" + b"X: a\r\n" * 300 + b"\r\n",
        "chunks of one byte": b"1\r\na\r\n" * 2000 + b"0\r\n\r\n",
    }
    for name, body in bodies.items():
        yield f"chunks: {name}", head("POST /at HTTP/1.1", "Transfer-Encoding: chunked") + body + SMUGGLED


def sizes():
    yield "a long target", head("GET /at" + "a" * 100_000 + " HTTP/1.1")
    yield "a long value", head("GET /at HTTP/1.1", "X-A: " + "a" * 100_000)
    yield "a long name", head("GET /at HTTP/1.1", "X" * 100_000 + ": a")
    yield "101 fields", head("GET /at HTTP/1.1", *["X-A: 1"] * 101)
    yield "10 000 fields", head("GET /at HTTP/1.1", *["X: 1"] * 10_000)
    yield "a head that never ends", b"GET /at HTTP/1.1\r\n" + b"X: 1\r\n" * 100_000
    yield "zeros", b"\0" * 4096
    yield "TLS", bytes.fromhex("16030100c8010000c40303") + b"\x5a" * 190
    yield "200 requests at once", head("GET /at HTTP/1.1") * 200
