//! A check as a span, and what it sent to the stacks as spans below it.

use crate::{
    http_client::Via,
    outcome::Outcome,
    pipeline::{Report, ReportedDifference, SentRequest},
    trace_context::TraceContext,
    value::grpc,
};
use http::{Method, header::CONTENT_TYPE};
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{Event, Link, SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::time::SystemTime;

/// Where a span was created.
#[derive(Clone, Copy, PartialEq)]
enum Origin {
    Here,
    Elsewhere,
}

/// The only source of checks so far.
const SOURCE: &str = "live";

/// The span of a check, then those of its requests. Their ids are fixed, because the stacks have received them.
pub(crate) fn spans(report: &Report, scope: &InstrumentationScope) -> Vec<SpanData> {
    let mut spans = vec![check(report, scope)];
    let requests = report.sent.iter();
    spans.extend(requests.map(|sent| request(sent, report, scope)));
    spans
}

/// A check within the live trace is a child of the live span; one in its own trace is linked to it.
fn check(report: &Report, scope: &InstrumentationScope) -> SpanData {
    let live = report.live.as_ref();
    let parent = live.filter(|live| live.trace_id == report.span.trace_id);
    let mut links = SpanLinks::default();
    if parent.is_none() {
        let link = |live| Link::new(context(live, Origin::Elsewhere), Vec::new(), 0);
        links.links.extend(live.map(link));
    }
    let mut events = SpanEvents::default();
    let differences = report.differences.iter();
    events.events = differences
        .map(|difference| event(difference, report.ended))
        .collect();
    let left_out = report.count.saturating_sub(report.differences.len());
    events.dropped_count = left_out.try_into().unwrap_or(u32::MAX);
    SpanData {
        span_context: context(&report.span, Origin::Here),
        parent_span_id: parent.map_or(SpanId::INVALID, |live| live.span_id.into()),
        parent_span_is_remote: parent.is_some(),
        span_kind: SpanKind::Internal,
        name: "twinread.check".into(),
        start_time: report.started,
        end_time: report.ended,
        attributes: attributes(report),
        dropped_attributes_count: 0,
        events,
        links,
        status: status(report),
        instrumentation_scope: scope.clone(),
    }
}

/// One request, by the conventions for HTTP clients, or for those of gRPC.
fn request(sent: &SentRequest, report: &Report, scope: &InstrumentationScope) -> SpanData {
    let own = TraceContext {
        span_id: sent.span_id,
        ..report.span.clone()
    };
    let error = error_type(sent, report);
    let mut attributes = request_attributes(sent, report);
    let status = if error.is_some() {
        Status::error("")
    } else {
        Status::Unset
    };
    attributes.extend(error.map(|error| KeyValue::new("error.type", error)));
    SpanData {
        span_context: context(&own, Origin::Here),
        parent_span_id: report.span.span_id.into(),
        parent_span_is_remote: false,
        span_kind: SpanKind::Client,
        name: rpc_method(report)
            .unwrap_or(&report.request.method)
            .to_owned()
            .into(),
        start_time: sent.started,
        end_time: sent.ended,
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status,
        instrumentation_scope: scope.clone(),
    }
}

fn request_attributes(sent: &SentRequest, report: &Report) -> Vec<KeyValue> {
    let target = &sent.target;
    let request = &report.request;
    let address = match &target.via {
        Via::Unix(path) => path.display().to_string(),
        Via::Tcp | Via::Tls(_) => target.host_name().to_owned(),
    };
    let mut attributes = vec![
        KeyValue::new("server.address", address),
        KeyValue::new("twinread.stack", sent.stack.name()),
    ];
    if let Some(method) = rpc_method(report) {
        attributes.push(KeyValue::new("rpc.system.name", "grpc"));
        attributes.push(KeyValue::new("rpc.method", method.to_owned()));
    } else {
        let mut url = format!("{}{}", target.url_by_name(), request.path);
        if let Some(query) = &request.query {
            url.push('?');
            url.push_str(query);
        }
        attributes.push(KeyValue::new("http.request.method", request.method.clone()));
        attributes.push(KeyValue::new("url.full", url));
    }
    if let Some(code) = sent.grpc_status {
        let name = grpc::status_name(code);
        attributes.push(KeyValue::new("rpc.response.status_code", name.into_owned()));
    }
    if !matches!(target.via, Via::Unix(_)) {
        attributes.push(KeyValue::new("server.port", i64::from(target.port())));
    }
    if let Ok(status) = sent.result {
        let status = KeyValue::new("http.response.status_code", i64::from(status));
        attributes.push(status);
    }
    attributes
}

/// The method that a call of gRPC names: `package.Service/Method`.
fn rpc_method(report: &Report) -> Option<&str> {
    let headers = report.request.headers.iter();
    let mut types = headers.filter(|(name, _)| name == CONTENT_TYPE.as_str());
    let media_type = types.next()?.1.split(';').next()?;
    let is_call =
        grpc::is_grpc(media_type.trim()) && report.request.method == Method::POST.as_str();
    is_call.then(|| report.request.path.trim_start_matches('/'))
}

/// For a client, an answer of 400 or more is an error as well, and so is a call that did not end well.
fn error_type(sent: &SentRequest, report: &Report) -> Option<String> {
    let code = sent.grpc_status.filter(|_| rpc_method(report).is_some());
    match sent.result {
        Ok(200) if code.is_some_and(|code| code != 0) => {
            code.map(|code| grpc::status_name(code).into_owned())
        }
        Ok(status) => (status >= 400).then(|| status.to_string()),
        Err(kind) => Some(kind.to_owned()),
    }
}

fn context(context: &TraceContext, origin: Origin) -> SpanContext {
    let flags = match origin {
        // Exported spans are sampled, whatever the live trace decided.
        Origin::Here => TraceFlags::new(context.flags) | TraceFlags::SAMPLED,
        Origin::Elsewhere => TraceFlags::new(context.flags),
    };
    SpanContext::new(
        TraceId::from(context.trace_id),
        SpanId::from(context.span_id),
        flags,
        origin == Origin::Elsewhere,
        context.state.parse::<TraceState>().unwrap_or_default(),
    )
}

fn event(difference: &ReportedDifference, at: SystemTime) -> Event {
    let mut attributes = vec![
        KeyValue::new("twinread.difference.place", difference.place.clone()),
        KeyValue::new("twinread.difference.kind", difference.kind.name()),
    ];
    let sides = [
        ("twinread.difference.old", &difference.old),
        ("twinread.difference.new", &difference.new),
    ];
    attributes.extend(sides.into_iter().filter_map(|(side, value)| {
        let value = value.as_ref()?;
        Some(KeyValue::new(side, value.clone()))
    }));
    Event::new("twinread.difference", at, attributes, 0)
}

fn attributes(report: &Report) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("http.request.method", report.request.method.clone()),
        KeyValue::new("url.path", report.request.path.clone()),
        KeyValue::new("twinread.route", report.route.clone()),
        KeyValue::new("twinread.outcome", report.outcome.name()),
        KeyValue::new("twinread.epoch", report.epoch.clone()),
        KeyValue::new("twinread.source", SOURCE),
        KeyValue::new("twinread.differences", report.count as i64),
    ];
    if let Some(template) = &report.template {
        attributes.push(KeyValue::new("http.route", template.clone()));
    }
    if let Some(query) = &report.request.query {
        attributes.push(KeyValue::new("url.query", query.clone()));
    }
    match (report.outcome, report.outcome.detail()) {
        (_, "") => {}
        (Outcome::Match(_), via) => attributes.push(KeyValue::new("twinread.via", via)),
        (_, reason) => attributes.push(KeyValue::new("twinread.reason", reason)),
    }
    if let Some(first) = report.differences.first() {
        attributes.push(KeyValue::new("twinread.class", first.class.clone()));
    }
    if report.rechecked.count > 0 {
        let count = i64::from(report.rechecked.count);
        attributes.push(KeyValue::new("twinread.rechecks", count));
    }
    if let Some(lag) = report.rechecked.lag_ms() {
        let lag = i64::try_from(lag).unwrap_or(i64::MAX);
        attributes.push(KeyValue::new("twinread.lag_ms", lag));
    }
    attributes.extend(answer_attributes(report));
    attributes
}

fn answer_attributes(report: &Report) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(4);
    for (side, answer) in [("old", &report.old), ("new", &report.new)] {
        if let Some(answer) = answer {
            let (status, duration) = (i64::from(answer.status), answer.duration_ms);
            attributes.push(KeyValue::new(format!("twinread.{side}.status"), status));
            attributes.push(KeyValue::new(
                format!("twinread.{side}.duration_ms"),
                duration,
            ));
        }
    }
    attributes
}

fn status(report: &Report) -> Status {
    match report.outcome {
        Outcome::Mismatch(_) => Status::error("the answers differ"),
        Outcome::ShadowError(kind) => Status::error(kind.name()),
        _ => Status::Unset,
    }
}
