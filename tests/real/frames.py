"""HTTP/2 frame by frame: the cases of RFC 9113, sections 3 to 8, built with PyPI's `hyperframe` and `hpack`."""

import contextlib
import socket
import struct

from abuse import count, counted_since, reached
from exchanges import sidecar_on, stack_on
from harness import LOCALHOST
from wire import AUTHORITY

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SECONDS = 5

# Error codes (RFC 9113 7).
NO_ERROR, PROTOCOL, FLOW, STREAM_CLOSED, SIZE, REFUSED, COMPRESSION, CALM = 0, 1, 3, 5, 6, 7, 9, 11
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK, PADDED, PRIORITIZED = 1, 4, 1, 8, 0x20


def run(checks, tools, twinread):
    cases = {**connection_cases(), **stream_cases(), **request_cases()}
    with stack_on(tools, 1) as port, sidecar_on(tools, twinread, port, 1, "0") as sidecar:
        for name, (sent, expected) in cases.items():
            before, seen = count(sidecar), reached(port)
            found = play(sidecar.listen, sent)
            checks.that(f"HTTP/2 {name}", expected(found), found)
            seen = reached(port) - seen
            counted = counted_since(sidecar, before, seen)
            checks.that(f"HTTP/2 {name}: {seen} seen of {counted} counted", seen <= counted)
        checks.equal("it still answers", sidecar.get("/echo").status, 200)
        checks.equal("it still runs", sidecar.child.poll(), None)
    print(f"      {len(cases)} cases")


# What may come back. A stream error may always be answered as one of the connection (RFC 9113 5.4.2).


def answered(*statuses):
    def holds(found):
        return found["status"] is not None and (not statuses or found["status"] in statuses)

    return holds


def closed(*codes):
    """The connection ends, with one of these codes or without any. hyper names the general one where others exist."""

    def holds(found):
        return found["goaway"] in (*codes, PROTOCOL) or found["ended"] and found["goaway"] is None

    return holds


def refused(*codes):
    """No answer of the stack: the stream is reset, the connection ends, or a status says that it is bad."""

    def holds(found):
        is_reset = found["reset"] in codes
        return is_reset or found["status"] in (400, 405, 414, 431, 501) or closed(*codes)(found)

    return holds


def lenient(strict):
    """Refused, or answered as if the fault were not there."""
    return lambda found: strict(found) or answered(200)(found)


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(*pairs):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", *pair) for pair in pairs))


def opened(*frames):
    """The frames on a connection that began well."""
    return b"".join([PREFACE, settings(), *frames])


def block(headers):
    from hpack import Encoder

    encoder = Encoder()
    encoder.header_table_size = 0
    return encoder.encode([(name, value) for name, value in headers], huffman=False)


GET = [(":method", "GET"), (":scheme", "http"), (":authority", AUTHORITY), (":path", "/echo")]
POST = [(":method", "POST"), *GET[1:]]


def headers(fields=GET, stream=1, flags=END_STREAM | END_HEADERS):
    return frame(HEADERS, flags, stream, block(fields))


def body(fields, data, stream=1):
    return headers(fields, stream, END_HEADERS) + frame(DATA, END_STREAM, stream, data)


def play(port, sent):
    """What comes back until all that was sent is read and the first request is over, or the connection ends."""
    found = {"status": None, "reset": None, "goaway": None, "ended": False, "acks": 0, "pongs": 0}
    is_read, is_over = False, HEADERS not in kinds(sent)
    with socket.create_connection((LOCALHOST, port), SECONDS) as connection:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(sent)
            # Its answer shows that all before it was read.
            connection.sendall(frame(PING, payload=b"the last"))
        with contextlib.suppress(ConnectionResetError, TimeoutError):
            for kind, flags, _, payload in frames_of(connection):
                note(found, kind, flags, payload)
                is_read |= kind == PING and payload == b"the last"
                is_over |= kind == RST or kind in (DATA, HEADERS) and bool(flags & END_STREAM)
                if found["goaway"] or is_read and is_over:
                    break
            else:
                found["ended"] = True
    return found


def kinds(sent):
    """The kinds of the frames after the preface."""
    at = len(PREFACE)
    while at + 9 <= len(sent):
        yield sent[at + 3]
        at += 9 + int.from_bytes(sent[at : at + 3], "big")


