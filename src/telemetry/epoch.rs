//! The figures of one epoch: what a verdict may be made of.
//!
//! A check counts in the epoch in which it was sampled, so that `sampled = sum(outcomes)` holds in each of them.

use super::{EpochState, RouteState, latencies::Latencies, locks::locked, state::Mark};
use crate::{
    stack::Stack,
    verdict::{self, Cause, Figures, Outcome, Outcomes, Pace, Record, Tallies, Version},
};
use jiff::Timestamp;
use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// One epoch and the tallies of the routes that appeared in it.
#[derive(Debug)]
pub(super) struct Epoch {
    id: Arc<str>,
    number: u64,
    series: u64,
    /// What makes its checks comparable.
    comparable: Arc<str>,
    label: Option<Arc<str>>,
    /// Known once an answer of the new stack has told it.
    version: OnceLock<Version>,
    cause: Cause,
    since: Timestamp,
    until: Mutex<Option<Timestamp>>,
    /// In order of appearance.
    seen: Mutex<Vec<Arc<Tally>>>,
}

/// The figures of one route in one epoch.
#[derive(Debug)]
pub(super) struct Tally {
    route: Arc<str>,
    /// 0: it has never been required.
    rank: AtomicU64,
    has_appeared: AtomicBool,
    live: AtomicU64,
    reads: AtomicU64,
    sampled: AtomicU64,
    delayed: AtomicU64,
    outcomes: [AtomicU64; Outcome::ALL.len()],
    course: Mutex<Course>,
}

/// What is known of a route's checks in time.
#[derive(Debug)]
struct Course {
    record: Record,
    last_mismatch: Option<Timestamp>,
    pace: Pace,
    latencies: Latencies,
}

/// A route's place in an epoch.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) epoch: Arc<Epoch>,
    tally: Arc<Tally>,
}

/// How an epoch begins.
#[derive(Clone, Debug)]
pub(super) struct Beginning {
    /// Keeps ids apart that begin in the same millisecond.
    pub(super) number: u64,
    pub(super) comparable: Arc<str>,
    /// The same in epochs that differ in nothing but the build of the new stack.
    pub(super) series: u64,
    pub(super) label: Option<Arc<str>>,
    pub(super) version: Option<Version>,
    pub(super) cause: Cause,
    pub(super) since: Timestamp,
    /// The id sorts after those of epochs that began until then, even where the clock was set back.
    pub(super) after: Timestamp,
}

// === impl Epoch ===

impl Epoch {
    pub(super) fn begin(beginning: Beginning) -> Arc<Self> {
        let Beginning {
            number,
            comparable,
            series,
            label,
            version,
            cause,
            since,
            after,
        } = beginning;
        let chance: u32 = rand::random();
        let stamp = since.max(after).strftime("%Y%m%dT%H%M%S%3f");
        Arc::new(Self {
            id: format!("{stamp}-{number:04}-{chance:08x}").into(),
            number,
            series,
            comparable,
            label,
            version: version.map(OnceLock::from).unwrap_or_default(),
            cause,
            since,
            until: Mutex::default(),
            seen: Mutex::default(),
        })
    }

    /// One of another process; whatever it noted was before `now`, by whichever clock.
    pub(super) fn restore(state: EpochState, now: Timestamp) -> Arc<Self> {
        let verdict::Epoch {
            id,
            label,
            version,
            cause,
            since,
            until,
        } = state.epoch;
        let routes = state.routes.into_iter();
        let seen = routes.map(|route| Arc::new(Tally::restore(route, now)));
        Arc::new(Self {
            id,
            number: state.number,
            series: state.series,
            comparable: state.comparable,
            label,
            version: version.map(OnceLock::from).unwrap_or_default(),
            cause,
            since,
            until: Mutex::new(until),
            seen: Mutex::new(seen.collect()),
        })
    }

    /// Everything counted so far of the routes of which `is_stored` does not know as much.
    pub(super) fn state(&self, is_stored: impl Fn(&Arc<str>, Mark) -> bool) -> EpochState {
        let seen = locked(&self.seen).clone();
        let routes = seen.iter().zip(0..);
        let changed = routes.filter(|(tally, _)| !is_stored(&tally.route, tally.mark()));
        EpochState {
            number: self.number,
            series: self.series,
            comparable: self.comparable.clone(),
            epoch: self.told(*locked(&self.until)),
            routes: changed.map(|(tally, place)| tally.state(place)).collect(),
        }
    }

    pub(super) fn end(&self, at: Timestamp) {
        *locked(&self.until) = Some(at);
    }

    /// When it was over and the last of its checks had come to its end; `None`: it is not over.
    pub(super) fn ended(&self) -> Option<Timestamp> {
        let until = (*locked(&self.until))?;
        let seen = locked(&self.seen).clone();
        let last = seen
            .iter()
            .filter_map(|tally| locked(&tally.course).record.last());
        Some(last.fold(until, Timestamp::max))
    }

    /// Takes less memory from here on: few checks, if any, are still to end in an epoch that is over.
    pub(super) fn pack(&self) {
        let seen = locked(&self.seen).clone();
        for tally in seen {
            locked(&tally.course).latencies.pack();
        }
    }

    pub(super) fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn comparable(&self) -> &Arc<str> {
        &self.comparable
    }

    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    pub(super) fn series(&self) -> u64 {
        self.series
    }

    /// The build of the new stack whose checks these are.
    pub(super) fn version(&self) -> Option<&Version> {
        self.version.get()
    }

