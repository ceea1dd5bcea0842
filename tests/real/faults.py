"""Faults of every neighbour under load: no live byte changes, every sample has its outcome, and what failed recovers."""

import asyncio
import contextlib
import hashlib
import os
import threading
import time

from exchanges import stack_on
from harness import LOCALHOST, Sidecar, free_port, wait_for
from wire import Exchange, Http1, Http2

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
allow_same_stack: true
old: {url: 'http://127.0.0.1:OLD', http2: HTTP2}
new: {url: 'http://127.0.0.1:NEW', http2: HTTP2, timeout: 1s, max_per_second: 10000, breaker: {failures: 10, cool_down: 1s}}
sample: {rate: 1.0, max_per_second: 10000, per_route_floor: 0/s}
recheck: {after: [20ms]}
queue: {max_age: 2s}
capture: {max_total: TOTAL}
store: {path: STORE}
telemetry: {otlp: {endpoint: 'http://127.0.0.1:COLLECTOR', protocol: PROTOCOL, timeout: 1s}, traced: all}
"""

MODES = ["down", "slow", "hanging", "resetting", "flapping", "garbage"]
CALLERS = {1: Http1, 2: Http2}
SIZE = 20_000
BODY = hashlib.sha256((b"twinread exchange " * (SIZE // 18 + 1))[:SIZE]).hexdigest()

#: Seconds of load before, during and after a fault.
SPAN = 1.0
#: Requests of a caller follow each other at this pace, in seconds.
PACE = 0.01
#: A live answer that waits longer than this, in seconds, was held up. The machine is shared, so it is not tight.
HELD_UP = 0.9


class Relay:
    """Passes bytes on to a port, or misbehaves in one of the `MODES`."""

    def __init__(self, target):
        self.target, self.port, self.mode = target, free_port(), None
        self.loop = asyncio.new_event_loop()
        self.open = set()
        self.server = None
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.run(self.listen())

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def set(self, mode):
        self.run(self.change(mode))

    def stop(self):
        self.run(self.change("down"))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    async def listen(self):
        self.server = await asyncio.start_server(self.accept, LOCALHOST, self.port)

    async def change(self, mode):
        self.mode = mode
        if mode in ("down", "resetting", "garbage"):
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
            await asyncio.sleep(0.15)

    async def cut(self):
        for writer in list(self.open):
            writer.transport.abort()

    async def accept(self, reader, writer):
        self.open.add(writer)
        tasks = []
        try:
            ahead_reader, ahead = await asyncio.open_connection(LOCALHOST, self.target)
            self.open.add(ahead)
            tasks = [asyncio.create_task(self.pass_on(reader, ahead)), asyncio.create_task(self.pass_on(ahead_reader, writer))]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass
        finally:
            for task in tasks:
                task.cancel()
            for each in (writer, *([ahead] if tasks else [])):
                self.open.discard(each)
                each.close()

    async def pass_on(self, reader, writer):
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


class Load:
    """Callers that check every answer, one request after the other."""

    def __init__(self, port, caller):
        self.port, self.caller = port, caller
        self.answered, self.failed, self.wrong, self.slowest = 0, [], [], 0.0
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self.ask, daemon=True) for _ in range(4)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join(90)

    def ask(self):
        exchange = Exchange("load", "GET", f"/size/{SIZE}")
        while not self.is_over.wait(PACE):
            began = time.monotonic()
            try:
                told = self.caller.send(self.port, exchange)
            except OSError as error:
                self.failed.append(str(error))
                continue
            self.slowest = max(self.slowest, time.monotonic() - began)
            if "ended" in told or told["status"] in (502, 504):
                self.failed.append(told.get("ended", told["status"]))
            elif (told["status"], told["body"]) != (200, BODY):
                self.wrong.append((told["status"], told["length"]))
            else:
                self.answered += 1


class Neighbours:
    """Two stacks behind relays, a collector that is none behind a third, and the sidecar."""

    def __init__(self, running, tools, twinread, name, version, options):
        stack = running.enter_context(stack_on(tools, version))
        self.relays = {}
        for each in ("shadow", "primary", "collector"):
            self.relays[each] = Relay(stack)
            running.callback(self.relays[each].stop)
        words = {
            "OLD": str(self.relays["primary"].port),
            "NEW": str(self.relays["shadow"].port),
            "COLLECTOR": str(self.relays["collector"].port),
            "HTTP2": str(version == 2).lower(),
            "TOTAL": "64MiB",
            "STORE": str(tools.scratch / f"{name}.db"),
            "PROTOCOL": "http/protobuf",
            **options,
        }
        configuration = CONFIGURATION
        for word, value in words.items():
            configuration = configuration.replace(word, value)
        self.sidecar = running.enter_context(Sidecar(tools, twinread, name, configuration))


def run(checks, tools, twinread, is_all=False):
    cells = 0
    for version in (1, 2):
        for neighbour in ("shadow", "primary", "collector"):
            for mode in MODES if is_all or (version, neighbour) == (1, "shadow") else MODES[2:3]:
                cell(checks, tools, twinread, version, neighbour, mode)
                cells += 1
    print(f"      {cells} cells")


def cell(checks, tools, twinread, version, neighbour, mode, options={}):
    what = f"{neighbour} {mode}, HTTP/{version}"
    name = f"faults-{neighbour}-{mode}-{version}"
    with contextlib.ExitStack() as running:
        neighbours = Neighbours(running, tools, twinread, name, version, options)
        sidecar, relay = neighbours.sidecar, neighbours.relays[neighbour]
        with Load(sidecar.listen, CALLERS[version]) as load:
            time.sleep(SPAN)
            before = len(load.failed)
            relay.set(mode)
            time.sleep(SPAN)
            resident = sidecar.total("process_resident_memory_bytes")
            relay.set(None)
            wait_for("recovery", lambda: recovered(load), 20)
        checks.that(f"{what}: {load.answered} right answers, no wrong one", load.answered and not load.wrong, load.wrong[:5])
        checks.equal(f"{what}: none failed before", before, 0)
        if neighbour != "primary":
            checks.equal(f"{what}: no live error", load.failed[:3], [])
            checks.that(f"{what}: slowest live answer {load.slowest:.2f} s", load.slowest < HELD_UP)
        checks.that(f"{what}: {resident / 1e6:.0f} MB", resident < 200e6)
        sampled = sidecar.wait_until_quiet()
        checks.that(f"{what}: {sampled} samples, each with an outcome", sampled > 0)
        checks.that(f"{what}: checks match again", matches_again(sidecar))
        checks.equal(f"{what}: nothing broke inside", sidecar.total("twinread_checks_total", detail="internal"), 0)
        checks.equal(f"{what}: no mismatch", sidecar.total("twinread_checks_total", outcome="mismatch"), 0)


def recovered(load):
    """Twenty right answers in a row."""
    answered, failed = load.answered, len(load.failed)
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        if len(load.failed) > failed:
            return False
        if load.answered >= answered + 20:
            return True
        time.sleep(0.02)
    return False


def matches_again(sidecar):
    """The breaker lets checks through again, and they match."""

    def more():
        before = sidecar.total("twinread_checks_total", outcome="match")
        for _ in range(5):
            sidecar.get(f"/size/{SIZE}")
        sidecar.wait_until_quiet()
        return sidecar.total("twinread_checks_total", outcome="match") > before

    return wait_for("a match", more, 20)
