//! What a ledger begins with: the epochs of the past, and how many of them stay.

use super::{
    MAX_EPOCHS, MAX_TALLIES,
    epoch::Epoch,
    shared::LedgerShared,
    snapshot::{EpochState, LedgerSnapshot},
};
use crate::verdict::Builds;
use jiff::Timestamp;
use std::{collections::VecDeque, sync::Arc};

/// The past epochs, and the current one.
pub(super) fn open(
    opening: LedgerSnapshot,
    now: Timestamp,
    shared: &Arc<LedgerShared>,
) -> VecDeque<Arc<Epoch>> {
    let restored = |past: Vec<EpochState>| -> VecDeque<_> {
        let past = past.into_iter();
        past.map(|state| Epoch::open(state, shared.clone()))
            .collect()
    };
    let (past, comparable, label, cause) = match opening {
        LedgerSnapshot::GoesOn(epochs) => return restored(epochs),
        LedgerSnapshot::Begins {
            past,
            comparable,
            label,
            cause,
        } => (past, comparable, label, cause),
    };
    let mut epochs = restored(past);
    let number = epochs.back().map_or(0, |last| {
        last.end(now);
        last.start.number
    });
    let mut begins = EpochState::begin(number + 1, cause, now);
    begins.comparable = comparable;
    begins.epoch.label = label;
    epochs.push_back(Epoch::open(begins, shared.clone()));
    forget(&mut epochs);
    epochs
}

/// When the build of the current epoch last answered, and when another one did.
pub(super) fn builds(epochs: &VecDeque<Arc<Epoch>>, now: Timestamp) -> Builds {
    let present = epochs.back().expect("an epoch is always open");
    let past = epochs.iter().rev().skip(1);
    let others = past.filter(|epoch| epoch.start.series == present.start.series);
    let another = others.filter_map(|epoch| epoch.last_check()).max();
    Builds::resume(present.last_check(), another, now)
}

/// Drops the oldest epochs until the limits hold, but never the current one. Returns how many were dropped.
pub(super) fn forget(epochs: &mut VecDeque<Arc<Epoch>>) -> u64 {
    let before = epochs.len();
    let mut tallies: usize = epochs.iter().map(|epoch| epoch.seen()).sum();
    while epochs.len() > 1 && (epochs.len() > MAX_EPOCHS || tallies > MAX_TALLIES) {
        if let Some(oldest) = epochs.pop_front() {
            tallies -= oldest.seen();
        }
    }
    (before - epochs.len()) as u64
}
