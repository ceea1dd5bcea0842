//! A route's slot in an epoch, which counts its live requests, samples and outcomes.

use super::{epoch::Epoch, seconds::Tallies, tally::Tally};
use crate::stack::Stack;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

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
        let rest = is_of_rest.then(|| self.epoch.rest().clone());
        [Some(self.tally.clone()), rest]
    }

    /// Whether a check sampled now also counts in the rest.
    pub(super) fn is_of_rest(&self) -> bool {
        let reads = self.tally.reads_seen();
        self.tally.requirement().is_of_rest(reads)
    }

    pub(super) fn count_live(&self) {
        self.appear();
        self.tally.live.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_read(&self) {
        self.appear();
        self.tally.reads.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_sample(&self) {
        self.appear();
        self.tally.sampled.fetch_add(1, Ordering::Relaxed);
    }

    /// The sample belongs to another epoch.
    pub(super) fn release_sample(&self) {
        self.tally.sampled.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn count_delay(&self) {
        self.tally.delayed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_latency(&self, stack: Stack, took: Duration) {
        self.tally.count_latency(stack, took);
    }

    pub(super) fn count_forced(&self) {
        self.tally.forced.fetch_add(1, Ordering::Relaxed);
    }

    fn appear(&self) {
        // A plain load first, because it is true for almost every live request.
        let appeared = &self.tally.has_appeared;
        if !appeared.load(Ordering::Relaxed) && !appeared.swap(true, Ordering::Relaxed) {
            self.epoch.add(self.tally.clone());
        }
    }
}
