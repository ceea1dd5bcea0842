//! Stored examples, as the admin API shows them.

use crate::{
    pipeline::{Report, ReportedAnswer, ReportedDifference, ReportedRequest},
    trace_context::TraceContext,
};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, sync::Arc, time::SystemTime};
use utoipa::ToSchema;

/// One stored example.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Mismatch {
    pub id: String,
    pub route: Arc<str>,
    pub outcome: String,
    /// `auth`, `unconfirmed`, `vanished`, or the kind of a shadow error.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub detail: String,
    pub epoch: Arc<str>,
    pub started: Stamp,
    pub ended: Stamp,
    pub trace_id: String,
    /// Where the trace can be looked at, if `telemetry.trace_url` says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trace_url: Option<String>,
    pub span_id: String,
    /// The trace of the live request, if it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_trace_id: Option<String>,
    pub request: ReportedRequest,
    #[schema(required)]
    pub old: Option<ReportedAnswer>,
    #[schema(required)]
    pub new: Option<ReportedAnswer>,
    /// The total number of differences; not all of them may be kept.
    pub count: usize,
    /// How often both stacks were read again.
    pub rechecks: u32,
    /// Whether both stacks were read without the conditions of the request, which had left nothing to compare.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub conditional: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
    /// Places where the old stack's own readings differ.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub noise: Vec<String>,
    pub differences: Vec<ReportedDifference>,
}

/// A class of differences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Class {
    pub id: String,
    pub route: Arc<str>,
    /// With array indices as `[*]`.
    pub place: String,
    pub kind: String,
    /// `breaking` if the kind keeps callers from reading the answer as before, else `value`.
    #[schema(example = "breaking")]
    pub severity: String,
    /// The number of checks that showed it.
    pub count: u64,
    /// The number of its stored examples.
    pub kept: u64,
    pub first_seen: Stamp,
    pub last_seen: Stamp,
    /// The ids of its newest examples, newest first.
    pub examples: Vec<String>,
}

/// A point in time, serialized as RFC 3339 with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct Stamp(pub SystemTime);

// === impl Mismatch ===

impl Mismatch {
    pub(crate) fn of(report: &Report) -> Self {
        let trace_id = |context: &TraceContext| format!("{:032x}", context.trace_id);
        let span_id = format!("{:016x}", report.span.span_id);
        Self {
            // The random span id identifies one check, so that a trace leads to its example.
            id: span_id.clone(),
            route: report.route.clone(),
            outcome: report.outcome.name().to_owned(),
            detail: report.outcome.detail().to_owned(),
            epoch: report.epoch.clone(),
            started: Stamp(report.started),
            ended: Stamp(report.ended),
            trace_id: trace_id(&report.span),
            trace_url: None,
            span_id,
            live_trace_id: report.live.as_ref().map(trace_id),
            request: report.request.clone(),
            old: report.old.clone(),
            new: report.new.clone(),
            count: report.count,
            rechecks: report.rechecked.count,
            conditional: report.rechecked.is_conditional,
            lag_ms: report.rechecked.lag_ms(),
            noise: report.rechecked.noise.clone(),
            differences: report.differences.clone(),
        }
    }
}

// === impl Stamp ===

impl Stamp {
    /// Milliseconds since 1970; [`Timestamp::MAX`] if out of range.
    pub(super) fn millis(self) -> i64 {
        let timestamp = Timestamp::try_from(self.0).unwrap_or(Timestamp::MAX);
        timestamp.as_millisecond()
    }

    pub(super) fn of_millis(millis: i64) -> Self {
        let timestamp = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
        Self(timestamp.into())
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A clock that is this far off does not justify an error.
        let timestamp = Timestamp::try_from(self.0).unwrap_or(Timestamp::MAX);
        write!(f, "{timestamp:.3}")
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let timestamp: Timestamp = text.parse().map_err(de::Error::custom)?;
        Ok(Self(timestamp.into()))
    }
}
