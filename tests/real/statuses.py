"""Each exit status that docs/automation.md names, of a command that ends with it."""

import json
import socket
import time

from harness import LOCALHOST, Sidecar, free_port, stack, wait_for

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
old: {url: 'http://127.0.0.1:OLD'}
new: {url: 'http://127.0.0.1:NEW', timeout: 300ms}
sample: {rate: 1.0}
recheck: {after: [50ms], max_per_second: 1000}
"""

RULES = "rules: [{id: price, why: an example, at: $.price, do: ignore}]\n"

# The tests of NAME.yaml are in NAME.test.yaml.
FILES = {
    "faulty.yaml": "listen: 1\n",
    "one.json": '{"price": 1}',
    "two.json": '{"price": 2}',
    "rules.yaml": RULES,
    "faulty-rules.yaml": "rules: [{id: price}]\n",
    "passes.yaml": RULES,
    "passes.test.yaml": "cases: [{name: alike, old: {json: 1}, new: {json: 1}, differences: []}]\n",
    "fails.yaml": RULES,
    "fails.test.yaml": "cases: [{name: unlike, old: {json: 1}, new: {json: 2}, differences: []}]\n",
}

# Who is asked, the status, and what ends with it. `none` is an address that nobody listens at.
ENDINGS = [
    (None, 64, "run --config faulty.yaml"),
    (None, 69, "run --config taken.yaml"),
    (None, 69, "demo --admin TAKEN"),
    (None, 0, "demo --seconds 1"),
    (None, 64, "demo --seconds many"),
    (None, 0, "check valid.yaml"),
    (None, 64, "check faulty.yaml"),
    (None, 0, "compare one.json one.json"),
    (None, 1, "compare one.json two.json"),
    (None, 64, "compare one.json three.json"),
    (None, 0, "rules check rules.yaml"),
    (None, 64, "rules check faulty-rules.yaml"),
    ("unsafe", 0, "rules suggest"),
    ("unsafe", 64, "rules suggest --epoch"),
    ("none", 69, "rules suggest"),
    ("unsafe", 0, "rules preview rules.yaml"),
    ("unsafe", 64, "rules preview faulty-rules.yaml"),
    ("none", 69, "rules preview rules.yaml"),
    (None, 0, "rules test passes.test.yaml"),
    (None, 1, "rules test fails.test.yaml"),
    (None, 64, "rules test faulty-rules.yaml"),
    (None, 0, "schema config"),
    (None, 64, "schema configuration"),
    ("safe", 0, "gate"),
    ("unsafe", 1, "gate"),
    ("undecided", 2, "gate"),
    ("safe", 64, "gate --token wrong"),
    ("none", 69, "gate"),
    ("unsafe", 0, "status --once"),
    ("safe", 64, "status --once --token wrong"),
    ("none", 69, "status --once"),
    ("undecided", 0, "mismatches"),
    ("unsafe", 64, "mismatches --limit none"),
    ("none", 69, "mismatches"),
    ("unsafe", 0, "show $(twinread mismatches --json | jq -r '.mismatches[0].id')"),
    ("unsafe", 64, "show 0123456789abcdef"),
    ("none", 69, "show 0123456789abcdef"),
    ("undecided", 0, "set sample.rate=1.0"),
    ("undecided", 64, "set sample.rate=7"),
    ("none", 69, "set sample.rate=1.0"),
    ("safe", 0, "livez"),
    ("none", 1, "livez"),
    ("safe", 64, "livez --address here"),
    (None, 0, "completions bash"),
    (None, 64, "completions sh"),
    (None, 0, "man ."),
    (None, 64, "man nowhere"),
    ("unsafe", 64, "recheck --class nothing"),
    ("none", 69, "recheck --class 0123456789abcdef"),
    ("safe", 0, "record --out reads --for 1s"),
    ("safe", 64, "record --out reads --for none"),
    ("none", 69, "record --out reads"),
]

# Limits that a few reads decide on.
LIMITS = "verdict: {max_mismatch: 0.5, max_error: 0.5, max_noise: 0.5, max_uncompared: 0.5, confidence: 0.5}\n"

# What the new stack answers, the status, and what ends with it. The first of each command prints its summary.
RUNS = [
    ("right", 0, "sweep --keys 1..20 --json"),
    ("right", 64, "sweep --keys nothing.csv"),
    ("right", 69, "sweep --keys 1..20 --admin http://NOBODY"),
    ("right", 130, "sweep --keys 1..100000"),
    ("wrong", 1, "sweep --keys 1..20"),
    ("late", 2, "sweep --keys 1..3"),
    ("right", 0, "replay some.ndjson --json"),
    ("right", 64, "replay nothing.ndjson"),
    ("right", 69, "replay some.ndjson --admin http://NOBODY"),
    ("right", 130, "replay many.ndjson"),
    ("right", 2, "replay one.ndjson"),
    ("wrong", 1, "replay some.ndjson"),
]


def check(context, asked, token, named):
    """`named` has the pairs of command and status that the page has. What replays and sweeps print as JSON."""
    folder = context.folder / "statuses"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    with socket.create_server((LOCALHOST, 0)) as listener:
        taken = f"{LOCALHOST}:{listener.getsockname()[1]}"
        ports = {"OLD": free_port(), "NEW": free_port(), "LISTEN": f"{LOCALHOST}:{free_port()}", "ADMIN": f"{LOCALHOST}:{free_port()}"}
        (folder / "valid.yaml").write_text(configuration(ports))
        (folder / "taken.yaml").write_text(configuration({**ports, "ADMIN": taken}))
        endings = [(who, status, command.replace("TAKEN", taken)) for who, status, command in ENDINGS]
        found = {ended(context, folder, each, asked, token) for each in endings}
    ran, summaries = in_background(context, folder)
    found |= {stopped(context, folder, ports["ADMIN"])} | rechecked(context, folder) | ran
    context.checks.equal("each exit status of the page was seen, and no other", found ^ named, set())
    return summaries


def configuration(ports):
    text = CONFIGURATION
    for word, port in ports.items():
        text = text.replace(word, str(port))
    return text


def ended(context, folder, ending, asked, token):
    who, status, command = ending
    variables = {"TWINREAD_ADMIN": asked[who], "TWINREAD_ADMIN_TOKEN": token} if who else {}
    return seen(context, status, command, context.shell([], f"twinread {command}", folder, **variables))


def seen(context, status, command, ran):
    """The command and its status, which is to be this one."""
    context.checks.that(f"exit status {status}: {command}", ran.returncode == status, f"{ran.returncode} {ran.stdout!r} {ran.stderr!r}")
    words = command.split()
    return " ".join(words[: 2 if words[0] == "rules" else 1]), ran.returncode


def stopped(context, folder, admin):
    script = "twinread run --config valid.yaml & until twinread livez; do sleep 0.05; done; kill $!; wait $!"
    ran = context.shell([], script, folder, TWINREAD_ADMIN=f"http://{admin}")
    return seen(context, 0, "run --config valid.yaml", ran)


def rechecked(context, folder):
    """A class of which some remain, then of which none can be judged, then which is mended."""
    wrong = {"price": 2}
    state = {"new": wrong}

    def new_answers(path):
        if state["new"] is None:
            time.sleep(1)
        return state["new"]

    with stack(lambda path: {"price": 1}) as (old, _), stack(new_answers) as (new, _):
        text = CONFIGURATION.replace("OLD", str(old)).replace("NEW", str(new))
        with Sidecar(context.tools, context.twinread, "delivery-recheck", text) as sidecar:
            sidecar.get("/users/1")
            (found,) = wait_for("a class", lambda: sidecar.stored("/v1/classes")["classes"])
            statuses = set()
            for status, answer in ((1, wrong), (2, None), (0, {"price": 1})):
                state["new"] = answer
                command = f"recheck --class {found['id']}"
                ran = context.shell([], f"twinread {command}", folder, TWINREAD_ADMIN=f"http://{LOCALHOST}:{sidecar.admin}")
                statuses.add(seen(context, status, command, ran))
    return statuses


def in_background(context, folder):
    """Replays and sweeps over two stacks, and their summaries."""
    answers = {"right": lambda: {"price": 1}, "wrong": lambda: {"price": 2}, "late": lambda: time.sleep(1)}
    state = {}
    for name, number in (("one", 1), ("some", 20), ("many", 100_000)):
        lines = (json.dumps({"method": "GET", "path": f"/users/{each}"}) + "\n" for each in range(number))
        (folder / f"{name}.ndjson").write_text("".join(lines))
    statuses, summaries = set(), {}
    with stack(lambda path: {"price": 1}) as (old, _), stack(lambda path: answers[state["new"]]()) as (new, _):
        ports = {"OLD": old, "NEW": new, "LISTEN": f"{LOCALHOST}:{free_port()}", "ADMIN": f"{LOCALHOST}:{free_port()}"}
        (folder / "stacks.yaml").write_text(configuration(ports) + LIMITS)
        for state["new"], status, command in RUNS:
            more = " --route 'GET /users/{id}'" if command.startswith("sweep") else " --format json"
            script = f"twinread {command}{more} --config stacks.yaml".replace("NOBODY", f"{LOCALHOST}:{free_port()}")
            if status == 130:
                script = f"timeout --preserve-status --signal INT 5 {script}"
            ran = context.shell([], script, folder)
            statuses.add(seen(context, status, command, ran))
            if "--json" in command:
                summaries[f"{command.split()[0]} --json"] = json.loads(ran.stdout)
    return statuses, summaries
