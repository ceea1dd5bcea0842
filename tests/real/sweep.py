"""A table of PostgreSQL and a copy of it with 37 planted faults, behind two servers that share nothing: `twinread sweep` finds
all 37 and nothing else, in one run that is killed five times and resumed. Every bound that it prints on the way is true.

Node's `pg` serves the table, Python's pg8000 the copy. 20 000 rows; with --all 200 000.
"""

import contextlib
import json
import os
import pathlib
import random
import re
import signal
import sqlite3
import time

from harness import LOCALHOST, Process, free_port, wait_for
from postgres import admin, at, server

KILLS = 5
#: One key in so many is in neither table.
GAP = 1000

TABLE = """
CREATE TABLE old_rows (id int PRIMARY KEY, first text, last text, note text, price numeric(12, 4), made timestamptz);
INSERT INTO old_rows SELECT n, 'Ann ' || n, 'Lee ' || n * 7, repeat('note ' || n || ' ', 5), n * 1.0625, now() - n * interval '1 minute'
FROM generate_series(1, ROWS) n WHERE n % GAP <> 0;
CREATE TABLE new_rows (LIKE old_rows INCLUDING ALL);
INSERT INTO new_rows SELECT * FROM old_rows;
"""

FAULTS = {
    "missing": (6, "only_in_old", "DELETE FROM new_rows WHERE id = ID"),
    "extra": (5, "only_in_new", "INSERT INTO new_rows VALUES (ID, 'Eve', 'Extra', 'who is this', 1, now())"),
    "truncated": (6, "differs", "UPDATE new_rows SET note = left(note, 20) WHERE id = ID"),
    "rounded": (6, "differs", "UPDATE new_rows SET price = round(price) + 0.01 WHERE id = ID"),
    "time zone": (5, "differs", "UPDATE new_rows SET made = made - interval '2 hours' WHERE id = ID"),
    "swapped": (4, "differs", "UPDATE new_rows SET first = last, last = first WHERE id = ID"),
    "stale": (5, "differs", "UPDATE old_rows SET note = note || 'again', price = price + 1 WHERE id = ID"),
}

CONFIGURATION = """
old: {url: 'http://127.0.0.1:OLD', max_per_second: 100000}
new: {url: 'http://127.0.0.1:NEW', max_per_second: 100000}
routes: [{name: get-row, methods: [GET], path: '/rows/{id}', required: true}]
recheck: {after: [100ms, 500ms]}
verdict: {max_mismatch: 1e-4}
"""


def run(checks, tools, twinread, is_all):
    rows = 200_000 if is_all else 20_000
    adapters = pathlib.Path(__file__).parent / "adapters"
    old, new = free_port(), free_port()
    with database(tools, rows) as (port, planted):
        url = f"DATABASE=postgres://postgres@{LOCALHOST}:{port}/postgres"
        by_node = ["env", f"NODE_PATH={tools.scratch}/npm/node_modules", url, "node", adapters / "table.cjs", old, "old_rows"]
        by_python = [tools.venv / "python", "-B", adapters / "table.py", new, port, "new_rows"]
        with Process(tools, "table-old", by_node) as of_old, Process(tools, "table-new", by_python) as of_new:
            of_old.wait_for_port(old)
            of_new.wait_for_port(new)
            configuration = tools.scratch / "sweep.yaml"
            configuration.write_text(CONFIGURATION.replace("OLD", str(old)).replace("NEW", str(new)))
            check(checks, tools, twinread, configuration, rows, planted)


