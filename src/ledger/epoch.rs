//! The figures of one epoch, the input of a verdict.
//!
//! A check counts in the epoch in which it was sampled, so that `sampled = sum(outcomes)` holds in each of them.

use super::{
    EpochState,
    epoch_slot::EpochSlot,
    locks::locked,
    shared::{JudgedBy, LedgerShared},
    snapshot::ChangeStamp,
    tally::Tally,
};
use crate::verdict::{self, Requirement, Tallies, Version, evidence::REST};
use jiff::Timestamp;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, atomic::Ordering},
};

/// One epoch and the tallies of the routes that appeared in it.
#[derive(Debug)]
pub(super) struct Epoch {
    /// As it began, without routes, build and end.
    pub(super) start: EpochState,
    /// Set once an answer of the new stack has shown it. `None`: its answers name none.
    build: OnceLock<Option<Version>>,
    until: Mutex<Option<Timestamp>>,
    /// In order of appearance.
    seen: Mutex<Vec<Arc<Tally>>>,
    /// The sum of all routes that are neither required nor exempt.
    pub(super) rest: Arc<Tally>,
    shared: Arc<LedgerShared>,
}

// === impl Epoch ===

impl Epoch {
    /// Opens an epoch, which may be one of another process.
    pub(super) fn open(mut state: EpochState, shared: Arc<LedgerShared>) -> Arc<Self> {
        let routes = std::mem::take(&mut state.routes).into_iter();
        let restored = routes.map(|route| Arc::new(Tally::restore(route)));
        let (mut rest, seen): (Vec<_>, _) = restored.partition(|tally| &*tally.route == REST);
        let version = state.epoch.version.take();
        let epoch = Self {
            until: Mutex::new(state.epoch.until.take()),
            start: state,
            build: version
                .map(|version| Some(version).into())
                .unwrap_or_default(),
            seen: Mutex::new(seen),
            rest: rest
                .pop()
                .unwrap_or_else(|| Arc::new(Tally::new(REST.into()))),
            shared,
        };
        if epoch.last_check().is_some() {
            epoch.adopt(None);
        }
        Arc::new(epoch)
    }

    /// The figures of all routes for which `is_stored` returns `false`. `cut` holds the tallies of checks that a
    /// shutdown would cut off.
    pub(super) fn state(
        &self,
        cut: &[Arc<Tally>],
        is_stored: impl Fn(&Arc<str>, ChangeStamp) -> bool,
    ) -> EpochState {
        let seen = locked(&self.seen).clone();
        let rest = Some(&self.rest).filter(|rest| rest.mark(cut) != ChangeStamp::default());
        let routes = seen.iter().chain(rest).zip(0..);
        let changed = routes.filter(|(tally, _)| !is_stored(&tally.route, tally.mark(cut)));
        EpochState {
            epoch: self.about(*locked(&self.until)),
            routes: changed
                .map(|(tally, place)| tally.state(place, cut))
                .collect(),
            ..self.start.clone()
        }
    }

    pub(super) fn end(&self, at: Timestamp) {
        *locked(&self.until) = Some(at);
    }

    /// When it was over and its last check had ended; `None` if it is not over.
    pub(super) fn ended(&self) -> Option<Timestamp> {
        let until = (*locked(&self.until))?;
        Some(self.last_check().map_or(until, |last| last.max(until)))
    }

    /// Reduces its memory, because few checks, if any, still end in a past epoch.
    pub(super) fn pack(&self) {
        let seen = locked(&self.seen).clone();
        for tally in seen.iter().chain([&self.rest]) {
            tally.pack();
        }
    }

    /// The build of the new stack that answered its checks: `None` before any answer, `Some(None)` if they name none.
    pub(super) fn build(&self) -> Option<Option<&Version>> {
        self.build.get().map(Option::as_ref)
    }

    /// The name of that build.
    pub(super) fn version(&self) -> Option<&Version> {
        self.build().flatten()
    }

    /// Makes it the epoch of that build if nothing has answered before. Returns whether it is.
    pub(super) fn adopt(&self, build: Option<&Version>) -> bool {
        self.build.get_or_init(|| build.cloned()).as_ref() == build
    }

    /// When a check of its build last led to a comparison.
    pub(super) fn last_check(&self) -> Option<Timestamp> {
        let seen = locked(&self.seen).clone();
        let last = seen
            .iter()
            .filter_map(|tally| locked(&tally.course).evidence.record.last());
        last.max()
    }

