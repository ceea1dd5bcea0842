//! The figures of one route, and the tickets that keep samples and outcomes equal.

use super::{
    epoch::Epoch,
    epoch_slot::EpochSlot,
    live_counts::{AnsweredBy, LiveCount, LiveCounts, Sums},
    locks::{read, write},
    seconds::{Ended, SamplingOrder, Tallies},
    shared::LedgerShared,
    tally::Tally,
};
use crate::{
    budget::Bucket,
    outcome::{Outcome, Reason},
    route::ENOUGH,
    stack::Stack,
    value::Kind,
    verdict::{Entry, Version},
};
use http::{Method, StatusCode};
use jiff::Timestamp;
use opentelemetry::metrics::BoundHistogram;
use std::{
    fmt,
    sync::{
        Arc, OnceLock, RwLock,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};
use strum::VariantArray as _;

/// The figures of one route. Clones share them.
#[derive(Clone)]
pub struct Route(Arc<Counts>);

struct Counts {
    name: Arc<str>,
    live: LiveCounts,
    reads: AtomicU64,
    sampled: AtomicU64,
    forced: AtomicU64,
    delayed: AtomicU64,
    outcomes: [AtomicU64; Outcome::ALL.len()],
    differences: [AtomicU64; Kind::VARIANTS.len()],
    slot: RwLock<EpochSlot>,
    /// Routes joined with this one. What is in progress under their names counts in them, and so here.
    parts: RwLock<Vec<Route>>,
    /// How often an undeclared path of this name was learned from.
    lessons: AtomicU8,
    /// Stored here and not in the sampler, which saves a look-up per read.
    floor: Bucket,
    /// By stack, from its first checked answer on. Recording has no look-up then.
    answers: [OnceLock<BoundHistogram<f64>>; 2],
    shared: Arc<LedgerShared>,
}

/// One sample until its outcome. Dropped without one, it counts as `not_compared` with the reason of
/// [`Ticket::set_drop_reason`], or with `shutting_down` during shutdown.
#[derive(Debug)]
#[must_use = "a dropped ticket counts as not compared"]
pub struct Ticket {
    route: Route,
    /// In the epoch in which the sample was taken.
    slot: EpochSlot,
    is_counted: bool,
    drop_reason: Reason,
    is_delayed: bool,
    /// Whether another build answered it than the one of the present epoch.
    pub(super) is_of_another: bool,
    /// Whether the build of the epoch in which it counts answered it, as far as known.
    is_attributed: bool,
    draw: Draw,
    sampled: Timestamp,
    /// Its place among the checks that become evidence. A forced check never does.
    place: Option<(SamplingOrder, Tallies)>,
}

/// How a read was sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draw {
    /// The stack that answers the caller.
    pub primary: Stack,
    /// The hash of the sampling key, if reads are sampled by key.
    pub key: Option<u64>,
    pub cause: SampleCause,
}

/// Why a read is sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SampleCause {
    #[default]
    Drawn,
    /// The caller requested it. Such a check is reported but is never evidence.
    Forced,
}

// === impl Route ===

impl Route {
    pub(super) fn new(name: &str, epoch: &Arc<Epoch>, shared: Arc<LedgerShared>) -> Self {
        let name = Arc::from(name);
        Self(Arc::new(Counts {
            slot: RwLock::new(EpochSlot::again(epoch, &name)),
            name,
            live: LiveCounts::default(),
            reads: AtomicU64::new(0),
            parts: RwLock::default(),
            lessons: AtomicU8::new(0),
            floor: Bucket::default(),
            sampled: AtomicU64::new(0),
            forced: AtomicU64::new(0),
            delayed: AtomicU64::new(0),
            outcomes: Default::default(),
            differences: Default::default(),
            answers: Default::default(),
            shared,
        }))
    }

    /// Counts in `epoch` from now on.
    pub(super) fn enter(&self, epoch: &Arc<Epoch>) {
        *write(&self.0.slot) = EpochSlot::new(epoch, &self.0.name);
    }

    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// How long checked answers of the stack took.
    pub(super) fn answers_of(&self, stack: Stack) -> &OnceLock<BoundHistogram<f64>> {
        &self.0.answers[stack as usize]
    }