    /// An epoch has one version; once known, it stays.
    pub(super) fn adopt(&self, build: Option<&Version>) {
        if let Some(version) = build {
            self.version.get_or_init(|| version.clone());
        }
    }

    /// Whether a check has come to a comparison.
    pub(super) fn has_compared(&self) -> bool {
        let seen = locked(&self.seen);
        seen.iter().any(|tally| tally.outcomes().compared() > 0)
    }

    /// The place of a route in an epoch that is over.
    pub(super) fn seat(self: &Arc<Self>, route: &Arc<str>) -> Seat {
        let mut seen = locked(&self.seen);
        if let Some(tally) = seen.iter().find(|tally| tally.route == *route) {
            return Seat {
                epoch: self.clone(),
                tally: tally.clone(),
            };
        }
        let seat = Seat::new(self, route);
        seat.tally.has_appeared.store(true, Ordering::Relaxed);
        seen.push(seat.tally.clone());
        seat
    }

    /// Gives each of these routes that has none the next rank.
    pub(super) fn rank<'r>(&self, required: impl Iterator<Item = &'r Arc<str>>) {
        let seen = locked(&self.seen);
        let rank = |tally: &Arc<Tally>| tally.rank.load(Ordering::Relaxed);
        let mut taken = seen.iter().map(rank).max().unwrap_or(0);
        for route in required {
            let tally = seen.iter().find(|tally| tally.route == *route);
            if let Some(tally) = tally.filter(|tally| rank(tally) == 0) {
                taken += 1;
                tally.rank.store(taken, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn seen(&self) -> usize {
        locked(&self.seen).len()
    }

    pub(super) fn tallies(&self, now: Timestamp) -> Tallies {
        let seen = locked(&self.seen).clone();
        let until = *locked(&self.until);
        Tallies {
            epoch: self.told(until),
            doubt: None,
            routes: seen
                .iter()
                .map(|tally| tally.figures(until.unwrap_or(now)))
                .collect(),
        }
    }

    fn told(&self, until: Option<Timestamp>) -> verdict::Epoch {
        verdict::Epoch {
            id: self.id.clone(),
            label: self.label.clone(),
            version: self.version.get().cloned(),
            cause: self.cause,
            since: self.since,
            until,
        }
    }
}

// === impl Seat ===

impl Seat {
    pub(super) fn new(epoch: &Arc<Epoch>, route: &Arc<str>) -> Self {
        Self {
            epoch: epoch.clone(),
            tally: Arc::new(Tally::new(route.clone(), epoch.since)),
        }
    }

    /// The place of a route in an epoch that may know it from another process.
    pub(super) fn again(epoch: &Arc<Epoch>, route: &Arc<str>) -> Self {
        let seen = locked(&epoch.seen);
        let known = seen.iter().find(|tally| tally.route == *route).cloned();
        drop(seen);
        match known {
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

    fn appear(&self) {
        // The plain load first: on the live path this is true all but once.
        let appeared = &self.tally.has_appeared;
        if !appeared.load(Ordering::Relaxed) && !appeared.swap(true, Ordering::Relaxed) {
            locked(&self.epoch.seen).push(self.tally.clone());
        }
    }
}

// === impl Tally ===

impl Tally {
    fn new(route: Arc<str>, since: Timestamp) -> Self {
        Self {
            route,
            rank: AtomicU64::new(0),
            has_appeared: AtomicBool::new(false),
            live: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            sampled: AtomicU64::new(0),
            delayed: AtomicU64::new(0),
            outcomes: Default::default(),
            course: Mutex::new(Course {
                record: Record::default(),
                last_mismatch: None,
                pace: Pace::new(since),
                latencies: Latencies::default(),
            }),
        }
    }

    fn restore(state: RouteState, now: Timestamp) -> Self {
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
            course: Mutex::new(Course {
                record: state.record,
                last_mismatch: state.last_mismatch.map(|at| at.min(now)),
                pace: Pace::new(now),
                latencies: state.latencies,
            }),
        }
    }

    fn state(&self, place: u64) -> RouteState {
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
            record: course.record.clone(),
            last_mismatch: course.last_mismatch,
            latencies: course.latencies.clone(),
        }
    }

    fn mark(&self) -> Mark {
        let ended = self.outcomes().ended();
        let counted = [&self.live, &self.reads, &self.sampled, &self.rank];
        let [live, reads, sampled, rank] = counted.map(|count| count.load(Ordering::Relaxed));
        [live, reads, sampled, ended, rank]
    }

    fn rank(&self) -> Option<u64> {
        let rank = self.rank.load(Ordering::Relaxed);
        (rank > 0).then_some(rank)
    }

    /// To be read before the samples: a check that ends between the two must not seem to end unsampled.
    fn outcomes(&self) -> Outcomes {
        let counts = Outcome::ALL.into_iter().map(|outcome| {
            let count = &self.outcomes[outcome.index()];
            (outcome, count.load(Ordering::Acquire))
        });
        counts.collect()
    }

    fn figures(&self, now: Timestamp) -> Figures {
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
            record: course.record.clone(),
            last_mismatch: course.last_mismatch,
            pace: course.pace.per_second(now),
            latency: course.latencies.quantiles(),
        }
    }
}

// === impl Course ===

impl Course {
    fn check(&mut self, outcome: Outcome, at: Timestamp) {
        self.record.check(at);
        match outcome {
            Outcome::Match(_) => self.pace.count(at),
            Outcome::Mismatch(_) => self.last_mismatch = self.last_mismatch.max(Some(at)),
            _ => {}
        }
    }
}