def note(found, kind, flags, payload):
    if kind == HEADERS and found["status"] is None:
        from hpack import Decoder

        found["status"] = int(dict(Decoder().decode(payload))[":status"])
    elif kind == RST:
        found["reset"] = int.from_bytes(payload, "big")
    elif kind == GOAWAY:
        found["goaway"] = int.from_bytes(payload[4:8], "big")
    elif kind == SETTINGS and flags & ACK:
        found["acks"] += 1
    elif kind == PING and flags & ACK:
        found["pongs"] += 1


def frames_of(connection):
    buffer = b""
    while True:
        while len(buffer) >= 9 and len(buffer) >= 9 + int.from_bytes(buffer[:3], "big"):
            size = int.from_bytes(buffer[:3], "big")
            kind, flags, stream = struct.unpack(">BBI", buffer[3:9])
            yield kind, flags, stream & 0x7FFFFFFF, buffer[9 : 9 + size]
            buffer = buffer[9 + size :]
        data = connection.recv(1 << 16)
        if not data:
            return
        buffer += data


def connection_cases():
    """Sections 3, 4, 6.5, 6.7, 6.8, 6.9."""
    after_get = opened(headers())
    return {
        "3.4: a preface and a request": (after_get, answered(200)),
        # hyper takes what a caller left out for the defaults.
        "3.4: no SETTINGS after the preface": (PREFACE + headers(), lenient(closed(PROTOCOL))),
        "3.4: a wrong preface": (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + settings() + headers(), lambda found: found["ended"]),
        "4.1: an unknown frame is ignored": (opened(frame(0x42, 0xFF, 0, b"what"), headers()), answered(200)),
        "4.1: an unknown flag is ignored": (opened(frame(PING, 0x80, 0, b"12345678"), headers()), answered(200)),
        "4.1: a reserved bit is ignored": (opened(frame(PING, 0, 0x80000000, b"12345678"), headers()), answered(200)),
        "4.2: a DATA frame over the size": (opened(headers(POST, 1, END_HEADERS), frame(DATA, 0, 1, b"a" * 16385)), refused(SIZE)),
        "4.2: a HEADERS frame over the size": (opened(frame(HEADERS, 5, 1, block(GET) + b"\0" * 20000)), refused(SIZE)),
        "4.2: a SETTINGS frame over the size": (opened(frame(SETTINGS, payload=b"\0\x05\0\0\x40\0" * 3000)), closed(SIZE)),
        "4.3: an index that is not there": (opened(frame(HEADERS, 5, 1, b"\xfe")), closed(COMPRESSION)),
        "4.3: an index of 0": (opened(frame(HEADERS, 5, 1, b"\x80")), closed(COMPRESSION)),
        "4.3: a cut block": (opened(frame(HEADERS, 5, 1, block(GET)[:-3])), refused(COMPRESSION, PROTOCOL)),
        "4.3: a table update over the limit": (opened(frame(HEADERS, 5, 1, b"\x3f\xff\xff\x7f" + block(GET))), closed(COMPRESSION)),
        "4.3: a table update in the middle": (opened(frame(HEADERS, 5, 1, block(GET) + b"\x20")), closed(COMPRESSION)),
        "4.3: an endless integer": (opened(frame(HEADERS, 5, 1, b"\xff" * 300)), closed(COMPRESSION)),
        "4.3: bad Huffman": (opened(frame(HEADERS, 5, 1, block(GET) + b"\x40\x81\xff\x01a")), closed(COMPRESSION)),
        "6.5: SETTINGS on a stream": (opened(frame(SETTINGS, 0, 1)), closed(PROTOCOL)),
        "6.5: SETTINGS of 5 bytes": (opened(frame(SETTINGS, payload=b"\0\1\0\0\0")), closed(SIZE)),
        "6.5: an ACK with a payload": (opened(frame(SETTINGS, ACK, 0, b"\0\1\0\0\0\0")), closed(SIZE)),
        "6.5.2: ENABLE_PUSH of 2": (opened(settings((2, 2))), closed(PROTOCOL)),
        "6.5.2: a window over the limit": (opened(settings((4, 0x80000000))), closed(FLOW)),
        "6.5.2: a frame size below the limit": (opened(settings((5, 16383))), closed(PROTOCOL)),
        "6.5.2: a frame size over the limit": (opened(settings((5, 16777216))), closed(PROTOCOL)),
        "6.5.2: an unknown setting is ignored": (opened(settings((0xFF, 1)), headers()), answered(200)),
        "6.5.3: each SETTINGS is acknowledged": (opened(settings((1, 100)), headers()), lambda found: found["acks"] >= 2),
        "6.7: PING is answered": (opened(frame(PING, 0, 0, b"12345678")), lambda found: found["pongs"] == 2),
        "6.7: PING on a stream": (opened(frame(PING, 0, 1, b"12345678")), closed(PROTOCOL)),
        "6.7: PING of 7 bytes": (opened(frame(PING, 0, 0, b"1234567")), closed(SIZE)),
        "6.7: an ACK that nobody asked for": (opened(frame(PING, ACK, 0, b"12345678"), headers()), answered(200)),
        "6.8: GOAWAY on a stream": (opened(frame(GOAWAY, 0, 1, b"\0" * 8)), closed(PROTOCOL)),
        "6.8: GOAWAY of 7 bytes": (opened(frame(GOAWAY, 0, 0, b"\0" * 7)), closed(SIZE)),
        "6.8: GOAWAY lets streams finish": (opened(headers(), frame(GOAWAY, 0, 0, b"\0" * 8)), answered(200)),
        "6.9: WINDOW_UPDATE of 0 on the connection": (opened(frame(WINDOW, 0, 0, b"\0" * 4)), closed(PROTOCOL)),
        "6.9: WINDOW_UPDATE of 3 bytes": (opened(frame(WINDOW, 0, 0, b"\0\0\1")), closed(SIZE)),
        "6.9.1: a window over the limit": (opened(frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff")), closed(FLOW)),
    }


def stream_cases():
    """Sections 5, 6.1 to 6.4, 6.6, 6.9, 6.10."""
    post = headers(POST, 1, END_HEADERS)
    cut = block(GET)
    return {
        "5.1: DATA on an idle stream": (opened(frame(DATA, END_STREAM, 1, b"a")), closed(PROTOCOL)),
        "5.1: RST_STREAM on an idle stream": (opened(frame(RST, 0, 1, b"\0\0\0\x08")), closed(PROTOCOL)),
        "5.1: WINDOW_UPDATE on an idle stream": (opened(frame(WINDOW, 0, 1, b"\0\0\0\1")), closed(PROTOCOL)),
        "5.1: CONTINUATION on an idle stream": (opened(frame(CONTINUATION, END_HEADERS, 1, cut)), closed(PROTOCOL)),
        "5.1: DATA after the end": (opened(headers(), frame(DATA, END_STREAM, 1, b"a")), lenient(refused(STREAM_CLOSED, PROTOCOL))),
        "5.1: HEADERS after the end": (opened(headers(), headers()), lenient(refused(STREAM_CLOSED, PROTOCOL))),
        "5.1.1: an even stream": (opened(headers(stream=2)), closed(PROTOCOL)),
        "5.1.1: stream 0": (opened(headers(stream=0)), closed(PROTOCOL)),
        "5.1.1: a stream lower than the last": (opened(headers(stream=5), headers(stream=3)), lambda found: closed(PROTOCOL, STREAM_CLOSED)(found) or found["reset"] is not None),
        "6.1: DATA on stream 0": (opened(post, frame(DATA, END_STREAM, 0, b"a")), closed(PROTOCOL)),
        "6.1: padding over the payload": (opened(post, frame(DATA, END_STREAM | PADDED, 1, b"\x05aaaa")), closed(PROTOCOL)),
        "6.1: padded data": (opened(post, frame(DATA, END_STREAM | PADDED, 1, b"\x03ab\0\0\0")), answered(200)),
        "6.2: padding over the payload": (opened(frame(HEADERS, 5 | PADDED, 1, b"\xff" + cut)), closed(PROTOCOL)),
        "6.2: padded headers": (opened(frame(HEADERS, 5 | PADDED, 1, b"\x02" + cut + b"\0\0")), answered(200)),
        "6.2: headers with a priority": (opened(frame(HEADERS, 5 | PRIORITIZED, 1, b"\0\0\0\0\x10" + cut)), answered(200)),
        "6.3: PRIORITY on stream 0": (opened(frame(PRIORITY, 0, 0, b"\0\0\0\0\x10"), headers()), lenient(closed(PROTOCOL))),
        "6.3: PRIORITY on an idle stream": (opened(frame(PRIORITY, 0, 3, b"\0\0\0\0\x10"), headers()), answered(200)),
        "6.4: RST_STREAM on stream 0": (opened(frame(RST, 0, 0, b"\0\0\0\x08")), closed(PROTOCOL)),
        "6.4: RST_STREAM of 3 bytes": (opened(post, frame(RST, 0, 1, b"\0\0\0")), closed(SIZE)),
        "6.4: other streams go on after a reset": (opened(post, frame(RST, 0, 1, b"\0\0\0\x08"), headers(stream=3)), answered(200)),
        "6.6: PUSH_PROMISE of a caller": (opened(post, frame(PUSH, END_HEADERS, 1, b"\0\0\0\2" + cut)), closed(PROTOCOL)),
        "6.9: WINDOW_UPDATE of 0 on a stream": (opened(post, frame(WINDOW, 0, 1, b"\0" * 4)), refused(PROTOCOL)),
        "6.9.1: a stream's window over the limit": (opened(post, frame(WINDOW, 0, 1, b"\x7f\xff\xff\xff")), refused(FLOW)),
        "6.10: a block in three frames": (opened(frame(HEADERS, END_STREAM, 1, cut[:4]), frame(CONTINUATION, 0, 1, cut[4:9]), frame(CONTINUATION, END_HEADERS, 1, cut[9:])), answered(200)),
        "6.10: another frame between": (opened(frame(HEADERS, END_STREAM, 1, cut[:4]), frame(PING, 0, 0, b"12345678"), frame(CONTINUATION, END_HEADERS, 1, cut[4:])), closed(PROTOCOL)),
        "6.10: another stream between": (opened(frame(HEADERS, END_STREAM, 1, cut[:4]), frame(CONTINUATION, END_HEADERS, 3, cut[4:])), closed(PROTOCOL)),
        "6.10: CONTINUATION after the end of headers": (opened(post, frame(CONTINUATION, END_HEADERS, 1, b"")), closed(PROTOCOL)),
        "6.10: CONTINUATION without end": (opened(frame(HEADERS, END_STREAM, 1, cut), *[frame(CONTINUATION, 0, 1, b"")] * 5000), closed(PROTOCOL, CALM)),
        "6.10: a block over every limit": (opened(frame(HEADERS, END_STREAM, 1, cut), *[frame(CONTINUATION, 0, 1, block([("x-a", "a" * 16000)]))] * 100), refused(PROTOCOL, CALM, COMPRESSION)),
    }  # fmt: skip


def request_cases():
    """Section 8."""

    def of(name, value, *others):
        return [field for field in GET if field[0] != name] + ([(name, value)] if value is not None else []) + list(others)

    def pseudo(name, value):
        return [(each, value if each == name else old) for each, old in GET]

    refuses = refused(PROTOCOL)
    cases = {
        "8.1: trailers": (opened(headers(POST, 1, END_HEADERS), frame(DATA, 0, 1, b"a"), headers([("x-sum", "abc")])), answered(200)),
        "8.1: trailers without the end": (opened(headers(POST, 1, END_HEADERS), frame(DATA, 0, 1, b"a"), headers([("x-sum", "abc")], 1, END_HEADERS)), refuses),
        # hyper drops it.
        "8.1: a pseudo-header as trailer": (opened(headers(POST, 1, END_HEADERS), frame(DATA, 0, 1, b"a"), headers([(":path", "/smuggled")])), lenient(refuses)),
        "8.1.1: a length that is more": (opened(body([*POST, ("content-length", "5")], b"hell")), refuses),
        "8.1.1: a length that is less": (opened(body([*POST, ("content-length", "3")], b"hello")), refuses),
        "8.1.1: a length and no body": (opened(headers([*POST, ("content-length", "5")])), refuses),
        "8.1.1: two lengths": (opened(body([*POST, ("content-length", "5"), ("content-length", "6")], b"hello")), refuses),
        "8.1.1: a length that is none": (opened(body([*POST, ("content-length", "five")], b"hello")), refuses),
        "8.1.1: a length with a sign": (opened(body([*POST, ("content-length", "+5")], b"hello")), refuses),
        "8.3: a pseudo-header after a field": (opened(headers([*GET[:3], ("x-a", "1"), GET[3]])), refuses),
        "8.3: an unknown pseudo-header": (opened(headers([*GET, (":what", "1")])), refuses),
        "8.3: a pseudo-header of answers": (opened(headers([*GET, (":status", "200")])), refuses),
        "8.3.1: no authority, a host": (opened(headers([field for field in GET if field[0] != ":authority"] + [("host", AUTHORITY)])), answered(200)),
        "8.3.1: authority and the same host": (opened(headers([*GET, ("host", AUTHORITY)])), answered(200)),
        "8.3.1: authority and another host": (opened(headers([*GET, ("host", "other.example")])), refuses),
        "8.3.1: two hosts": (opened(headers([*GET, ("host", AUTHORITY), ("host", "other.example")])), refuses),
        "8.3.1: an authority with a user": (opened(headers(pseudo(":authority", "user:secret@stack.example"))), refuses),
        "8.3.1: an authority with a path": (opened(headers(pseudo(":authority", "stack.example/smuggled"))), refuses),
        "8.3.1: an authority with a space": (opened(headers(pseudo(":authority", "stack example"))), refuses),
        "8.3.1: OPTIONS *": (opened(headers([(":method", "OPTIONS"), *GET[1:3], (":path", "*")])), answered()),
        "8.5: CONNECT with a path": (opened(headers([(":method", "CONNECT"), *GET[1:]])), refuses),
        "8.5: CONNECT": (opened(headers([(":method", "CONNECT"), (":authority", "stack.example:443")])), refuses),
        "8.2.3: crumbs of a cookie": (opened(headers([*GET, ("cookie", "a=1"), ("cookie", "b=2")])), answered(200)),
    }  # fmt: skip
    for name in (":method", ":scheme", ":path"):
        cases[f"8.3.1: no {name}"] = (opened(headers(of(name, None))), refuses)
    for name, value in GET:
        cases[f"8.3.1: {name} twice"] = (opened(headers([(name, value), *GET])), refuses)
        cases[f"8.3.1: an empty {name}"] = (opened(headers(pseudo(name, ""))), refuses)
        for what, inserted in {"CR LF": "\r\nx: y", "LF": "\nx", "CR": "\rx", "NUL": "\0", "a space": " x", "a tab": "\tx"}.items():
            cases[f"8.2.1: {what} in {name}"] = (opened(headers(pseudo(name, value + inserted))), refuses)
    for path in ("echo", "/echo#part", "//echo ", "*", "http://other.example/echo", "/echo\x7f"):
        cases[f"8.3.1: path {path!r}"] = (opened(headers(pseudo(":path", path))), lenient(refuses))
    for name in ("X-Upper", "x a", "x:a", "", "x\r\ny", "x\0", "x\xe9", "x(a"):
        cases[f"8.2.1: name {name!r}"] = (opened(headers([*GET, (name, "1")])), refuses)
    for value in ("a\r\nx: y", "a\nb", "a\rb", "a\0b"):
        cases[f"8.2.1: value {value!r}"] = (opened(headers([*GET, ("x-a", value)])), refuses)
    for value in (" a", "a ", "\ta"):
        cases[f"8.2.1: value {value!r}"] = (opened(headers([*GET, ("x-a", value)])), lenient(refuses))
    hop = {"connection": "close", "keep-alive": "5", "proxy-connection": "close", "transfer-encoding": "chunked", "upgrade": "h2c"}
    for name, value in hop.items():
        cases[f"8.2.2: {name}"] = (opened(headers([*GET, (name, value)])), refuses)
        cases[f"8.2.2: {name}, with a body"] = (opened(body([*POST, (name, value)], b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n")), refuses)
    cases["8.2.2: te: trailers"] = (opened(headers([*GET, ("te", "trailers")])), answered(200))
    cases["8.2.2: te: gzip"] = (opened(headers([*GET, ("te", "gzip")])), refuses)
    return cases
