//! Checks as spans at a collector, over both protocols; metrics as text; and collectors that are down or hang.

use crate::support::{Front, Pki};
use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::ExportMetricsServiceRequest,
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message as _;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{net::TcpListener, sync::mpsc, time::timeout};
use twinread::testing::{
    budget::Budget,
    drain,
    export::{
        self, Metrics, Protocol, Push, Sources, Traces, otlp,
        prometheus::{GaugeSource, RouteGauges, Verdict},
    },
    http_client::Target,
    ledger::{AnsweredBy, Gauges, Ledger, RuleCount, Signal},
    pipeline::{
        Rechecked, Report, ReportedDifference, ReportedRequest, Reports, RuleEvidence, SentRequest,
        Traced, report::ReportedAnswer,
    },
    trace_context::TraceContext,
};
use twinread::{
    outcome::{Mark, Outcome, Via},
    stack::Stack,
    value::Kind,
};

/// Long enough for any machine; only a failing test reaches it.
const DEADLINE: Duration = Duration::from_secs(20);

// --- a collector ---

type Received = mpsc::UnboundedReceiver<(HeaderMap, ExportTraceServiceRequest)>;
type Tx = mpsc::UnboundedSender<(HeaderMap, ExportTraceServiceRequest)>;

struct Grpc(Tx);

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let headers = request.metadata().clone().into_headers();
        self.0.send((headers, request.into_inner())).unwrap();
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn collector(protocol: Protocol) -> (SocketAddr, Received) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (tx, rx) = mpsc::unbounded_channel();
    match protocol {
        Protocol::Grpc => {
            let server =
                tonic::transport::Server::builder().add_service(TraceServiceServer::new(Grpc(tx)));
            let incoming = tonic::transport::server::TcpIncoming::from(listener);
            tokio::spawn(server.serve_with_incoming(incoming));
        }
        Protocol::Http => {
            let traces = |State(tx): State<Tx>, headers: HeaderMap, body: Bytes| async move {
                assert_eq!(headers["content-type"], "application/x-protobuf");
                let request = ExportTraceServiceRequest::decode(body).unwrap();
                tx.send((headers, request)).unwrap();
            };
            let router = Router::new()
                .route("/v1/traces", post(traces))
                .with_state(tx);
            tokio::spawn(axum::serve(listener, router).into_future());
        }
    }
    (addr, rx)
}

fn no_env(_: &str) -> Option<String> {
    None
}

fn config(addr: SocketAddr, protocol: Protocol) -> export::Config {
    export::Config {
        otlp: otlp::Config {
            endpoint: Some(format!("http://{addr}")),
            protocol: Some(protocol),
            headers: vec![("x-tenant".parse().unwrap(), "blue".parse().unwrap())],
            timeout: Some(Duration::from_secs(5)),
            ..otlp::Config::default()
        },
        service_name: None,
        resource: [("deployment.environment.name".to_owned(), "test".to_owned())].into(),
        ..export::Config::default()
    }
}

fn traces(config: &export::Config, traced: Traced, gauges: &Gauges) -> (Reports, Traces) {
    traces_by(config, &no_env, traced, gauges)
}

fn traces_by(
    config: &export::Config,
    env: &dyn Fn(&str) -> Option<String>,
    traced: Traced,
    gauges: &Gauges,
) -> (Reports, Traces) {
    let mut reports = Reports::new(gauges.clone());
    let listener = reports.listen(Signal::Traces, 1000);
    let target = config
        .otlp
        .target(Signal::Traces, env, None)
        .unwrap()
        .unwrap();
    let resource = config.resource("id-1", &no_env);
    let traces = Traces::new(listener, traced, (&target, &resource), gauges.clone()).unwrap();
    (reports, traces)
}

// --- a check ---

fn context(trace_id: u128, span_id: u64) -> TraceContext {
    TraceContext {
        trace_id,
        span_id,
        flags: 1,
        state: String::new(),
    }
}

fn answer(status: u16) -> ReportedAnswer {
    ReportedAnswer {
        status,
        duration_ms: 1.5,
        headers: Vec::new(),
        body: None,
        trailers: Vec::new(),
        masked: Vec::new(),
    }
}

