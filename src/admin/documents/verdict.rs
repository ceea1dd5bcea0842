//! The verdict and its history, and the figures that it is based on.

use super::EvidenceState;
use crate::{
    outcome::{Mark, Outcome, Via},
    verdict::{
        self, Assessment, BoundedRate, Cause, Code, Decision, Figures, Judgement, Outcomes,
        Requirement,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, sync::Arc};
use utoipa::ToSchema;

/// Whether the switch is safe, and why (not).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    pub verdict: Decision,
    pub epoch: Epoch,
    pub confidence: f64,
    /// What prevents `safe`; the gravest first.
    pub reasons: Vec<Finding>,
    pub soak: Soak,
    /// What replays and sweeps found, the newest of each. It is never counted with the checks of callers' reads.
    #[serde(default)]
    pub evidence: Vec<EvidenceState>,
    pub routes: Vec<RouteVerdict>,
}

/// The span in which checks are comparable: same rules, same stacks, same new build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Epoch {
    /// Unique; later epochs sort after earlier ones.
    pub id: Arc<str>,
    #[schema(required)]
    pub label: Option<Arc<str>>,
    /// The new stack's build from its version header; `None` if no answer had one.
    #[schema(required)]
    pub version: Option<String>,
    pub cause: Cause,
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// `None` for the present epoch.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub until: Option<Timestamp>,
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

/// The clean record of all required routes: that of the route with the shortest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Soak {
    pub required_seconds: u64,
    pub clean_seconds: u64,
}

/// One route's part of the verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RouteVerdict {
    pub route: Arc<str>,
    pub required: bool,
    /// Named in `verdict.exempt`: never required.
    pub exempt: bool,
    /// Why it can hardly become safe, and what helps; `None` if nothing is known to be in its way.
    #[schema(required)]
    pub advice: Option<String>,
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
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
    /// Mismatches by mark: `auth`, `unconfirmed`, `vanished`. Only those that occurred.
    pub marked: BTreeMap<String, u64>,
    pub transient: u64,
    pub noise: u64,
    /// By kind; only those that occurred.
    pub shadow_error: BTreeMap<String, u64>,
    /// By reason; only those that occurred.
    pub not_compared: BTreeMap<String, u64>,
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

/// Durations of whole answers, from sending the request to the last byte. Covers checks in which both stacks were
/// measured alike; `None` without any.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Latency {
    #[schema(required)]
    pub old: Option<Quantiles>,
    #[schema(required)]
    pub new: Option<Quantiles>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Quantiles {
    /// Number of measurements.
    pub answers: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// Changes of the verdict, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct VerdictHistory {
    pub changes: Vec<VerdictChange>,
    /// The `cursor` of the next page; null on the last one.
    #[schema(required)]
    pub next: Option<String>,
    /// Changes of this page that are left out because they cannot be read.
    pub unreadable: u64,
}

/// One change of the verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct VerdictChange {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The id of the epoch that the new verdict is about.
    pub epoch: Arc<str>,
    /// Why that epoch began, if it began after the previous look; in a new process, after the previous entry.
    #[schema(required)]
    pub epoch_began: Option<Cause>,
    /// The previous verdict; null: there was none.
    #[schema(required)]
    pub from: Option<Decision>,
    pub to: Decision,
    /// Reasons that the previous look did not have; the gravest 20.
    pub appeared: Vec<Finding>,
    /// Reasons of the previous look that no longer hold; the gravest 20.
    pub gone: Vec<Finding>,
    /// Changes since the previous entry that were too many to be kept one by one.
    pub skipped: u64,
}

// === impl Verdict ===

impl Verdict {
    pub fn is_safe(&self) -> bool {
        self.verdict == Decision::Safe
    }
}

impl From<Judgement<'_>> for Verdict {
    fn from(judgement: Judgement<'_>) -> Self {
        Self {
            verdict: judgement.decision,
            epoch: judgement.epoch.into(),
            confidence: judgement.confidence,
            reasons: judgement.findings.into_iter().map(Finding::from).collect(),
            soak: Soak {
                required_seconds: judgement.soak.required_seconds,
                clean_seconds: judgement.soak.clean_seconds,
            },
            evidence: Vec::new(),
            routes: judgement.routes.iter().map(RouteVerdict::from).collect(),
        }
    }
}

// === impl Epoch ===

impl From<&verdict::Epoch> for Epoch {
    fn from(epoch: &verdict::Epoch) -> Self {
        Self {
            id: epoch.id.clone(),
            label: epoch.label.clone(),
            version: epoch.version.as_ref().map(ToString::to_string),
            cause: epoch.cause,
            since: epoch.since,
            until: epoch.until,
        }
    }
}

// === impl Finding ===

impl From<verdict::Finding> for Finding {
    fn from(finding: verdict::Finding) -> Self {
        Self {
            code: finding.code,
            route: finding.route,
            checks_needed: finding.checks_needed,
            eta_seconds: finding.eta_seconds,
            detail: finding.detail,
        }
    }
}

/// Omits the figures, which change all the time.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.route {
            Some(route) => write!(f, "{} ({route})", self.code),
            None => write!(f, "{}", self.code),
        }
    }
}

// === impl RouteVerdict ===

impl From<&Assessment<'_>> for RouteVerdict {
    fn from(assessment: &Assessment<'_>) -> Self {
        let figures = assessment.figures;
        let rates = assessment.rates.map(Rate::from);
        let [
            mismatch_rate,
            error_rate,
            transient_rate,
            noise_rate,
            uncompared_rate,
        ] = rates;
        Self {
            route: figures.route.clone(),
            required: figures.requirement.is_required(),
            exempt: figures.requirement == Requirement::Exempt,
            advice: assessment.obstacle(),
            state: assessment.state,
            counts: figures.into(),
            mismatch_rate,
            error_rate,
            transient_rate,
            noise_rate,
            uncompared_rate,
            coverage: assessment.coverage(),
            distinct_keys: figures.keys.map(|keys| keys.total),
            latency: figures.latency.into(),
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

fn details(outcomes: &Outcomes, is_meant: impl Fn(Outcome) -> bool) -> BTreeMap<String, u64> {
    outcomes
        .iter()
        .filter(|(outcome, _)| is_meant(*outcome))
        .map(|(outcome, count)| (outcome.detail().to_owned(), count))
        .collect()
}

// === impl Rate ===

impl From<BoundedRate> for Rate {
    fn from(rate: BoundedRate) -> Self {
        Self {
            limit: rate.limit,
            lower: rate.interval.lower,
            estimate: rate.trials.estimate(),
            upper: rate.interval.upper,
        }
    }
}

// === impl Latency ===

impl From<verdict::evidence::Latency> for Latency {
    fn from(latency: verdict::evidence::Latency) -> Self {
        let quantiles = |quantiles: verdict::evidence::Quantiles| Quantiles {
            answers: quantiles.answers,
            p50_ms: quantiles.p50_ms,
            p99_ms: quantiles.p99_ms,
        };
        Self {
            old: latency.old.map(quantiles),
            new: latency.new.map(quantiles),
        }
    }
}
