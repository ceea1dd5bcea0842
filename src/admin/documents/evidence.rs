//! What replays and sweeps found, as they hand it over and as the API shows it.

use super::{Epoch, Verdict};
use crate::{
    background::{FoundClass, KeyExample, ReadExample, SweepCounts, Unusable},
    verdict::{Counted, Decision},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Where evidence comes from.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
    strum::Display,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum EvidenceSource {
    Replay,
    Sweep,
}

/// What evidence is about; newer evidence takes the place of older of the same. A sweep has a route.
pub(crate) type Subject = (EvidenceSource, Option<String>);

/// The summary of a replay or a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "source", rename_all = "lowercase")]
pub(crate) enum EvidenceSummary {
    Replay(Box<ReplaySummary>),
    Sweep(SweepSummary),
}

/// What enumerated keys of one route showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct SweepSummary {
    pub route: String,
    /// All keys.
    pub keys: u64,
    /// The keys read.
    pub read: u64,
    #[serde(flatten)]
    pub counts: SweepCounts,
    /// At most so many keys differ; exact once all are read. Errors and skipped keys count as differing in it.
    pub upper_keys: u64,
    pub confidence: f64,
    pub verdict: Decision,
    /// The most frequent first.
    pub classes: Vec<FoundClass>,
    pub examples: Vec<KeyExample>,
}

/// What recorded requests showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReplaySummary {
    pub verdict: Decision,
    /// Lines or entries of the recordings.
    pub recorded: u64,
    /// The requests that were read.
    pub read: u64,
    /// Requests that had been read already.
    pub duplicates: u64,
    /// Whether the new stack was compared with recorded answers of the old one.
    pub against_recorded: bool,
    /// What could not be read, by reason.
    pub unusable: Vec<Unusable>,
    /// The most frequent first.
    pub classes: Vec<FoundClass>,
    pub examples: Vec<ReadExample>,
    /// The verdict on these reads alone.
    pub judged: Verdict,
}

/// Evidence as a replay or a sweep hands it over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Given {
    /// A hash of the rules and of how answers are compared.
    pub rules: String,
    /// The build of the new stack; null if none was named.
    pub build: Option<String>,
    /// Whether several builds of the new stack answered.
    #[serde(default)]
    pub mixed_builds: bool,
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub summary: EvidenceSummary,
}

/// Evidence as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Evidence {
    /// The epoch in which it was handed over.
    pub epoch: Epoch,
    pub given: Given,
    #[serde(flatten)]
    pub state: EvidenceState,
}

/// Evidence of other processes: the newest replay, and the newest sweep of each route.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct EvidenceList {
    pub evidence: Vec<Evidence>,
}

/// What evidence of another process says, and whether it is about what runs now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EvidenceState {
    pub source: EvidenceSource,
    pub verdict: Decision,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Whether it is of the present rules and of the present build of the new stack.
    pub current: bool,
    /// A text for people.
    pub detail: String,
}

// === impl EvidenceSummary ===

impl EvidenceSummary {
    pub(crate) fn source(&self) -> EvidenceSource {
        match self {
            Self::Replay(_) => EvidenceSource::Replay,
            Self::Sweep(_) => EvidenceSource::Sweep,
        }
    }

    pub(crate) fn subject(&self) -> Subject {
        let route = match self {
            Self::Replay(_) => None,
            Self::Sweep(sweep) => Some(sweep.route.clone()),
        };
        (self.source(), route)
    }

    pub(crate) fn verdict(&self) -> Decision {
        match self {
            Self::Replay(replay) => replay.verdict,
            Self::Sweep(sweep) => sweep.verdict,
        }
    }
}

/// One line, for people.
impl fmt::Display for EvidenceSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replay(replay) => {
                let read = Counted(replay.read, "recorded read");
                let differing: u64 = replay.judged.routes.iter().map(|r| r.counts.mismatch).sum();
                write!(f, "{read}, {differing} mismatched")
            }
            Self::Sweep(sweep) => {
                let (read, keys) = (sweep.read, Counted(sweep.keys, "key"));
                let differing = sweep.counts.differing();
                write!(
                    f,
                    "{}: {read} of {keys} read, {differing} differ",
                    sweep.route
                )?;
                if sweep.read < sweep.keys || sweep.upper_keys != differing {
                    write!(
                        f,
                        ", at most {} at {} %",
                        sweep.upper_keys,
                        sweep.confidence * 100.0
                    )?;
                }
                Ok(())
            }
        }
    }
}