fn check(outcome: Outcome) -> Report {
    let difference = ReportedDifference {
        place: "$.items[3].price".to_owned(),
        kind: Kind::Value,
        class: "00112233aabbccdd".to_owned(),
        class_place: "$.items[*].price".to_owned(),
        old: Some("number(3)".to_owned()),
        new: None,
        basis: RuleEvidence::default(),
    };
    let ended = SystemTime::now();
    Report {
        outcome,
        route: "get-item".into(),
        template: Some("/items/{id}".to_owned()),
        epoch: "e1".into(),
        request: ReportedRequest {
            method: "GET".to_owned(),
            path: "/items/7".to_owned(),
            query: Some("page=string(1)".to_owned()),
            ..ReportedRequest::default()
        },
        span: context(0xabc, 0xdef),
        live: Some(context(0x123, 0x456)),
        sent: Vec::new(),
        started: ended - Duration::from_millis(5),
        ended,
        old: Some(answer(200)),
        new: Some(answer(404)),
        differences: vec![difference],
        count: 3,
        rechecked: Rechecked {
            count: 2,
            is_conditional: true,
            lag: Some(Duration::from_micros(250_700)),
            noise: vec!["$.at".to_owned()],
        },
    }
}

const MISMATCH: Outcome = Outcome::Mismatch(Mark::Plain);

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.clone()? {
        AnyValue {
            value: Some(Value::StringValue(text)),
        } => Some(text),
        AnyValue {
            value: Some(Value::IntValue(number)),
        } => Some(number.to_string()),
        AnyValue {
            value: Some(Value::DoubleValue(number)),
        } => Some(number.to_string()),
        AnyValue {
            value: Some(Value::BoolValue(is_so)),
        } => Some(is_so.to_string()),
        other => panic!("{key}: {other:?}"),
    }
}

fn spans(request: &ExportTraceServiceRequest) -> Vec<&Span> {
    let scopes = request
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| &scope.spans).collect()
}

fn bytes(id: u128, length: usize) -> Vec<u8> {
    id.to_be_bytes()[16 - length..].to_vec()
}

async fn exported(protocol: Protocol, report: Report) -> (HeaderMap, ExportTraceServiceRequest) {
    let (addr, mut received) = collector(protocol).await;
    let gauges = Gauges::default();
    let (reports, traces) = traces(&config(addr, protocol), Traced::Mismatch, &gauges);
    reports.send(report);
    drop(reports);
    timeout(DEADLINE, traces.run()).await.unwrap();
    assert_eq!(gauges.exports_dropped(Signal::Traces), 0);
    received.recv().await.unwrap()
}

#[tokio::test]
async fn a_collector_is_reached_over_tls_by_both_protocols() {
    let pki = Pki::new();
    let folder = tempfile::tempdir().unwrap();
    let ca = pki.write(folder.path());
    let env =
        |name: &str| (name == "OTEL_EXPORTER_OTLP_CERTIFICATE").then(|| ca.display().to_string());
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let (addr, mut received) = collector(protocol).await;
        let mut server = pki.issue("127.0.0.1").server();
        server.alpn_protocols = vec![match protocol {
            Protocol::Grpc => b"h2".to_vec(),
            Protocol::Http => b"http/1.1".to_vec(),
        }];
        let front = Front::start(server, addr).await;
        let mut config = config(front.addr, protocol);
        config.otlp.endpoint = Some(format!("https://{}", front.addr));
        let gauges = Gauges::default();
        let (reports, traces) = traces_by(&config, &env, Traced::Mismatch, &gauges);
        reports.send(check(MISMATCH));
        drop(reports);
        timeout(DEADLINE, traces.run()).await.unwrap();
        assert_eq!(gauges.exports_dropped(Signal::Traces), 0, "{protocol:?}");
        let (headers, _) = received.recv().await.unwrap();
        assert_eq!(headers["x-tenant"], "blue");
    }
}

