"""Malformed messages over HTTP/2 before a stack of HTTP/1.1 or 2, and those over HTTP/1.1 before a stack of HTTP/2.

The stack records what it gets and reads it more strictly than any server. Either nothing of a message becomes a request
there, or one request that both sides see alike; and the next request on the connection gets its own answer.
"""

import contextlib
import re
import socket
import socketserver
import threading

import abuse
from exchanges import sidecar_on
from frames import (
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PREFACE, RST, block, frame, frames_of, settings,
)  # fmt: skip
from harness import LOCALHOST
from wire import AUTHORITY

SECONDS = 5
OWN, MANY = 101, 60_000
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: other\r\n\r\n"
GET = [(":method", "GET"), (":scheme", "http"), (":authority", AUTHORITY), (":path", "/at")]
POST = [(":method", "POST"), *GET[1:]]
# What becomes of a message. A fault of the body is found after the head has passed; the stack then reads none or one that is whole.
PASSES, REFUSED, LATE, EITHER = "passes", "is refused", "is refused, perhaps after its head", "passes or is refused"


def run(checks, tools, twinread):
    cases = dict(of_http2())
    checks.that(f"{len(cases)} messages over HTTP/2 are at least 100", len(cases) >= 100)
    for version in (1, 2):
        with Recorder(version) as stack, sidecar_on(tools, twinread, stack.port, version, "0") as sidecar:
            for index, (name, (sent, passes)) in enumerate(cases.items()):
                check(checks, sidecar, stack, (f"HTTP/2 to {version} {name}", sent, passes, f"/own/{index}"))
            if version == 2:
                for name, sent in abuse.of_http1():
                    check_http1(checks, sidecar, stack, f"HTTP/1.1 to 2 {name}", sent)
            checks.equal("it still runs", sidecar.child.poll(), None)
    print(f"      {2 * len(cases)} messages over HTTP/2, {len(list(abuse.of_http1()))} over HTTP/1.1")


def check(checks, sidecar, stack, case):
    name, sent, passes, own = case
    found = exchange(sidecar.listen, sent, own)
    if OWN not in found:
        # The connection has ended, so it is asked on another one.
        found = {OWN: exchange(sidecar.listen, b"", own).get(OWN), **found}
    requests, faults = stack.take()
    others = [request for request in requests if request[1] != own]
    is_answered = found.get(1, {}).get("status") == 200
    is_refused = not is_answered and not found.get(1, {}).get("silent")
    holds = {PASSES: is_answered, REFUSED: is_refused, LATE: is_refused, EITHER: is_answered or is_refused}
    checks.that(f"{name}: {passes}", holds[passes], found)
    most = 0 if passes == REFUSED else 1
    is_sound = not faults and is_answered <= len(others) <= most and all(other[1].startswith(("/at", "/?a", "//", "*")) for other in others)
    checks.that(f"{name}: the stack reads {len(others)} as meant", is_sound, (faults, requests))
    checks.that(f"{name}: another request has its own answer", found[OWN] and found[OWN]["body"] == own.encode(), found)


def check_http1(checks, sidecar, stack, name, sent):
    """As `abuse` does it before a stack of HTTP/1.1."""
    before = abuse.count(sidecar)
    answer = abuse.exchange(sidecar.listen, sent)
    requests, faults = stack.take()
    counted = abuse.counted_since(sidecar, before, len(requests))
    checks.that(f"{name}: {len(requests)} seen of {counted} counted", not faults and len(requests) <= counted, faults)
    is_answer = answer is None or answer == b"" or re.match(rb"HTTP/1\.[01] [1-5]\d\d ", answer)
    checks.that(f"{name}: an answer is HTTP", is_answer, answer)


