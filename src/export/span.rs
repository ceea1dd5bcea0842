//! A check as a span.

use crate::{
    outcome::Outcome,
    pipeline::{Report, ReportedDifference},
    trace_context::TraceContext,
};
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{Event, Link, SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::time::SystemTime;

/// The span of a check. Its ids are fixed, because the replay has already sent them to the new stack.
///
/// A check within the live trace is a child of the live span; one in its own trace is linked to it.
pub(crate) fn span(report: &Report, scope: &InstrumentationScope) -> SpanData {
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
        // The span of the replay; the new stack's spans are its children.
        span_kind: SpanKind::Client,
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

/// Where a span was created.
#[derive(Clone, Copy, PartialEq)]
enum Origin {
    Here,
    Elsewhere,
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
        KeyValue::new("place", difference.place.clone()),
        KeyValue::new("kind", difference.kind.name()),
    ];
    let sides = [("old", &difference.old), ("new", &difference.new)];
    attributes.extend(sides.into_iter().filter_map(|(side, value)| {
        let value = value.as_ref()?;
        Some(KeyValue::new(side, value.clone()))
    }));
    Event::new("twinread.difference", at, attributes, 0)
}

fn attributes(report: &Report) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("http.request.method", report.request.method.clone()),
        KeyValue::new("http.route", report.route.clone()),
        KeyValue::new("url.path", report.request.path.clone()),
        KeyValue::new("twinread.outcome", report.outcome.name()),
        KeyValue::new("twinread.epoch", report.epoch.clone()),
        KeyValue::new("twinread.differences", report.count as i64),
    ];
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
    if report.rechecked.is_conditional {
        attributes.push(KeyValue::new("twinread.conditional", true));
    }
    if let Some(lag) = report.rechecked.lag_ms() {
        let lag = i64::try_from(lag).unwrap_or(i64::MAX);
        attributes.push(KeyValue::new("twinread.lag_ms", lag));
    }
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