#[tokio::test]
async fn resource_names_the_service_its_version_and_instance() {
    let (headers, request) = exported(Protocol::Http, check(MISMATCH)).await;
    assert_eq!(headers["x-tenant"], "blue");
    let of_resource = &request.resource_spans[0];
    let resource = of_resource.resource.as_ref().unwrap();
    for (key, value) in [
        ("service.name", "twinread"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", "id-1"),
        ("deployment.environment.name", "test"),
    ] {
        let found = text(&resource.attributes, key);
        assert_eq!(found.as_deref(), Some(value));
    }
    let schema = "https://opentelemetry.io/schemas/";
    assert!(of_resource.schema_url.starts_with(schema));
    let of_scope = &of_resource.scope_spans[0];
    assert_eq!(of_scope.schema_url, of_resource.schema_url);
}

#[tokio::test]
async fn mismatch_is_a_linked_span_with_differences_on_both_protocols() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let (headers, request) = exported(protocol, check(MISMATCH)).await;

        assert_eq!(headers["x-tenant"], "blue");
        let [span] = spans(&request)[..] else {
            panic!("{request:?}")
        };
        assert_eq!(span.name, "twinread.check");
        assert_eq!(span.trace_id, bytes(0xabc, 16));
        assert_eq!(span.span_id, bytes(0xdef, 8));
        assert_eq!(span.parent_span_id, Vec::<u8>::new());
        assert_eq!(span.kind(), SpanKind::Internal);
        assert_eq!(span.links[0].trace_id, bytes(0x123, 16));
        assert_eq!(span.links[0].span_id, bytes(0x456, 8));
        assert_eq!(span.status.as_ref().unwrap().code(), StatusCode::Error);
        assert_eq!(
            span.end_time_unix_nano - span.start_time_unix_nano,
            5_000_000
        );
        let expected = [
            ("http.request.method", "GET"),
            ("http.route", "/items/{id}"),
            ("url.path", "/items/7"),
            ("url.query", "page=string(1)"),
            ("twinread.route", "get-item"),
            ("twinread.outcome", "mismatch"),
            ("twinread.epoch", "e1"),
            ("twinread.source", "live"),
            ("twinread.class", "00112233aabbccdd"),
            ("twinread.differences", "3"),
            ("twinread.old.status", "200"),
            ("twinread.new.status", "404"),
            ("twinread.old.duration_ms", "1.5"),
            ("twinread.new.duration_ms", "1.5"),
            ("twinread.rechecks", "2"),
            ("twinread.lag_ms", "250"),
        ];
        for (key, value) in expected {
            assert_eq!(text(&span.attributes, key).as_deref(), Some(value), "{key}");
        }
        assert_eq!(span.attributes.len(), expected.len(), "{span:?}");
        let [event] = &span.events[..] else {
            panic!("{span:?}")
        };
        assert_eq!(event.name, "twinread.difference");
        let of_event = |key: &str| text(&event.attributes, &format!("twinread.difference.{key}"));
        assert_eq!(of_event("place").unwrap(), "$.items[3].price");
        assert_eq!(of_event("kind").unwrap(), "value");
        assert_eq!(of_event("old").unwrap(), "number(3)");
        assert_eq!(of_event("new"), None);
        assert_eq!(span.dropped_events_count, 2);
    }
}

#[tokio::test]
async fn a_check_within_the_live_trace_is_a_child_of_the_live_span() {
    let mut report = check(MISMATCH);
    report.span.trace_id = 0x123;
    let (_, request) = exported(Protocol::Http, report).await;
    let [span] = spans(&request)[..] else {
        panic!("{request:?}")
    };
    assert_eq!(span.trace_id, bytes(0x123, 16));
    assert_eq!(span.parent_span_id, bytes(0x456, 8));
    assert!(span.links.is_empty());
}

fn sent(stack: Stack, span_id: u64, result: Result<u16, &'static str>) -> SentRequest {
    let ended = SystemTime::now();
    SentRequest {
        stack,
        target: Arc::new(Target {
            base_path: "/v2".to_owned(),
            ..Target::new("stack.example:9002".parse().unwrap())
        }),
        span_id,
        started: ended - Duration::from_millis(3),
        ended,
        result,
        grpc_status: None,
    }
}