def exchange(port, sent, own):
    """What comes on each stream, until the request for `own` is answered or the connection ends."""
    from hpack import Decoder

    found, decoder = {}, Decoder()
    decoder.max_header_list_size = 1 << 24
    fields = [*GET[:3], (":path", own)]
    last = frame(HEADERS, END_STREAM | END_HEADERS, OWN, block(fields))
    with socket.create_connection((LOCALHOST, port), SECONDS) as connection:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(b"".join([PREFACE, settings(), sent, last]))
        with contextlib.suppress(ConnectionResetError, TimeoutError):
            for kind, flags, stream, payload in frames_of(connection):
                if stream and kind in (HEADERS, DATA, RST):
                    each = found.setdefault(stream, {"status": None, "body": b"", "reset": None})
                    learn(each, kind, payload, decoder)
                    each["ended"] = kind == RST or bool(flags & END_STREAM)
                if found.get(OWN, {}).get("ended") and (not sent or found.get(1, {}).get("ended")):
                    return found
            return {stream: each for stream, each in found.items() if stream != OWN}
    found.setdefault(1, {"silent": True})
    return found


def learn(each, kind, payload, decoder):
    if kind == HEADERS:
        each["status"] = each["status"] or int(dict(decoder.decode(payload))[":status"])
    elif kind == DATA:
        each["body"] += payload
    else:
        each["reset"] = int.from_bytes(payload, "big")


# The cases: what is sent, and what becomes of it.


def headers(fields, flags=END_STREAM | END_HEADERS, stream=1):
    return frame(HEADERS, flags, stream, block(fields))


def body(fields, *parts, end=END_STREAM):
    data = [frame(DATA, end if index + 1 == len(parts) else 0, 1, part) for index, part in enumerate(parts)]
    return b"".join([headers(fields, END_HEADERS), *data])


def trailed(*trailers, flags=END_STREAM | END_HEADERS, fields=POST):
    return headers(fields, END_HEADERS) + frame(DATA, 0, 1, b"hello") + headers(trailers, flags)


def with_pseudo(name, value, fields=GET):
    return [(each, value if each == name else old) for each, old in fields]


def without(name):
    return [field for field in GET if field[0] != name]


def of_http2():
    yield from characters()
    yield from pseudo()
    yield from hosts()
    yield from connections()
    yield from lengths()
    yield from trailers()
    yield from shapes()


def characters():
    inserted = {
        "CR LF": "\r\n", "LF": "\n", "CR": "\r", "NUL": "\0", "a request": "\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n",
        "a header": "\r\nTransfer-Encoding: chunked\r\nX-B: ", "a version": " HTTP/1.1\r\nX-B: ",
    }  # fmt: skip
    for what, text in inserted.items():
        for name, value in GET:
            yield f"{what} in {name}", (headers(with_pseudo(name, value + text + "b")), REFUSED)
            yield f"{what} first in {name}", (headers(with_pseudo(name, text + value)), REFUSED)
        for place, value in {"first in": text + "b", "in": f"a{text}b", "last in": f"a{text}"}.items():
            yield f"{what} {place} a value", (headers([*GET, ("x-a", value)]), REFUSED)
        yield f"{what} in a name", (headers([*GET, (f"x{text}a", "b")]), REFUSED)
        yield f"{what} in a cookie", (headers([*GET, ("cookie", f"a=1{text}"), ("cookie", "b=2")]), REFUSED)
    for name in ("X-A", "Content-Length", "x a", "x:a", ":", "x-a:", "", " ", "x\ta", "x\x7f", "x\xff", "x(a", 'x"a', "transfer-encoding "):
        yield f"the name {name!r}", (headers([*POST, (name, "1")]), REFUSED)
    for value in (" ", " a", "a ", "\ta", "a\t"):
        yield f"the value {value!r}", (headers([*GET, ("x-a", value)]), EITHER)
    for value in ("\x01", "a\x0bb", "\x7f"):
        yield f"the value {value!r}", (headers([*GET, ("x-a", value)]), REFUSED)
    yield "bytes over 127 in a value", (headers([*GET, ("x-a", "\xe9\xff")]), PASSES)


