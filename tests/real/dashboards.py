"""The dashboard and the alerts of deploy/: held to Grafana's schema, run by a real Prometheus on real metrics, and drawn."""

import contextlib
import http.client
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import signal
import ssl
import time

import panels
from harness import ALERTS, LOCALHOST, Process, Sidecar, call, certificate, free_port, prometheus_of, stack, wait_for

ROOT = pathlib.Path(__file__).parent.parent.parent
DASHBOARD = ROOT / "deploy/grafana/twinread.json"

# How long traffic lasts. docs/dashboard.png is the file dashboard.png that a run with 240 leaves in REAL_SCRATCH.
SECONDS = float(os.environ.get("DASHBOARD_SECONDS", "20"))

MIGRATION = """
listen: LISTEN
admin: ADMIN
old: {url: 'http://127.0.0.1:OLD'}
new: {url: 'http://127.0.0.1:NEW', max_per_second: 1000, breaker: {failures: 10, cool_down: 1s}}
routes:
  - {name: get-user, path: '/users/{id}', required: true}
  - {name: get-price, path: '/prices/{id}', required: true}
  - {name: list-orders, path: '/orders', required: true}
sample: {rate: 1.0, max_per_second: 1000}
recheck: {after: [100ms], max_per_second: 100}
rules: [builtin:http, RULES]
verdict: {max_mismatch: 0.01}
store: {path: STORE}
"""

# Much goes wrong: no store, no collector, callers that do not speak TLS, more reads than may be sampled.
TROUBLED = """
listen: LISTEN
listen_tls: {cert: CERT, key: KEY}
admin: ADMIN
old: {url: 'http://127.0.0.1:OLD'}
new: {url: 'http://127.0.0.1:NEW'}
sample: {rate: 1.0, max_per_second: 1}
telemetry: {traced: all, otlp: {endpoint: 'http://127.0.0.1:NOBODY', timeout: 500ms}}
store: {path: /proc/evidence.db}
"""

PATHS = [f"/users/{number}" for number in range(10)] + [f"/prices/{number}" for number in range(10)] + ["/orders"] * 5

# Where Grafana's package has the options of each kind of panel.
COMPOSABLE = "@grafana/schema/dist/esm/raw/composable"
KINDS = {
    "stat": "stat/panelcfg/x/StatPanelCfg_types.gen",
    "state-timeline": "statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen",
    "table": "table/panelcfg/x/TablePanelCfg_types.gen",
    "timeseries": "timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen",
}

SCHEMA = """
import type { AnnotationQuery, Dashboard, DataQuery } from '@grafana/schema';
IMPORTS

// JSON has the values of enums, not their members.
type Plain<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
type Of<Kind, Options, Custom> = { type: Kind, options: Plain<Options>, custom: Plain<Custom> };

type Annotation = AnnotationQuery<DataQuery & { expr: string }> & { titleFormat?: string, textFormat?: string };
type Whole = Omit<Dashboard, 'annotations'> & { annotations: { list: Annotation[] } };

export const dashboard: Plain<Whole> = DASHBOARD;
export const panels: (UNION)[] = PANELS;
"""


def run(checks, tools, twinread):
    check_alert_files(checks, tools)
    check_schema(checks, tools)
    with contextlib.ExitStack() as started:
        migration, scraped = start(started, tools, twinread)
        prometheus = started.enter_context(prometheus_of(tools, "dashboards-prometheus", scraped))
        migrate(migration)
        names = names_of(scraped)
        check_alerts(checks, prometheus, names)
        check_queries(checks, prometheus, names)
        check_picture(checks, tools, prometheus)


def check_alert_files(checks, tools):
    for what, file in (("check", ALERTS), ("test", ALERTS.with_suffix(".test.yaml"))):
        ran = tools.run(["promtool", what, "rules", file])
        checks.that(f"promtool {what} rules is clean", ran.returncode == 0 and not ran.stderr, ran.stdout + ran.stderr)
    told = re.findall(r"- alert: (\w+)", ALERTS.read_text())
    tests = ALERTS.with_suffix(".test.yaml").read_text()
    for alert in told:
        firing = rf"alertname: {alert}\b[^\n]*\n *eval_time: \S+\n *exp_alerts:"
        silent = rf"alertname: {alert}, eval_time: \S+}}"
        checks.that(f"a test has {alert} fire, and one has it silent", re.search(firing, tests) and re.search(silent, tests))