    /// The slot of a route in a past epoch.
    pub(super) fn slot(self: &Arc<Self>, route: &Arc<str>) -> EpochSlot {
        let mut seen = locked(&self.seen);
        if let Some(tally) = seen.iter().find(|tally| tally.route == *route) {
            return EpochSlot {
                epoch: self.clone(),
                tally: tally.clone(),
            };
        }
        let slot = EpochSlot::new(self, route);
        slot.tally.has_appeared.store(true, Ordering::Relaxed);
        seen.push(slot.tally.clone());
        slot
    }

    /// The tally of a route that has appeared.
    pub(super) fn tally(&self, route: &Arc<str>) -> Option<Arc<Tally>> {
        let seen = locked(&self.seen);
        seen.iter().find(|tally| tally.route == *route).cloned()
    }

    /// Adds a route that has appeared.
    pub(super) fn add(&self, tally: Arc<Tally>) {
        let mut seen = locked(&self.seen);
        let reads: u64 = seen.iter().map(|tally| tally.reads_seen()).sum();
        let judged_by = self.shared.judged_by();
        let requirement = judged_by
            .requirements
            .of(&tally.route, (1, reads + 1), false);
        tally.set_requirement(requirement);
        seen.push(tally);
    }

    /// Updates which routes the verdict depends on. `called` gives each route's current name; routes with the same name
    /// count as one. A newly required route takes the next rank and keeps it; in a past epoch, no route takes one.
    pub(super) fn assess(&self, judged_by: &JudgedBy, called: impl Fn(&Arc<str>) -> Arc<str>) {
        let seen = locked(&self.seen).clone();
        let names: Vec<_> = seen.iter().map(|tally| called(&tally.route)).collect();
        let required = |tally: &Tally| locked(&tally.course).evidence.required;
        // The first rank belongs to the rest.
        let (mut all, mut taken) = (0, 1);
        let mut wholes: HashMap<&Arc<str>, (u64, bool)> = HashMap::new();
        for (tally, name) in seen.iter().zip(&names) {
            let (reads, was_required) = wholes.entry(name).or_default();
            // Shares are of the reads that can count: what is exempt must not make other routes rare.
            if !judged_by.requirements.is_exempt(name) {
                all += tally.reads_seen();
            }
            *reads += tally.reads_seen();
            if let Some(required) = required(tally) {
                *was_required = true;
                taken = taken.max(required.rank);
            }
        }
        let mut of_rest = 0;
        let is_over = locked(&self.until).is_some();
        for (tally, name) in seen.iter().zip(&names) {
            let (reads, was_required) = wholes[name];
            let requirements = &judged_by.requirements;
            let requirement = requirements.of(name, (reads, all), was_required);
            // A route with an outdated name is no longer checked, so a rank would be wasted on it.
            let takes_rank = !is_over && required(tally).is_none() && tally.route == *name;
            if requirement == Requirement::Required && takes_rank {
                taken += 1;
                locked(&tally.course).evidence.require(taken);
            }
            if requirement == Requirement::Rest {
                of_rest += tally.reads_seen();
            }
            tally.set_requirement(requirement);
        }
        let is_required = judged_by.requirements.is_rest_required(of_rest, all);
        self.rest.set_requirement(if is_required {
            Requirement::Required
        } else {
            Requirement::Rest
        });
    }

    pub(super) fn seen(&self) -> usize {
        locked(&self.seen).len()
    }

    pub(super) fn tallies(&self, now: Timestamp) -> Tallies {
        let seen = locked(&self.seen).clone();
        let until = *locked(&self.until);
        let at = until.unwrap_or(now);
        let routes: Vec<_> = seen.iter().map(|tally| tally.figures(at)).collect();
        let mut rest = self.rest.figures(at);
        for route in &routes {
            if route.requirement == Requirement::Rest {
                rest.live += route.live;
                rest.reads += route.reads;
            }
        }
        Tallies {
            epoch: self.about(until),
            mixed: None,
            routes,
            rest,
        }
    }

    fn about(&self, until: Option<Timestamp>) -> verdict::Epoch {
        verdict::Epoch {
            version: self.version().cloned(),
            until,
            ..self.start.epoch.clone()
        }
    }
}
