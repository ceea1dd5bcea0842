//! The figures of one route, and the tickets that keep samples and outcomes equal.

use super::{
    Clock,
    epoch::Epoch,
    locks::{read, write},
    seat::Seat,
};
use crate::{
    budget::Bucket,
    compare::Kind,
    stack::Stack,
    verdict::{Outcome, Reason, Version},
};
use http::{Method, StatusCode};
use std::{
    fmt,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// What every route and ticket asks the process.
#[derive(Debug)]
pub(super) struct House {
    pub(super) shutting_down: AtomicBool,
    pub(super) clock: Clock,
}

/// The figures of one route. Shared by clones.
#[derive(Clone)]
pub struct Route(Arc<Counts>);

struct Counts {
    name: Arc<str>,
    live: [[AtomicU64; STATUS_CLASSES.len()]; METHODS.len()],
    reads: AtomicU64,
    sampled: AtomicU64,
    delayed: AtomicU64,
    outcomes: [AtomicU64; Outcome::ALL.len()],
    differences: [AtomicU64; Kind::ALL.len()],
    seat: RwLock<Seat>,
    /// Here, and not with the sampler, because it saves a look-up for every read.
    floor: Bucket,
    house: Arc<House>,
}

/// One sample on its way to its outcome. Dropped without one, it counts as
/// `not_compared{internal}`, or `not_compared{shutting_down}` once the process ends.
#[derive(Debug)]
#[must_use = "a dropped ticket counts as not compared"]
pub struct Ticket {
    route: Route,
    /// In the epoch in which the sample was taken.
    seat: Seat,
    is_counted: bool,
    is_delayed: bool,
    /// Answered by the build of that epoch, as far as anybody says.
    is_attributed: bool,
}

/// The values of the label `method`.
pub const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "other",
];

/// The values of the label `status_class`; `none`: the caller got no answer.
pub const STATUS_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

// === impl Route ===

impl Route {
    pub(super) fn new(name: &str, epoch: &Arc<Epoch>, house: Arc<House>) -> Self {
        let name = Arc::from(name);
        Self(Arc::new(Counts {
            seat: RwLock::new(Seat::again(epoch, &name)),
            name,
            live: Default::default(),
            reads: AtomicU64::new(0),
            floor: Bucket::default(),
            sampled: AtomicU64::new(0),
            delayed: AtomicU64::new(0),
            outcomes: Default::default(),
            differences: Default::default(),
            house,
        }))
    }

    /// From now on counts in `epoch`.
    pub(super) fn enter(&self, epoch: &Arc<Epoch>) {
        *write(&self.0.seat) = Seat::new(epoch, &self.0.name);
    }

    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// Counts one live request; `None`: the caller got no answer.
    pub fn count_live(&self, method: &Method, status: Option<StatusCode>) {
        let method = METHODS
            .iter()
            .position(|name| *name == method.as_str())
            .unwrap_or(METHODS.len() - 1);
        let class = match status {
            Some(status) => usize::from(status.as_u16() / 100).clamp(1, 5) - 1,
            None => STATUS_CLASSES.len() - 1,
        };
        self.0.live[method][class].fetch_add(1, Ordering::Relaxed);
        read(&self.0.seat).count_live();
    }

    /// Counts one live request as a read, beside [`Route::count_live`]; sampled or not. Which routes a
    /// verdict depends on goes by their share of the reads.
    pub fn count_live_read(&self) {
        self.0.reads.fetch_add(1, Ordering::Relaxed);
        read(&self.0.seat).count_read();
    }

    /// Counts one sample, and hands out the duty to end it.
    pub fn sample(&self) -> Ticket {
        self.0.sampled.fetch_add(1, Ordering::Relaxed);
        let seat = read(&self.0.seat).clone();
        seat.count_sample();
        Ticket {
            route: self.clone(),
            seat,
            is_counted: false,
            is_delayed: false,
            is_attributed: true,
        }
    }

