"""At two thirds of saturation, while faults rotate and settings change every second: memory and descriptors stay flat, no caller
sees an error, no check is lost.

Only with --all. SOAK_MINUTES: how long (default: 30).
"""

import contextlib
import itertools
import os
import re
import sqlite3
import statistics
import time
import types

from faults import Disk, Neighbour, resident
from neighbours import Load, Relay, Stacks, percentile

SIZE = 8_000
CALLERS = 8
#: Both kinds of callers, on one listener.
VERSIONS = ("1", "2")
#: Seconds for which callers ask without a pause, to find saturation, after so many to warm up.
SATURATING, WARMING = 5, 3

CHANGES = [
    {"sample": {"rate": 0.5}},
    {"new": {"max_per_second": 20}},
    {"paused": True},
    {"sample": {"rate": 1.0}, "new": {"max_per_second": 1000}},
    {"paused": False},
    {"capture": {"max_total": "1MiB"}},
    {"recheck": {"after": []}},
    {"redact": {"values": "shown"}},
    {"capture": {"max_total": None}, "recheck": {"after": ["50ms", "200ms"]}},
    {"redact": {"values": "hashed"}},
    {"log": {"level": "debug"}},
    {"redact": {"values": None}, "log": {"level": None}},
]

#: Growth from the second to the last quarter that is none: of memory, and of descriptors.
FLAT, FLAT_BYTES, FLAT_FILES = 1.05, 4e6, 4


def run(checks, tools, twinread, is_all=False):
    if not is_all:
        print("      only with --all")
        return
    seconds = 60 * float(os.environ.get("SOAK_MINUTES", "30"))
    with contextlib.ExitStack() as running:
        stacks = Stacks(running, tools, "1")
        shadow, collector, disk = Neighbour("shadow", "new"), Neighbour("collector", "collector"), Disk(tools)
        for neighbour in (shadow, collector):
            neighbour.relay = running.enter_context(Relay(stacks.new))
        ports = {"new": shadow.relay.port, "collector": collector.relay.port}
        sidecar = running.enter_context(stacks.sidecar(twinread, "soak", ports))
        disk.file = tools.scratch / "soak.db"
        modes = itertools.zip_longest(Neighbour.MODES, Neighbour.MODES, ("full", "slow", "hanging", "flapping"))
        faults = [each for row in modes for each in zip((shadow, collector, disk), row) if each[1]]

        saturation = saturate(tools, sidecar)
        pace = 1e3 * CALLERS * len(VERSIONS) / (saturation * 2 / 3)
        soak = Soak(sidecar, faults, seconds)
        with contextlib.ExitStack() as calling:
            loads = [calling.enter_context(load(tools, sidecar, version, f"soak-{version}", pace)) for version in VERSIONS]
            soak.run()
        answers = [answer for each in loads for answer in each.answers()]
        look_at_callers(checks, answers)
        soak.look_at_growth(checks)
        outcomes = look_at_checks(checks, sidecar)
        live = sidecar.total("twinread_live_requests_total")
        checks.equal("its end is orderly", sidecar.stop(), 0)
        with contextlib.closing(sqlite3.connect(disk.file)) as database:
            ((stored,),) = database.execute("SELECT sum(live) FROM tallies")
            checks.equal("every request is stored", stored, live)
        table(soak, saturation, answers, outcomes)


def load(tools, sidecar, version, name, pace):
    return Load(tools, name, sidecar, version, SIZE, CALLERS, pace)


def saturate(tools, sidecar):
    """Right answers a second to callers that ask without a pause."""
    with contextlib.ExitStack() as calling:
        loads = [calling.enter_context(load(tools, sidecar, version, f"saturation-{version}", 0)) for version in VERSIONS]
        time.sleep(WARMING)
        began = time.time()
        time.sleep(SATURATING)
        return sum(len(each.between(began)) for each in loads) / SATURATING


class Soak:
    """Looks at the sidecar every second, changes a setting, and lets each quarter see every fault once."""

    def __init__(self, sidecar, faults, seconds):
        self.sidecar, self.faults, self.seconds = sidecar, faults, seconds
        self.memory, self.files = [], []
        self.changes, self.broke, self.lasted = 0, 0, 0.0

    def run(self):
        began, span = time.monotonic(), self.seconds / 4 / len(self.faults) / 2
        for _ in range(4):
            self.memory.append([])
            self.files.append([])
            for subject, mode in self.faults:
                with subject.broken(types.SimpleNamespace(sidecar=self.sidecar, mode=mode)):
                    self.go_on(span)
                self.go_on(span)
                self.broke += 1
        self.lasted = time.monotonic() - began

    def go_on(self, seconds):
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(1, left))
            self.sidecar.patch(CHANGES[self.changes % len(CHANGES)])
            self.changes += 1
            self.memory[-1].append(resident(self.sidecar))
            self.files[-1].append(len(os.listdir(f"/proc/{self.sidecar.child.pid}/fd")))

    def look_at_growth(self, checks):
        (_, before, _, after) = map(statistics.median, self.memory)
        checks.that(f"memory: {before / 1e6:.1f} MB, then {after / 1e6:.1f} MB", after < before * FLAT + FLAT_BYTES)
        (_, before, _, after) = map(statistics.median, self.files)
        checks.that(f"descriptors: {before:.0f}, then {after:.0f}", after <= before + FLAT_FILES)


def look_at_callers(checks, answers):
    wrong = [what for _, _, what in answers if what.startswith("wrong")]
    failed = [what for _, _, what in answers if what.startswith("failed")]
    checks.that(f"{len(answers)} answers, none wrong", answers and not wrong, wrong[:5])
    checks.equal("no live error", failed[:5], [])


def look_at_checks(checks, sidecar):
    """Every sample has its outcome; what they are."""
    sidecar.patch({"paused": True})
    sampled = sidecar.wait_until_quiet(seconds=60)
    checks.that(f"{sampled} samples, each with an outcome", sampled > 0)
    found = re.findall(r'^twinread_checks_total{(.*)} (\d+)$', sidecar.metrics(), re.MULTILINE)
    outcomes = {}
    for labels, count in found:
        labels = dict(re.findall(r'(\w+)="(.*?)"', labels))
        name = f"{labels['outcome']} {labels['detail']}"
        outcomes[name] = outcomes.get(name, 0) + int(count)
    checks.equal("nothing broke inside", sidecar.total("twinread_checks_total", detail="internal"), 0)
    checks.equal("no mismatch", sidecar.total("twinread_checks_total", outcome="mismatch"), 0)
    return outcomes


def table(soak, saturation, answers, outcomes):
    rows = {
        "minutes": f"{soak.lasted / 60:.1f}",
        "saturation, answers a second": f"{saturation:.0f}",
        "answers a second": f"{len(answers) / soak.lasted:.0f}",
        "p50, p99, slowest, ms": ", ".join(f"{1e3 * percentile(answers, share):.1f}" for share in (0.5, 0.99, 1)),
        "faults, changes of settings": f"{soak.broke}, {soak.changes}",
        "memory by quarter (median), MB": ", ".join(f"{statistics.median(each) / 1e6:.1f}" for each in soak.memory),
        "memory, most, MB": f"{max(map(max, soak.memory)) / 1e6:.1f}",
        "descriptors by quarter (median)": ", ".join(f"{statistics.median(each):.0f}" for each in soak.files),
        **{f"checks: {name}": str(count) for name, count in sorted(outcomes.items())},
    }
    for name, value in rows.items():
        print(f"      {name:40} {value}")