#[tokio::test]
async fn requests_of_grpc_are_spans_by_its_own_conventions() {
    let mut report = check(MISMATCH);
    report.request.method = "POST".to_owned();
    report.request.path = "/shop.v1.Catalogue/Get".to_owned();
    let grpc = (
        "content-type".to_owned(),
        "application/grpc+proto; a=b".to_owned(),
    );
    report.request.headers = vec![grpc];
    let codes = [Some(0), Some(5), None];
    let results = [Ok(200), Ok(200), Err("timeout")];
    report.sent = codes
        .into_iter()
        .zip(results)
        .map(|(grpc_status, result)| SentRequest {
            grpc_status,
            ..sent(Stack::New, 0x11, result)
        })
        .collect();
    let (_, request) = exported(Protocol::Grpc, report).await;

    let spans = spans(&request);
    assert_eq!(spans.len(), 4);
    for (child, (code, error)) in spans[1..].iter().zip([
        (Some("OK"), None),
        (Some("NOT_FOUND"), Some("NOT_FOUND")),
        (None, Some("timeout")),
    ]) {
        let found = |key: &str| text(&child.attributes, key);
        assert_eq!(child.name, "shop.v1.Catalogue/Get");
        assert_eq!(found("rpc.system.name").as_deref(), Some("grpc"));
        assert_eq!(
            found("rpc.method").as_deref(),
            Some("shop.v1.Catalogue/Get")
        );
        assert_eq!(found("rpc.response.status_code").as_deref(), code);
        assert_eq!(found("error.type").as_deref(), error);
        assert_eq!(found("http.request.method"), None);
        let status = child.status.as_ref().unwrap().code();
        assert_eq!(status == StatusCode::Error, error.is_some());
    }
}

#[tokio::test]
async fn each_request_to_a_stack_is_a_client_span_below_the_check() {
    let mut report = check(MISMATCH);
    report.sent = vec![
        sent(Stack::New, 0x11, Ok(200)),
        sent(Stack::Old, 0x12, Ok(404)),
        sent(Stack::New, 0x13, Err("timeout")),
    ];
    Arc::make_mut(&mut report.sent[1].target).authority = "[::1]".parse().unwrap();
    let (_, request) = exported(Protocol::Grpc, report).await;

    let spans = spans(&request);
    let [check, children @ ..] = &spans[..] else {
        panic!("{request:?}")
    };
    assert_eq!(children.len(), 3);
    for (child, expected) in children.iter().zip([
        (0x11, "new", "stack.example", "9002", Some("200"), None),
        (0x12, "old", "::1", "80", Some("404"), Some("404")),
        (0x13, "new", "stack.example", "9002", None, Some("timeout")),
    ]) {
        let (id, stack, host, port, status, error) = expected;
        assert_eq!(child.span_id, bytes(id, 8));
        assert_eq!(child.parent_span_id, check.span_id);
        assert_eq!(child.trace_id, check.trace_id);
        assert_eq!((&*child.name, child.kind()), ("GET", SpanKind::Client));
        let found = |key: &str| text(&child.attributes, key);
        assert_eq!(found("http.request.method").unwrap(), "GET");
        assert_eq!(found("twinread.stack").unwrap(), stack);
        assert_eq!(found("server.address").unwrap(), host);
        assert_eq!(found("server.port").unwrap(), port);
        assert_eq!(found("http.response.status_code").as_deref(), status);
        assert_eq!(found("error.type").as_deref(), error);
        let code = child.status.as_ref().unwrap().code();
        assert_eq!(code == StatusCode::Error, error.is_some());
        let took = child.end_time_unix_nano - child.start_time_unix_nano;
        assert_eq!(took, 3_000_000);
    }
    let urls = children
        .iter()
        .map(|child| text(&child.attributes, "url.full").unwrap());
    let new = "http://stack.example:9002/v2/items/7?page=string(1)";
    assert_eq!(
        urls.collect::<Vec<_>>(),
        [new, "http://[::1]/v2/items/7?page=string(1)", new]
    );
}

#[tokio::test]
async fn matches_are_exported_only_where_all_is_traced() {
    let (addr, mut received) = collector(Protocol::Http).await;
    for (traced, expected) in [(Traced::None, 0), (Traced::Mismatch, 1), (Traced::All, 2)] {
        let (reports, traces) = traces(&config(addr, Protocol::Http), traced, &Gauges::default());
        reports.send(check(Outcome::Match(Via::Rules)));
        reports.send(check(MISMATCH));
        drop(reports);
        timeout(DEADLINE, traces.run()).await.unwrap();

        let exported = received.try_recv().ok();
        let exported = exported.iter().flat_map(|(_, request)| spans(request));
        assert_eq!(exported.count(), expected, "{traced:?}");
    }
}

