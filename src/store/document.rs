//! Stored examples, as the admin API shows them.

use crate::{
    outcome::Outcome,
    pipeline::{Report, ReportedAnswer, ReportedDifference, RuleEvidence},
    trace_context::TraceContext,
    value::Kind,
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
    #[serde(deserialize_with = "outcome")]
    #[schema(value_type = String)]
    pub outcome: Name,
    /// `auth`, `unconfirmed`, `vanished`, or the kind of a shadow error.
    #[serde(
        skip_serializing_if = "str::is_empty",
        deserialize_with = "detail",
        default
    )]
    #[schema(value_type = String)]
    pub detail: Name,
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
    /// The total number of differences; not all of them may be kept.
    pub count: usize,
    /// How often both stacks were read again.
    pub rechecks: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
    /// Places where the old stack's own readings differ.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub noise: Vec<String>,
    pub differences: Vec<Difference>,
}

/// A class of differences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Class {
    pub id: String,
    pub route: Arc<str>,
    /// With array indices as `[*]`.
    pub place: String,
    pub kind: String,
    /// The number of checks that showed it.
    pub count: u64,
    /// The number of its stored examples.
    pub kept: u64,
    pub first_seen: Stamp,
    pub last_seen: Stamp,
    /// The ids of its newest examples, newest first.
    pub examples: Vec<String>,
}

/// One of a fixed list of names. An alias, because serde would otherwise borrow it from the input.
type Name = &'static str;

/// A point in time, serialized as RFC 3339 with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct Stamp(pub SystemTime);

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Request {
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

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Answer {
    pub status: u16,
    pub duration_ms: f64,
    /// Name and value, in order.
    pub headers: Vec<(String, String)>,
    #[schema(required)]
    pub body: Option<String>,
    pub trailers: Vec<(String, String)>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    pub place: String,
    #[serde(serialize_with = "by_name", deserialize_with = "kind")]
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
    pub basis: RuleEvidence,
}

// === impl Mismatch ===

impl Mismatch {
    pub(super) fn of(report: &Report) -> Self {
        let trace_id = |context: &TraceContext| format!("{:032x}", context.trace_id);
        let span_id = format!("{:016x}", report.span.span_id);
        Self {
            // The random span id identifies one check, so that a trace leads to its example.
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
                method: report.request.method.clone(),
                path: report.request.path.clone(),
                query: report.request.query.clone(),
                headers: report.request.headers.clone(),
                body: report.request.body.clone(),
                masked: report.request.masked.clone(),
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
    /// The redacted value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().find(|(own, _)| own == name);
        named.map(|(_, value)| value.as_str())
    }

    fn of(told: &ReportedAnswer) -> Self {
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
    fn of(told: &ReportedDifference) -> Self {
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

fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
    let name = String::deserialize(deserializer)?;
    let found = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    found.ok_or_else(|| de::Error::custom(format_args!("no kind of differences: {name}")))
}

fn outcome<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
    one_of(Outcome::ALL.map(Outcome::name), deserializer)
}

fn detail<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
    one_of(Outcome::ALL.map(Outcome::detail), deserializer)
}

fn one_of<'de, D: Deserializer<'de>>(
    names: impl IntoIterator<Item = Name>,
    deserializer: D,
) -> Result<Name, D::Error> {
    let name = String::deserialize(deserializer)?;
    let found = names.into_iter().find(|known| *known == name);
    found.ok_or_else(|| de::Error::custom(format_args!("no name of an outcome: {name}")))
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
