//! Counters and evidence of one route in one epoch.

use super::{
    RouteState,
    latencies::Latencies,
    locks::locked,
    seconds::Ended,
    snapshot::{CUT, ChangeStamp},
};
use crate::{
    outcome::Outcome,
    stack::Stack,
    verdict::{EventRate, Figures, Limits, Outcomes, Requirement, RouteEvidence},
};
use jiff::Timestamp;
use std::ptr;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
};
use std::time::Duration;

/// The figures of one route in one epoch.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) route: Arc<str>,
    requirement: AtomicU8,
    pub(super) has_appeared: AtomicBool,
    pub(super) live: AtomicU64,
    pub(super) reads: AtomicU64,
    pub(super) sampled: AtomicU64,
    /// Samples that their callers requested.
    pub(super) forced: AtomicU64,
    /// Samples that are not evidence yet.
    pub(super) waiting: AtomicU64,
    /// Those of them that the evidence no longer waits for.
    pub(super) overdue: AtomicU64,
    pub(super) delayed: AtomicU64,
    pub(super) outcomes: [AtomicU64; Outcome::ALL.len()],
    pub(super) course: Mutex<Course>,
}

/// What is known of a route's checks in addition to the counts.
#[derive(Debug, Default)]
pub(super) struct Course {
    pub(super) evidence: RouteEvidence,
    pace: EventRate,
    pub(super) latencies: Latencies,
}

// === impl Tally ===

impl Tally {
    pub(super) fn new(route: Arc<str>) -> Self {
        Self {
            route,
            requirement: AtomicU8::new(Requirement::Rest as u8),
            ..Self::default()
        }
    }

    pub(super) fn restore(state: RouteState) -> Self {
        let counted = |outcome: Outcome| AtomicU64::new(state.outcomes.get(outcome));
        let tally = Self::new(state.route);
        if state.evidence.required.is_some() {
            tally.set_requirement(Requirement::Required);
        }
        Self {
            has_appeared: AtomicBool::new(true),
            live: AtomicU64::new(state.live),
            reads: AtomicU64::new(state.reads),
            sampled: AtomicU64::new(state.sampled),
            forced: AtomicU64::new(state.forced),
            delayed: AtomicU64::new(state.delayed),
            outcomes: Outcome::ALL.map(counted),
            course: Mutex::new(Course {
                evidence: state.evidence,
                pace: EventRate::default(),
                latencies: state.latencies,
            }),
            ..tally
        }
    }

    /// `cut` holds the tallies of checks that a shutdown would cut off.
    pub(super) fn state(&self, place: u64, cut: &[Arc<Self>]) -> RouteState {
        let outcomes = self.outcomes();
        let course = locked(&self.course);
        let mut evidence = course.evidence.clone();
        evidence.cut += self.cut_off(cut);
        RouteState {
            route: self.route.clone(),
            place,
            live: self.live.load(Ordering::Relaxed),
            reads: self.reads.load(Ordering::Relaxed),
            sampled: self.sampled.load(Ordering::Relaxed),
            forced: self.forced.load(Ordering::Relaxed),
            delayed: self.delayed.load(Ordering::Relaxed),
            outcomes,
            evidence,
            latencies: course.latencies.clone(),
        }
    }

    fn cut_off(&self, cut: &[Arc<Self>]) -> u64 {
        let own = cut.iter().filter(|tally| ptr::eq(&***tally, self));
        own.count() as u64 + self.overdue.load(Ordering::Relaxed)
    }

    pub(super) fn mark(&self, cut: &[Arc<Self>]) -> ChangeStamp {
        let ended = self.outcomes().ended();
        let counted = [&self.live, &self.reads, &self.sampled];
        let [live, reads, sampled] = counted.map(|count| count.load(Ordering::Relaxed));
        let course = locked(&self.course);
        let mut stamp = super::snapshot::mark([live, reads, sampled, ended], &course.evidence);
        stamp[CUT] += self.cut_off(cut);
        stamp
    }

    /// A sampled request was a read, even if it was not counted as one.
    pub(super) fn reads_seen(&self) -> u64 {
        let reads = self.reads.load(Ordering::Relaxed);
        reads.max(self.sampled.load(Ordering::Relaxed))
    }

    pub(super) fn requirement(&self) -> Requirement {
        let requirement = Requirement::from_repr(self.requirement.load(Ordering::Relaxed));
        requirement.expect("only a requirement is stored")
    }

    pub(super) fn set_requirement(&self, requirement: Requirement) {
        self.requirement.store(requirement as u8, Ordering::Relaxed);
    }

    pub(super) fn count_outcome(&self, outcome: Outcome) {
        self.outcomes[outcome.index()].fetch_add(1, Ordering::Release);
    }

    pub(super) fn count_latency(&self, stack: Stack, took: Duration) {
        locked(&self.course).latencies.record(stack, took);
    }

    /// Adds a check to the evidence. If another build answered it or may have, only a mismatch is added, because matches
    /// of one build prove nothing of another.
    pub(super) fn enter(&self, ended: &Ended, limits: &Limits) {
        let entry = &ended.entry;
        if !ended.is_attributed && !matches!(entry.outcome, Outcome::Mismatch(_)) {
            return;
        }
        let course = &mut *locked(&self.course);
        course.evidence.enter(entry, limits);
        if let Outcome::Match(_) = entry.outcome {
            course.pace.count(entry.sampled);
        }
    }

    /// Records that another build answered a check that was sampled here.
    pub(super) fn another_answered(&self) {
        locked(&self.course).evidence.another_answered();
    }

    /// Reduces its memory, because few checks, if any, still end in a past epoch.
    pub(super) fn pack(&self) {
        let course = &mut *locked(&self.course);
        course.latencies.pack();
        course.evidence.keys = None;
    }

    /// Read it before the samples, so that a check ending in between does not appear unsampled.
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
            requirement: self.requirement(),
            live: self.live.load(Ordering::Relaxed),
            reads: self.reads.load(Ordering::Relaxed),
            sampled: self.sampled.load(Ordering::Relaxed),
            forced: self.forced.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            overdue: self.overdue.load(Ordering::Relaxed),
            delayed: self.delayed.load(Ordering::Relaxed),
            outcomes,
            evidence: course.evidence.clone(),
            keys: course.evidence.keys.as_ref().map(|keys| keys.trials()),
            pace: course.pace.per_second(now),
            latency: course.latencies.quantiles(),
        }
    }
}