#[tokio::test]
async fn dead_or_hanging_collector_blocks_nobody_drops_are_counted() {
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead_addr = dead.local_addr().unwrap();
    drop(dead);
    // Accepts connections into its backlog, and never responds.
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for addr in [dead_addr, hanging.local_addr().unwrap()] {
        for protocol in [Protocol::Grpc, Protocol::Http] {
            let mut config = config(addr, protocol);
            config.otlp.timeout = Some(Duration::from_millis(50));
            let gauges = Gauges::default();
            let (reports, traces) = traces(&config, Traced::All, &gauges);
            let running = tokio::spawn(traces.run());

            // More than the queue holds: sending never waits.
            for _ in 0..3_000 {
                reports.send(check(MISMATCH));
            }
            drop(reports);

            timeout(DEADLINE, running).await.unwrap().unwrap();
            assert_eq!(
                gauges.exports_dropped(Signal::Traces),
                3_000,
                "{protocol:?} {addr}"
            );
        }
    }
}

#[tokio::test]
async fn many_spans_come_in_batches_and_none_is_lost() {
    let (addr, mut received) = collector(Protocol::Grpc).await;
    let gauges = Gauges::default();
    let (reports, traces) = traces(&config(addr, Protocol::Grpc), Traced::All, &gauges);
    for _ in 0..1_000 {
        reports.send(check(MISMATCH));
    }
    drop(reports);
    timeout(DEADLINE, traces.run()).await.unwrap();

    let mut batches = Vec::new();
    while let Ok((_, request)) = received.try_recv() {
        batches.push(spans(&request).len());
    }
    assert_eq!(batches, [512, 488]);
}

// --- metrics ---

#[derive(Debug)]
struct Fixed;

impl GaugeSource for Fixed {
    fn verdict(&self) -> Option<Arc<Verdict>> {
        Some(Arc::new(Verdict {
            name: "undecided",
            coverage_limit: 0.9,
            soak_clean_seconds: 60,
            soak_required_seconds: 600,
            routes: vec![RouteGauges {
                route: "get-item".into(),
                is_required: true,
                lower: 0.125,
                upper: 0.25,
                limit: 0.001,
                coverage: Some(0.5),
            }],
        }))
    }

    fn rules(&self) -> Vec<(Arc<str>, RuleCount)> {
        let count = RuleCount {
            applied: 7,
            masked: 3,
        };
        vec![("http-date".into(), count)]
    }

    fn expiries(&self) -> Vec<(Arc<str>, f64)> {
        vec![("http-date".into(), 1.8e9)]
    }
}

fn metrics() -> (Metrics, Ledger, Gauges) {
    let gauges = Gauges::default();
    let ledger = Ledger::new(200, gauges.clone());
    let metrics = Metrics::new(export::Config::default().resource("id-1", &no_env), 200);
    metrics.observe(&Sources {
        ledger: ledger.clone(),
        gauges: gauges.clone(),
        budget: Budget::new(1 << 20),
        figures: Arc::new(Fixed),
    });
    (metrics, ledger, gauges)
}

fn exercise(metrics: &Metrics, ledger: &Ledger) {
    let route = ledger.route("get-item");
    route.count_live(
        &http::Method::GET,
        Some(http::StatusCode::OK),
        AnsweredBy::Old,
    );
    route.sample().finish(MISMATCH);
    route.sample().finish(Outcome::Match(Via::Exact));
    route.count_difference(Kind::Value);
    let timings = metrics.timings();
    timings.overhead(Duration::from_micros(3));
    timings.live(AnsweredBy::Old, Duration::from_millis(30));
    timings.answer(Stack::New, &route, Duration::from_millis(30));
}

/// The value of a series, named with its labels in alphabetical order.
fn series(text: &str, series: &str) -> Option<f64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(series));
    lines
        .find_map(|rest| rest.strip_prefix(' '))
        .map(|value| value.parse().unwrap())
}