def check_schema(checks, tools):
    """The types of Grafana's own package: of the dashboard, and of what its panels leave open."""
    dashboard = json.loads(DASHBOARD.read_text())
    kinds = {kind: kind.replace("-", "") for kind in KINDS}
    custom = {kind: "{}" if kind == "stat" else f"{name}.FieldConfig" for kind, name in kinds.items()}
    open_parts = [
        {"type": panel["type"], "options": panel["options"], "custom": panel["fieldConfig"]["defaults"].get("custom", {})}
        for panel in panels.flat(dashboard)
    ]
    words = {
        "IMPORTS": "\n".join(f"import type * as {name} from '{COMPOSABLE}/{KINDS[kind]}';" for kind, name in kinds.items()),
        "UNION": " | ".join(f"Of<'{kind}', {name}.Options, {custom[kind]}>" for kind, name in kinds.items()),
        "DASHBOARD": json.dumps(dashboard),
        "PANELS": json.dumps(open_parts),
    }
    source = tools.scratch / "npm/dashboard.ts"
    source.write_text(re.sub("IMPORTS|UNION|DASHBOARD|PANELS", lambda word: words[word[0]], SCHEMA))
    compiler = tools.scratch / "npm/node_modules/typescript/bin/tsc"
    options = ["--noEmit", "--strict", "--module", "nodenext", "--moduleResolution", "nodenext", "--skipLibCheck"]
    ran = tools.run(["node", compiler, *options, source], cwd=source.parent)
    checks.equal("the dashboard is of Grafana's types", (ran.returncode, ran.stdout), (0, ""))


def start(started, tools, twinread):
    """A migration, a sidecar in trouble, and a demo. The first, and the ports of metrics."""
    (old, _), (new, _) = (started.enter_context(stack(answers, is_prompt=True)) for answers in (old_answers, new_answers))
    store = tools.scratch / f"dashboards-{time.time_ns()}.db"
    rules = tools.scratch / "dashboards-rules.yaml"
    rules.write_text("rules: [{id: later, why: 'a rule that ends', at: $.nowhere, do: ignore, expires: 2099-12-31}]\n")
    words = {**certificate(tools, "dashboards-"), "OLD": old, "NEW": new, "NOBODY": free_port(), "STORE": store, "RULES": rules}

    def sidecar(name, configuration):
        for word, value in words.items():
            configuration = re.sub(rf"\b{word}\b", str(value), configuration)
        return started.enter_context(Sidecar(tools, twinread, name, configuration))

    migration, troubled, demo = sidecar("migration", MIGRATION), sidecar("troubled", TROUBLED), free_port()
    command = [twinread, "demo", "--keep", "--seconds", "2", "--admin", f"{LOCALHOST}:{demo}"]
    started.enter_context(Process(tools, "demo", command)).wait_for_port(demo)
    trouble(troubled)
    return migration, {"migration": migration.admin, "troubled": troubled.admin, "demo": demo}


def old_answers(path):
    time.sleep(0.002)
    return {"path": path, "price": "9.90"}


def new_answers(path):
    time.sleep(0.012 if path == "/orders" else 0.001)
    return {"path": path, "price": "9.9" if path == "/prices/7" else "9.90"}


