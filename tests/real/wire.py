"""Callers that show every byte of an answer: HTTP/1.1 by hand, HTTP/2 by PyPI's `h2`."""

import contextlib
import dataclasses
import hashlib
import socket

from harness import LOCALHOST

#: Of a connection, not of an answer (RFC 9110 7.6.1), or of the server's clock.
NOT_COMPARED = {"connection", "keep-alive", "transfer-encoding", "date", "trailer"}

AUTHORITY = "stack.example"
SECONDS = 60


@dataclasses.dataclass
class Exchange:
    """One request, in whatever version it is sent."""

    name: str
    method: str
    target: str
    headers: list = ()
    body: bytes = None


@dataclasses.dataclass
class Raw:
    """The bytes of an HTTP/1.1 request, or parts of them."""

    name: str
    parts: bytes
    half_close: bool = False


class Told:
    """What a caller sees of an answer."""

    def __init__(self):
        self.status, self.headers, self.informational, self.trailers = None, [], [], []
        self.hash, self.length, self.is_over = hashlib.sha256(), 0, False

    def add(self, part):
        self.hash.update(part)
        self.length += len(part)

    def told(self):
        return {
            "status": self.status,
            "headers": sorted((name, value) for name, value in self.headers if name not in NOT_COMPARED),
            "informational": [(status, sorted(headers)) for status, headers in self.informational],
            "length": self.length,
            "body": self.hash.hexdigest(),
            "trailers": sorted(self.trailers),
        }


class Http1:
    """RFC 9112, on a connection of its own."""

    NAME, VERSION = "HTTP/1.1", 1

    @classmethod
    def send(cls, port, exchange):
        if isinstance(exchange, Exchange):
            body = exchange.body
            parts = [request(exchange.method, exchange.target, exchange.headers, length=None if body is None else len(body)), body or b""]
        else:
            parts = [exchange.parts] if isinstance(exchange.parts, bytes) else exchange.parts
        with socket.create_connection((LOCALHOST, port), SECONDS) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for part in parts:
                    connection.sendall(part)
                if isinstance(exchange, Raw) and exchange.half_close:
                    connection.shutdown(socket.SHUT_WR)
            try:
                return cls(connection, parts[0].startswith(b"HEAD ")).answer.told()
            except (EOFError, ConnectionResetError) as ended:
                return {"ended": str(ended), "informational": None}

    def __init__(self, connection, is_head):
        self.connection, self.buffer, self.answer = connection, b"", Told()
        while True:
            status, headers = self.head()
            if status >= 200 or status == 101:
                break
            self.answer.informational.append((status, headers))
        self.answer.status, self.answer.headers = status, headers
        if not is_head and status not in (204, 304):
            self.body()

    def more(self):
        data = self.connection.recv(1 << 16)
        self.buffer += data
        return data

    def until(self, end):
        while end not in self.buffer:
            if not self.more():
                raise EOFError(f"ended in a head: {self.buffer[:200]!r}")
        text, self.buffer = self.buffer.split(end, 1)
        return text

    def head(self):
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        return int(lines[0].split(" ")[1]), [field(line) for line in lines[1:]]

    def body(self):
        headers = dict(self.answer.headers)
        if "chunked" in headers.get("transfer-encoding", ""):
            while size := int(self.until(b"\r\n").split(b";")[0], 16):
                self.take(size)
                self.until(b"\r\n")
            while line := self.until(b"\r\n"):
                self.answer.trailers.append(field(line.decode("latin-1")))
        elif "content-length" in headers:
            self.take(int(headers["content-length"]))
        else:
            while self.buffer or self.more():
                self.take(len(self.buffer))

    def take(self, size):
        while size:
            if not self.buffer and not self.more():
                raise EOFError(f"{size} bytes of the body are missing")
            part, self.buffer = self.buffer[:size], self.buffer[size:]
            self.answer.add(part)
            size -= len(part)


class Http2:
    """RFC 9113 with prior knowledge, on a connection of its own."""

    NAME, VERSION = "HTTP/2", 2

    @classmethod
    def send(cls, port, exchange):
        with socket.create_connection((LOCALHOST, port), SECONDS) as connection:
            try:
                return cls(connection).exchange(exchange).told()
            except (EOFError, ConnectionResetError) as ended:
                return {"ended": str(ended), "informational": None}

    def __init__(self, connection):
        import h2.config
        import h2.connection
        import h2.events

        self.connection, self.events = connection, h2.events
        config = h2.config.H2Configuration(
            header_encoding="latin-1", validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.state = h2.connection.H2Connection(config)
        self.state.initiate_connection()

    def exchange(self, exchange):
        pseudo = [(":method", exchange.method), (":scheme", "http"), (":authority", AUTHORITY), (":path", exchange.target)]
        headers = [(name, value.encode("latin-1")) for name, value in [*pseudo, *exchange.headers]]
        body, answer = exchange.body, Told()
        if body is not None:
            headers.append(("content-length", str(len(body)).encode()))
        stream = self.state.get_next_available_stream_id()
        self.state.send_headers(stream, headers, end_stream=not body)
        left, is_over = memoryview(body or b""), False
        while not is_over:
            left = self.pour(stream, left)
            self.connection.sendall(self.state.data_to_send())
            for event in self.received():
                is_over |= self.learn(answer, stream, event)
        self.connection.sendall(self.state.data_to_send())
        return answer

    def pour(self, stream, left):
        """Sends as much of the body as the windows allow."""
        while left:
            room = min(self.state.local_flow_control_window(stream), self.state.max_outbound_frame_size, len(left))
            if not room:
                break
            self.state.send_data(stream, bytes(left[:room]), end_stream=room == len(left))
            left = left[room:]
        return left

    def received(self):
        data = self.connection.recv(1 << 16)
        if not data:
            raise EOFError("the connection ended")
        return self.state.receive_data(data)

    def learn(self, answer, stream, event):
        """Whether the answer is over."""
        events = self.events
        match event:
            case events.InformationalResponseReceived():
                answer.informational.append(split(event.headers))
            case events.ResponseReceived():
                answer.status, answer.headers = split(event.headers)
            case events.DataReceived():
                answer.add(event.data)
                if event.flow_controlled_length:
                    self.state.acknowledge_received_data(event.flow_controlled_length, stream)
            case events.TrailersReceived():
                answer.trailers = list(event.headers)
            # A server that has said all may reset what the caller still could send (RFC 9113 8.1).
            case events.StreamReset() if event.error_code or not answer.is_over:
                raise EOFError(f"the stream was reset: {event.error_code!r}")
            case events.ConnectionTerminated():
                raise EOFError(f"the connection was ended: {event.error_code!r}")
            case events.StreamEnded():
                answer.is_over = True
                return True
        return False


def split(headers):
    status = next(value for name, value in headers if name == ":status")
    return int(status), [(name, value) for name, value in headers if not name.startswith(":")]


def field(line):
    name, value = line.split(":", 1)
    return name.lower(), value.strip(" \t")


def request(method, target, headers=(), body=None, length=None):
    """A request, or its head alone if only the length of its body is given."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {AUTHORITY}"]
    lines += [f"{name}: {value}" for name, value in headers]
    length = length if body is None else len(body)
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def chunked(target, chunks, trailers=()):
    head = request("POST", target, [("Transfer-Encoding", "chunked"), ("Trailer", "x-sum")])
    parts = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
    end = "".join(f"{name}: {value}\r\n" for name, value in trailers).encode()
    return [head, *parts, b"0\r\n", end, b"\r\n"]
