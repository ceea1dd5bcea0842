//! The counters per route: live requests, samples and their outcomes, since the process began and per epoch.
//!
//! [`Ticket`] upholds the conservation law `sampled = sum(outcomes)`. Creating one counts a sample, and however it
//! ends, it counts exactly one outcome.

pub(crate) mod clock;
mod epoch;
mod epoch_slot;
pub(crate) mod gauges;
pub(crate) mod latencies;
mod live_counts;
mod locks;
mod names;
mod recovery;
pub(crate) mod route;
pub(crate) mod rule_counts;
mod seconds;
mod shared;
pub(crate) mod snapshot;
mod tally;
pub(crate) mod timings;

pub use clock::Clock;
pub(crate) use clock::today;
pub use gauges::{Bound, Gauges, ListenerName, LiveFailure, Signal};
pub(crate) use latencies::{Latencies, Sketch};
pub use live_counts::{AnsweredBy, LiveCount};
pub use route::{Draw, Route, SampleCause, Ticket};
pub use rule_counts::{RuleCount, RuleCounts};
pub use snapshot::LedgerSnapshot;
pub(crate) use snapshot::{EpochState, RouteState};
pub use timings::Timings;

use crate::{
    outcome::Outcome,
    route::{OTHER, Positions},
    verdict::{Builds, Cause, Limits, Requirements, Tallies, Version},
};
use epoch::Epoch;
use foldhash::fast::RandomState;
use jiff::Timestamp;
use locks::{locked, read, write};
use names::RouteSlots;
use recovery::{builds, forget, open};
use shared::{JudgedBy, LedgerShared};
use snapshot::ChangeStamp;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, RwLock, atomic::Ordering},
};
use tokio::sync::watch;

/// The figures of all routes. Clones share them.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    routes: RwLock<HashMap<Arc<str>, Route, RandomState>>,
    other: Route,
    /// Lock order: before all others except `builds`.
    positions: RwLock<Positions>,
    /// Lock order: after `routes`.
    places: Mutex<RouteSlots>,
    /// Oldest first; never empty. Lock order: after `routes`.
    epochs: RwLock<VecDeque<Arc<Epoch>>>,
    /// The number of epochs begun, over all processes. Updated when an epoch begins.
    begun: watch::Sender<u64>,
    /// Lock order: before all others.
    builds: Mutex<Builds>,
    shared: Arc<LedgerShared>,
    gauges: Gauges,
}

/// The number of epochs kept, and of routes in all of them.
pub(crate) const MAX_EPOCHS: usize = 100;
pub(crate) const MAX_TALLIES: usize = 10_000;

// === impl Ledger ===

impl Ledger {
    /// An empty ledger.
    pub fn new(max_routes: usize, gauges: Gauges) -> Self {
        Self::with_clock(max_routes, gauges, Clock::system())
    }

    /// An empty ledger whose epochs use `clock`.
    pub fn with_clock(max_routes: usize, gauges: Gauges, clock: Clock) -> Self {
        Self::open(max_routes, gauges, clock, LedgerSnapshot::default())
    }

    /// A ledger that starts from `opening`. If the clock was set back since then, the ledger goes on by the time of before.
    pub fn open(max_routes: usize, gauges: Gauges, clock: Clock, opening: LedgerSnapshot) -> Self {
        let clock = clock.not_before(opening.latest());
        let now = clock.now();
        let shared = LedgerShared::new(clock);
        let epochs = open(opening, now, &shared);
        let present = epochs.back().expect("an epoch is always open");
        Self(Arc::new(Inner {
            routes: RwLock::default(),
            other: Route::new(OTHER, present, shared.clone()),
            positions: RwLock::default(),
            places: Mutex::new(RouteSlots::new(max_routes)),
            begun: watch::Sender::new(present.start.number),
            builds: Mutex::new(builds(&epochs, now)),
            epochs: RwLock::new(epochs),
            shared,
            gauges,
        }))
    }

    /// Ends the current epoch and begins another; the verdict's counts start again. Samples in progress still count in
    /// their own epoch. Returns the id of the new one.
    pub fn begin_epoch(&self, label: Option<&str>, cause: Cause) -> Arc<str> {
        self.begin_comparable(None, label, cause)
    }