def check(checks, tools, twinread, configuration, rows, planted):
    store, out, log = (tools.scratch / name for name in ("sweep.db", "sweep.ndjson", "sweep.log"))
    for path in (store, out, log):
        path.unlink(missing_ok=True)
    command = [twinread, "sweep", "--config", configuration, "--route", "get-row", "--keys", f"1..{rows}", "--rate", "0"]
    command += ["--store", store, "--out", out, "--json"]
    begun, peak, resume = time.monotonic(), 0, []
    for kill in range(1, KILLS + 1):
        until = rows * kill // (KILLS + 2)
        with Process(tools, f"sweep-{kill}", [*command, *resume]) as sweep:
            wait_for(f"{until} keys", lambda: read(store) >= until, seconds=1200)
            peak = max(peak, memory(sweep.child.pid))
            os.kill(sweep.child.pid, signal.SIGKILL)
            sweep.child.wait()
            with log.open("a") as whole:
                whole.write(sweep.output())
        resume = ["--resume"]
    done = tools.run([*command, *resume])
    with log.open("a") as whole:
        whole.write(done.stderr)
    found = json.loads(done.stdout)
    print(f"      {rows} keys in {time.monotonic() - begun:.0f} s, {peak >> 10} MiB at most: {summary(found)}", flush=True)
    expected = {result: set() for result in ("differs", "only_in_old", "only_in_new")}
    for key, result in planted.items():
        expected[result].add(key)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    for result, keys in expected.items():
        checks.equal(f"keys that are {result}", {int(line["key"]) for line in lines if line["result"] == result}, keys)
    checks.equal("nothing else is found", len(lines), len(planted))
    checks.equal("every key is read once", (found["keys"], found["read"]), (rows, rows))
    gaps = rows // GAP - sum(1 for result in planted.values() if result == "only_in_new")
    checks.equal("absent keys are no difference", found["absent"], gaps)
    checks.equal("the rest is equal", found["equal"], rows - gaps - len(planted))
    checks.equal("in the end the number is exact", found["upper_keys"], len(planted))
    limit = 1e-4 * rows
    checks.equal("the exit code says it", done.returncode, 1 if len(planted) > limit else 0)
    places = {"$.note", "$.price", "$.made", "$.first", "$.last", "status"}
    checks.that("the classes are those planted", places <= {each["place"] for each in found["classes"]}, found["classes"])
    bounds = [int(bound) for bound in re.findall(r"at most (\d+)", log.read_text())]
    checks.that("a bound was printed on the way", len(bounds) > KILLS, bounds)
    checks.that("no bound is below the truth", min(bounds) >= len(planted), bounds)


def summary(found):
    return {name: count for name, count in found.items() if isinstance(count, int) and count}


def read(store):
    """The keys that the checkpoint has."""
    if not store.exists():
        return 0
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as opened:
        try:
            rows = opened.execute("SELECT document FROM journal WHERE kind = 'sweep'").fetchall()
        except sqlite3.OperationalError:
            return 0
    return json.loads(rows[-1][0])["enumeration"]["read"] if rows else 0


def memory(pid):
    """The most memory that the process ever had, in KiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1])


@contextlib.contextmanager
def database(tools, rows):
    """A server with the table and its copy; yields its port, and what is to be found by key."""
    home = tools.scratch / "postgres-sweep"
    tools.run(["rm", "-rf", home], check=True)
    home.mkdir()
    port = free_port()
    if os.getuid() == 0:  # which PostgreSQL refuses to run as
        tools.run(["chown", "nobody", home], check=True)
    admin(tools, "initdb", "-D", home / "tables", "-A", "trust", "-U", "postgres", "--no-sync", "--locale=C")
    with server(tools, home, "tables", port, "max_connections=100"):
        table = TABLE.replace("ROWS", str(rows)).replace("GAP", str(GAP))
        planted, faults = plant(rows)
        admin(tools, "psql", *at(port), "-q", "-v", "ON_ERROR_STOP=1", "-c", table + faults)
        yield port, planted


def plant(rows):
    """What is to be found by key, and the statements that plant it."""
    random.seed(14)
    here = random.sample([n for n in range(1, rows) if n % GAP], sum(count for count, _, _ in FAULTS.values()))
    gaps = random.sample(range(GAP, rows, GAP), FAULTS["extra"][0])
    planted, statements = {}, []
    for name, (count, result, statement) in FAULTS.items():
        for _ in range(count):
            key = gaps.pop() if name == "extra" else here.pop()
            planted[key] = result
            statements.append(statement.replace("ID", str(key)))
    assert len(planted) == 37
    return planted, ";\n".join(statements)
