//! The trace context of a check.

use super::{Settings, Trace};
use crate::{
    pipeline::{ReadRequest, Traced},
    trace_context::TraceContext,
};
use std::time::SystemTime;

#[derive(Debug)]
pub(super) struct Span {
    /// Sent to the shadow as the parent of its own spans.
    pub(super) own: TraceContext,
    /// The span of the live request, if it had one.
    pub(super) live: Option<TraceContext>,
    pub(super) started: SystemTime,
}

// === impl Span ===

impl Span {
    /// Starts the span of a check, in a trace of its own or within the live one.
    pub(super) fn new(request: &ReadRequest, settings: &Settings) -> Self {
        let live = TraceContext::of(&request.headers);
        let span_id = rand::random_range(1..=u64::MAX);
        let own = match (&live, settings.trace) {
            (Some(live), Trace::Child) => TraceContext {
                span_id,
                ..live.clone()
            },
            _ => TraceContext {
                trace_id: rand::random_range(1..=u128::MAX),
                span_id,
                flags: u8::from(settings.traced != Traced::None),
                state: String::new(),
            },
        };
        Self {
            own,
            live,
            started: SystemTime::now(),
        }
    }
}