def pseudo():
    for path in ("at", "*", "", "?a", "//", "http://other.example/at", "/at b", "/at\tb", "/at#b", "/at\\b", "/at\x7f", "/at\xe9", "/<at>", "/at HTTP/1.1"):
        passes = PASSES if path == "//" else EITHER if path in ("/at\\b", "/at\xe9", "/<at>", "?a", "/at#b") else REFUSED
        yield f"the path {path!r}", (headers(with_pseudo(":path", path)), passes)
    for method in ("", "G T", "GET /smuggled HTTP/1.1", "G:T", "get", "GET\x7f"):
        yield f"the method {method!r}", (headers(with_pseudo(":method", method)), PASSES if method == "get" else REFUSED)
    yield "OPTIONS *", (headers([(":method", "OPTIONS"), *GET[1:3], (":path", "*")]), PASSES)
    for scheme in ("", "ftp", "http://other.example/", "ht tp", "HTTP"):
        yield f"the scheme {scheme!r}", (headers(with_pseudo(":scheme", scheme)), EITHER if scheme == "HTTP" else REFUSED)
    yield "the other scheme", (headers(with_pseudo(":scheme", "https")), PASSES)
    for name, value in GET:
        yield f"{name} twice", (headers([(name, value), *GET]), REFUSED)
        yield f"{name} twice, unequal", (headers([*GET, (name, value + "b")]), REFUSED)
        yield f"{name} late", (headers([*without(name), ("x-a", "1"), (name, value)]), REFUSED)
        yield f"no {name}", (headers(without(name)), REFUSED)
    yield "a pseudo-header of answers", (headers([*GET, (":status", "200")]), REFUSED)
    for name in (":what", ":protocol", ":Path", "::path", ":path "):
        yield f"the pseudo-header {name!r}", (headers([*GET, (name, "/smuggled")]), REFUSED)


def hosts():
    for host in (AUTHORITY, AUTHORITY.upper(), f"{AUTHORITY}:80"):
        yield f"the host {host!r}", (headers([*GET, ("host", host)]), PASSES)
        yield f"the host {host!r} alone", (headers([*without(":authority"), ("host", host)]), PASSES)
    for host in ("other.example", f"{AUTHORITY}:81", "", f"{AUTHORITY}, other.example", f"a@{AUTHORITY}", f"{AUTHORITY}/smuggled", "a b"):
        yield f"the host {host!r} with an authority", (headers([*GET, ("host", host)]), REFUSED)
    yield "two hosts", (headers([*without(":authority"), ("host", AUTHORITY), ("host", "other.example")]), REFUSED)
    yield "two hosts alike", (headers([*without(":authority"), ("host", AUTHORITY), ("host", AUTHORITY)]), REFUSED)
    for authority in (f"a@{AUTHORITY}", f"{AUTHORITY}/smuggled", f"{AUTHORITY}?a", f"{AUTHORITY}:b", "[::1", "a b", "a,b", f"{AUTHORITY}#a", "a\\b"):
        passes = EITHER if authority in ("a,b", f"{AUTHORITY}:b", f"{AUTHORITY}#a") else REFUSED
        yield f"the authority {authority!r}", (headers(with_pseudo(":authority", authority)), passes)


def connections():
    hop = {
        "connection": ["close", "keep-alive", "x-a", "upgrade", "te"], "upgrade": ["h2c", "websocket"], "keep-alive": ["timeout=5"],
        "proxy-connection": ["keep-alive"], "transfer-encoding": ["chunked", "identity", "gzip, chunked", "", "xchunked"],
        "te": ["gzip", "trailers, gzip", "chunked", "", "trailers;q=0.5"],
    }  # fmt: skip
    for name, values in hop.items():
        for value in values:
            passes = EITHER if name == "te" and value.startswith("trailers") else REFUSED
            yield f"{name}: {value}", (body([*POST, (name, value)], b"0\r\n\r\n" + SMUGGLED), passes)
    yield "te: trailers", (headers([*GET, ("te", "trailers")]), PASSES)
    yield "http2-settings", (headers([*GET, ("http2-settings", "AAMAAABkAAQAAP__")]), EITHER)
    yield "expect: 100-continue", (body([*POST, ("expect", "100-continue"), ("content-length", "5")], b"hello"), PASSES)
    yield "expect: something else", (body([*POST, ("expect", "200-ok")], b"hello"), EITHER)
    for name in ("content-length ", "content_length", "x-content-length"):
        yield f"a length by the name {name!r}", (body([*POST, (name, "3")], b"hello" + SMUGGLED), REFUSED if " " in name else PASSES)


