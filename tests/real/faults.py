"""Faults of all that a sidecar depends on, under load: no live byte changes, every sample has its outcome, and what failed recovers.

A cell is one subject that fails in one mode, over HTTP/1.1, HTTP/2 or TLS. Modes that no subject can have are left out: a clock, a
budget or a limit is never reset by its peer; no disk resets; a clock cannot be down. Each class below says what a mode means there.
The disk fails through strace, in the one thread that writes. The clock is libfaketime's, which a static binary cannot load.
"""

import contextlib
import os
import re
import resource
import socket
import sqlite3
import statistics
import time

from harness import LOCALHOST, Process, wait_for
from neighbours import VERSIONS, Load, Relay, Stacks, flapping, percentile

SIZE = 20_000
#: Right answers in a row that show that callers are served, and matches that show that checks are made.
RIGHT, MATCHES = 20, 5
#: Of the process, in bytes; bodies may take 64 MiB of it.
MEMORY = 200e6
#: Live answers are held up if the slowest waits longer than this, in seconds, and so many times as long as without the fault; or
#: their p99. The machine is shared, so it is not tight: `--all` prints what it was.
HELD_UP, SLOW, SLOWER = 0.9, 0.5, 10
#: Seconds by which the clocks of load and suite may differ.
SKEW = 0.05
#: What a live answer may fail by: the primary's faults.
OF_PRIMARY = {"connect", "timeout", "tls", "reset", "protocol", "truncated"}


class Subject:
    """What may fail. A cell has one in one mode; what is not said here is the same for all."""

    def seen(self, cell):
        """Looks, in the fault, at what says so."""

    def recovered(self, cell):
        """Waits, under load, until the subject does its work again."""

    def after(self, cell):
        """Looks at what is left once every check has ended."""


class Neighbour(Subject):
    """A stack or the collector, behind a relay. Over TLS there is one mode more: a certificate that nobody issued."""

    MODES = ("down", "slow", "hanging", "resetting", "flapping", "garbage")

    def __init__(self, name, port):
        self.name, self.port, self.relay = name, port, None

    def modes(self, version):
        return (*self.MODES, "impostor") if version == "tls" else self.MODES

    def sidecar(self, running, stacks, twinread, name):
        self.relay = running.enter_context(Relay(getattr(stacks, self.port, stacks.new), stacks.impostor))
        return stacks.sidecar(twinread, name, {self.port: self.relay.port})

    @contextlib.contextmanager
    def broken(self, cell):
        self.relay.set(cell.mode)
        yield
        self.relay.set(None)

    def seen(self, cell):
        if self.name == "shadow" and cell.mode != "slow":
            kind = {"detail": "tls"} if cell.mode == "impostor" else {}
            wait_for("its errors", lambda: cell.sidecar.total("twinread_checks_total", outcome="shadow_error", **kind), 60)
        if cell.mode == "flapping":
            # Few requests are under way when their connections are cut.
            wait_for("connections that are cut", lambda: self.relay.cuts, 60)
        elif self.name == "primary" and cell.mode not in ("slow", "hanging"):
            wait_for("live errors", lambda: cell.sidecar.total("twinread_live_failures_total"), 60)

    def recovered(self, cell):
        """A collector takes spans again."""
        carried = self.relay.carried
        if self.name == "collector":
            wait_for("an answer of the collector", lambda: self.relay.carried > carried, 60)

    def after(self, cell):
        if self.name == "primary":
            causes = set(re.findall(r'twinread_live_failures_total{cause="(\w+)"} [1-9]', cell.sidecar.metrics()))
            cell.that("only the primary's causes", causes <= OF_PRIMARY, causes)


