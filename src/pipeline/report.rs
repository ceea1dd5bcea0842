//! Redacted reports of checks, sent to exporters and the store.
//!
//! [`FinishedCheck::report`](super::FinishedCheck::report) builds a [`Report`] before it enters any queue. It contains
//! no personal data unless the configuration asks for it.

use crate::{
    advise::suggest::Hints,
    http_client::Target,
    outcome::Outcome,
    spanned_yaml::Choice,
    stack::Stack,
    trace_context::TraceContext,
    value::{Kind, Place},
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::{
    mem::size_of,
    sync::Arc,
    time::{Duration, SystemTime},
};
use utoipa::ToSchema;

/// Which checks are exported as traces: `telemetry.traced`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Traced {
    /// Mismatch, transient, noise and shadow error.
    #[default]
    Mismatch,
    All,
    None,
}

/// The trace that a check's span belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trace {
    /// A trace of its own, linked to the live one.
    #[default]
    Link,
    /// The live trace, if there is one.
    Child,
}

/// The report of one check, after redaction.
#[derive(Clone, Debug)]
pub struct Report {
    pub outcome: Outcome,
    pub route: Arc<str>,
    /// The path template of the route; `None` if a header or a pattern names it.
    pub template: Option<String>,
    /// The id of the epoch.
    pub epoch: Arc<str>,
    pub request: ReportedRequest,
    /// The check's own span.
    pub span: TraceContext,
    /// What was sent to the stacks, in the order of the answers.
    pub sent: Vec<SentRequest>,
    /// The span of the live request, if it had one.
    pub live: Option<TraceContext>,
    pub started: SystemTime,
    pub ended: SystemTime,
    pub old: Option<ReportedAnswer>,
    pub new: Option<ReportedAnswer>,
    /// The differences kept.
    pub differences: Vec<ReportedDifference>,
    /// The total number of differences.
    pub count: usize,
    pub rechecked: Rechecked<String>,
}

/// A request that a check sent to a stack. Its span is a child of the check's.
#[derive(Clone, Debug)]
pub struct SentRequest {
    pub stack: Stack,
    /// Where it was sent.
    pub target: Arc<Target>,
    /// The stack received it in `traceparent`.
    pub span_id: u64,
    pub started: SystemTime,
    pub ended: SystemTime,
    /// The status, or the kind of error that prevented an answer.
    pub result: Result<u16, &'static str>,
    /// What `grpc-status` says, if it was a call of gRPC.
    pub grpc_status: Option<u32>,
}

/// The request of a check after redaction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Request)]
pub struct ReportedRequest {
    pub method: String,
    pub path: String,
    #[schema(required)]
    pub query: Option<String>,
    /// Name and value, in order.
    pub headers: Vec<(String, String)>,
    #[schema(required)]
    pub body: Option<String>,
    /// The parts that redaction changed: `path`, `query`, `body`, `header.NAME`, `headers`.
    pub masked: Vec<String>,
}

/// The result of reading both stacks again. `P` is the type of a place.
#[derive(Clone, Debug, PartialEq)]
pub struct Rechecked<P> {
    /// How often both stacks were read again.
    pub count: u32,
    /// Whether the compared answers were read without the request's conditions.
    pub is_conditional: bool,
    /// From the first difference to the reading that showed none; `None` if no reading did.
    pub lag: Option<Duration>,
    /// Places where the old stack's own readings differ.
    pub noise: Vec<P>,
}

/// An answer after redaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Answer)]
pub struct ReportedAnswer {
    pub status: u16,
    pub duration_ms: f64,
    /// Name and value, in order.
    pub headers: Vec<(String, String)>,
    #[schema(required)]
    pub body: Option<String>,
    pub trailers: Vec<(String, String)>,
    /// The parts that redaction changed: `body`, `header.NAME`, `headers`, `trailers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masked: Vec<String>,
}

/// A difference after redaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Difference)]
pub struct ReportedDifference {
    pub place: String,
    #[schema(value_type = String)]
    pub kind: Kind,
    /// The id of its class.
    pub class: String,
    /// The place with array indices as `[*]`.
    #[serde(skip)]
    pub class_place: String,
    #[schema(required)]
    pub old: Option<String>,
    #[schema(required)]
    pub new: Option<String>,
    #[serde(skip)]
    pub basis: RuleEvidence,
}

/// The input for judging rules after the check. It is kept with the report and never exported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleEvidence {
    /// The original place; `None` if redaction masked a name in it.
    pub at: Option<Place>,
    pub hints: Hints,
    /// The values of both sides, including absence, if redaction left both unchanged.
    pub shown: Option<[Option<Json>; 2]>,
}

// === impl Trace ===

impl Choice for Trace {
    const WORDS: &'static [(&'static str, Self)] = &[("link", Self::Link), ("child", Self::Child)];
}

// === impl Traced ===

impl Choice for Traced {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("mismatch", Self::Mismatch),
        ("all", Self::All),
        ("none", Self::None),
    ];
}

impl Traced {
    /// Whether a check with this outcome is exported as a trace.
    pub fn admits(self, outcome: Outcome) -> bool {
        match self {
            Self::Mismatch => outcome.is_deviation(),
            Self::All => true,
            Self::None => false,
        }
    }
}

// === impl Report ===

impl Report {
    /// The approximate size in bytes.
    pub fn size(&self) -> usize {
        let answers = [&self.old, &self.new].into_iter().flatten();
        let answers = answers.map(|answer| {
            pairs(&answer.headers) + pairs(&answer.trailers) + optional(answer.body.as_ref())
        });
        let differences = self.differences.iter().map(|difference| {
            let texts =
                difference.place.len() + difference.class.len() + difference.class_place.len();
            size_of::<ReportedDifference>()
                + difference.basis.hints.size()
                + texts
                + optional(difference.old.as_ref())
                + optional(difference.new.as_ref())
        });
        let request = &self.request;
        size_of::<Self>()
            + self.sent.len() * size_of::<SentRequest>()
            + optional(self.template.as_ref())
            + request.path.len()
            + optional(request.query.as_ref())
            + optional(request.body.as_ref())
            + pairs(&request.headers)
            + request.masked.iter().map(String::len).sum::<usize>()
            + answers.sum::<usize>()
            + differences.sum::<usize>()
            + self.rechecked.noise.iter().map(String::len).sum::<usize>()
    }
}

// === impl Rechecked ===

impl<P> Default for Rechecked<P> {
    fn default() -> Self {
        Self {
            count: 0,
            is_conditional: false,
            lag: None,
            noise: Vec::new(),
        }
    }
}

impl<P> Rechecked<P> {
    /// The lag in whole milliseconds.
    pub fn lag_ms(&self) -> Option<u64> {
        let lag = self.lag?.as_millis();
        Some(lag.try_into().unwrap_or(u64::MAX))
    }
}

// === impl ReportedAnswer ===

impl ReportedAnswer {
    /// The redacted value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().find(|(own, _)| own == name);
        named.map(|(_, value)| value.as_str())
    }
}

fn optional(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

fn pairs(pairs: &[(String, String)]) -> usize {
    let sizes = pairs.iter().map(|(name, value)| name.len() + value.len());
    sizes.sum::<usize>() + size_of_val(pairs)
}