def lengths():
    for value in ("4", "6", "0", "", " ", "+5", "-5", "05 ", "0x5", "5.0", "5e0", "5,5", "5, 5", "5,6", "five", "5 5", "\xb2", "5;", "5\x0b", "18446744073709551615", "18446744073709551616", "18446744073709551621"):
        yield f"the length {value!r}", (body([*POST, ("content-length", value)], b"hello"), LATE)
    yield "zeros before a length", (body([*POST, ("content-length", "0005")], b"hello"), EITHER)
    for one, two in (("5", "6"), ("6", "5"), ("5", "0"), ("0", "5"), ("5", ""), ("5", "x")):
        yield f"the lengths {one!r} and {two!r}", (body([*POST, ("content-length", one), ("content-length", two)], b"hello"), REFUSED)
    yield "two lengths alike", (body([*POST, ("content-length", "5"), ("content-length", "5")], b"hello"), EITHER)
    yield "a length and no body", (headers([*POST, ("content-length", "5")]), REFUSED)
    yield "a length of 0 and no body", (headers([*POST, ("content-length", "0")]), PASSES)
    yield "a length of 0 and an empty body", (body([*POST, ("content-length", "0")], b""), PASSES)
    yield "a length in pieces", (body([*POST, ("content-length", "5")], b"he", b"", b"llo"), PASSES)
    yield "a length in pieces that are more", (body([*POST, ("content-length", "5")], b"he", b"llo", SMUGGLED), LATE)
    yield "a length in pieces that are less", (body([*POST, ("content-length", "50")], b"he", b"llo"), LATE)
    padded = frame(DATA, END_STREAM | PADDED, 1, b"\x05hello" + b"\0" * 5)
    yield "a length without the padding", (headers([*POST, ("content-length", "5")], END_HEADERS) + padded, PASSES)
    yield "a length with the padding", (headers([*POST, ("content-length", "11")], END_HEADERS) + padded, REFUSED)
    yield "a length and trailers", (trailed(("x-a", "1"), fields=[*POST, ("content-length", "5")]), PASSES)
    yield "a length over the body before trailers", (trailed(("x-a", "1"), fields=[*POST, ("content-length", "6")]), REFUSED)
    yield "GET with a body", (body(GET, SMUGGLED), PASSES)
    yield "a body of chunks", (body(POST, b"0\r\n\r\n" + SMUGGLED), PASSES)


def trailers():
    yield "trailers", (trailed(("x-a", "1")), PASSES)
    for name, value in ((":path", "/smuggled"), (":method", "GET"), (":status", "200"), (":what", "1")):
        # hyper drops what is no trailer.
        yield f"the trailer {name}", (trailed((name, value)), EITHER)
    for name, value in (("content-length", "3"), ("content-length", "5"), ("host", "other.example"), ("te", "trailers"), ("trailer", "x-a"), ("content-encoding", "gzip"), ("authorization", "a"), ("x-twinread-sample", "1")):
        yield f"the trailer {name}: {value}", (trailed((name, value)), EITHER)
    for name, value in (("transfer-encoding", "chunked"), ("connection", "close"), ("upgrade", "h2c"), ("X-A", "1"), ("x a", "1"), ("x-a", "b\r\nc: d"), ("x-a", "b\0"), ("", "1"), ("x\r\na", "1")):
        yield f"the trailer {name!r}: {value!r}", (trailed((name, value)), REFUSED)
    yield "trailers without an end", (trailed(("x-a", "1"), flags=END_HEADERS), LATE)
    yield "a space before a trailer's value", (trailed(("x-a", " 1")), EITHER)
    yield "data after trailers", (trailed(("x-a", "1")) + frame(DATA, END_STREAM, 1, SMUGGLED), EITHER)
    yield "trailers alone", (headers(POST, END_HEADERS) + headers([("x-a", "1")]), PASSES)
    yield "no trailers", (headers(POST, END_HEADERS) + headers([]), EITHER)
    yield "many trailers", (trailed(*[(f"x-{index}", "1") for index in range(300)]), EITHER)


