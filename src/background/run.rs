//! Offers the reads of a [`Job`] at a pace that both stacks bear, and returns their ends in the order of the offers.
//!
//! A read that a bound of twinread's own refused was never sent; it is offered again, later. Nothing is offered while a
//! circuit breaker is open, but one read after each cool-down, which may close it.

use super::{
    offer::{Offers, RecordedAnswer},
    pace,
};
use crate::{
    outcome::{Outcome, Reason},
    pipeline::{FinishedRead, ReadRequest},
};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use std::{
    collections::{BTreeMap, VecDeque},
    pin::{Pin, pin},
    time::{Duration, Instant},
};
use tokio::time::{self, MissedTickBehavior};

/// What is to be read.
pub(crate) trait Job {
    type Item: 'static;
    type Error;

    /// The next read. Not called again after [`Next::End`].
    fn next(&mut self) -> Result<Next<Self::Item>, Self::Error>;

    /// Whether the outcome is the last word on a read. Otherwise the read is offered again.
    fn is_final(&self, _end: &FinishedRead) -> bool {
        true
    }

    /// Takes the end of a read, in the order of `next`.
    fn ended(&mut self, item: Self::Item, end: Option<FinishedRead>) -> Result<(), Self::Error>;

    /// Called each second, and at the end.
    fn tick(&mut self, pace: Pace) -> Result<(), Self::Error>;
}

/// Receives a checkpoint, and how a run gets on.
pub(super) type OnTick<'t, T> = Box<dyn FnMut(&T, Pace) + 't>;

/// The next read of a [`Job`].
#[derive(Debug)]
pub(crate) enum Next<I> {
    Read {
        item: I,
        request: Box<ReadRequest>,
        answer: Option<Box<RecordedAnswer>>,
    },
    /// Nothing is sent for it.
    Skip(I),
    End,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Complete,
    Interrupted,
}

/// Bounds on a run.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Reads per second at most.
    pub(crate) rate: f64,
    /// Reads that wait to be sent at once.
    pub(crate) in_flight: usize,
    /// Reads whose checks have not ended, those included that wait to be read again.
    pub(crate) open: usize,
    pub(crate) max_latency: Option<Duration>,
    /// Of the circuit breakers.
    pub(crate) cool_down: Duration,
}

/// How a run gets on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    /// Reads per second at present.
    pub(crate) per_second: f64,
    /// Whether a circuit breaker is open.
    pub(crate) is_paused: bool,
    pub(crate) is_end: bool,
}

struct Run<'r, J: Job> {
    offers: &'r Offers,
    limits: &'r Limits,
    pace: pace::Pace,
    /// While a breaker is open: when one read may be offered.
    probe_at: Option<Instant>,
    open: FuturesUnordered<Open<J::Item>>,
    again: VecDeque<Attempt<J::Item>>,
    /// Ends of reads after one that has not ended.
    ended: BTreeMap<u64, (J::Item, Option<FinishedRead>)>,
    /// Reads taken from the job, and reads handed back to it.
    taken: u64,
    returned: u64,
    is_exhausted: bool,
}

/// A read, offered for the first time or again.
struct Attempt<I> {
    turn: u64,
    item: I,
    request: Box<ReadRequest>,
    answer: Option<Box<RecordedAnswer>>,
    attempts: u32,
}

/// A read whose check has not ended.
type Open<I> = Pin<Box<dyn Future<Output = Ending<I>>>>;

/// `None` if the check was lost.
type Ending<I> = (Attempt<I>, Option<FinishedRead>);

/// When the next read may be offered.
enum May {
    Now,
    At(Instant),
    AfterAnEnd,
}

/// Ends that wait for an earlier read. One that is read again after a difference takes several seconds.
const MAX_WAITING: u64 = 1 << 17;

/// How often a read is offered that bounds of twinread's own refuse.
const MAX_ATTEMPTS: u32 = 8;

/// How soon to look again whether the queue has room.
const SOON: Duration = Duration::from_millis(1);

const TICK: Duration = Duration::from_secs(1);