    /// What is left of `sample.per_route_floor`.
    pub fn floor(&self) -> &Bucket {
        &self.0.floor
    }

    pub fn count_difference(&self, kind: Kind) {
        self.0.differences[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// By index into [`METHODS`] and [`STATUS_CLASSES`].
    pub fn live(&self, method: usize, status_class: usize) -> u64 {
        self.0.live[method][status_class].load(Ordering::Relaxed)
    }

    pub fn live_total(&self) -> u64 {
        let classes = self.0.live.iter().flatten();
        classes.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub fn reads(&self) -> u64 {
        self.0.reads.load(Ordering::Relaxed)
    }

    pub fn sampled(&self) -> u64 {
        self.0.sampled.load(Ordering::Relaxed)
    }

    /// Checks that began later, for what they read had just been written.
    pub fn delayed(&self) -> u64 {
        self.0.delayed.load(Ordering::Relaxed)
    }

    pub fn outcomes(&self, outcome: Outcome) -> u64 {
        self.0.outcomes[outcome.index()].load(Ordering::Relaxed)
    }

    pub fn differences(&self, kind: Kind) -> u64 {
        self.0.differences[kind as usize].load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Route").field(&self.0.name).finish()
    }
}

// === impl Ticket ===

impl Ticket {
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// The id of the epoch to which the check belongs.
    pub fn epoch(&self) -> &Arc<str> {
        self.seat.epoch.id()
    }

    /// The check begins later, for what it reads has just been written. That is counted with its outcome.
    pub fn delay(&mut self) {
        self.is_delayed = true;
    }

    /// From now on the check belongs to `epoch`, if it is comparable with what is counted there.
    pub(super) fn move_to(&mut self, epoch: &Arc<Epoch>) {
        let from = &self.seat.epoch;
        if Arc::ptr_eq(from, epoch) || from.series() != epoch.series() {
            return;
        }
        let present = read(&self.route.0.seat).clone();
        let seat = match Arc::ptr_eq(&present.epoch, epoch) {
            true => present,
            false => epoch.seat(&self.route.0.name),
        };
        seat.count_sample();
        self.seat.release_sample();
        self.seat = seat;
    }

    /// That build answered the check; `None`: the answer does not say.
    pub(super) fn attribute(&mut self, build: Option<&Version>) {
        self.is_attributed = self.seat.epoch.version() == build;
    }

    /// Notes how long a stack took for its whole answer.
    pub fn answered(&self, stack: Stack, took: Duration) {
        if self.is_attributed {
            self.seat.count_latency(stack, took);
        }
    }

    /// Counts the outcome of the check.
    pub fn finish(mut self, outcome: Outcome) {
        self.count(outcome);
    }

    /// Ends the check without a comparison: `shutting_down` once the process ends, `reason` before.
    pub fn give_up(self, reason: Reason) {
        let is_ending = self.route.0.house.shutting_down.load(Ordering::Relaxed);
        let reason = if is_ending {
            Reason::ShuttingDown
        } else {
            reason
        };
        self.finish(Outcome::NotCompared(reason));
    }

    fn count(&mut self, outcome: Outcome) {
        self.is_counted = true;
        if self.is_delayed {
            self.route.0.delayed.fetch_add(1, Ordering::Relaxed);
            self.seat.count_delay();
        }
        self.route.0.outcomes[outcome.index()].fetch_add(1, Ordering::Relaxed);
        let now = self.route.0.house.clock.now();
        match self.is_attributed {
            true => self.seat.count_outcome(outcome, now),
            false => self.seat.count_unattributed(outcome, now),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.is_counted {
            return;
        }
        let reason = match self.route.0.house.shutting_down.load(Ordering::Relaxed) {
            true => Reason::ShuttingDown,
            false => Reason::Internal,
        };
        self.count(Outcome::NotCompared(reason));
    }
}
