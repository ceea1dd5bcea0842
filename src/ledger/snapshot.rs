//! The counters in the form that is stored across restarts.

use super::Latencies;
use crate::verdict::{self, Cause, Outcomes, RouteEvidence};
use jiff::Timestamp;
use std::sync::Arc;

/// One epoch and its figures.
#[derive(Clone, Debug)]
pub struct EpochState {
    /// Numbered from 1, across restarts.
    pub number: u64,
    /// The same in epochs that differ only in the build of the new stack.
    pub series: u64,
    /// What makes its checks comparable; opaque here.
    pub comparable: Arc<str>,
    pub epoch: verdict::Epoch,
    /// Includes [`REST`](verdict::evidence::REST).
    pub routes: Vec<RouteState>,
}

/// The figures of one route in one epoch.
#[derive(Clone, Debug)]
pub struct RouteState {
    pub route: Arc<str>,
    /// Numbered from 0, in order of appearance.
    pub place: u64,
    pub live: u64,
    pub reads: u64,
    pub sampled: u64,
    /// Samples that their callers requested.
    pub forced: u64,
    /// Checks that began later because of a write.
    pub delayed: u64,
    pub outcomes: Outcomes,
    /// The checks that are evidence.
    pub evidence: RouteEvidence,
    pub latencies: Latencies,
}

/// Live, reads, sampled, ended, evidence, rank, since another build, and cut off. Every recorded event changes at least
/// one of them.
pub(crate) type ChangeStamp = [u64; 8];

/// The place of the checks that were cut off.
pub(super) const CUT: usize = 7;

/// The epoch that a ledger starts with.
#[derive(Clone, Debug)]
pub enum LedgerSnapshot {
    /// The last of these, oldest first. There is at least one, and only the last is open.
    GoesOn(Vec<EpochState>),
    /// A new one, after those of the past.
    Begins {
        past: Vec<EpochState>,
        comparable: Arc<str>,
        label: Option<Arc<str>>,
        cause: Cause,
    },
}

// === impl EpochState ===

impl EpochState {
    /// An epoch that begins now. `number` distinguishes ids of the same millisecond.
    pub(super) fn begin(number: u64, cause: Cause, since: Timestamp) -> Self {
        let chance: u32 = rand::random();
        let stamp = since.strftime("%Y%m%dT%H%M%S%3f");
        Self {
            number,
            series: number,
            comparable: Arc::from(""),
            epoch: verdict::Epoch {
                id: format!("{stamp}-{number:04}-{chance:08x}").into(),
                label: None,
                version: None,
                cause,
                since,
                until: None,
            },
            routes: Vec::new(),
        }
    }

    /// The latest time recorded in it.
    fn latest(&self) -> Timestamp {
        let checks = self
            .routes
            .iter()
            .filter_map(|route| route.evidence.record.last());
        let noted = checks.chain(self.epoch.until);
        noted.fold(self.epoch.since, Timestamp::max)
    }
}

// === impl LedgerSnapshot ===

impl LedgerSnapshot {
    /// The latest time recorded in any epoch.
    pub(super) fn latest(&self) -> Timestamp {
        let (Self::GoesOn(epochs) | Self::Begins { past: epochs, .. }) = self;
        let latest = epochs.iter().map(EpochState::latest);
        latest.max().unwrap_or(Timestamp::MIN)
    }
}

// === impl RouteState ===

impl RouteState {
    pub fn mark(&self) -> ChangeStamp {
        let counted = [self.live, self.reads, self.sampled, self.outcomes.ended()];
        mark(counted, &self.evidence)
    }
}

pub(super) fn mark(
    [live, reads, sampled, ended]: [u64; 4],
    evidence: &RouteEvidence,
) -> ChangeStamp {
    let rank = evidence.required.map_or(0, |required| required.rank);
    let entered = evidence.checks().sampled();
    let alone = evidence.alone.map_or(0, |alone| alone.total + 1);
    [
        live,
        reads,
        sampled,
        ended,
        entered,
        rank,
        alone,
        evidence.cut,
    ]
}

impl Default for LedgerSnapshot {
    /// An empty ledger.
    fn default() -> Self {
        Self::Begins {
            past: Vec::new(),
            comparable: Arc::from(""),
            label: None,
            cause: Cause::Start,
        }
    }
}