    /// Like [`Ledger::begin_epoch`], for a change after which checks are only comparable under `comparable`.
    pub fn begin_comparable(
        &self,
        comparable: Option<Arc<str>>,
        label: Option<&str>,
        cause: Cause,
    ) -> Arc<str> {
        let mut builds = locked(&self.0.builds);
        builds.begin(self.now());
        let present = self.present();
        let version = match cause {
            // A different header is used now, so the old build's name means nothing.
            Cause::Version => None,
            _ => present.version(),
        };
        self.begin((comparable, version.map(Some)), label, cause)
    }

    /// Counts the check of `ticket` in the epoch of the build that answered it, and begins one for an unknown build.
    /// `None` means that the answer names no build. Returns whether an epoch began.
    pub fn attribute(&self, build: Option<&Version>, ticket: &mut Ticket) -> bool {
        let has_begun = self.count_for(build, ticket);
        ticket.attribute(build);
        has_begun
    }

    fn count_for(&self, build: Option<&Version>, ticket: &mut Ticket) -> bool {
        let mut builds = locked(&self.0.builds);
        let (present, now) = (self.present(), self.now());
        if present.adopt(build) {
            builds.newest_answered(now);
            ticket.move_to(&present);
            return false;
        }
        let own = self.last_of(build, present.start.series);
        let is_unknown = own.is_none() && build.is_some();
        if builds.another_answered(is_unknown, now) {
            // A build keeps its label.
            let label = own
                .as_ref()
                .and_then(|epoch| epoch.start.epoch.label.as_deref());
            self.begin((None, Some(build)), label, Cause::Version);
            ticket.move_to(&self.present());
            return true;
        }
        match own {
            Some(epoch) => ticket.move_to(&epoch),
            None if is_unknown => self.0.gauges.bound_reached(Bound::Versions),
            None => {}
        }
        ticket.is_of_another = true;
        false
    }

    /// The newest epoch of that build in a series.
    fn last_of(&self, build: Option<&Version>, series: u64) -> Option<Arc<Epoch>> {
        let epochs = read(&self.0.epochs);
        let of_series = epochs.iter().filter(|epoch| epoch.start.series == series);
        let mut newest = of_series.rev();
        newest.find(|epoch| epoch.build() == Some(build)).cloned()
    }

    fn begin(
        &self,
        (comparable, build): (Option<Arc<str>>, Option<Option<&Version>>),
        label: Option<&str>,
        cause: Cause,
    ) -> Arc<str> {
        // Held throughout, so that no route is added to the ending epoch.
        let routes = write(&self.0.routes);
        let now = self.0.shared.clock.now();
        // Every caller holds `builds`, so `begun` cannot change.
        let number = *self.0.begun.borrow() + 1;
        let present = self.present();
        let before = &present.start;
        let mut begins = EpochState::begin(number, cause, now);
        if cause == Cause::Version && comparable.is_none() {
            begins.series = before.series;
        }
        begins.comparable = comparable.unwrap_or_else(|| before.comparable.clone());
        begins.epoch.label = label.map(Arc::from);
        let epoch = Epoch::open(begins, self.0.shared.clone());
        if let Some(build) = build {
            epoch.adopt(build);
        }
        for route in routes.values().chain([&self.0.other]) {
            route.enter(&epoch);
        }
        let mut epochs = write(&self.0.epochs);
        let ended = epochs.back().cloned();
        if let Some(ended) = &ended {
            ended.end(now);
        }
        epochs.push_back(epoch.clone());
        let forgotten = forget(&mut epochs);
        drop((epochs, routes));
        self.0.gauges.bound_reached_times(Bound::Epochs, forgotten);
        // The live side does not wait for this.
        if let Some(ended) = ended {
            ended.pack();
        }
        self.0.begun.send_replace(number);
        epoch.start.epoch.id.clone()
    }

    /// Sets the limits for checks that become evidence, and the routes declared as required.
    pub fn judge_by(&self, limits: &Limits, declared: Vec<Arc<str>>) {
        let judged_by = JudgedBy {
            limits: limits.clone(),
            requirements: Requirements::new(declared, limits),
        };
        self.0.shared.judge_by(judged_by);
        let _held = self.0.shared.seconds.hold();
        // Includes past epochs, because of another process's epochs only the ranks are known.
        let epochs: Vec<_> = read(&self.0.epochs).iter().cloned().collect();
        self.assess(&epochs);
    }

