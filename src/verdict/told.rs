//! The document of `GET /v1/verdict`.

use super::{
    Figures, Outcomes,
    evidence::{Epoch, Latency},
};
use crate::outcome::{Mark, Outcome, Via};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, sync::Arc};
use utoipa::ToSchema;

/// Whether the switch is safe, and why (not).
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Verdict {
    pub verdict: Decision,
    pub epoch: Epoch,
    pub confidence: f64,
    /// What prevents `safe`; the gravest first.
    pub reasons: Vec<Finding>,
    pub soak: Soak,
    pub routes: Vec<RouteVerdict>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    Safe,
    Unsafe,
    Undecided,
}

/// One reason why the verdict is not `safe`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    pub code: Code,
    /// The route that it is about; absent if it is about all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Arc<str>>,
    /// How many more clean checks are needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks_needed: Option<u64>,
    /// How long that takes at the present pace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<u64>,
    /// A text for people.
    pub detail: String,
}

/// What a [`Finding`] is: a closed list, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    MismatchRate,
    ErrorRate,
    Regressed,
    TransientRate,
    NoiseRate,
    Uncompared,
    Coverage,
    Latency,
    SameStack,
    MixedBuilds,
    RuleExpired,
    Paused,
    NoTraffic,
    RouteUnseen,
    Soak,
    MoreKeys,
    MoreChecks,
}

/// The clean record of all required routes: that of the route with the shortest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Soak {
    pub required_seconds: u64,
    pub clean_seconds: u64,
}

/// One route's part of the verdict.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RouteVerdict {
    pub route: Arc<str>,
    pub required: bool,
    /// Named in `verdict.exempt`: never required.
    pub exempt: bool,
    pub state: Decision,
    #[serde(flatten)]
    pub counts: Counts,
    pub mismatch_rate: Rate,
    pub error_rate: Rate,
    pub transient_rate: Rate,
    pub noise_rate: Rate,
    pub uncompared_rate: Rate,
    /// Share of the evidence that ended in a comparison; `None` without evidence.
    #[schema(required)]
    pub coverage: Option<f64>,
    /// Number of distinct keys if reads are sampled by key.
    #[schema(required)]
    pub distinct_keys: Option<u64>,
    pub latency: Latency,
}

/// The counts of a route.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Counts {
    pub live: u64,
    pub reads: u64,
    pub sampled: u64,
    /// Samples that are not evidence yet; over all epochs, samples that have not ended.
    pub waiting: u64,
    /// Samples that callers requested. They are no evidence.
    pub forced: u64,
    /// Ended checks that began later, because their record had just been written.
    pub delayed: u64,
    #[serde(rename = "match")]
    pub matched: Matches,
    pub mismatch: u64,
    /// Mismatches by mark: `auth`, `unconfirmed`. Only those that occurred.
    pub marked: BTreeMap<&'static str, u64>,
    pub transient: u64,
    pub noise: u64,
    /// By kind; only those that occurred.
    pub shadow_error: BTreeMap<&'static str, u64>,
    /// By reason; only those that occurred.
    pub not_compared: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Matches {
    pub exact: u64,
    pub rules: u64,
}

/// A rate with its limit and its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rate {
    pub limit: f64,
    pub lower: f64,
    /// `None` while nothing was counted.
    #[schema(required)]
    pub estimate: Option<f64>,
    pub upper: f64,
}

// === impl Verdict ===

impl Verdict {
    pub fn is_safe(&self) -> bool {
        self.verdict == Decision::Safe
    }
}

// === impl Decision ===

impl Decision {
    pub const ALL: [Self; 3] = [Self::Safe, Self::Unsafe, Self::Undecided];

    pub fn name(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Unsafe => "unsafe",
            Self::Undecided => "undecided",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Code ===

impl Code {
    pub fn name(self) -> &'static str {
        match self {
            Self::MismatchRate => "mismatch_rate",
            Self::ErrorRate => "error_rate",
            Self::Regressed => "regressed",
            Self::TransientRate => "transient_rate",
            Self::NoiseRate => "noise_rate",
            Self::Uncompared => "uncompared",
            Self::Coverage => "coverage",
            Self::Latency => "latency",
            Self::SameStack => "same_stack",
            Self::MixedBuilds => "mixed_builds",
            Self::RuleExpired => "rule_expired",
            Self::Paused => "paused",
            Self::NoTraffic => "no_traffic",
            Self::RouteUnseen => "route_unseen",
            Self::Soak => "soak",
            Self::MoreKeys => "more_keys",
            Self::MoreChecks => "more_checks",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Finding ===

/// Omits the figures, which change all the time.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.route {
            Some(route) => write!(f, "{} ({route})", self.code),
            None => write!(f, "{}", self.code),
        }
    }
}

impl Finding {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            route: None,
            checks_needed: None,
            eta_seconds: None,
            detail: detail.into(),
        }
    }

    pub fn of(self, route: &Arc<str>) -> Self {
        Self {
            route: Some(route.clone()),
            ..self
        }
    }
}

// === impl Counts ===

impl From<&Figures> for Counts {
    fn from(figures: &Figures) -> Self {
        let outcomes = &figures.outcomes;
        Self {
            live: figures.live,
            reads: figures.reads,
            sampled: figures.sampled,
            waiting: figures.waiting,
            forced: figures.forced,
            delayed: figures.delayed,
            matched: Matches {
                exact: outcomes.get(Outcome::Match(Via::Exact)),
                rules: outcomes.get(Outcome::Match(Via::Rules)),
            },
            mismatch: outcomes.mismatches(),
            marked: details(
                outcomes,
                |outcome| matches!(outcome, Outcome::Mismatch(mark) if mark != Mark::Plain),
            ),
            transient: outcomes.get(Outcome::Transient),
            noise: outcomes.get(Outcome::Noise),
            shadow_error: details(outcomes, |outcome| {
                matches!(outcome, Outcome::ShadowError(_))
            }),
            not_compared: details(outcomes, |outcome| {
                matches!(outcome, Outcome::NotCompared(_))
            }),
        }
    }
}

fn details(outcomes: &Outcomes, is_meant: impl Fn(Outcome) -> bool) -> BTreeMap<&'static str, u64> {
    outcomes
        .iter()
        .filter(|(outcome, _)| is_meant(*outcome))
        .map(|(outcome, count)| (outcome.detail(), count))
        .collect()
}
