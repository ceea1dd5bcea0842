"""A real PostgreSQL with a streaming replica that applies what was written 1.5 s later.

One table, served over HTTP by two adapters that share nothing: Node's `pg` at the primary is old, Python's pg8000 at the
replica is new, and shows the name of one key in small letters. Written and read through twinread with the delays that it
has by default: lag is no mismatch, the wrong name is one, and `twinread recheck` tells that it is gone once it was mended.
"""

import contextlib
import json
import os
import pathlib
import random
import sys
import time

from harness import LOCALHOST, Process, Sidecar, call, free_port, wait_for

APPLY_DELAY = "1500ms"
KEYS = 60
CORRUPT = 17
SECONDS = 15

TABLE = f"""
CREATE TABLE items (id int PRIMARY KEY, name text, price numeric(9, 2), version int, updated timestamptz);
INSERT INTO items SELECT n, 'Item ' || n, n + 0.50, 1, now() FROM generate_series(1, {KEYS}) n;
"""

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
old: {url: 'http://127.0.0.1:OLD'}
new: {url: 'http://127.0.0.1:NEW', max_per_second: 10000}
routes:
  - {name: item, methods: [GET], path: '/items/{id}', required: true}
sample: {rate: 1.0, max_per_second: 10000}
recheck: {after: [200ms, 2s, 10s], max_per_second: 1000}
store: {keep_per_class: 1000}
redact: {values: shown}
"""


def run(checks, tools, twinread):
    adapters = pathlib.Path(__file__).parent / "adapters"
    old, new, mended = free_port(), free_port(), tools.scratch / "mended"
    mended.unlink(missing_ok=True)
    with pair(tools) as (primary, replica):
        database = f"postgres://postgres@{LOCALHOST}:{primary}/postgres"
        modules = f"NODE_PATH={tools.scratch}/npm/node_modules"
        by_node = ["env", modules, f"DATABASE={database}", "node", adapters / "old.cjs", old]
        by_python = [tools.venv / "python", "-B", adapters / "new.py", new, replica, mended]
        configuration = CONFIGURATION.replace("OLD", str(old)).replace("NEW", str(new))
        with (
            Process(tools, "adapter-old", by_node) as of_old,
            Process(tools, "adapter-new", by_python) as of_new,
        ):
            of_old.wait_for_port(old)
            of_new.wait_for_port(new)
            with Sidecar(tools, twinread, "postgres", configuration) as sidecar:
                check(checks, tools, sidecar, (old, new), mended)


def check(checks, tools, sidecar, stacks, mended):
    checks.that("the replica lags", lags(sidecar, stacks))
    reads = load(sidecar)
    sampled = sidecar.wait_until_quiet(reads, seconds=60)
    checks.that("every read was checked", sampled >= reads, (sampled, reads))
    counts = outcomes(sidecar)
    print(f"      {counts}", flush=True)
    # Lag is noise where old's own readings are known to change as often, by the same writes.
    checks.that("lag was met", counts["transient"] + counts["noise"] > 0, counts)
    checks.that("checks of what was just written were delayed", counts["delayed"] > 0, counts)
    checks.that("what was not written matches", counts["match"] > reads / 3, counts)
    checks.equal("checks that failed or were not made", counts["shadow_error"] + counts["not_compared"], 0)
    checks.equal("the wrong name is the only class", sidecar.classes(), {("item", "$.name", "value")})
    page = sidecar.stored("/v1/mismatches?outcome=mismatch&limit=1000")["mismatches"]
    checks.equal("every mismatch is of the wrong key", {each["request"]["path"] for each in page}, {f"/items/{CORRUPT}"})
    checks.equal("every mismatch is confirmed", {each.get("detail") for each in page}, {None})
    check_recheck(checks, tools, sidecar, mended)


def check_recheck(checks, tools, sidecar, mended):
    (found,) = sidecar.ask("/v1/classes")["classes"]
    command = [sidecar.twinread, "recheck", "--class", found["id"], "--limit", "100", "--json"]
    command += ["--admin", f"http://{LOCALHOST}:{sidecar.admin}"]

    def recheck():
        done = tools.run(command)
        return done.returncode, json.loads(done.stdout)

    code, told = recheck()
    checks.equal("before the fix it is still there", (code, told["vanished"], told["not_judged"]), (1, 0, 0))
    mended.touch()
    code, told = recheck()
    left = [each for each in told["examples"] if each["found"] != "vanished"]
    checks.equal("after it nothing is left", (code, left), (0, []))


def outcomes(sidecar):
    names = ("match", "mismatch", "transient", "noise", "shadow_error", "not_compared")
    counts = {name: int(sidecar.total("twinread_checks_total", outcome=name)) for name in names}
    return {**counts, "delayed": int(sidecar.total("twinread_checks_delayed_total"))}


def write(sidecar, key, name):
    body = json.dumps({"name": name, "price": f"{random.randint(100, 9999) / 100:.2f}"})
    answer = call(sidecar.listen, "PUT", f"/items/{key}", body, {"content-type": "application/json"})
    assert answer.status == 200, answer.body
    return answer.json()["version"]


def lags(sidecar, stacks):
    """Whether the new stack tells an older version than the old one, right after a write."""
    written = write(sidecar, 1, "Item 1 again")
    old, new = (call(port, "GET", "/items/1").json()["version"] for port in stacks)
    wait_for("the replica", lambda: call(stacks[1], "GET", "/items/1").json()["version"] == written)
    return old == written and new < written


def load(sidecar):
    """Reads, and a write for every fourth of them; half the writes are read at once."""
    random.seed(4)
    reads, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        key = random.randint(1, KEYS)
        if reads % 4 == 0:
            # The wrong one is left alone: where its name changes between readings, it is noise.
            key = key if key != CORRUPT else 1
            write(sidecar, key, f"Item {key} at {reads}")
            key = random.choice([key, random.randint(1, KEYS)])
        for each in (key, CORRUPT if reads % 40 == 0 else key):
            assert sidecar.get(f"/items/{each}").status == 200
            reads += 1
        time.sleep(0.02)
    return reads


@contextlib.contextmanager
def pair(tools):
    """A primary with the table, and its replica; yields their ports."""
    home = tools.scratch / "postgres"
    tools.run(["rm", "-rf", home], check=True)
    home.mkdir()
    primary, replica = free_port(), free_port()
    with contextlib.ExitStack() as servers:
        if os.getuid() == 0:  # which PostgreSQL refuses to run as
            tools.run(["chown", "nobody", home], check=True)
        admin(tools, "initdb", "-D", home / "primary", "-A", "trust", "-U", "postgres", "--no-sync", "--locale=C")
        servers.enter_context(server(tools, home, "primary", primary, "wal_level=replica"))
        admin(tools, "psql", *at(primary), "-q", "-v", "ON_ERROR_STOP=1", "-c", TABLE)
        admin(tools, "pg_basebackup", *at(primary), "-D", home / "replica", "-R", "-X", "stream", "-c", "fast", "--no-sync")
        delay = f"recovery_min_apply_delay={APPLY_DELAY}"
        servers.enter_context(server(tools, home, "replica", replica, delay))
        yield primary, replica


def at(port):
    return ["-h", LOCALHOST, "-p", port, "-U", "postgres"]


def program(tools, name):
    """The newest PostgreSQL that was unpacked, or is installed."""
    roots = [tools.scratch / "debian" / "root", pathlib.Path("/")]
    found = [path for root in roots for path in sorted(root.glob(f"usr/lib/postgresql/*/bin/{name}"))]
    return found[-1]


def as_nobody(command):
    prefix = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []
    return [str(part) for part in [*prefix, *command]]


def admin(tools, name, *arguments):
    done = tools.run(as_nobody([program(tools, name), *arguments]), cwd="/")
    if done.returncode != 0:
        sys.exit(f"{name}: {done.stderr}")


@contextlib.contextmanager
def server(tools, home, name, port, setting):
    command = [program(tools, "postgres"), "-D", home / name, "-h", LOCALHOST, "-p", port, "-k", home]
    command += ["-c", "fsync=off", "-c", setting]
    with Process(tools, f"postgres-{name}", as_nobody(command)) as process:
        process.wait_for_port(port)
        ready = as_nobody([program(tools, "pg_isready"), "-h", LOCALHOST, "-p", port])
        wait_for(name, lambda: tools.run(ready, cwd="/").returncode == 0)
        yield
