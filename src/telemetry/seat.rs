//! A route's place in an epoch: where its live requests, samples and outcomes are counted.

use super::{epoch::Epoch, locks::locked, tally::Tally};
use crate::{stack::Stack, verdict::Outcome};
use jiff::Timestamp;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// A route's place in an epoch.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) epoch: Arc<Epoch>,
    pub(super) tally: Arc<Tally>,
}

// === impl Seat ===

impl Seat {
    pub(super) fn new(epoch: &Arc<Epoch>, route: &Arc<str>) -> Self {
        Self {
            epoch: epoch.clone(),
            tally: Arc::new(Tally::new(route.clone())),
        }
    }

    /// The place of a route in an epoch that may know it from another process.
    pub(super) fn again(epoch: &Arc<Epoch>, route: &Arc<str>) -> Self {
        match epoch.tally(route) {
            Some(tally) => Self {
                epoch: epoch.clone(),
                tally,
            },
            None => Self::new(epoch, route),
        }
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

    /// The sample turned out to belong to another epoch.
    pub(super) fn release_sample(&self) {
        self.tally.sampled.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn count_delay(&self) {
        self.tally.delayed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_latency(&self, stack: Stack, took: Duration) {
        locked(&self.tally.course).latencies.record(stack, took);
    }

    pub(super) fn count_outcome(&self, outcome: Outcome, at: Timestamp) {
        self.tally.outcomes[outcome.index()].fetch_add(1, Ordering::Release);
        if !outcome.is_compared() {
            return;
        }
        locked(&self.tally.course).check(outcome, at);
    }

    /// Counts the outcome of a check that another build than the epoch's answered, or one that is not known. A mismatch
    /// speaks against the epoch all the same; nothing else is evidence of its build, nor makes its record longer.
    pub(super) fn count_unattributed(&self, outcome: Outcome, at: Timestamp) {
        match outcome {
            Outcome::Mismatch(_) => return self.count_outcome(outcome, at),
            // First, so that nobody sees the match without it.
            Outcome::Match(_) => drop(self.tally.unattributed.fetch_add(1, Ordering::Release)),
            _ => {}
        }
        self.tally.outcomes[outcome.index()].fetch_add(1, Ordering::Release);
    }

    fn appear(&self) {
        // The plain load first: on the live path this is true all but once.
        let appeared = &self.tally.has_appeared;
        if !appeared.load(Ordering::Relaxed) && !appeared.swap(true, Ordering::Relaxed) {
            self.epoch.add(self.tally.clone());
        }
    }
}
