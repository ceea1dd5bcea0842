//! A client of one stack, with the guards that protect it: a rate limit and a circuit breaker.

use super::{
    Settings,
    breaker::{Breaker, End, Limits, Pass},
};
use crate::{budget::Bucket, http_client::Client, ledger::Gauges, outcome::Reason};
use bytes::Bytes;
use http_body_util::Full;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::time;

#[derive(Debug)]
pub(super) struct GuardedClient {
    name: &'static str,
    client: Client<Full<Bytes>>,
    breaker: Mutex<Breaker>,
    budget: Bucket,
    /// The zero of `budget`'s clock.
    since: Instant,
    watched: BreakerGauge,
}

/// The gauge that shows whether the breaker is open, in addition to the log.
#[derive(Clone, Debug)]
pub(super) enum BreakerGauge {
    AsShadow(Gauges),
    AsControl(Gauges),
    Not,
}

/// A permit to send one request to the stack. Dropped unused, it counts as abandoned.
#[derive(Debug)]
#[must_use = "without a request the leave is given back"]
pub(super) struct Permit {
    client: Arc<GuardedClient>,
    pass: Pass,
    limits: Limits,
    end: End,
}

// === impl GuardedClient ===

impl GuardedClient {
    pub(super) fn new(
        name: &'static str,
        client: Client<Full<Bytes>>,
        watched: BreakerGauge,
    ) -> Self {
        Self {
            name,
            client,
            breaker: Mutex::new(Breaker::new()),
            budget: Bucket::default(),
            since: Instant::now(),
            watched,
        }
    }

    pub(super) fn client(&self) -> &Client<Full<Bytes>> {
        &self.client
    }

    /// Returns a permit to send a request now, or why there is none.
    pub(super) fn admit(
        self: &Arc<Self>,
        now: Instant,
        settings: &Settings,
    ) -> Result<Permit, Reason> {
        let pass = self.pass(now, settings).ok_or(Reason::BreakerOpen)?;
        let permit = self.permit(pass, settings);
        let now = now.saturating_duration_since(self.since);
        if self.budget.take(now, settings.protection.max_per_second) {
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
        let limit = settings.protection.max_per_second;
        let wait = self.budget.book(self.since.elapsed(), limit, patience);
        time::sleep(wait.ok_or(Reason::OverBudget)?).await;
        let pass = self.pass(Instant::now(), settings);
        pass.map(|pass| self.permit(pass, settings))
            .ok_or(Reason::BreakerOpen)
    }

    fn permit(self: &Arc<Self>, pass: Pass, settings: &Settings) -> Permit {
        Permit {
            client: self.clone(),
            pass,
            limits: settings.protection.breaker,
            end: End::Abandoned,
        }
    }

    fn pass(&self, now: Instant, settings: &Settings) -> Option<Pass> {
        let mut breaker = self.lock();
        // Set it again here: which stack is the shadow, and so which breaker counts, may have changed.
        self.watched.set_open(breaker.is_open());
        breaker.admit(now, &settings.protection.breaker)
    }

    fn settle(&self, pass: Pass, end: End, limits: &Limits) {
        let mut breaker = self.lock();
        let was_open = breaker.is_open();
        breaker.settle(pass, end, Instant::now(), limits);
        let is_open = breaker.is_open();
        if was_open == is_open {
            return;
        }
        self.watched.set_open(is_open);
        drop(breaker);
        let stack = self.name;
        if is_open {
            tracing::warn!(stack, "the circuit breaker has opened")
        } else {
            tracing::info!(stack, "the circuit breaker has closed")
        }
    }

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl BreakerGauge ===

impl BreakerGauge {
    fn set_open(&self, is_open: bool) {
        match self {
            Self::AsShadow(gauges) => gauges.set_breaker_open(is_open),
            Self::AsControl(gauges) => gauges.set_control_open(is_open),
            Self::Not => {}
        }
    }
}

// === impl Permit ===

impl Permit {
    pub(super) fn client(&self) -> &Client<Full<Bytes>> {
        &self.client.client
    }

    /// The stack answered, with whatever status.
    pub(super) fn answered(mut self) {
        self.end = End::Answered;
    }

    pub(super) fn failed(mut self) {
        self.end = End::Failed;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.client.settle(self.pass, self.end, &self.limits);
    }
}
