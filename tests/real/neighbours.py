"""What a sidecar depends on, and how it misbehaves: stacks, a collector, callers, and relays between them."""

import asyncio
import contextlib
import hashlib
import os
import pathlib
import threading
import time

from harness import LOCALHOST, Process, Sidecar, certificate, free_port, wait_for

HERE = pathlib.Path(__file__).parent

#: How callers, stacks and collector speak: HTTP/1.1, HTTP/2, or TLS (HTTP/2 to stacks and collector, by ALPN).
VERSIONS = ("1", "2", "tls")

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
allow_same_stack: true
listen_tls: SERVING
limits: {head_timeout: 2s}
old: {url: 'OLD', http2: HTTP2TRUSTING}
new: {url: 'NEW', http2: HTTP2TRUSTING, timeout: 3s, max_in_flight: 8, breaker: {failures: 10, cool_down: 1s}}
sample: {rate: 1.0, max_per_second: 50}
recheck: {after: [20ms]}
queue: {max_age: 5s}
store: {path: STORE}
telemetry: {otlp: {endpoint: 'COLLECTOR', protocol: PROTOCOLTRUSTING, timeout: 1s}, traced: all}
"""

#: Seconds between two changes of what flaps.
FLAP = 0.15

#: Valid at any time that a clock in these suites shows.
ISSUED = "@1971-01-01 00:00:00"


class Stacks:
    """Two stacks that answer alike; each takes spans as well. With TLS, a third that nobody trusts."""

    def __init__(self, running, tools, version):
        self.tools, self.version = tools, version
        self.certificate, self.impostor = {}, None
        if version == "tls":
            self.certificate = certificate(tools, "trusted-", ISSUED)
            self.impostor = self.start(running, "impostor", certificate(tools, "unknown-", ISSUED))
        self.old, self.new = (self.start(running, name, self.certificate) for name in ("old", "new"))

    def start(self, running, name, certificate):
        port = free_port()
        files = [certificate[each] for each in ("CERT", "KEY") if certificate]
        command = ["node", HERE / "adapters/exchange.mjs", port, 1 if self.version == "1" else 2, *files]
        running.enter_context(Process(self.tools, f"stack-{name}-{self.version}", command)).wait_for_port(port)
        return port

    def sidecar(self, twinread, name, ports=None, more="", prefix=()):
        """A sidecar in front of them; `ports` says where `old`, `new` or `collector` is instead."""
        ports = {"old": self.old, "new": self.new, "collector": self.new, **(ports or {})}
        url = f"{'https' if self.certificate else 'http'}://{LOCALHOST}:"
        words = {name.upper(): f"{url}{port}" for name, port in ports.items()}
        words["STORE"] = str(self.tools.scratch / f"{name}.db")
        words["PROTOCOL"] = "http/protobuf" if self.version == "1" else "grpc"
        words["HTTP2"] = str(self.version == "2").lower()
        words["TRUSTING"], words["SERVING"] = "", "null"
        if self.certificate:
            words["TRUSTING"] = f", tls: {{ca: '{self.certificate['CA']}'}}"
            words["SERVING"] = f"{{cert: '{self.certificate['CERT']}', key: '{self.certificate['KEY']}'}}"
        for suffix in ("", "-wal", "-shm"):
            pathlib.Path(words["STORE"] + suffix).unlink(missing_ok=True)
        configuration = CONFIGURATION
        for word, value in words.items():
            configuration = configuration.replace(word, value)
        return Sidecar(self.tools, twinread, name, configuration + more, prefix)


class Relay:
    """Passes bytes on to a port, or misbehaves in one of the modes that `set` knows; `carried` counts what was answered, `cuts` what was cut off."""

    def __init__(self, target, impostor=None):
        self.target, self.impostor, self.port, self.mode = target, impostor, free_port(), None
        self.carried = self.cuts = 0
        self.loop = asyncio.new_event_loop()
        self.open = set()
        self.server = None
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.run(self.listen())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.run(self.change("down"))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def set(self, mode):
        self.run(self.change(mode))

    async def listen(self):
        self.server = await asyncio.start_server(self.accept, LOCALHOST, self.port)

    async def change(self, mode):
        self.mode, was = mode, self.mode
        if mode in ("down", "resetting", "garbage", "impostor") or was == "impostor":
            await self.cut()
        if mode == "down" and self.server:
            self.server.close()
            self.server = None
        elif mode != "down" and not self.server:
            await self.listen()
        if mode == "flapping":
            self.loop.create_task(self.flap())

    async def flap(self):
        while self.mode == "flapping":
            await self.cut()
            await asyncio.sleep(FLAP)

    async def cut(self):
        self.cuts += len(self.open)
        for writer in list(self.open):
            writer.transport.abort()

    async def accept(self, reader, writer):
        self.open.add(writer)
        tasks = []
        try:
            target = self.impostor if self.mode == "impostor" else self.target
            ahead_reader, ahead = await asyncio.open_connection(LOCALHOST, target)
            self.open.add(ahead)
            tasks = [asyncio.create_task(self.pass_on(reader, ahead)), asyncio.create_task(self.answer(ahead_reader, writer))]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass
        finally:
            for task in tasks:
                task.cancel()
            for each in (writer, *([ahead] if tasks else [])):
                self.open.discard(each)
                each.close()

    async def answer(self, reader, writer):
        await self.pass_on(reader, writer, is_answer=True)

    async def pass_on(self, reader, writer, is_answer=False):
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                if self.mode == "hanging":
                    while self.mode == "hanging":
                        await asyncio.sleep(0.05)
                elif self.mode == "slow":
                    await asyncio.sleep(0.2)
                elif self.mode == "resetting":
                    writer.transport.abort()
                    return
                elif self.mode == "garbage":
                    data = os.urandom(len(data))
                writer.write(data)
                await writer.drain()
                self.carried += is_answer


class Load(Process):
    """Callers in a process of their own that check every answer to `/size/SIZE`."""

    def __init__(self, tools, name, sidecar, version, size, callers=4, pace=20):
        body = (b"twinread exchange " * 3641)[: 1 << 16]
        body = (body * (size // len(body) + 1))[:size]
        command = ["node", HERE / "adapters/load.mjs", sidecar.listen, version, callers, pace, f"/size/{size}"]
        super().__init__(tools, f"{name}-load", [*command, hashlib.sha256(body).hexdigest()])
        self.seen, self.read = [], 0

    def answers(self):
        """Every answer so far: (when it was asked for, how long it took, what it was), in seconds."""
        with open(self.log, "rb") as log:
            log.seek(self.read)
            text = log.read()
        text = text[: text.rfind(b"\n") + 1]
        self.read += len(text)
        for line in text.decode().splitlines():
            asked, waited, what = line.split(" ", 2)
            self.seen.append((int(asked) / 1e3, int(waited) / 1e6, what))
        return self.seen

    def between(self, since, until=float("inf")):
        return [answer for answer in self.answers() if since <= answer[0] < until]

    def failures(self, since=0.0, until=float("inf")):
        return [what for _, _, what in self.between(since, until) if what != "right"]

    def wait_for_right(self, count, seconds=30):
        """Until so many answers in a row are right that were asked for from now on."""
        since = time.time()

        def are_right():
            last = self.between(since)[-count:]
            return len(last) == count and all(what == "right" for _, _, what in last)

        wait_for(f"{count} right answers in a row", are_right, seconds)


def percentile(answers, share):
    waits = sorted(waited for _, waited, _ in answers)
    return waits[min(int(len(waits) * share), len(waits) - 1)] if waits else float("nan")


@contextlib.contextmanager
def flapping(change, states):
    """Calls `change` with one state after the other until the end; with only one state, once."""
    is_over = threading.Event()

    def flap():
        while not is_over.wait(FLAP):
            states.append(states.pop(0))
            change(states[0])

    change(states[0])
    thread = threading.Thread(target=flap, daemon=True)
    if len(states) > 1:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        if thread.is_alive():
            thread.join(10)