def shapes():
    connect = [(":method", "CONNECT"), (":authority", f"{AUTHORITY}:443")]
    socket_of = [(":method", "CONNECT"), (":protocol", "websocket"), *GET[1:]]
    yield "CONNECT", (headers(connect), REFUSED)
    yield "CONNECT, open", (headers(connect, END_HEADERS) + frame(DATA, END_STREAM, 1, SMUGGLED), REFUSED)
    yield "CONNECT with a scheme", (headers([*connect, (":scheme", "http")]), REFUSED)
    yield "CONNECT with a path", (headers([*connect, (":path", "/at")]), REFUSED)
    yield "CONNECT without an authority", (headers([(":method", "CONNECT")]), REFUSED)
    yield "CONNECT for another protocol", (headers([(":method", "CONNECT"), (":protocol", "h2c"), *GET[1:]]), REFUSED)
    yield "a WebSocket with a length", (headers([*socket_of, ("content-length", "5")], END_HEADERS) + frame(DATA, END_STREAM, 1, b"hello"), EITHER)
    yield "a WebSocket with a coding", (headers([*socket_of, ("transfer-encoding", "chunked")], END_HEADERS), REFUSED)
    yield "a WebSocket by GET", (headers([*GET, (":protocol", "websocket")]), REFUSED)
    yield "a WebSocket without a path", (headers([*socket_of[:2], *GET[1:3]]), REFUSED)
    crumbs = [("cookie", "a=1"), ("x-a", "1"), ("cookie", "b=2"), ("cookie", "")]
    yield "crumbs of a cookie", (headers([*GET, *crumbs]), PASSES)
    yield "many crumbs", (headers([*GET, *[("cookie", f"a{index}=1") for index in range(90)]]), PASSES)
    yield "a head over the limit", (long_head([("x-a", "a" * 70_000)]), REFUSED)
    yield "a head far over the limit", (long_head([("x-a", "a" * MANY)] * 6), REFUSED)
    yield "101 fields", (long_head([("x-a", "1")] * 101), REFUSED)
    yield "10 000 fields", (long_head([("x", "1")] * 10_000), REFUSED)
    yield "a long name", (long_head([("x" * 70_000, "1")]), REFUSED)
    yield "a long path", (long_head([], path="/at" + "a" * 70_000), REFUSED)
    yield "a long authority", (long_head([], authority="a" * 70_000), REFUSED)
    yield "an answer instead of a request", (headers([(":status", "200")]), REFUSED)
    yield "an informational answer", (headers([(":status", "100")], END_HEADERS) + headers(GET), REFUSED)
    yield "a second head", (headers(POST, END_HEADERS) + headers(with_pseudo(":path", "/smuggled"), END_HEADERS | END_STREAM), EITHER)
    yield "a head after the end", (headers(GET) + headers(with_pseudo(":path", "/smuggled")), EITHER)
    yield "no fields at all", (headers([]), REFUSED)


def long_head(fields, path="/at", authority=AUTHORITY):
    """In as many frames as it needs."""
    whole = block([*GET[:2], (":authority", authority), (":path", path), *fields])
    parts = [whole[at : at + 16_000] for at in range(0, len(whole), 16_000)]
    frames = [frame(CONTINUATION, 0, 1, part) for part in parts[1:-1]]
    if len(parts) == 1:
        return frame(HEADERS, END_STREAM | END_HEADERS, 1, whole)
    return b"".join([frame(HEADERS, END_STREAM, 1, parts[0]), *frames, frame(CONTINUATION, END_HEADERS, 1, parts[-1])])


class Malformed(Exception):
    pass


class Recorder:
    """A stack that answers each request with its target, and records requests and what is no request."""

    def __init__(self, version):
        self.lock, self.requests, self.faults = threading.Lock(), [], []
        outer, serve = self, serve_http1 if version == 1 else serve_http2

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with contextlib.suppress(ConnectionError):
                    try:
                        serve(self.request, outer)
                    except Malformed as fault:
                        with outer.lock:
                            outer.faults.append(str(fault))

        socketserver.ThreadingTCPServer.daemon_threads = True
        self.server = socketserver.ThreadingTCPServer((LOCALHOST, 0), Handler)
        self.port = self.server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def seen(self, method, target, length):
        with self.lock:
            self.requests.append((method, target, length))

    def take(self):
        with self.lock:
            taken = self.requests, self.faults
            self.requests, self.faults = [], []
            return taken


