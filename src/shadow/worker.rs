//! Takes samples from the queue and starts their checks, within the limits that protect the shadow.
//!
//! A sample leaves the queue only when a slot is free for its check, so that waiting samples are counted and shed in
//! one place. The worker ends when every [`Queue`](crate::pipeline::Queue) is dropped and the checks have ended. When
//! the process drains, it ends while callers are still accepted, and the remaining samples count as `shutting_down`. A panic
//! costs it the sample in hand, which counts as `internal`.

use super::{
    Settings,
    bounds::{Probes, Slot, Slots, Waiting},
    check::{self, Entry},
    context::CheckContext,
    guarded_client::GuardedClients,
    noise::KnownNoise,
    on_demand::Rereader,
    reflection::Reflector,
};
use crate::{
    compare::{Answer, Bijections, CompareConfig, Comparison, Context},
    drain::{self, Watch},
    http_client::Client,
    ledger::{Gauges, Ledger, RuleCounts, Timings},
    outcome::Reason,
    pipeline::{CapturedRead, Pairs, QueueReceiver, Reports, Writes},
    redact::Redactor,
    settings::Current,
};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::Full;
use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time};

/// Compares the answers of both stacks: [`compare_within`](crate::compare::compare_within).
pub type Compare =
    fn((&Answer, &Answer), &Context<'_>, &CompareConfig, &mut Bijections) -> Comparison;

/// The inputs of a [`Worker`].
#[derive(Debug)]
pub struct Parts {
    pub feed: QueueReceiver,
    pub old: Client<Full<Bytes>>,
    pub new: Client<Full<Bytes>>,
    /// A second instance of the old stack, for detecting noise.
    pub control: Option<Client<Full<Bytes>>>,
    pub handles: Handles,
}

/// Handles that the shadow shares with the rest of the process.
#[derive(Debug)]
pub struct Handles {
    pub settings: Current<Settings>,
    pub compare: Compare,
    pub ledger: Ledger,
    pub gauges: Gauges,
    pub timings: Timings,
    pub rule_counts: RuleCounts,
    pub pairs: Pairs,
    pub reports: Reports,
    pub writes: Writes,
    pub redactor: Current<Redactor>,
    /// Called for each sample taken from the queue, on the worker's task: a test may panic there.
    pub taken: fn(),
}

/// Checks samples until there are no more.
#[derive(Debug)]
pub struct Worker {
    feed: QueueReceiver,
    context: Arc<CheckContext>,
    /// Includes checks that wait for a re-check and hold no slot.
    checks: JoinSet<()>,
    /// Taken from the queue and waiting for a slot, because re-checks took all of them when it arrived.
    next: Option<Box<CapturedRead>>,
    /// Whether the last sample came soon after the one before.
    is_busy: bool,
}

/// How long samples gather once the queue was empty, if they come often. Waking a sleeping thread costs the live side
/// about as much as parsing a request head; a check can wait this long.
const GATHER: Duration = Duration::from_millis(1);

/// Samples that come at shorter intervals gather.
const OFTEN: Duration = Duration::from_millis(4);

/// How often idle connections are closed.
const SWEEP: Duration = Duration::from_secs(10);

// === impl Worker ===

impl Worker {
    pub fn new(parts: Parts) -> Self {
        let gauges = &parts.handles.gauges;
        Self {
            feed: parts.feed,
            context: Arc::new(CheckContext {
                noise: KnownNoise::default(),
                clients: GuardedClients::new(parts.old, parts.new, parts.control, gauges),
                slots: Slots::new(gauges.clone()),
                old_slots: Slots::new(gauges.clone()),
                waiting: Waiting::default(),
                probes: Probes::default(),
                handles: parts.handles,
            }),
            checks: JoinSet::new(),
            next: None,
            is_busy: false,
        }
    }

    /// For reading both stacks on demand.
    pub fn rereader(&self) -> Rereader {
        Rereader::new(&self.context)
    }

    /// For asking a stack what describes its services.
    pub(crate) fn reflector(&self) -> Reflector {
        Reflector::new(&self.context)
    }

    /// Checks samples until every queue is dropped, or until so long after the drain signal. Runs on the shadow's
    /// threads, as do the checks.
    pub async fn run(self, drain: Watch) {
        let settings = self.context.handles.settings.clone();
        let gauges = self.context.handles.gauges.clone();
        let mut signal = drain.clone();
        let mut serving = (self, Arc::new(drain));
        let over = pin!(async move {
            signal.signaled().await;
            time::sleep(settings.get().drain.accepting()).await;
        });
        let served = drain::keep_alive(
            "shadow",
            &mut serving,
            |(worker, drain)| worker.serve(drain).boxed(),
            || {
                gauges.shadow_restarts.add(1);
            },
        );
        tokio::select! {
            biased;
            () = over => {}
            () = served => {}
        }
        let (mut worker, _drain) = serving;
        worker.cut().await;
    }

    async fn serve(&mut self, drain: &Arc<Watch>) {
        let mut sweep = time::interval(SWEEP);
        loop {
            let slot = self.slot().await;
            if let Some(sample) = self.next.take().or_else(|| self.feed.try_next()) {
                self.begin(sample, slot, drain);
                continue;
            }
            drop(slot);
            if self.is_busy {
                // Nobody waits on the queue meanwhile, so that no thread has to be woken.
                time::sleep(GATHER).await;
            }
            let waiting = Instant::now();
            let next = tokio::select! {
                biased;
                next = self.feed.next() => next,
                _ = sweep.tick() => {
                    self.context.clients.sweep();
                    continue;
                }
            };
            self.is_busy = waiting.elapsed() < OFTEN;
            self.next = next;
            if self.next.is_none() {
                break;
            }
        }
        while self.checks.join_next().await.is_some() {}
    }

    /// Waits until another request may be in flight.
    async fn slot(&mut self) -> Slot {
        while self.checks.try_join_next().is_some() {}
        let settings = &self.context.handles.settings;
        let slots = &self.context.slots;
        slots.take(|| settings.get().new.max_in_flight.get()).await
    }

    /// Starts the check of a sample, or finishes the sample at once.
    fn begin(&mut self, sample: Box<CapturedRead>, slot: Slot, drain: &Arc<Watch>) {
        (self.context.handles.taken)();
        let settings = self.context.handles.settings.get();
        match self.context.clients.admit(&sample, &settings) {
            Ok(permit) => {
                let entry = Entry {
                    permit,
                    slot,
                    settings,
                    drain: drain.clone(),
                };
                let check = check::run(self.context.clone(), sample, entry);
                // Boxed, because spawning would copy a future of this size several times.
                self.checks.spawn(Box::pin(check));
            }
            Err(reason) => check::refuse(&self.context, sample, reason, settings),
        }
    }

    /// Finishes and counts what is left.
    async fn cut(&mut self) {
        self.context.handles.ledger.shut_down();
        self.checks.shutdown().await;
        while let Some(sample) = self.next.take().or_else(|| self.feed.try_next()) {
            sample.meta.not_compared(Reason::ShuttingDown);
        }
    }
}
