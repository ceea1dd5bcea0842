//! What a verdict decides, and the findings that it gives as reasons.

use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Whether the switch is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    Safe,
    Unsafe,
    Undecided,
}

/// One reason why the verdict is not `safe`.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    pub const ALL: [Self; 17] = [
        Self::MismatchRate,
        Self::ErrorRate,
        Self::Regressed,
        Self::TransientRate,
        Self::NoiseRate,
        Self::Uncompared,
        Self::Coverage,
        Self::Latency,
        Self::SameStack,
        Self::MixedBuilds,
        Self::RuleExpired,
        Self::Paused,
        Self::NoTraffic,
        Self::RouteUnseen,
        Self::Soak,
        Self::MoreKeys,
        Self::MoreChecks,
    ];
}

/// Its name in documents.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

// === impl Finding ===

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
