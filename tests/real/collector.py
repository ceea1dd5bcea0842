"""A real OpenTelemetry collector (rotel, PyPI) takes the spans, over gRPC and over HTTP/protobuf."""

import re

from harness import Process, Sidecar, free_port, stack, wait_for

LIVE_TRACE, LIVE_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
old: {url: 'http://127.0.0.1:OLD'}
new: {url: 'http://127.0.0.1:NEW'}
routes: [{name: get-user, path: '/users/{id}'}]
sample: {rate: 1.0}
recheck: {after: []}
redact: {values: shown}
telemetry:
  otlp: {endpoint: 'ENDPOINT', protocol: PROTOCOL}
  resource: {deployment.environment: test}
"""

OLD = {"name": "Ada", "balance": "9.90", "email": "ada@example.org"}
NEW = {"name": "Ada", "balance": "9.9", "email": "ada@example.com", "plan": "free"}


def run(checks, tools, twinread):
    for protocol in ("grpc", "http/protobuf"):
        ports = {"grpc": free_port(), "http/protobuf": free_port()}
        name = protocol.split("/")[0]
        command = [
            tools.rotel(), "start",
            "--otlp-grpc-endpoint", f"127.0.0.1:{ports['grpc']}",
            "--otlp-http-endpoint", f"127.0.0.1:{ports['http/protobuf']}",
            "--exporter", "blackhole", "--debug-log", "traces", "--debug-log-verbosity", "detailed",
            "--pid-file", tools.scratch / f"rotel-{name}.pid",
        ]  # fmt: skip
        with Process(tools, f"rotel-{name}", command) as rotel:
            rotel.wait_for_port(ports[protocol])
            check_protocol(Context(checks, tools, twinread), protocol, ports[protocol], rotel)


class Context:
    def __init__(self, checks, tools, twinread):
        self.checks, self.tools, self.twinread = checks, tools, twinread


def check_protocol(context, protocol, port, rotel):
    same, answers = {"name": "same"}, {"old": OLD, "new": NEW}
    with (
        stack(lambda path: answers["old"] if path.startswith("/users/1") else same) as (old, _),
        stack(lambda path: answers["new"] if path.startswith("/users/1") else same) as (new, replays),
    ):
        words = {"OLD": old, "NEW": new, "ENDPOINT": f"http://127.0.0.1:{port}", "PROTOCOL": protocol}
        configuration = CONFIGURATION
        for word, value in words.items():
            configuration = configuration.replace(word, str(value))
        name = protocol.split("/")[0]
        with Sidecar(context.tools, context.twinread, f"collector-{name}", configuration) as sidecar:
            traceparent = f"00-{LIVE_TRACE}-{LIVE_SPAN}-01"
            sidecar.get("/users/1?token=abc", {"traceparent": traceparent, "authorization": "Bearer secret"})
            sidecar.get("/users/2", {"traceparent": traceparent})
            sidecar.wait_until_quiet(2)
            wait_for("a span", lambda: "twinread.difference" in rotel.output(), 20)
    spans = [span for span in read_spans(rotel.output()) if span["name"] == "twinread.check"]
    context.checks.equal(f"{protocol}: one span, for the mismatch alone", len(spans), 1)
    check_span(context.checks, protocol, spans[0])
    requests = [span for span in read_spans(rotel.output()) if span["parent"] == spans[0]["id"]]
    check_replay(context.checks, protocol, requests, replays)
    for secret in ("Bearer secret", "ada@example", "token=abc"):
        context.checks.that(f"{protocol}: {secret!r} is not told", secret not in rotel.output())


def check_span(checks, protocol, span):
    expected = {
        "http.request.method": "GET",
        "http.route": "/users/{id}",
        "twinread.route": "get-user",
        "url.path": "/users/1",
        "twinread.outcome": "mismatch",
        "twinread.differences": "3",
        "twinread.old.status": "200",
        "twinread.new.status": "200",
    }
    for name, value in expected.items():
        checks.equal(f"{protocol}: {name}", span["attributes"].get(name), value)
    for name in ("twinread.epoch", "twinread.class", "twinread.old.duration_ms", "twinread.new.duration_ms"):
        checks.that(f"{protocol}: {name} is told", span["attributes"].get(name), span["attributes"])
    checks.equal(f"{protocol}: the status is an error", span["status"], "STATUS_CODE_ERROR")
    checks.equal(f"{protocol}: the service", span["attributes"].get("service.name"), "twinread")
    checks.equal(f"{protocol}: the resource", span["attributes"].get("deployment.environment"), "test")
    checks.equal(f"{protocol}: the link to the live span", span["links"], [(LIVE_TRACE, LIVE_SPAN)])
    checks.that(f"{protocol}: a trace of its own", span["trace"] != LIVE_TRACE and not span["parent"], span)
    events = [difference(event) for event in span["events"]]
    places = {(event.get("place"), event.get("kind")) for event in events}
    expected = {("$.balance", "value"), ("$.email", "value"), ("$.plan", "extra")}
    checks.equal(f"{protocol}: an event for each difference", places, expected)
    balance = [event for event in events if event.get("place") == "$.balance"]
    told = balance and (balance[0].get("old", ""), balance[0].get("new", ""))
    checks.that(f"{protocol}: both values are told", told and "9.90" in told[0] and "9.9" in told[1], told)


def difference(event):
    return {name.removeprefix("twinread.difference."): value for name, value in event.items()}


def check_replay(checks, protocol, requests, replays):
    headers = next(headers for path, headers in replays if path.startswith("/users/1"))
    checks.equal(f"{protocol}: the replay is marked", headers.get("x-twinread"), "shadow")
    carried = headers.get("traceparent", "").split("-")[1:3]
    sent = [[span["trace"], span["id"]] for span in requests]
    checks.equal(f"{protocol}: the replay carries a span below the check", [carried], sent)


def read_spans(output):
    """The spans that rotel's detailed log shows."""
    spans = []
    for part in re.split(r"^ResourceSpans #\d+$", output, flags=re.MULTILINE)[1:]:
        resource, *rest = re.split(r"^Span #\d+$", part, flags=re.MULTILINE)
        spans.extend(read_span(text, attributes(resource)) for text in rest)
    return spans


def read_span(text, resource):
    text, _, links = text.partition("\nLinks:")
    text, _, events = text.partition("\nEvents:")
    events = re.split(r"^SpanEvent #\d+$", events, flags=re.MULTILINE)[1:]
    links = re.findall(r"-> Trace ID: (\w+)\s+-> ID: (\w+)", links)
    return {
        "name": field(text, "Name"),
        "trace": field(text, "Trace ID"),
        "id": field(text, "ID"),
        "parent": field(text, "Parent ID"),
        "status": field(text, "Status code"),
        "attributes": {**resource, **attributes(text)},
        "events": [attributes(event) for event in events],
        "links": links,
    }


def field(text, name):
    found = re.search(rf"^\s+{name}\s*: (.*)$", text, flags=re.MULTILINE)
    return found[1].strip() if found else ""


def attributes(text):
    return dict(re.findall(r"-> ([\w.]+): \w+\((.*)\)$", text, flags=re.MULTILINE))