class Disk(Subject):
    """The store's file: `down` fails, `full` and `read-only` refuse, `slow` and `hanging` delay, `flapping` is full at every third
    call, `garbage` is other bytes in the file, `removed` is no file any more."""

    name = "disk"
    #: What strace does to each call, and what for.
    INJECTED = {
        "down": "error=EIO",
        "full": "error=ENOSPC",
        "read-only": "error=EROFS",
        "slow": "delay_enter=50ms",
        "hanging": "delay_enter=60s",
        "flapping": "error=ENOSPC:when=1+3",
    }
    CALLS = "pwrite64,ftruncate,fallocate,fsync,fdatasync"

    def __init__(self, tools):
        self.tools = tools

    def modes(self, _):
        return (*self.INJECTED, "garbage", "removed")

    def sidecar(self, running, stacks, twinread, name):
        self.file = self.tools.scratch / f"{name}.db"
        return stacks.sidecar(twinread, name)

    @contextlib.contextmanager
    def broken(self, cell):
        if cell.mode == "garbage":
            for file in (self.file, self.file.with_name(self.file.name + "-wal")):
                with open(file, "r+b") as opened:
                    opened.write(os.urandom(file.stat().st_size))
        elif cell.mode == "removed":
            self.file.unlink()
        if cell.mode not in self.INJECTED:
            yield
            return
        injected = f"inject={self.CALLS}:{self.INJECTED[cell.mode]}"
        command = ["strace", "-qq", "-p", writer_of(cell.sidecar), "-e", f"trace={self.CALLS}", "-e", injected]
        with Process(self.tools, f"{self.file.stem}-strace", command) as strace:
            yield
            if strace.child.poll() is not None:
                raise RuntimeError(f"strace ended: {strace.output()}")

    def seen(self, cell):
        # Damage shows once something is read.
        if cell.mode not in ("slow", "flapping", "garbage"):
            wait_for("the store to fail", lambda: cell.sidecar.total("twinread_store_failing"))
            impaired = str(cell.sidecar.ask("/readyz")["impaired"])
            cell.that("the store is shown as impaired", "store" in impaired, impaired)

    def recovered(self, cell):
        if self.file.exists():
            wait_for("the store to work", lambda: not cell.sidecar.total("twinread_store_failing"))

    def after(self, cell):
        live = cell.sidecar.total("twinread_live_requests_total")
        set_aside = cell.sidecar.total("twinread_store_set_aside_total")
        cell.equal("its end is orderly", cell.sidecar.stop(), 0)
        if cell.mode in ("garbage", "removed"):
            cell.sidecar.start()
            with cell.load("again") as load:
                load.wait_for_right(RIGHT)
            live = cell.sidecar.total("twinread_live_requests_total")
            set_aside += cell.sidecar.total("twinread_store_set_aside_total")
            cell.equal("a damaged file was set aside", set_aside, cell.mode == "garbage")
            cell.equal("its next end is orderly", cell.sidecar.stop(), 0)
        with contextlib.closing(sqlite3.connect(self.file)) as database:
            ((stored,),) = database.execute("SELECT sum(live) FROM tallies")
            cell.equal("all is stored", stored, live)


class Clock(Subject):
    """The time of day: `slow` is a tenth of the pace, `hanging` stands still, `ahead` and `resetting` are an hour forth and back,
    `flapping` both by turns, `garbage` 1980 and 2099 by turns."""

    name = "clock"
    STEPS = {"slow": ["+0 x0.1"], "ahead": ["+3600"], "resetting": ["-3600"], "flapping": ["+3600", "-3600"]}

    def __init__(self, tools):
        self.tools = tools

    def modes(self, _):
        return (*self.STEPS, "hanging", "garbage")

    def sidecar(self, running, stacks, twinread, name):
        self.file = self.tools.scratch / f"{name}.clock"
        self.set("+0")
        clock = ["FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", f"FAKETIME_TIMESTAMP_FILE={self.file}"]
        return stacks.sidecar(twinread, name, prefix=["env", f"LD_PRELOAD={self.tools.faketime()}", *clock])

    def set(self, step):
        # In one step: a file that is half written is no time.
        written = self.file.with_suffix(".next")
        written.write_text(step + "\n")
        written.rename(self.file)

    @contextlib.contextmanager
    def broken(self, cell):
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        steps = {**self.STEPS, "hanging": [now], "garbage": ["@1980-01-01 00:00:00", "@2099-01-01 00:00:00"]}[cell.mode]
        with flapping(self.set, steps):
            yield
        self.set("+0")

    def seen(self, cell):
        if cell.mode in ("ahead", "resetting"):
            cell.sidecar.patch({"recheck": {"max_per_second": 9}})
            (change, *_) = cell.sidecar.ask("/v1/settings/history")["changes"]
            hour = time.strftime("%Y-%m-%dT%H", time.gmtime(time.time() + (3600 if cell.mode == "ahead" else -3600)))
            cell.that("the process has that clock", change["at"].startswith(hour), change)

    def after(self, cell):
        set_back = cell.sidecar.total("twinread_clock_set_back")
        cell.equal("a clock that was set back is shown", set_back, cell.mode in ("resetting", "flapping", "garbage"))


