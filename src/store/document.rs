//! What is stored, as the admin API shows it.

use crate::{
    compare::Kind,
    handoff::{Basis, Report, Told, ToldAnswer},
    trace_context::TraceContext,
};
use serde::{Serialize, Serializer};
use std::{sync::Arc, time::SystemTime};
use utoipa::ToSchema;

/// One stored example.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Mismatch {
    pub id: String,
    pub route: Arc<str>,
    pub outcome: &'static str,
    /// `auth`, `unconfirmed`, or the kind of a shadow error.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub detail: &'static str,
    pub epoch: Arc<str>,
    pub started: Stamp,
    pub ended: Stamp,
    pub trace_id: String,
    pub span_id: String,
    /// The trace of the live request, if it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_trace_id: Option<String>,
    pub request: Request,
    #[schema(required)]
    pub old: Option<Answer>,
    #[schema(required)]
    pub new: Option<Answer>,
    /// How many differences there were; not all of them may be kept.
    pub count: usize,
    /// How often both stacks were read again.
    pub rechecks: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
    /// Places at which readings of the old stack differ from each other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub noise: Vec<String>,
    pub differences: Vec<Difference>,
}

/// A class of differences.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Class {
    pub id: String,
    pub route: Arc<str>,
    /// With array indices as `[*]`.
    pub place: String,
    pub kind: &'static str,
    /// Checks that showed it.
    pub count: u64,
    pub first_seen: Stamp,
    pub last_seen: Stamp,
    /// Ids of stored examples, the newest first.
    pub examples: Vec<String>,
}

/// A point in time; serialized by RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct Stamp(pub SystemTime);

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Request {
    pub method: String,
    pub path: String,
    #[schema(required)]
    pub query: Option<String>,
    /// Name and value, in order.
    pub headers: Vec<(String, String)>,
    #[schema(required)]
    pub body: Option<String>,
    /// What of it is told otherwise than it was: `path`, `query`, `body`, `header.NAME`, `headers`.
    pub masked: Vec<String>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Answer {
    pub status: u16,
    pub duration_ms: f64,
    /// Name and value, in order.
    pub headers: Vec<(String, String)>,
    #[schema(required)]
    pub body: Option<String>,
    pub trailers: Vec<(String, String)>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Difference {
    pub place: String,
    #[serde(serialize_with = "by_name")]
    #[schema(value_type = String)]
    pub kind: Kind,
    /// The id of its class.
    pub class: String,
    #[schema(required)]
    pub old: Option<String>,
    #[schema(required)]
    pub new: Option<String>,
    /// With array indices as `[*]`.
    #[serde(skip)]
    pub class_place: String,
    #[serde(skip)]
    pub basis: Basis,
}

// === impl Mismatch ===

impl Mismatch {
    pub(super) fn of(report: &Report) -> Self {
        let trace_id = |context: &TraceContext| format!("{:032x}", context.trace_id);
        let span_id = format!("{:016x}", report.span.span_id);
        Self {
            // A span id is drawn at random and names one check: who has the trace has the example.
            id: span_id.clone(),
            route: report.route.clone(),
            outcome: report.outcome.name(),
            detail: report.outcome.detail(),
            epoch: report.epoch.clone(),
            started: Stamp(report.started),
            ended: Stamp(report.ended),
            trace_id: trace_id(&report.span),
            span_id,
            live_trace_id: report.live.as_ref().map(trace_id),
            request: Request {
                method: report.method.clone(),
                path: report.path.clone(),
                query: report.query.clone(),
                headers: report.request_headers.clone(),
                body: report.request_body.clone(),
                masked: report.request_masked.clone(),
            },
            old: report.old.as_ref().map(Answer::of),
            new: report.new.as_ref().map(Answer::of),
            count: report.count,
            rechecks: report.rechecked.count,
            lag_ms: report.rechecked.lag_ms(),
            noise: report.rechecked.noise.clone(),
            differences: report.differences.iter().map(Difference::of).collect(),
        }
    }
}

// === impl Answer ===

impl Answer {
    /// The value of a header, as it is told.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().find(|(own, _)| own == name);
        named.map(|(_, value)| value.as_str())
    }

    fn of(told: &ToldAnswer) -> Self {
        Self {
            status: told.status,
            duration_ms: told.duration_ms(),
            headers: told.headers.clone(),
            body: told.body.clone(),
            trailers: told.trailers.clone(),
        }
    }
}

// === impl Difference ===

impl Difference {
    fn of(told: &Told) -> Self {
        Self {
            place: told.place.clone(),
            kind: told.kind,
            class: told.class.clone(),
            old: told.old.clone(),
            new: told.new.clone(),
            class_place: told.class_place.clone(),
            basis: told.basis.clone(),
        }
    }
}

fn by_name<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

// === impl Stamp ===

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match jiff::Timestamp::try_from(self.0) {
            Ok(timestamp) => serializer.collect_str(&format_args!("{timestamp:.3}")),
            // A clock that far off is not worth failing for.
            Err(_) => serializer.serialize_none(),
        }
    }
}