    /// Closes past seconds whose checks have all ended, which makes those checks evidence. Call it several times a
    /// second.
    pub fn close_seconds(&self) {
        let shared = &self.0.shared;
        let judged_by = shared.judged_by();
        // First, because what becomes evidence before its route is required proves nothing against the route.
        let held = shared.seconds.hold();
        self.assess(&[self.present()]);
        drop(held);
        shared.seconds.close(shared.clock.now(), |ended| {
            for tally in ended.sampled_in.iter().flatten() {
                tally.waiting.fetch_sub(1, Ordering::Relaxed);
            }
            for tally in ended.tallies.iter().flatten() {
                tally.enter(&ended, &judged_by.limits);
            }
            if ended.is_of_another {
                let present = ended.sampled_in.iter().flatten();
                present.for_each(|tally| tally.another_answered());
            }
        });
    }

    /// The figures of the current epoch.
    pub fn tallies(&self) -> Tallies {
        let now = self.now();
        let mixed = locked(&self.0.builds).mixed(now);
        let _held = self.0.shared.seconds.hold();
        Tallies {
            mixed,
            ..self.joined(self.present().tallies(now))
        }
    }

    /// The id of the current epoch.
    pub fn epoch(&self) -> Arc<str> {
        self.present().start.epoch.id.clone()
    }

    /// The number of epochs begun, as a value to wait on.
    pub fn epochs_begun(&self) -> watch::Receiver<u64> {
        self.0.begun.subscribe()
    }

    /// The figures of every kept epoch, the current one first.
    pub fn epochs(&self) -> Vec<Tallies> {
        let epochs: Vec<_> = read(&self.0.epochs).iter().rev().cloned().collect();
        let now = self.now();
        let _held = self.0.shared.seconds.hold();
        let tallies = epochs.iter().map(|epoch| epoch.tallies(now));
        tallies.map(|tallies| self.joined(tallies)).collect()
    }

    /// The kept epochs, oldest first, with the figures of all routes for which `is_stored` returns `false`.
    pub fn states(
        &self,
        is_stored: impl Fn(u64, &Arc<str>, ChangeStamp) -> bool,
    ) -> Vec<EpochState> {
        let epochs: Vec<_> = read(&self.0.epochs).iter().cloned().collect();
        let mut held = self.0.shared.seconds.hold();
        let cut = held.cut();
        let states = epochs.iter().map(|epoch| {
            let number = epoch.start.number;
            epoch.state(&cut, |route, mark| is_stored(number, route, mark))
        });
        states.collect()
    }

    /// The number of the current epoch.
    pub fn number(&self) -> u64 {
        self.present().start.number
    }

    /// The numbers of the kept epochs.
    pub fn numbers(&self) -> Vec<u64> {
        let epochs = read(&self.0.epochs);
        epochs.iter().map(|epoch| epoch.start.number).collect()
    }

    /// Drops past epochs with nothing recorded since `oldest`. A build without any epoch left is new again.
    pub fn forget_ended(&self, oldest: Timestamp) {
        let epochs: Vec<_> = read(&self.0.epochs).iter().cloned().collect();
        let is_old = |epoch: &Epoch| epoch.ended().is_some_and(|ended| ended < oldest);
        let old: Vec<_> = epochs.into_iter().filter(|epoch| is_old(epoch)).collect();
        if old.is_empty() {
            return;
        }
        let mut epochs = write(&self.0.epochs);
        epochs.retain(|epoch| !old.iter().any(|old| Arc::ptr_eq(old, epoch)));
    }

    /// The time of the ledger's clock.
    pub fn now(&self) -> Timestamp {
        self.0.shared.clock.now()
    }

    /// Samples whose check has not ended.
    pub fn open_checks(&self) -> u64 {
        let open = |route: &Route| {
            let ended: u64 = Outcome::ALL
                .map(|outcome| route.outcomes(outcome))
                .iter()
                .sum();
            route.sampled().saturating_sub(ended)
        };
        self.routes().iter().map(open).sum()
    }

    /// From now on, a sample that is given up counts as `shutting_down`.
    pub fn shut_down(&self) {
        self.0.shared.shutting_down.store(true, Ordering::Relaxed);
    }

    fn present(&self) -> Arc<Epoch> {
        let epochs = read(&self.0.epochs);
        epochs.back().expect("an epoch is always open").clone()
    }
}
