"""A real Prometheus scrapes the sidecar, and finds in PromQL what the conservation law promises."""

import urllib.parse

from harness import Sidecar, call, prometheus_of, stack, wait_for

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
old: {url: 'http://127.0.0.1:OLD'}
new: {url: 'http://127.0.0.1:NEW'}
sample: {rate: 1.0, max_per_second: 1000}
recheck: {after: []}
"""

# Every metric of the contract that a running sidecar always shows.
METRICS = [
    "twinread_live_requests_total",
    "twinread_live_overhead_seconds_bucket",
    "twinread_sampled_total",
    "twinread_checks_total",
    "twinread_differences_total",
    "twinread_answer_seconds_bucket",
    "twinread_captured_bytes",
    "twinread_queue_length",
    "twinread_shadow_in_flight",
    "twinread_breaker_open",
    "twinread_settings_revision",
    "twinread_mismatch_upper_bound_ratio",
    "twinread_mismatch_lower_bound_ratio",
    "twinread_mismatch_limit_ratio",
    "twinread_coverage_ratio",
    "twinread_route_required",
    "twinread_soak_clean_seconds",
    "twinread_verdict",
    "twinread_build_info",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_start_time_seconds",
]

READS = 200


def run(checks, tools, twinread):
    with (
        stack(lambda path: {"path": path, "price": "9.90"}) as (old, _),
        stack(lambda path: {"path": path, "price": "9.9" if path == "/prices/7" else "9.90"}) as (new, _),
    ):
        configuration = CONFIGURATION.replace("OLD", str(old)).replace("NEW", str(new))
        with Sidecar(tools, twinread, "scrape", configuration) as sidecar:
            for number in range(READS):
                sidecar.get(f"/prices/{number % 10}")
            sidecar.wait_until_quiet(READS)
            check_text(checks, tools, sidecar)
            check_prometheus(checks, tools, sidecar)


def check_text(checks, tools, sidecar):
    ran = tools.run(["promtool", "check", "metrics"], input=sidecar.metrics())
    said = (ran.returncode, ran.stdout, ran.stderr)
    checks.equal("promtool check metrics is clean", said, (0, "", ""))


def check_prometheus(checks, tools, sidecar):
    with prometheus_of(tools, "prometheus", {"twinread": sidecar.admin}) as port:
        wait_for("a scrape", lambda: value(port, "sum(twinread_sampled_total)"), 30)
        checks.equal("prometheus sees the target up", value(port, 'up{job="twinread"}'), 1)
        checks.equal("sampled", value(port, "sum(twinread_sampled_total)"), READS)
        law = "sum(twinread_checks_total) == sum(twinread_sampled_total)"
        checks.equal("the sum over outcomes is what was sampled", value(port, law), READS)
        mismatches = 'sum(twinread_checks_total{outcome="mismatch"})'
        checks.equal("mismatches", value(port, mismatches), READS / 10)
        differences = 'sum(twinread_differences_total{kind="value"})'
        checks.equal("differences", value(port, differences), READS / 10)
        for metric in METRICS:
            checks.that(f"{metric} is there", value(port, f"count({metric})"))
        checks.equal("one verdict is current", value(port, "sum(twinread_verdict)"), 1)
        for alert in ("TwinreadMismatchProven", "TwinreadFirstMismatch"):
            query = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
            checks.that(f"{alert} fires", wait_for(alert, lambda query=query: value(port, query), 20))


def value(port, query):
    """The value of an instant query; `None` where it has no result."""
    path = "/api/v1/query?" + urllib.parse.urlencode({"query": query})
    answer = call(port, "GET", path)
    if answer.status == 503:  # it is not ready yet
        return None
    result = answer.json()["data"]["result"]
    return float(result[0]["value"][1]) if result else None
