//! The documents of the API: the calls write them, and the command line reads them.

mod evidence;
mod figures;
mod health;
mod names;
mod recheck;
mod rules;
pub(super) mod verdict;

pub(crate) use crate::{
    settings::{SettingChange, Settings},
    store::{Class, Classes, Mismatch, Page as MismatchPage},
};
pub(crate) use evidence::{
    Evidence, EvidenceList, EvidenceSource, EvidenceState, EvidenceSummary, Given, ReplaySummary,
    Subject, SweepSummary,
};
pub(crate) use figures::{EpochFigures, Epochs, LiveRoute, Routes};
pub(crate) use health::{ProcessHealth, Ready, StackHealth};
pub(crate) use recheck::{ClassRecheck, Found, Rechecked};
pub(crate) use rules::{
    Affected, BuiltinSuggestion, Hiding, Preview, Rule, Rules, Suggestion, Suggestions,
};
pub use verdict::Verdict;
pub(crate) use verdict::{
    Counts, Epoch, Finding, Latency, Rate, RouteVerdict, VerdictChange, VerdictHistory,
};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The process answers.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Alive {
    #[schema(example = "alive")]
    pub status: String,
}

/// Changes of settings, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct SettingsHistory {
    pub changes: Vec<SettingChange>,
    /// The `cursor` of the next page; null on the last one.
    #[schema(required)]
    pub next: Option<String>,
    /// Changes of this page that are left out because they cannot be read.
    pub unreadable: u64,
}