class MemoryBudget(Subject):
    """Captured bodies, while the shadow is slow: `down` is room for one at a time, `flapping` that by turns; `slow` is room for
    eight, as is `hanging`, of the shadow, too."""

    name = "memory budget"
    BODY = 32 << 10
    TOTALS = {"down": BODY, "slow": 8 * BODY, "hanging": 8 * BODY, "flapping": BODY}

    def modes(self, _):
        return tuple(self.TOTALS)

    def sidecar(self, running, stacks, twinread, name):
        self.relay = running.enter_context(Relay(stacks.new))
        more = f"capture: {{max_body: {self.BODY}B}}\n"
        return stacks.sidecar(twinread, name, {"new": self.relay.port}, more)

    @contextlib.contextmanager
    def broken(self, cell):
        def set_total(size):
            cell.sidecar.patch({"capture": {"max_total": size and f"{size}B"}})

        total = self.TOTALS[cell.mode]
        with flapping(set_total, [total, None] if cell.mode == "flapping" else [total]):
            self.relay.set("hanging" if cell.mode == "hanging" else "slow")
            yield
        self.relay.set(None)
        set_total(None)

    def seen(self, cell):
        wait_for("a full budget", lambda: cell.sidecar.total("twinread_checks_total", detail="memory_full"))
        if cell.mode != "flapping":

            def captured():
                return cell.sidecar.total("twinread_captured_bytes")

            # What was held before stays held.
            wait_for("bytes within the budget", lambda: captured() <= self.TOTALS[cell.mode])
            most = max(captured() for _ in range(10))
            cell.that(f"{most:.0f} captured bytes are within the budget", most <= self.TOTALS[cell.mode])

    def after(self, cell):
        cell.equal("nothing is held", cell.sidecar.total("twinread_captured_bytes"), 0)


class Descriptors(Subject):
    """Open files: `down` allows no new one, `flapping` that by turns; `slow` is 200 callers that send nothing, `hanging` a shadow
    that takes connections and never answers, both within 96 files."""

    name = "descriptors"
    LIMIT = 96

    def modes(self, _):
        return ("down", "slow", "hanging", "flapping")

    def sidecar(self, running, stacks, twinread, name):
        self.relay = running.enter_context(Relay(stacks.new))
        return stacks.sidecar(twinread, name, {"new": self.relay.port}, prefix=["prlimit", f"--nofile={self.LIMIT}"])

    @contextlib.contextmanager
    def broken(self, cell):
        def allow(files):
            resource.prlimit(cell.sidecar.child.pid, resource.RLIMIT_NOFILE, (files, self.LIMIT))

        with contextlib.ExitStack() as broken:
            broken.callback(allow, self.LIMIT)
            if cell.mode == "slow":
                for _ in range(200):
                    silent = broken.enter_context(socket.socket())
                    silent.setblocking(False)
                    silent.connect_ex((LOCALHOST, cell.sidecar.listen))
            elif cell.mode == "hanging":
                self.relay.set(cell.mode)
            elif cell.mode == "flapping":
                broken.enter_context(flapping(allow, [0, self.LIMIT]))
            else:
                allow(0)
            yield
        self.relay.set(None)

    def seen(self, cell):
        files = len(os.listdir(f"/proc/{cell.sidecar.child.pid}/fd"))
        cell.that(f"{files} open files", files <= self.LIMIT)


def run(checks, tools, twinread, is_all=False):
    cells = []
    for version in VERSIONS:
        with contextlib.ExitStack() as running:
            stacks = Stacks(running, tools, version)
            subjects = [
                Neighbour("shadow", "new"), Neighbour("primary", "old"), Neighbour("collector", "collector"),
                Disk(tools), Clock(tools), MemoryBudget(), Descriptors(),
            ]  # fmt: skip
            for subject, mode in ((subject, mode) for subject in subjects for mode in subject.modes(version)):
                if is_all or (subject.name, mode, version) in IN_CI:
                    cell = Cell(checks, stacks, subject, mode, 3.0 if is_all else 1.0)
                    with checks.suite(cell.what):
                        cell.run(twinread)
                        cells.append(cell)
    print(f"      {len(cells)} cells")
    if is_all:
        table(cells)


#: One cell a kind of fault.
IN_CI = {
    ("shadow", "hanging", "1"), ("shadow", "flapping", "2"), ("shadow", "impostor", "tls"), ("shadow", "down", "tls"),
    ("primary", "resetting", "1"), ("primary", "garbage", "2"), ("primary", "hanging", "tls"),
    ("collector", "hanging", "2"), ("collector", "garbage", "1"),
    ("disk", "full", "1"), ("disk", "hanging", "2"), ("disk", "removed", "tls"),
    ("clock", "flapping", "1"), ("memory budget", "hanging", "1"), ("descriptors", "down", "1"), ("descriptors", "hanging", "2"),
}  # fmt: skip