def trouble(sidecar):
    """Callers without TLS, and a configuration that is refused. All else fails by itself."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        call(sidecar.listen, "GET", "/")
    context = ssl.create_default_context(cafile=sidecar.file.parent / "dashboards-ca.pem")
    connection = http.client.HTTPSConnection(LOCALHOST, sidecar.listen, timeout=20, context=context)
    for number in range(20):
        connection.request("GET", f"/items/{number}")
        connection.getresponse().read()
    connection.close()
    sidecar.file.write_text(sidecar.file.read_text() + "\nsampel: {}\n")
    sidecar.child.send_signal(signal.SIGHUP)


def migrate(sidecar):
    """A hundred rounds of reads. For a tenth of the time the new stack is too slow to answer."""
    outage = {50: {"new": {"timeout": "1ms"}}, 60: {"new": {"timeout": None}}}
    for round_of_reads in range(100):
        due = time.monotonic() + SECONDS / 100
        if round_of_reads in outage:
            sidecar.patch(outage[round_of_reads])
        for path in PATHS:
            sidecar.get(path)
        call(sidecar.listen, "POST", "/users/3")
        sidecar.get("/users/3")  # its check waits, because of the write
        if round_of_reads % 10 == 0:
            sidecar.get("/users/4", {f"x-{number}": "1" for number in range(150)})  # more than `limits.headers`
        time.sleep(max(0, due - time.monotonic()))


def names_of(scraped):
    """The names in /metrics of all that runs, once what comes by itself is there."""

    def found():
        pages = [call(port, "GET", "/metrics").body.decode() for port in scraped.values()]
        names = {name for page in pages for name in re.findall(r"^[a-z_]+", page, re.MULTILINE)}
        return names if "twinread_export_dropped_total" in names else None

    return wait_for("drops of what no collector takes", found)


def names_in(expression):
    return set(re.findall(r"\b(?:twinread|process)_\w+|\w+(?=\s*\{)", expression))


def check_alerts(checks, prometheus, names):
    rules = [rule for group in panels.ask(prometheus, "rules")["groups"] for rule in group["rules"]]
    checks.that("Prometheus has the alerts", len(rules) > 5, rules)
    for rule in rules:
        alert, notes = rule["name"], rule["annotations"]
        checks.equal(f"{alert}: it can be evaluated", (rule["health"], rule.get("lastError", "")), ("ok", ""))
        checks.equal(f"{alert}: no metric is unknown", names_in(rule["query"]) - names, set())
        checks.that(f"{alert}: has a severity", rule["labels"].get("severity") in ("critical", "warning", "info"), rule)
        page, _, heading = notes["runbook_url"].partition("#")
        is_told = notes.keys() == {"summary", "description", "runbook_url"} and heading in headings(page)
        checks.that(f"{alert}: says what to do, and where more is said", is_told, notes)


def headings(page):
    """The anchors of a page, as .ci/structure knows them."""
    loader = importlib.machinery.SourceFileLoader("structure", str(ROOT / ".ci/structure"))
    structure = importlib.util.module_from_spec(importlib.util.spec_from_loader("structure", loader))
    loader.exec_module(structure)
    return structure.headings(page)


def check_queries(checks, prometheus, names):
    """Each query is one for Prometheus, names only metrics that there are, and finds something."""
    dashboard = json.loads(DASHBOARD.read_text())
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"]).groups()
            checks.equal(f"${variable['name']}: no metric is unknown", names_in(series) - names, set())
            values = panels.ask(prometheus, f"label/{label}/values", **{"match[]": panels.filled(series)})
            checks.that(f"${variable['name']} has values", values, series)
    asked = [(panel["title"], target["expr"]) for panel in panels.flat(dashboard) for target in panel["targets"]]
    asked += [(each["name"], each["target"]["expr"]) for each in dashboard["annotations"]["list"] if "target" in each]
    for title, expression in asked:
        checks.equal(f"{title}: no metric is unknown: {expression}", names_in(expression) - names, set())
        found = panels.query_range(prometheus, expression, SECONDS)
        checks.that(f"{title}: finds series", found or title == "Restarts", expression)


def check_picture(checks, tools, prometheus):
    picture = tools.scratch / "dashboard.png"
    picture.unlink(missing_ok=True)
    ran = tools.run([tools.venv / "python", panels.__file__, str(prometheus), str(SECONDS), picture, "migration"])
    checks.equal("the dashboard can be drawn", (ran.returncode, ran.stderr), (0, ""))
    checks.that("the picture is below 200 KB", 20_000 < picture.stat().st_size < 200_000, picture)