def serve_http1(connection, recorder):
    buffer = b""
    while True:
        while parsed := parse(buffer):
            (method, target, length), buffer = parsed
            recorder.seen(method, target, length)
            text = target.encode("latin-1")
            answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n".encode()
            connection.sendall(answer + (b"" if method == "HEAD" else text))
        data = connection.recv(1 << 16)
        if not data:
            return
        buffer += data


TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"


def parse(buffer):
    """The first request and what follows it; `None` while it is incomplete."""
    head, end, rest = buffer.partition(b"\r\n\r\n")
    if not end:
        return None
    line, *lines = head.decode("latin-1").split("\r\n")
    found = re.fullmatch(rf"({TOKEN}) (/[\x21\x22\x24-\x7e\x80-\xff]*|\*) HTTP/1\.1", line)
    fields = [re.fullmatch(rf"({TOKEN}):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*", each) for each in lines]
    if not found or not all(fields):
        raise Malformed(head)
    named = {}
    for field in fields:
        named.setdefault(field[1].lower(), []).append(field[2])
    lengths, codings = named.get("content-length", []), named.get("transfer-encoding", [])
    if len(named.get("host", [])) != 1 or len(lengths) + len(codings) > 1 or codings not in ([], ["chunked"]):
        raise Malformed(head)
    if codings:
        sized = chunked(rest)
        if sized is None:
            return None
        length, rest = sized
    else:
        if lengths and not re.fullmatch(r"[0-9]+", lengths[0]):
            raise Malformed(head)
        length = int(lengths[0]) if lengths else 0
        if len(rest) < length:
            return None
        rest = rest[length:]
    return (found[1], found[2], length), rest


def chunked(rest):
    """The length of a body in chunks and what follows it; `None` while it is incomplete."""
    length = 0
    while True:
        size, end, after = rest.partition(b"\r\n")
        if not end:
            return None
        if not re.fullmatch(rb"[0-9a-fA-F]+", size):
            raise Malformed(size)
        size = int(size, 16)
        if size == 0:
            break
        if len(after) < size + 2:
            return None
        if after[size : size + 2] != b"\r\n":
            raise Malformed(after[size : size + 2])
        length, rest = length + size, after[size + 2 :]
    while True:
        line, end, after = after.partition(b"\r\n")
        if not end:
            return None
        if not line:
            return length, after
        field = re.fullmatch(rf"({TOKEN}):[^\x00-\x08\x0a-\x1f\x7f]*", line.decode("latin-1"))
        if not field or field[1].lower() in ("content-length", "transfer-encoding", "host"):
            raise Malformed(line)


def serve_http2(connection, recorder):
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset
    from h2.exceptions import ProtocolError, StreamClosedError
    from h2.settings import SettingCodes

    state = H2Connection(H2Configuration(client_side=False, header_encoding="latin-1"))
    state.local_settings[SettingCodes.MAX_HEADER_LIST_SIZE] = 1 << 20
    state.initiate_connection()
    connection.sendall(state.data_to_send())
    open_streams = {}
    while data := connection.recv(1 << 16):
        try:
            events = state.receive_data(data)
        except ProtocolError as fault:
            raise Malformed(repr(fault)) from fault
        for event in events:
            match event:
                case RequestReceived():
                    open_streams[event.stream_id] = [dict(event.headers), 0]
                case DataReceived():
                    open_streams[event.stream_id][1] += len(event.data)
                    state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case StreamReset():
                    open_streams.pop(event.stream_id, None)
                case StreamEnded():
                    fields, length = open_streams.pop(event.stream_id)
                    target = fields[":path"]
                    if not re.fullmatch(r"/[\x21\x22\x24-\x7e\x80-\xff]*|\*", target):
                        raise Malformed(target)
                    recorder.seen(fields[":method"], target, length)
                    with contextlib.suppress(StreamClosedError):
                        state.send_headers(event.stream_id, [(":status", "200")])
                        state.send_data(event.stream_id, target.encode("latin-1"), end_stream=True)
        connection.sendall(state.data_to_send())