class Cell:
    """One subject that fails in one mode for `span` seconds, after as many without a fault."""

    def __init__(self, checks, stacks, subject, mode, span):
        self.checks, self.stacks, self.subject, self.mode, self.span = checks, stacks, subject, mode, span
        self.version = stacks.version
        self.what = f"{subject.name} {mode}, {'TLS' if self.version == 'tls' else f'HTTP/{self.version}'}"
        self.name = re.sub(r"\W+", "-", f"faults-{subject.name}-{mode}-{self.version}")
        self.sidecar = self.before = self.during = None

    def that(self, what, holds, detail=""):
        self.checks.that(f"{self.what}: {what}", holds, detail)

    def equal(self, what, found, expected):
        self.checks.equal(f"{self.what}: {what}", found, expected)

    def load(self, suffix):
        return Load(self.stacks.tools, f"{self.name}-{suffix}", self.sidecar, self.version, SIZE)

    def run(self, twinread):
        subject = self.subject
        with contextlib.ExitStack() as running:
            self.sidecar = running.enter_context(subject.sidecar(running, self.stacks, twinread, self.name))
            with self.load("load") as load:
                load.wait_for_right(RIGHT)
                began = time.time()
                time.sleep(self.span)
                broke = time.time()
                with subject.broken(self):
                    time.sleep(self.span)
                    until, memory = time.time(), resident(self.sidecar)
                    subject.seen(self)
                load.wait_for_right(RIGHT)
                recovered = time.time()
                self.wait_for_matches()
                subject.recovered(self)
            self.before, self.during = load.between(began, broke), load.between(broke, until)
            self.look_at_answers(load, broke, recovered)
            self.look_at_latency()
            self.look_at_checks()
            self.that(f"{memory / 1e6:.0f} MB", memory < MEMORY)
            subject.after(self)

    def wait_for_matches(self):
        """The breaker lets checks through again, and they match."""

        def matches():
            return self.sidecar.total("twinread_checks_total", outcome="match")

        before = matches()
        wait_for("matches", lambda: matches() >= before + MATCHES, 60)

    def look_at_answers(self, load, broke, recovered):
        wrong = [what for _, _, what in load.answers() if what.startswith("wrong")]
        failures = [(asked, took, what) for asked, took, what in load.seen if what.startswith("failed")]
        right = len(load.seen) - len(wrong) - len(failures)
        self.that(f"{right} right answers, no wrong one", right and not wrong, wrong[:5])
        if self.subject.name == "primary":
            # Before the fault, and after it, by two clocks.
            failures = [failure for failure in failures if sum(failure[:2]) < broke - SKEW or failure[0] > recovered + SKEW]
        self.equal("no live error but by the primary", failures[:3], [])

    def look_at_latency(self):
        if self.subject.name == "primary":
            return
        p99, slowest = percentile(self.during, 0.99), percentile(self.during, 1)
        is_fast = p99 < max(SLOW, SLOWER * percentile(self.before, 0.99))
        is_held_up = slowest > max(HELD_UP, SLOWER * percentile(self.before, 1))
        shown = f"p99 {p99 * 1e3:.1f} ms, {self.ratio(0.99):.2f} of what it was, slowest {slowest * 1e3:.0f} ms"
        self.that(shown, is_fast and not is_held_up)

    def ratio(self, share):
        return percentile(self.during, share) / percentile(self.before, share)

    def look_at_checks(self):
        sampled = self.sidecar.wait_until_quiet()
        self.that(f"{sampled} samples, each with an outcome", sampled > 0)
        self.equal("nothing broke inside", self.sidecar.total("twinread_checks_total", detail="internal"), 0)
        self.equal("no mismatch", self.sidecar.total("twinread_checks_total", outcome="mismatch"), 0)


def resident(sidecar):
    """Bytes; asked of the kernel, since without descriptors the admin API takes no connection."""
    with open(f"/proc/{sidecar.child.pid}/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def writer_of(sidecar):
    """The id of the thread that writes the store."""
    tasks = f"/proc/{sidecar.child.pid}/task"
    for task in os.listdir(tasks):
        with open(f"{tasks}/{task}/comm") as comm:
            if comm.read().strip() == "twinread-store":
                return task
    raise RuntimeError("no thread writes the store")


def table(cells):
    """Live latency in the fault as a ratio to the same run without it: the medians of the versions."""
    print(f"      {'latency in a fault against none':43} p50   p99   p99 by version")
    kinds = {}
    for cell in cells:
        if cell.subject.name != "primary":
            kinds.setdefault(f"{cell.subject.name} {cell.mode}", []).append(cell)
    kinds["all"] = [cell for group in kinds.values() for cell in group]
    for kind, group in kinds.items():
        p50, p99 = (statistics.median(cell.ratio(share) for cell in group) for share in (0.5, 0.99))
        each = ", ".join(f"{cell.version}: {cell.ratio(0.99):.2f}" for cell in group) if kind != "all" else ""
        print(f"      {kind:43} {p50:.2f}  {p99:.2f}  {each}")
