"""WebSockets by the peers of others, straight to a server and through twinread: over HTTP/1.1, TLS and HTTP/2 they see the same."""

import contextlib
import itertools
import json
import socket

from exchanges import HERE
from harness import LOCALHOST, Process, Sidecar, certificate, free_port
from wire import AUTHORITY, Http2

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
allow_same_stack: true
old: {url: 'SCHEME://127.0.0.1:STACK'}
new: {url: 'SCHEME://127.0.0.1:STACK'}
sample: {rate: 1.0, max_per_second: 100000}
"""

#: As `websocket.py` in adapters/ sends them, by the kinds of frames (RFC 6455 5.2).
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

#: All cases but those that measure speed (9.7, 9.8) and compression of many large messages (12, 13).
AUTOBAHN = [*(f"{group}.*" for group in (1, 2, 3, 4, 5, 6, 7, 10)), *(f"9.{group}.*" for group in range(1, 7))]
#: Of its verdicts, those that are no failure.
PASSED = ("OK", "NON-STRICT", "INFORMATIONAL")


def run(checks, tools, twinread, is_all=False):
    for files in ({}, certificate(tools)):
        name = "over TLS" if files else "over HTTP/1.1"
        with serving(tools, twinread, files) as (port, sidecar):
            straight, through = (tools.lines([*adapter(tools), "call", to, *list(files.values())[:1]]) for to in (port, sidecar.listen))
            checks.that(f"{name}: {len(straight)} lines", len(straight) > 30 and straight[-1] == "exit 0", straight)
            for expected, found in itertools.zip_longest(straight, through):
                checks.equal(f"{name}: {str(expected)[:60]}", found, expected)
            if not files:
                over_http2(checks, sidecar)
                if is_all:
                    autobahn(checks, tools, port, sidecar)
            sidecar.wait_until_quiet()
            tunnels = sidecar.total("twinread_checks_total", outcome="not_compared", detail="streaming")
            checks.that(f"{name}: {tunnels:.0f} tunnels count as not compared", tunnels > 25)
            checks.equal(f"{name}: no live failure", sidecar.total("twinread_live_failures_total"), 0)


@contextlib.contextmanager
def serving(tools, twinread, files):
    port = free_port()
    text = CONFIGURATION.replace("STACK", str(port)).replace("SCHEME", "https" if files else "http")
    if files:
        text = text.replace("'}", f"', tls: {{ca: {files['CA']}}}}}") + f"listen_tls: {{cert: {files['CERT']}, key: {files['KEY']}}}\n"
    server = Process(tools, "websocket-server", [*adapter(tools), "serve", port, *list(files.values())[1:]])
    with server.wait_for_port(port), Sidecar(tools, twinread, "websocket", text) as sidecar:
        yield port, sidecar


def adapter(tools):
    return [tools.venv / "python", HERE / "adapters/websocket.py"]


class Tunnel(Http2):
    """A WebSocket over HTTP/2 (RFC 8441): its frames are those of PyPI's `websockets`."""

    def __init__(self, connection, path="/"):
        from websockets.protocol import CLIENT, OPEN, Protocol

        super().__init__(connection)
        self.frames, self.got, self.headers, self.is_over = Protocol(CLIENT, state=OPEN), [], None, False
        self.flush()
        self.until(lambda: self.state.remote_settings.enable_connect_protocol)
        self.stream = self.state.get_next_available_stream_id()
        pseudo = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", AUTHORITY), (":path", path)]
        self.state.send_headers(self.stream, [*pseudo, ("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat.v2")])
        self.flush()
        self.until(lambda: self.headers)

    def flush(self):
        self.connection.sendall(self.state.data_to_send())

    def until(self, holds):
        while not holds():
            for event in self.received():
                self.note(event)
            self.flush()

    def note(self, event):
        match event:
            case self.events.ResponseReceived():
                self.headers = dict(event.headers)
            case self.events.DataReceived():
                self.frames.receive_data(event.data)
                self.got += self.frames.events_received()
                if event.flow_controlled_length:
                    self.state.acknowledge_received_data(event.flow_controlled_length, self.stream)
            case self.events.StreamEnded():
                self.is_over = True
            # A server that has said all may reset what the caller still could send (RFC 9113 8.1).
            case self.events.StreamReset() | self.events.ConnectionTerminated() if not self.is_over:
                raise EOFError(f"ended: {event}")

    def send(self):
        """Sends the frames that wait."""
        left = memoryview(b"".join(self.frames.data_to_send()))
        while left:
            room = min(self.state.local_flow_control_window(self.stream), self.state.max_outbound_frame_size, len(left))
            self.state.send_data(self.stream, bytes(left[:room]))
            self.flush()
            left = left[room:]
            if left and not room:
                for event in self.received():
                    self.note(event)

    def ask(self, count=1):
        """The frames that come back for those that wait."""
        self.got.clear()
        self.send()
        self.until(lambda: len(self.got) >= count)
        return [(int(frame.opcode), bytes(frame.data)) for frame in self.got]


