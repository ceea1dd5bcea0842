"""schemathesis calls everything that the OpenAPI document describes, rightly and wrongly, and holds each answer to it."""

import json

from harness import Sidecar, call, stack

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
admin_token: s3cret
old: {url: 'http://127.0.0.1:OLD'}
new: {url: 'http://127.0.0.1:NEW'}
routes: [{name: price, methods: [GET], path: '/prices/{id}', required: true}]
sample: {rate: 1.0, max_per_second: 1000}
recheck: {after: [], max_per_second: 1000000}
"""

TOKEN = {"authorization": "Bearer s3cret"}

# All checks are on. What is expected beside success where a request is well-formed: the gate tells a verdict by its
# status; ranges of durations, the revision and the rules in a body are beyond what a schema can say, and so is that the
# source of evidence in the path is that in the body.
SCHEMATHESIS = """
[checks]
positive_data_acceptance.expected-statuses = [200, 201, 401, 403, 404]

# A cursor goes with one order only, which no schema of a parameter can say.
[[operations]]
include-operation-id = "getClasses"
checks.positive_data_acceptance.expected-statuses = [200, 400]

[[operations]]
include-operation-id = "getVerdict"
checks.positive_data_acceptance.expected-statuses = [200, 412]

[[operations]]
include-operation-id = "changeSettings"
checks.positive_data_acceptance.expected-statuses = [200, 412, 422]
checks.negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 412, 413, 415, 422]

[[operations]]
include-operation-id = "putEvidence"
checks.positive_data_acceptance.expected-statuses = [200, 422]

[[operations]]
include-operation-id = "previewRules"
checks.positive_data_acceptance.expected-statuses = [200, 422]
"""

WRITES = [
    ("PATCH", "/v1/settings", "application/merge-patch+json", '{"sample": {"rate": 0.5}}'),
    ("POST", "/v1/epoch", "application/json", '{"label": "foreign"}'),
    ("POST", "/v1/rules/preview", "application/yaml", "rules: []"),
    ("POST", "/v1/classes/none/recheck", "application/json", ""),
    ("PUT", "/v1/evidence/sweep", "application/json", "{}"),
    ("POST", "/v1/record", "application/json", '{"seconds": 1}'),
]

READS = 30


def run(checks, tools, twinread):
    with (
        stack(lambda path: {"path": path, "price": "9.90"}) as (old, _),
        stack(lambda path: {"path": path, "price": "9.9"}) as (new, _),
    ):
        configuration = CONFIGURATION.replace("OLD", str(old)).replace("NEW", str(new))
        with Sidecar(tools, twinread, "openapi", configuration) as sidecar:
            for number in range(READS):
                sidecar.get(f"/prices/{number % 10}")
            sidecar.wait_until_quiet(READS)
            check_writes(checks, sidecar)
            check_document(checks, tools, sidecar)
            checks.equal("it is alive", call(sidecar.admin, "GET", "/livez").status, 200)
            checks.equal("and serves", sidecar.get("/prices/1").status, 200)


def state(sidecar):
    """What writing calls would change."""
    settings, epochs = (call(sidecar.admin, "GET", path, headers=TOKEN) for path in ("/v1/settings", "/v1/epochs"))
    return settings.json()["revision"], [epoch["id"] for epoch in epochs.json()["epochs"]]


def check_writes(checks, sidecar):
    before = state(sidecar)
    refused = {
        "without a token": ({}, 401),
        "with a wrong token": ({"authorization": "Bearer s3cre"}, 401),
        "with the token, from a foreign page": ({**TOKEN, "origin": "http://evil.example"}, 403),
    }
    for method, path, kind, body in WRITES:
        for how, (headers, status) in refused.items():
            answer = call(sidecar.admin, method, path, body, {"content-type": kind, **headers})
            checks.equal(f"{method} {path} {how}", answer.status, status)
    checks.equal("nothing was written", state(sidecar), before)


def check_document(checks, tools, sidecar):
    described = call(sidecar.admin, "GET", "/v1/openapi.json", headers=TOKEN).json()
    operations = sum(len(item) for item in described["paths"].values())
    # Apart, because settings of all kinds may leave little to be read again in any time.
    # A recording lasts for as long as it is asked to.
    without = schemathesis(checks, tools, sidecar, "--exclude-operation-id=changeSettings", "--exclude-operation-id=record")
    # No call leads to it from another: there is nothing to find from one to the next.
    alone = ["--include-operation-id=changeSettings", "--phases=examples,coverage,fuzzing"]
    only = schemathesis(checks, tools, sidecar, *alone)
    tested = sum(report["operations"]["tested"] for report in (without, only))
    # It leaves out the one that gave it the document, too.
    checks.equal("every operation was called", tested, operations - 2)
    cases = sum(report["test_cases"]["generated"] for report in (without, only))
    checks.that(f"{cases} cases are many", cases > 50 * operations)


def schemathesis(checks, tools, sidecar, *selection):
    configuration = tools.scratch / "schemathesis.toml"
    configuration.write_text(SCHEMATHESIS)
    report = tools.scratch / "schemathesis.json"
    report.unlink(missing_ok=True)
    command = [
        tools.schemathesis(), f"--config-file={configuration}", "run",
        f"http://127.0.0.1:{sidecar.admin}/v1/openapi.json", "--header=Authorization: Bearer s3cret", *selection,
        "--checks=all", "--mode=all", "--max-examples=50", "--seed=1", "--request-timeout=30",
        "--continue-on-failure", "--no-color", f"--report-json-path={report}",
    ]  # fmt: skip
    ran = tools.run(command, timeout=600, cwd=tools.scratch)
    checks.equal(f"schemathesis finds nothing ({selection[0]})", ran.returncode, 0)
    if ran.returncode:
        print(ran.stdout, ran.stderr)
    return json.loads(report.read_text())