#[test]
fn metrics_read_what_the_ledger_counted() {
    let (metrics, ledger, gauges) = metrics();
    exercise(&metrics, &ledger);
    gauges.export_dropped(Signal::Traces, 5);

    let text = metrics.text();

    for (name, value) in [
        (
            "twinread_live_requests_total{answered_by=\"old\",method=\"GET\",route=\"get-item\",status_class=\"2xx\"}",
            1.0,
        ),
        ("twinread_sampled_total{route=\"get-item\"}", 2.0),
        (
            "twinread_checks_total{detail=\"\",outcome=\"mismatch\",route=\"get-item\"}",
            1.0,
        ),
        (
            "twinread_checks_total{detail=\"exact\",outcome=\"match\",route=\"get-item\"}",
            1.0,
        ),
        (
            "twinread_differences_total{kind=\"value\",route=\"get-item\"}",
            1.0,
        ),
        ("twinread_rule_masked_total{rule=\"http-date\"}", 3.0),
        ("twinread_rule_applied_total{rule=\"http-date\"}", 7.0),
        ("twinread_export_dropped_total{signal=\"traces\"}", 5.0),
        ("twinread_captured_bytes", 0.0),
        ("twinread_queue_length", 0.0),
        ("twinread_shadow_in_flight", 0.0),
        ("twinread_breaker_open", 0.0),
        ("twinread_settings_revision", 0.0),
        ("twinread_reload_failures_total", 0.0),
        ("twinread_build_info{version=\"0.1.0\"}", 1.0),
        ("twinread_live_overhead_seconds_count", 1.0),
        ("twinread_live_seconds_count{answered_by=\"old\"}", 1.0),
        ("twinread_live_overhead_seconds_bucket{le=\"0.00001\"}", 1.0),
        (
            "twinread_answer_seconds_bucket{route=\"get-item\",stack=\"new\",le=\"0.025\"}",
            0.0,
        ),
        (
            "twinread_answer_seconds_bucket{route=\"get-item\",stack=\"new\",le=\"+Inf\"}",
            1.0,
        ),
    ] {
        assert_eq!(series(&text, name), Some(value), "{name} in\n{text}");
    }
}

#[test]
fn metrics_show_the_verdict_and_what_it_needs() {
    let (metrics, ledger, _) = metrics();
    exercise(&metrics, &ledger);
    let text = metrics.text();
    for (name, value) in [
        (
            "twinread_mismatch_upper_bound_ratio{route=\"get-item\"}",
            0.25,
        ),
        (
            "twinread_mismatch_lower_bound_ratio{route=\"get-item\"}",
            0.125,
        ),
        ("twinread_mismatch_limit_ratio{route=\"get-item\"}", 0.001),
        ("twinread_coverage_ratio{route=\"get-item\"}", 0.5),
        ("twinread_route_required{route=\"get-item\"}", 1.0),
        ("twinread_soak_clean_seconds", 60.0),
        ("twinread_soak_required_seconds", 600.0),
        ("twinread_coverage_limit_ratio", 0.9),
        (
            "twinread_rule_expiry_time_seconds{rule=\"http-date\"}",
            1.8e9,
        ),
        ("twinread_verdict{verdict=\"undecided\"}", 1.0),
        ("twinread_verdict{verdict=\"safe\"}", 0.0),
    ] {
        assert_eq!(series(&text, name), Some(value), "{name} in\n{text}");
    }
}

#[test]
fn every_metric_has_help_and_a_name_by_the_conventions() {
    let (metrics, ledger, _) = metrics();
    exercise(&metrics, &ledger);
    let text = metrics.text();

    let mut names = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            let is_duration = ["_overhead_seconds", "_answer_seconds", "_live_seconds"];
            let is_duration = is_duration.iter().any(|end| name.ends_with(end));
            assert_eq!(kind == "histogram", is_duration, "{line}");
            assert!(text.contains(&format!("# HELP {name} ")), "{line}");
            names.push(name);
        } else if !line.starts_with('#') {
            let is_own = line.starts_with("twinread_") || line.starts_with("process_");
            assert!(is_own, "{line}");
            assert!(!line.contains("otel_scope"), "{line}");
        }
    }
    assert_eq!(names.len(), 43, "{names:?}");
}