def over_http2(checks, sidecar):
    with socket.create_connection((LOCALHOST, sidecar.listen), 20) as connection:
        tunnel = Tunnel(connection)
        found = tunnel.headers[":status"], tunnel.headers.get("sec-websocket-protocol"), "sec-websocket-accept" in tunnel.headers
        checks.equal("over HTTP/2: granted", found, ("200", "chat.v2", False))
        for data in (b"", b"text", "\u00fc\U0001f600".encode(), b"a" * 126, b"b" * 1_000_000):
            tunnel.frames.send_text(data)
            checks.that(f"over HTTP/2: text of {len(data)} bytes", tunnel.ask() == [(TEXT, data)], tunnel.got[:1])
            tunnel.frames.send_binary(data + b"\xff")
            checks.that(f"over HTTP/2: binary of {len(data) + 1} bytes", tunnel.ask() == [(BINARY, data + b"\xff")], tunnel.got[:1])
        tunnel.frames.send_ping(b"a ping")
        checks.equal("over HTTP/2: a pong", tunnel.ask(), [(PONG, b"a ping")])
        tunnel.frames.send_text(b"count 500")
        checks.equal("over HTTP/2: 500 at once", len(tunnel.ask(500)), 500)
        tunnel.frames.send_text(b"close 4321")
        checks.equal("over HTTP/2: closed by the server", tunnel.ask(), [(CLOSE, b"\x10\xe1as asked \xc3\xbc")])
        tunnel.send()
        tunnel.until(lambda: tunnel.is_over)
        checks.that("over HTTP/2: the stream ends with it", tunnel.is_over)
    with socket.create_connection((LOCALHOST, sidecar.listen), 20) as connection:
        checks.equal("over HTTP/2: refused", Tunnel(connection, "/refused").headers[":status"], "403")


def autobahn(checks, tools, port, sidecar):
    """The verdicts of Autobahn's test suite on the server, straight and through twinread."""
    ports, verdicts, cases = {"straight": port, "through": sidecar.listen}, {}, AUTOBAHN
    # Its patience is short: what fails on a busy machine is tried again.
    for _ in range(3):
        verdicts |= judged(tools, ports, cases)
        cases = [case for case, (straight, through) in verdicts.items() if straight != through or straight[0] not in PASSED]
        if not cases:
            break
    checks.that(f"Autobahn: {len(verdicts)} cases", len(verdicts) > 280)
    for case, (straight, through) in verdicts.items():
        checks.equal(f"Autobahn: case {case}, {straight[0]}", through, straight)


def judged(tools, ports, cases):
    """Both verdicts of each case: on its messages and on its end."""
    folder = tools.scratch / "autobahn-report"
    folder.mkdir(exist_ok=True)
    servers = [{"agent": agent, "url": f"ws://{LOCALHOST}:{port}"} for agent, port in ports.items()]
    spec = {"outdir": str(folder), "servers": servers, "cases": cases, "exclude-cases": [], "exclude-agent-cases": {}}
    (folder / "spec.json").write_text(json.dumps(spec))
    tools.run([tools.wstest(), "-m", "fuzzingclient", "-s", str(folder / "spec.json")], timeout=1800, check=True)
    straight, through = (json.loads((folder / "index.json").read_text())[agent] for agent in ports)
    return {case: [(said[case]["behavior"], said[case]["behaviorClose"]) for said in (straight, through)] for case in straight}