    /// Counts one live request; `None` if the caller got no answer.
    pub fn count_live(&self, method: &Method, status: Option<StatusCode>, by: AnsweredBy) {
        self.0.live.add(method, status, by);
        let slot = read(&self.0.slot);
        slot.appearing().live.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one live request as a read, in addition to [`Route::count_live`], whether sampled or not. A route's share
    /// of the reads decides whether the verdict depends on it.
    pub fn count_live_read(&self) {
        self.0.reads.fetch_add(1, Ordering::Relaxed);
        let slot = read(&self.0.slot);
        slot.appearing().reads.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one sample drawn while old was primary. The ticket must end it.
    pub fn sample(&self) -> Ticket {
        self.sample_by(Draw::default())
    }

    /// Counts one sample. The ticket must end it.
    pub fn sample_by(&self, draw: Draw) -> Ticket {
        self.0.sampled.fetch_add(1, Ordering::Relaxed);
        let slot = read(&self.0.slot).clone();
        slot.appearing().sampled.fetch_add(1, Ordering::Relaxed);
        let shared = &self.0.shared;
        let sampled = shared.clock.now();
        let place = match draw.cause {
            SampleCause::Drawn => {
                let tallies = slot.tallies(slot.is_of_rest());
                if let [_, Some(rest)] = &tallies {
                    rest.sampled.fetch_add(1, Ordering::Relaxed);
                }
                Some((shared.seconds.begin(sampled, tallies.clone()), tallies))
            }
            SampleCause::Forced => {
                self.0.forced.fetch_add(1, Ordering::Relaxed);
                slot.tally.forced.fetch_add(1, Ordering::Relaxed);
                None
            }
        };
        Ticket {
            route: self.clone(),
            slot,
            is_counted: false,
            drop_reason: Reason::Internal,
            is_delayed: false,
            is_of_another: false,
            is_attributed: true,
            draw,
            sampled,
            place,
        }
    }

    /// Includes the figures of `part` from now on.
    pub(super) fn join(&self, part: Route) {
        write(&self.0.parts).push(part);
    }

    /// Whether one more request can still teach a name. Counts the lesson.
    pub(super) fn teaches(&self) -> bool {
        // A plain load first, because it is false for almost every live request.
        let lessons = &self.0.lessons;
        lessons.load(Ordering::Relaxed) < ENOUGH && lessons.fetch_add(1, Ordering::Relaxed) < ENOUGH
    }

    /// The bucket for `sample.per_route_floor`.
    pub fn floor(&self) -> &Bucket {
        &self.0.floor
    }

    pub fn count_difference(&self, kind: Kind) {
        self.0.differences[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Only those that occurred.
    pub fn live_counts(&self) -> Vec<LiveCount> {
        let mut sums = Sums::default();
        self.add_live_to(&mut sums);
        sums.occurred()
    }

    fn add_live_to(&self, sums: &mut Sums) {
        self.0.live.add_to(sums);
        let parts = read(&self.0.parts);
        parts.iter().for_each(|part| part.add_live_to(sums));
    }

    pub fn live_total(&self) -> u64 {
        self.sum(&|counts| counts.live.total())
    }

    pub fn reads(&self) -> u64 {
        self.sum(&|counts| counts.reads.load(Ordering::Relaxed))
    }

    pub fn sampled(&self) -> u64 {
        self.sum(&|counts| counts.sampled.load(Ordering::Relaxed))
    }

    /// Samples that their callers requested.
    pub fn forced(&self) -> u64 {
        self.sum(&|counts| counts.forced.load(Ordering::Relaxed))
    }

    /// Checks that began later because their resource had just been written.
    pub fn delayed(&self) -> u64 {
        self.sum(&|counts| counts.delayed.load(Ordering::Relaxed))
    }

    pub fn outcomes(&self, outcome: Outcome) -> u64 {
        self.sum(&|counts| counts.outcomes[outcome.index()].load(Ordering::Relaxed))
    }

    pub fn differences(&self, kind: Kind) -> u64 {
        self.sum(&|counts| counts.differences[kind as usize].load(Ordering::Relaxed))
    }

    /// Sums this route and its parts.
    fn sum(&self, count: &dyn Fn(&Counts) -> u64) -> u64 {
        let parts = read(&self.0.parts);
        count(&self.0) + parts.iter().map(|part| part.sum(count)).sum::<u64>()
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

    /// The stack that was primary when the read was sampled.
    pub fn primary(&self) -> Stack {
        self.draw.primary
    }

    /// The id of the check's epoch.
    pub fn epoch(&self) -> &Arc<str> {
        &self.slot.epoch.start.epoch.id
    }

    /// Whether the check becomes evidence for the build of its epoch.
    pub fn is_evidence(&self) -> bool {
        self.place.is_some() && self.is_attributed
    }

    /// Marks the check as delayed because of a write. It is counted with the outcome.
    pub fn delay(&mut self) {
        self.is_delayed = true;
    }

    /// Moves the check to `epoch`, if it is comparable with the checks there.
    pub(super) fn move_to(&mut self, epoch: &Arc<Epoch>) {
        let from = &self.slot.epoch;
        if Arc::ptr_eq(from, epoch) || from.start.series != epoch.start.series {
            return;
        }
        let present = read(&self.route.0.slot).clone();
        let slot = if Arc::ptr_eq(&present.epoch, epoch) {
            present
        } else {
            epoch.slot(&self.route.0.name)
        };
        slot.appearing().sampled.fetch_add(1, Ordering::Relaxed);
        self.slot.tally.sampled.fetch_sub(1, Ordering::Relaxed);
        if let Some(rest) = self.rest() {
            rest.sampled.fetch_sub(1, Ordering::Relaxed);
            epoch.rest.sampled.fetch_add(1, Ordering::Relaxed);
        }
        self.slot = slot;
    }

    /// Records the build that answered the check; `None` if the answer names none.
    pub(super) fn attribute(&mut self, build: Option<&Version>) {
        let own = self.slot.epoch.build();
        self.is_attributed = own.is_none_or(|own| own == build);
    }

    /// Records how long a stack took for its complete answer.
    pub fn answered(&self, stack: Stack, took: Duration) {
        if self.is_attributed && self.draw.cause == SampleCause::Drawn {
            self.slot.tally.count_latency(stack, took);
            if let Some(rest) = self.rest() {
                rest.count_latency(stack, took);
            }
        }
    }

    pub fn finish(mut self, outcome: Outcome) {
        self.count(outcome);
    }

    /// Why the check is not compared if the ticket is dropped from now on; `internal` at first.
    pub fn set_drop_reason(&mut self, reason: Reason) {
        self.drop_reason = reason;
    }

    /// The tally of the rest, if the check counts there. That was decided when it was sampled.
    fn rest(&self) -> Option<&Arc<Tally>> {
        let (_, [_, rest]) = self.place.as_ref()?;
        rest.as_ref().map(|_| &self.slot.epoch.rest)
    }

    fn count(&mut self, outcome: Outcome) {
        self.is_counted = true;
        if self.is_delayed {
            self.route.0.delayed.fetch_add(1, Ordering::Relaxed);
            self.slot.tally.delayed.fetch_add(1, Ordering::Relaxed);
        }
        self.route.0.outcomes[outcome.index()].fetch_add(1, Ordering::Relaxed);
        self.slot.tally.count_outcome(outcome);
        if let Some(rest) = self.rest() {
            rest.count_outcome(outcome);
        }
        if let Some((place, sampled_in)) = self.place.take() {
            let is_of_rest = sampled_in[1].is_some();
            let tallies = self.slot.tallies(is_of_rest);
            let ended = Ended {
                entry: Entry {
                    outcome,
                    primary: self.draw.primary,
                    key: self.draw.key,
                    sampled: self.sampled,
                },
                tallies,
                sampled_in,
                is_of_another: self.is_of_another,
                is_attributed: self.is_attributed,
            };
            self.route.0.shared.seconds.end(place, ended);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.is_counted {
            return;
        }
        let reason = if self.route.0.shared.shutting_down.load(Ordering::Relaxed) {
            Reason::ShuttingDown
        } else {
            self.drop_reason
        };
        self.count(Outcome::NotCompared(reason));
    }
}
