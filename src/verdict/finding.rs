//! What a verdict decides, and the findings that it gives as reasons.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use strum::{Display, IntoStaticStr, VariantNames};

/// Whether the switch is safe.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, IntoStaticStr, VariantNames,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Decision {
    /// All required routes are proven to be within all limits, and nothing else speaks against the switch.
    Safe,
    /// Some required route is proven to be above a limit.
    Unsafe,
    /// Neither is proven yet.
    Undecided,
}

/// One reason why the verdict is not `safe`.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What it is.
    pub code: Code,
    /// The route that it is about; absent if it is about all of them.
    pub route: Option<Arc<str>>,
    /// How many more clean checks are needed.
    pub checks_needed: Option<u64>,
    /// How long that takes at the present pace.
    pub eta_seconds: Option<u64>,
    /// A text for people.
    pub detail: String,
}

/// What a [`Finding`] is: a closed list, the gravest first.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    Display,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Code {
    /// More checks mismatched than the limit allows, proven or not yet.
    MismatchRate,
    /// The new stack failed to answer too often, proven or not yet.
    ErrorRate,
    /// A rate rose above its limit recently, hidden by an older, better record.
    Regressed,
    /// Too many checks differed and were equal when read again.
    TransientRate,
    /// Too many checks differed only where the old stack's own answers differ.
    NoiseRate,
    /// Too many answers could not be compared.
    Uncompared,
    /// Too small a share of the samples came to a comparison.
    Coverage,
    /// The new stack's p99 is too high, or too few answers were timed.
    Latency,
    /// Old and new are the same place.
    SameStack,
    /// Another build of the new stack answers as well, or answered a short while ago.
    MixedBuilds,
    /// A rule is past its `expires` and no longer applies.
    RuleExpired,
    /// Nothing is sampled at present, or the circuit breaker is open.
    Paused,
    /// Nothing was checked in this epoch, or no route is required.
    NoTraffic,
    /// A declared route was not seen in this epoch.
    RouteUnseen,
    /// The clean record is shorter than `verdict.soak`.
    Soak,
    /// Too few distinct keys were checked.
    MoreKeys,
    /// No rate looks too high, but there is too little evidence.
    MoreChecks,
}

// === impl Decision ===

impl Decision {
    /// Its name in documents and metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

// === impl Finding ===

impl Finding {
    /// A finding about all routes, with a text for people and without an estimate of what is missing.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            route: None,
            checks_needed: None,
            eta_seconds: None,
            detail: detail.into(),
        }
    }

    /// The same finding about one route.
    pub fn of(self, route: &Arc<str>) -> Self {
        Self {
            route: Some(route.clone()),
            ..self
        }
    }
}
