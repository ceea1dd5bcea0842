//! Clients for each stack. Every client has its own rate limit and circuit breaker.

use super::{
    Settings,
    breaker::{Breaker, End, Limits, Pass},
};
use crate::{
    budget::Bucket,
    http_client::{Client, NoAnswer},
    ledger::Gauges,
    outcome::Reason,
    pipeline::CapturedRead,
    stack::Stack,
};
use bytes::Bytes;
use http_body_util::Full;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::time;

/// Clients of both stacks, and of a second instance of the old one.
#[derive(Debug)]
pub(super) struct GuardedClients {
    shadow: ByStack,
    primary: ByStack,
    pub(super) control: Option<Arc<GuardedClient>>,
    rechecks: Bucket,
}

/// The clients by stack, [`Stack::Old`] first.
type ByStack = [Arc<GuardedClient>; 2];

/// Which instance of the old stack a re-check reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instance {
    /// The one that serves, or served, callers.
    Own,
    /// The control instance, if there is one.
    Control,
}

/// A client of one stack, with the guards that protect it.
#[derive(Debug)]
pub(super) struct GuardedClient {
    client: Client<Full<Bytes>>,
    /// The control instance is one of the old stack.
    stack: Stack,
    breaker: Mutex<Breaker>,
    budget: Arc<Bucket>,
    watched: BreakerGauge,
}

/// The gauge that shows whether the breaker is open, in addition to the log.
#[derive(Clone, Debug)]
pub(super) enum BreakerGauge {
    Shadow(Gauges),
    Control(Gauges),
    Primary(Gauges),
}

/// A permit to send one request to the stack. Dropped unused, it counts as abandoned.
#[derive(Debug)]
#[must_use = "without a request the permit is given back"]
pub(super) struct Permit {
    client: Arc<GuardedClient>,
    pass: Pass,
    limits: Limits,
    end: End,
}

// === impl GuardedClients ===

impl GuardedClients {
    pub(super) fn new(
        old: Client<Full<Bytes>>,
        new: Client<Full<Bytes>>,
        control: Option<Client<Full<Bytes>>>,
        gauges: &Gauges,
    ) -> Self {
        // One for both roles of a stack.
        let budgets: [Arc<Bucket>; 2] = Default::default();
        let by_stack = |gauge: fn(Gauges) -> BreakerGauge| {
            [(&old, Stack::Old), (&new, Stack::New)].map(|(client, stack)| {
                Arc::new(GuardedClient {
                    budget: budgets[stack as usize].clone(),
                    ..GuardedClient::new(client.clone(), stack, gauge(gauges.clone()))
                })
            })
        };
        let gauge = BreakerGauge::Control(gauges.clone());
        let control = control.map(|client| GuardedClient::new(client, Stack::Old, gauge));
        Self {
            shadow: by_stack(BreakerGauge::Shadow),
            primary: by_stack(BreakerGauge::Primary),
            control: control.map(Arc::new),
            rechecks: Bucket::default(),
        }
    }

    /// Returns a permit to replay a sample, or why there is none.
    pub(super) fn admit(
        &self,
        sample: &CapturedRead,
        settings: &Settings,
    ) -> Result<Permit, Reason> {
        let now = Instant::now();
        if now.saturating_duration_since(sample.offered) > settings.queue.max_age {
            return Err(Reason::Expired);
        }
        let shadow = sample.meta.ticket.primary().other();
        self.shadow[shadow as usize].admit(now, settings)
    }

    /// The clients for reading both stacks again; the old stack's comes first.
    pub(super) fn again(&self, primary: Stack, instance: Instance) -> [&Arc<GuardedClient>; 2] {
        let of = |stack: Stack| {
            let clients = if stack == primary {
                &self.primary
            } else {
                &self.shadow
            };
            &clients[stack as usize]
        };
        let control = self.control.as_ref();
        let control = control.filter(|_| instance == Instance::Control);
        [control.unwrap_or(of(Stack::Old)), of(Stack::New)]
    }