/// Runs a job to its end, or until `stop`. What is open then has no end.
pub(crate) async fn run<J: Job>(
    job: &mut J,
    offers: &Offers,
    limits: &Limits,
    stop: impl Future<Output = ()>,
) -> Result<End, J::Error> {
    let mut run = Run::<J> {
        offers,
        limits,
        pace: pace::Pace::new(limits.rate, limits.max_latency, Instant::now()),
        probe_at: None,
        open: FuturesUnordered::new(),
        again: VecDeque::new(),
        ended: BTreeMap::new(),
        taken: 0,
        returned: 0,
        is_exhausted: false,
    };
    let mut stop = pin!(stop);
    let mut ticks = time::interval_at(time::Instant::now() + TICK, TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = loop {
        let wait = run.offer_due(job)?;
        if run.is_complete() {
            break End::Complete;
        }
        tokio::select! {
            biased;
            () = &mut stop => break End::Interrupted,
            Some(ending) = run.open.next() => run.take(job, ending)?,
            _ = ticks.tick() => job.tick(run.shown(false))?,
            () = sleep_until(wait) => {}
        }
    };
    job.tick(run.shown(true))?;
    Ok(end)
}

/// Forever without a time.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

// === impl Run ===

impl<J: Job> Run<'_, J> {
    fn is_complete(&self) -> bool {
        self.is_exhausted && self.returned == self.taken
    }

    fn shown(&self, is_end: bool) -> Pace {
        Pace {
            per_second: self.pace.per_second(),
            is_paused: self.is_open(),
            is_end,
        }
    }

    /// Whether a circuit breaker is open.
    fn is_open(&self) -> bool {
        let gauges = &self.offers.gauges;
        gauges.is_breaker_open() || gauges.primary_open.get() > 0
    }

    /// Offers what is due. Returns when more will be; `None` after an end.
    fn offer_due(&mut self, job: &mut J) -> Result<Option<Instant>, J::Error> {
        loop {
            if self.is_exhausted && self.again.is_empty() {
                return Ok(None);
            }
            match self.may_offer(Instant::now()) {
                May::Now => self.offer_next(job)?,
                May::At(at) => return Ok(Some(at)),
                May::AfterAnEnd => return Ok(None),
            }
        }
    }

    fn may_offer(&mut self, now: Instant) -> May {
        if self.open.len() >= self.limits.open || self.taken - self.returned >= MAX_WAITING {
            return May::AfterAnEnd;
        }
        if self.is_open() {
            let at = *self.probe_at.get_or_insert(now + self.limits.cool_down);
            if now < at {
                return May::At(at);
            }
            self.probe_at = Some(now + self.limits.cool_down);
            return May::Now;
        }
        self.probe_at = None;
        if self.pace.due() > now {
            return May::At(self.pace.due());
        }
        if self.offers.gauges.queue_length.get() >= self.limits.in_flight as u64 {
            return May::At(now + SOON);
        }
        May::Now
    }

    fn offer_next(&mut self, job: &mut J) -> Result<(), J::Error> {
        if let Some(attempt) = self.again.pop_front() {
            self.offer(attempt);
            return Ok(());
        }
        let turn = self.taken;
        match job.next()? {
            Next::Read {
                item,
                request,
                answer,
            } => {
                self.taken += 1;
                self.offer(Attempt {
                    turn,
                    item,
                    request,
                    answer,
                    attempts: 0,
                });
            }
            Next::Skip(item) => {
                self.taken += 1;
                self.ended.insert(turn, (item, None));
                self.hand_back(job)?;
            }
            Next::End => self.is_exhausted = true,
        }
        Ok(())
    }

    fn offer(&mut self, mut attempt: Attempt<J::Item>) {
        attempt.attempts += 1;
        self.pace.offered(Instant::now());
        let end = self
            .offers
            .offer(&attempt.request, attempt.answer.as_deref());
        self.open
            .push(Box::pin(async move { (attempt, end.await.ok()) }));
    }

    fn take(&mut self, job: &mut J, (attempt, end): Ending<J::Item>) -> Result<(), J::Error> {
        let lost = || FinishedRead::unsent(Outcome::NotCompared(Reason::Internal));
        let end = end.unwrap_or_else(lost);
        let now = Instant::now();
        if let Some(took) = end.old_took {
            self.pace.answered(took, now);
        }
        if self.is_to_be_repeated(job, attempt.attempts, &end) {
            self.pace.slow_down(now);
            let attempts = if self.is_open() { 0 } else { attempt.attempts };
            self.again.push_back(Attempt {
                attempts,
                ..attempt
            });
            return Ok(());
        }
        self.ended.insert(attempt.turn, (attempt.item, Some(end)));
        self.hand_back(job)
    }

    /// Whether the end says nothing about the stacks, or only that one of them is down at present.
    fn is_to_be_repeated(&self, job: &J, attempts: u32, end: &FinishedRead) -> bool {
        let is_failure = matches!(
            end.outcome,
            Outcome::ShadowError(_)
                | Outcome::NotCompared(Reason::PrimaryError | Reason::BreakerOpen)
        );
        if is_failure && self.is_open() {
            return true;
        }
        let is_refused = matches!(
            end.outcome,
            Outcome::NotCompared(
                Reason::BreakerOpen
                    | Reason::OverBudget
                    | Reason::QueueFull
                    | Reason::MemoryFull
                    | Reason::Expired
            )
        );
        let is_unsent_failure = is_failure && !end.was_sent;
        attempts < MAX_ATTEMPTS && (is_refused || is_unsent_failure || !job.is_final(end))
    }

    /// Hands back the ends whose turn it is.
    fn hand_back(&mut self, job: &mut J) -> Result<(), J::Error> {
        while let Some((item, end)) = self.ended.remove(&self.returned) {
            self.returned += 1;
            job.ended(item, end)?;
        }
        Ok(())
    }
}
