//! The figures of one route in one epoch.

use super::{RouteState, latencies::Latencies, locks::locked, state::Mark};
use crate::verdict::{Figures, Outcome, Outcomes, Pace, Record};
use jiff::Timestamp;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// The figures of one route in one epoch.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) route: Arc<str>,
    /// 0: it has never been required.
    pub(super) rank: AtomicU64,
    pub(super) has_appeared: AtomicBool,
    pub(super) live: AtomicU64,
    pub(super) reads: AtomicU64,
    pub(super) sampled: AtomicU64,
    pub(super) delayed: AtomicU64,
    pub(super) outcomes: [AtomicU64; Outcome::ALL.len()],
    /// Of the matches: of answers that are not, or not known to be, of the epoch's build.
    pub(super) unattributed: AtomicU64,
    pub(super) course: Mutex<Course>,
}

/// What is known of a route's checks in time.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) record: Record,
    last_mismatch: Option<Timestamp>,
    pace: Pace,
    pub(super) latencies: Latencies,
}

// === impl Tally ===

impl Tally {
    pub(super) fn new(route: Arc<str>) -> Self {
        Self {
            route,
            rank: AtomicU64::new(0),
            has_appeared: AtomicBool::new(false),
            live: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            sampled: AtomicU64::new(0),
            delayed: AtomicU64::new(0),
            outcomes: Default::default(),
            unattributed: AtomicU64::new(0),
            course: Mutex::new(Course {
                record: Record::default(),
                last_mismatch: None,
                pace: Pace::default(),
                latencies: Latencies::default(),
            }),
        }
    }

    pub(super) fn restore(state: RouteState, now: Timestamp) -> Self {
        let counted = |outcome: Outcome| AtomicU64::new(state.outcomes.get(outcome));
        Self {
            route: state.route,
            rank: AtomicU64::new(state.rank.unwrap_or(0)),
            has_appeared: AtomicBool::new(true),
            live: AtomicU64::new(state.live),
            reads: AtomicU64::new(state.reads),
            sampled: AtomicU64::new(state.sampled),
            delayed: AtomicU64::new(state.delayed),
            outcomes: Outcome::ALL.map(counted),
            unattributed: AtomicU64::new(state.unattributed),
            course: Mutex::new(Course {
                record: state.record,
                last_mismatch: state.last_mismatch.map(|at| at.min(now)),
                pace: Pace::default(),
                latencies: state.latencies,
            }),
        }
    }

    pub(super) fn state(&self, place: u64) -> RouteState {
        let outcomes = self.outcomes();
        let course = locked(&self.course);
        RouteState {
            route: self.route.clone(),
            place,
            rank: self.rank(),
            live: self.live.load(Ordering::Relaxed),
            reads: self.reads.load(Ordering::Relaxed),
            sampled: self.sampled.load(Ordering::Relaxed),
            delayed: self.delayed.load(Ordering::Relaxed),
            outcomes,
            unattributed: self.unattributed.load(Ordering::Relaxed),
            record: course.record.clone(),
            last_mismatch: course.last_mismatch,
            latencies: course.latencies.clone(),
        }
    }

    pub(super) fn mark(&self) -> Mark {
        let ended = self.outcomes().ended();
        let counted = [&self.live, &self.reads, &self.sampled, &self.rank];
        let [live, reads, sampled, rank] = counted.map(|count| count.load(Ordering::Relaxed));
        [live, reads, sampled, ended, rank]
    }

    pub(super) fn rank(&self) -> Option<u64> {
        let rank = self.rank.load(Ordering::Relaxed);
        (rank > 0).then_some(rank)
    }

    /// To be read before the samples: a check that ends between the two must not seem to end unsampled.
    pub(super) fn outcomes(&self) -> Outcomes {
        let counts = Outcome::ALL.into_iter().map(|outcome| {
            let count = &self.outcomes[outcome.index()];
            (outcome, count.load(Ordering::Acquire))
        });
        counts.collect()
    }

    pub(super) fn figures(&self, now: Timestamp) -> Figures {
        let outcomes = self.outcomes();
        let course = locked(&self.course);
        Figures {
            route: self.route.clone(),
            rank: self.rank(),
            live: self.live.load(Ordering::Relaxed),
            reads: self.reads.load(Ordering::Relaxed),
            sampled: self.sampled.load(Ordering::Relaxed),
            delayed: self.delayed.load(Ordering::Relaxed),
            outcomes,
            unattributed: self.unattributed.load(Ordering::Relaxed),
            record: course.record.clone(),
            last_mismatch: course.last_mismatch,
            pace: course.pace.per_second(now),
            latency: course.latencies.quantiles(),
        }
    }
}

// === impl Course ===

impl Course {
    pub(super) fn check(&mut self, outcome: Outcome, at: Timestamp) {
        self.record.check(at);
        match outcome {
            Outcome::Match(_) => self.pace.count(at),
            Outcome::Mismatch(_) => self.last_mismatch = self.last_mismatch.max(Some(at)),
            _ => {}
        }
    }
}
