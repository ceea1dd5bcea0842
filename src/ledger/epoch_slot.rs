//! A route's slot in an epoch, which counts its live requests, samples and outcomes.

use super::{epoch::Epoch, seconds::Tallies, tally::Tally};
use std::sync::{Arc, atomic::Ordering};

#[derive(Clone, Debug)]
pub(super) struct EpochSlot {
    pub(super) epoch: Arc<Epoch>,
    pub(super) tally: Arc<Tally>,
}

// === impl EpochSlot ===

impl EpochSlot {
    pub(super) fn new(epoch: &Arc<Epoch>, route: &Arc<str>) -> Self {
        Self {
            epoch: epoch.clone(),
            tally: Arc::new(Tally::new(route.clone())),
        }
    }

    /// Returns the slot of a route in an epoch that may already have its tally from another process.
    pub(super) fn again(epoch: &Arc<Epoch>, route: &Arc<str>) -> Self {
        match epoch.tally(route) {
            Some(tally) => Self {
                epoch: epoch.clone(),
                tally,
            },
            None => Self::new(epoch, route),
        }
    }

    /// The tallies for a check sampled now.
    pub(super) fn tallies(&self, is_of_rest: bool) -> Tallies {
        let rest = is_of_rest.then(|| self.epoch.rest.clone());
        [Some(self.tally.clone()), rest]
    }

    /// Whether a check sampled now also counts in the rest.
    pub(super) fn is_of_rest(&self) -> bool {
        let reads = self.tally.reads_seen();
        self.tally.requirement().is_of_rest(reads)
    }

    /// The tally, which has appeared in the epoch from now on.
    pub(super) fn appearing(&self) -> &Tally {
        // A plain load first, because it is true for almost every live request.
        let appeared = &self.tally.has_appeared;
        if !appeared.load(Ordering::Relaxed) && !appeared.swap(true, Ordering::Relaxed) {
            self.epoch.add(self.tally.clone());
        }
        &self.tally
    }
}