    /// Books one reading of both stacks and returns how long it must wait; `None` if longer than `patience`.
    pub(super) fn book(&self, settings: &Settings, patience: Duration) -> Option<Duration> {
        let limit = settings.recheck.max_per_second;
        self.rechecks.book(Instant::now(), limit, patience)
    }

    /// Closes connections that have been idle for too long. Clients of one stack share their connections.
    pub(super) fn sweep(&self) {
        let clients = self.shadow.iter().chain(&self.control);
        clients.for_each(|client| client.client.sweep());
    }
}

// === impl GuardedClient ===

impl GuardedClient {
    pub(super) fn new(client: Client<Full<Bytes>>, stack: Stack, watched: BreakerGauge) -> Self {
        Self {
            client,
            stack,
            breaker: Mutex::new(Breaker::new()),
            budget: Arc::default(),
            watched,
        }
    }

    /// Returns a permit to send a request now, or why there is none.
    pub(super) fn admit(
        self: &Arc<Self>,
        now: Instant,
        settings: &Settings,
    ) -> Result<Permit, Reason> {
        let pass = self.pass(now, settings).ok_or(Reason::BreakerOpen)?;
        let permit = self.permit(pass, settings);
        if self
            .budget
            .take(now, settings.of(self.stack).max_per_second)
        {
            Ok(permit)
        } else {
            Err(Reason::OverBudget)
        }
    }

    /// Waits at most `patience` for a permit; returns why there is none otherwise.
    pub(super) async fn admit_within(
        self: &Arc<Self>,
        patience: Duration,
        settings: &Settings,
    ) -> Result<Permit, Reason> {
        let limit = settings.of(self.stack).max_per_second;
        let wait = self.budget.book(Instant::now(), limit, patience);
        time::sleep(wait.ok_or(Reason::OverBudget)?).await;
        let pass = self.pass(Instant::now(), settings);
        pass.map(|pass| self.permit(pass, settings))
            .ok_or(Reason::BreakerOpen)
    }

    fn permit(self: &Arc<Self>, pass: Pass, settings: &Settings) -> Permit {
        Permit {
            client: self.clone(),
            pass,
            limits: settings.of(self.stack).breaker,
            end: End::Abandoned,
        }
    }

    fn pass(&self, now: Instant, settings: &Settings) -> Option<Pass> {
        let mut breaker = self.lock();
        // Set it again here: the stack may have been no shadow for a while.
        self.watched.set_open(self.stack, breaker.is_open());
        breaker.admit(now, &settings.of(self.stack).breaker)
    }

    fn settle(&self, pass: Pass, end: End, limits: &Limits) {
        let mut breaker = self.lock();
        let was_open = breaker.is_open();
        breaker.settle(pass, end, Instant::now(), limits);
        let is_open = breaker.is_open();
        if was_open == is_open {
            return;
        }
        self.watched.set_open(self.stack, is_open);
        drop(breaker);
        let health = self.client.health();
        let (stack, url) = (health.name(), health.url());
        if is_open {
            let cause = health.failing().map(|failing| failing.why.to_string());
            tracing::warn!(stack, url, cause, "the circuit breaker has opened")
        } else {
            tracing::info!(stack, url, "the circuit breaker has closed")
        }
    }

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl BreakerGauge ===

impl BreakerGauge {
    fn set_open(&self, stack: Stack, is_open: bool) {
        match self {
            Self::Shadow(gauges) => gauges.shadow_open[stack as usize].set(is_open),
            Self::Control(gauges) => gauges.control_open.set(is_open),
            Self::Primary(gauges) => gauges.primary_open.set(is_open),
        }
    }
}

// === impl Permit ===

impl Permit {
    pub(super) fn client(&self) -> &Client<Full<Bytes>> {
        &self.client.client
    }

    pub(super) fn stack(&self) -> Stack {
        self.client.stack
    }

    /// The stack answered, with whatever status.
    pub(super) fn answered(mut self) {
        self.end = End::Answered;
        self.client().health().answered();
    }

    pub(super) fn failed(mut self, why: NoAnswer) {
        self.end = End::Failed;
        self.client().health().failed(why, None);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.client.settle(self.pass, self.end, &self.limits);
    }
}