#[test]
fn a_series_with_labels_begins_with_its_first_event() {
    let (metrics, ledger, gauges) = metrics();
    ledger.route("get-item");
    let with_labels = |text: &str| {
        let lines = text.lines().filter(|line| line.contains("_total{"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let rules = ["applied", "masked"].map(|what| format!("twinread_rule_{what}_total"));
    let mut before = with_labels(&metrics.text());
    before.retain(|line| !rules.iter().any(|rule| line.starts_with(rule)));
    assert_eq!(before, Vec::<String>::new());
    assert_eq!(
        series(&metrics.text(), "twinread_reload_failures_total"),
        Some(0.0)
    );

    gauges.export_dropped(Signal::Store, 1);
    let after = with_labels(&metrics.text());
    let dropped = "twinread_export_dropped_total{signal=\"store\"} 1".to_owned();
    assert!(after.contains(&dropped), "{after:?}");
}

#[test]
fn a_route_that_only_matches_has_few_series() {
    let (metrics, ledger, _) = metrics();
    let route = ledger.route("get-item");
    route.count_live(
        &http::Method::GET,
        Some(http::StatusCode::OK),
        AnsweredBy::Old,
    );
    for via in [Via::Exact, Via::Rules] {
        route.sample().finish(Outcome::Match(via));
    }
    for stack in [Stack::Old, Stack::New] {
        let timings = metrics.timings();
        timings.answer(stack, &route, Duration::from_millis(30));
    }

    let text = metrics.text();
    let of_route = text
        .lines()
        .filter(|line| line.contains("route=\"get-item\""));
    assert_eq!(of_route.count(), 29, "{text}");
    let buckets = text
        .lines()
        .filter(|line| line.contains("stack=\"new\",le="));
    assert_eq!(buckets.count(), 8, "{text}");
}

#[test]
fn no_route_is_folded_into_an_overflow_series() {
    let (metrics, ledger, _) = metrics();
    let outcomes = Outcome::ALL.into_iter();
    for (number, outcome) in
        (0..200).flat_map(|number| outcomes.clone().map(move |outcome| (number, outcome)))
    {
        let route = ledger.route(&format!("route-{number}"));
        route.sample().finish(outcome);
    }
    let text = metrics.text();
    let checks = text
        .lines()
        .filter(|line| line.starts_with("twinread_checks_total{"));
    assert_eq!(checks.count(), 200 * Outcome::ALL.len());
    assert!(!text.contains("overflow"));
}

#[test]
fn the_process_shows_its_own_figures() {
    let (metrics, _, _) = metrics();
    let text = metrics.text();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap().as_secs_f64();
    for (name, least, most) in [
        ("process_cpu_seconds_total", 0.0, 1e6),
        ("process_resident_memory_bytes", 1e6, 1e12),
        ("process_open_fds", 3.0, 1e6),
        ("process_max_fds", 3.0, 1e10),
        // The kernel's clock ticks, and both clocks may be apart by a little.
        ("process_start_time_seconds", now - 1e6, now + 2.0),
    ] {
        let value = series(&text, name).unwrap_or_else(|| panic!("{name} in\n{text}"));
        assert!((least..=most).contains(&value), "{name} {value}");
    }
}

#[tokio::test]
async fn metrics_are_pushed_once_more_when_the_drain_begins() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (tx, mut received) = mpsc::unbounded_channel();
    let receive = |State(tx): State<mpsc::UnboundedSender<_>>, body: Bytes| async move {
        let request = ExportMetricsServiceRequest::decode(body).unwrap();
        tx.send(request).unwrap();
    };
    let router = Router::new()
        .route("/v1/metrics", post(receive))
        .with_state(tx);
    tokio::spawn(axum::serve(listener, router).into_future());
    let (metrics, ledger, gauges) = metrics();
    exercise(&metrics, &ledger);
    let config = config(addr, Protocol::Http);
    let target = config
        .otlp
        .target(Signal::Metrics, &no_env, None)
        .unwrap()
        .unwrap();
    let push = Push::new(metrics, &target, gauges.clone(), &no_env).unwrap();
    let (signal, watch) = drain::channel();
    let running = tokio::spawn(push.run(watch));

    timeout(DEADLINE, signal.drain()).await.unwrap();

    timeout(DEADLINE, running).await.unwrap().unwrap();
    let request = received.try_recv().unwrap();
    let scopes = request
        .resource_metrics
        .iter()
        .flat_map(|resource| &resource.scope_metrics);
    let names: Vec<_> = scopes
        .flat_map(|scope| &scope.metrics)
        .map(|metric| &*metric.name)
        .collect();
    for name in [
        "twinread.sampled",
        "twinread.answer",
        "twinread.verdict",
        "twinread.mismatch.upper_bound",
        "process.cpu.time",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let is_of_prometheus = |name: &&str| name.ends_with("_total") || name.starts_with("twinread_");
    assert!(!names.iter().any(is_of_prometheus), "{names:?}");
    assert_eq!(gauges.exports_dropped(Signal::Metrics), 0);
}
