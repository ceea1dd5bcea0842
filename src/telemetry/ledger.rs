//! What was counted, per route: live requests, samples, and the one outcome of each; since the process
//! began, and beside that for each epoch.
//!
//! The conservation law `sampled = sum(outcomes)` is kept by [`Ticket`]: a sample is counted by making one,
//! and however it ends, exactly one outcome is counted.

use super::{
    Bound, Clock, Gauges,
    epoch::{Beginning, Epoch, Seat},
};
use crate::{
    compare::Kind,
    stack::Stack,
    verdict::{Cause, Outcome, Reason, Tallies},
};
use http::{Method, StatusCode};
use jiff::Timestamp;
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// The route under which everything is counted that comes after `max_routes`.
pub const OTHER: &str = "other";

/// The figures of all routes. Shared by clones.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    routes: RwLock<HashMap<Arc<str>, Route>>,
    other: Route,
    max_routes: AtomicUsize,
    /// Oldest first; never empty. Whoever takes this and `routes` takes `routes` first.
    epochs: RwLock<VecDeque<Arc<Epoch>>>,
    /// How many epochs have begun.
    begun: AtomicU64,
    house: Arc<House>,
    gauges: Gauges,
}

/// What every route and ticket asks the process.
#[derive(Debug)]
struct House {
    shutting_down: AtomicBool,
    clock: Clock,
}

/// The figures of one route. Shared by clones.
#[derive(Clone)]
pub struct Route(Arc<Counts>);

struct Counts {
    name: Arc<str>,
    live: [[AtomicU64; STATUS_CLASSES.len()]; METHODS.len()],
    reads: AtomicU64,
    sampled: AtomicU64,
    outcomes: [AtomicU64; Outcome::ALL.len()],
    differences: [AtomicU64; Kind::ALL.len()],
    seat: RwLock<Seat>,
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
}

/// The values of the label `method`.
pub const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "other",
];

/// The values of the label `status_class`; `none`: the caller got no answer.
pub const STATUS_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// Epochs that stay readable, and routes in all of them together.
const MAX_EPOCHS: usize = 100;
const MAX_TALLIES: usize = 10_000;

// === impl Ledger ===

impl Ledger {
    pub fn new(max_routes: usize, gauges: Gauges) -> Self {
        Self::with_clock(max_routes, gauges, Clock::system())
    }

    /// A ledger whose epochs go by `clock`.
    pub fn with_clock(max_routes: usize, gauges: Gauges, clock: Clock) -> Self {
        let beginning = Beginning {
            label: None,
            cause: Cause::Start,
            since: clock.now(),
        };
        let house = Arc::new(House {
            shutting_down: AtomicBool::new(false),
            clock,
        });
        let epoch = Epoch::begin(1, beginning);
        Self(Arc::new(Inner {
            routes: RwLock::default(),
            other: Route::new(OTHER, &epoch, house.clone()),
            max_routes: AtomicUsize::new(max_routes),
            epochs: RwLock::new(VecDeque::from([epoch])),
            begun: AtomicU64::new(1),
            house,
            gauges,
        }))
    }

    /// Ends the present epoch and begins another; counting for the verdict starts again. Samples on their way
    /// still end in the epoch in which they were taken. Returns the id of the new one.
    pub fn begin_epoch(&self, label: Option<&str>, cause: Cause) -> Arc<str> {
        // Held throughout, so that no route is added to the epoch that ends.
        let routes = write(&self.0.routes);
        let now = self.0.house.clock.now();
        let number = self.0.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let epoch = Epoch::begin(
            number,
            Beginning {
                label: label.map(Arc::from),
                cause,
                since: now,
            },
        );
        for route in routes.values().chain([&self.0.other]) {
            *write(&route.0.seat) = Seat::new(&epoch, &route.0.name);
        }
        let mut epochs = write(&self.0.epochs);
        if let Some(ended) = epochs.back() {
            ended.end(now);
        }
        epochs.push_back(epoch.clone());
        forget(&mut epochs);
        epoch.id().clone()
    }

    /// The figures of the present epoch.
    pub fn tallies(&self) -> Tallies {
        self.present().tallies(self.now())
    }

    /// The id of the present epoch.
    pub fn epoch(&self) -> Arc<str> {
        self.present().id().clone()
    }

    /// The figures of every epoch that is still readable, the present one first.
    pub fn epochs(&self) -> Vec<Tallies> {
        let epochs: Vec<_> = read(&self.0.epochs).iter().rev().cloned().collect();
        let now = self.now();
        epochs.iter().map(|epoch| epoch.tallies(now)).collect()
    }

    /// By the clock of the ledger.
    pub fn now(&self) -> Timestamp {
        self.0.house.clock.now()
    }

    /// The route of that name; past `max_routes` a new name is [`OTHER`].
    pub fn route(&self, name: &str) -> Route {
        let routes = read(&self.0.routes);
        if let Some(route) = routes.get(name) {
            return route.clone();
        }
        drop(routes);
        self.add(name)
    }

    /// Every route seen so far, by name.
    pub fn routes(&self) -> Vec<Route> {
        let routes = read(&self.0.routes);
        let mut routes: Vec<_> = routes.values().cloned().collect();
        if self.0.other.live_total() > 0 {
            routes.push(self.0.other.clone());
        }
        routes.sort_by(|one, other| one.name().cmp(other.name()));
        routes
    }

    /// From now on a sample that is given up counts as `shutting_down`.
    pub fn shut_down(&self) {
        self.0.house.shutting_down.store(true, Ordering::Relaxed);
    }

    fn present(&self) -> Arc<Epoch> {
        let epochs = read(&self.0.epochs);
        epochs.back().expect("an epoch is always open").clone()
    }

    fn add(&self, name: &str) -> Route {
        let mut routes = write(&self.0.routes);
        if let Some(route) = routes.get(name) {
            return route.clone();
        }
        if name == OTHER || routes.len() >= self.0.max_routes.load(Ordering::Relaxed) {
            self.0.gauges.bound_reached(Bound::Routes);
            return self.0.other.clone();
        }
        let route = Route::new(name, &self.present(), self.0.house.clone());
        routes.insert(route.name().clone(), route.clone());
        route
    }
}

// === impl Route ===

impl Route {
    fn new(name: &str, epoch: &Arc<Epoch>, house: Arc<House>) -> Self {
        let name = Arc::from(name);
        Self(Arc::new(Counts {
            seat: RwLock::new(Seat::new(epoch, &name)),
            name,
            live: Default::default(),
            reads: AtomicU64::new(0),
            sampled: AtomicU64::new(0),
            outcomes: Default::default(),
            differences: Default::default(),
            house,
        }))
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
        }
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

    /// Notes how long a stack took for its whole answer.
    pub fn answered(&self, stack: Stack, took: Duration) {
        self.seat.count_latency(stack, took);
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
        self.route.0.outcomes[outcome.index()].fetch_add(1, Ordering::Relaxed);
        let now = self.route.0.house.clock.now();
        self.seat.count_outcome(outcome, now);
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

/// Drops the oldest epochs until the rest is within the bounds; the present one stays.
fn forget(epochs: &mut VecDeque<Arc<Epoch>>) {
    let mut tallies: usize = epochs.iter().map(|epoch| epoch.seen()).sum();
    while epochs.len() > 1 && (epochs.len() > MAX_EPOCHS || tallies > MAX_TALLIES) {
        if let Some(oldest) = epochs.pop_front() {
            tallies -= oldest.seen();
        }
    }
}

/// A panic elsewhere leaves figures that are still the best there are.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
