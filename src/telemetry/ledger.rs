//! What was counted, per route: live requests, samples, and the one outcome of each.
//!
//! The conservation law `sampled = sum(outcomes)` is kept by [`Ticket`]: a sample is counted by making one,
//! and however it ends, exactly one outcome is counted.

use super::{Bound, Gauges};
use crate::{
    compare::Kind,
    verdict::{Outcome, Reason},
};
use http::{Method, StatusCode};
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
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
    shutting_down: Arc<AtomicBool>,
    gauges: Gauges,
}

/// The figures of one route. Shared by clones.
#[derive(Clone)]
pub struct Route(Arc<Counts>);

struct Counts {
    name: Arc<str>,
    live: [[AtomicU64; STATUS_CLASSES.len()]; METHODS.len()],
    sampled: AtomicU64,
    outcomes: [AtomicU64; Outcome::ALL.len()],
    differences: [AtomicU64; Kind::ALL.len()],
    shutting_down: Arc<AtomicBool>,
}

/// One sample on its way to its outcome. Dropped without one, it counts as
/// `not_compared{internal}`, or `not_compared{shutting_down}` once the process ends.
#[derive(Debug)]
#[must_use = "a dropped ticket counts as not compared"]
pub struct Ticket {
    route: Route,
    is_counted: bool,
}

/// The values of the label `method`.
pub const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "other",
];

/// The values of the label `status_class`; `none`: the caller got no answer.
pub const STATUS_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

// === impl Ledger ===

impl Ledger {
    pub fn new(max_routes: usize, gauges: Gauges) -> Self {
        let shutting_down = Arc::<AtomicBool>::default();
        Self(Arc::new(Inner {
            routes: RwLock::default(),
            other: Route::new(OTHER, shutting_down.clone()),
            max_routes: AtomicUsize::new(max_routes),
            shutting_down,
            gauges,
        }))
    }

    /// The route of that name; past `max_routes` a new name is [`OTHER`].
    pub fn route(&self, name: &str) -> Route {
        let routes = self.0.routes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = routes.get(name) {
            return route.clone();
        }
        drop(routes);
        self.add(name)
    }

    /// Every route seen so far, by name.
    pub fn routes(&self) -> Vec<Route> {
        let routes = self.0.routes.read().unwrap_or_else(PoisonError::into_inner);
        let mut routes: Vec<_> = routes.values().cloned().collect();
        if self.0.other.live_total() > 0 {
            routes.push(self.0.other.clone());
        }
        routes.sort_by(|one, other| one.name().cmp(other.name()));
        routes
    }

    /// From now on a sample that is given up counts as `shutting_down`.
    pub fn shut_down(&self) {
        self.0.shutting_down.store(true, Ordering::Relaxed);
    }

    fn add(&self, name: &str) -> Route {
        let mut routes = self
            .0
            .routes
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = routes.get(name) {
            return route.clone();
        }
        if name == OTHER || routes.len() >= self.0.max_routes.load(Ordering::Relaxed) {
            self.0.gauges.bound_reached(Bound::Routes);
            return self.0.other.clone();
        }
        let route = Route::new(name, self.0.shutting_down.clone());
        routes.insert(route.name().clone(), route.clone());
        route
    }
}

// === impl Route ===

impl Route {
    fn new(name: &str, shutting_down: Arc<AtomicBool>) -> Self {
        Self(Arc::new(Counts {
            name: Arc::from(name),
            live: Default::default(),
            sampled: AtomicU64::new(0),
            outcomes: Default::default(),
            differences: Default::default(),
            shutting_down,
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
    }

    /// Counts one sample, and hands out the duty to end it.
    pub fn sample(&self) -> Ticket {
        self.0.sampled.fetch_add(1, Ordering::Relaxed);
        Ticket {
            route: self.clone(),
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

    /// Counts the outcome of the check.
    pub fn finish(mut self, outcome: Outcome) {
        self.count(outcome);
    }

    /// Ends the check without a comparison: `shutting_down` once the process ends, `reason` before.
    pub fn give_up(self, reason: Reason) {
        let is_ending = self.route.0.shutting_down.load(Ordering::Relaxed);
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
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.is_counted {
            return;
        }
        let reason = match self.route.0.shutting_down.load(Ordering::Relaxed) {
            true => Reason::ShuttingDown,
            false => Reason::Internal,
        };
        self.count(Outcome::NotCompared(reason));
    }
}
