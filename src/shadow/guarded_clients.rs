//! Clients for each stack. Every client has its own rate limit and circuit breaker.

use super::{
    Settings,
    guarded_client::{BreakerGauge, GuardedClient, Permit},
};
use crate::{
    budget::Bucket, http_client::Client, ledger::Gauges, outcome::Reason, pipeline::CapturedRead,
    stack::Stack,
};
use bytes::Bytes;
use http_body_util::Full;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Clients of both stacks, and of a second instance of the old one.
#[derive(Debug)]
pub(super) struct GuardedClients {
    shadow: ByStack,
    primary: ByStack,
    control: Option<Arc<GuardedClient>>,
    rechecks: Bucket,
    /// The zero of `rechecks`' clock.
    since: Instant,
}

#[derive(Debug)]
struct ByStack {
    old: Arc<GuardedClient>,
    new: Arc<GuardedClient>,
}

/// Which instance of the old stack a re-check reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instance {
    /// The one that serves, or served, callers.
    Own,
    /// The control instance, if there is one.
    Control,
}

// === impl GuardedClients ===

impl GuardedClients {
    pub(super) fn new(
        old: Client<Full<Bytes>>,
        new: Client<Full<Bytes>>,
        control: Option<Client<Full<Bytes>>>,
        gauges: &Gauges,
    ) -> Self {
        let by_stack = |gauge: BreakerGauge| {
            let guarded = |stack: Stack, client: &Client<Full<Bytes>>| {
                let gauge = gauge.clone();
                Arc::new(GuardedClient::new(stack.name(), client.clone(), gauge))
            };
            ByStack {
                old: guarded(Stack::Old, &old),
                new: guarded(Stack::New, &new),
            }
        };
        let gauge = BreakerGauge::AsControl(gauges.clone());
        let control = control.map(|client| GuardedClient::new("control", client, gauge));
        Self {
            shadow: by_stack(BreakerGauge::AsShadow(gauges.clone())),
            primary: by_stack(BreakerGauge::Not),
            control: control.map(Arc::new),
            rechecks: Bucket::default(),
            since: Instant::now(),
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
        self.shadow
            .of(sample.meta.ticket.primary().other())
            .admit(now, settings)
    }

    /// The clients for reading both stacks again; the old stack's comes first.
    pub(super) fn again(&self, primary: Stack, instance: Instance) -> [&Arc<GuardedClient>; 2] {
        let of = |stack| {
            if stack == primary {
                self.primary.of(stack)
            } else {
                self.shadow.of(stack)
            }
        };
        let control = self.control.as_ref();
        let control = control.filter(|_| instance == Instance::Control);
        [control.unwrap_or(of(Stack::Old)), of(Stack::New)]
    }

    /// Whether re-checks read a control instance of the old stack.
    pub(super) fn has_control(&self) -> bool {
        self.control.is_some()
    }

    /// Books one reading of both stacks and returns how long it must wait; `None` if longer than `patience`.
    pub(super) fn book(&self, settings: &Settings, patience: Duration) -> Option<Duration> {
        let limit = settings.recheck.max_per_second;
        self.rechecks.book(self.since.elapsed(), limit, patience)
    }

    /// Closes connections that have been idle for too long. Clients of one stack share their connections.
    pub(super) fn sweep(&self) {
        let clients = [&self.shadow.old, &self.shadow.new].into_iter();
        clients
            .chain(&self.control)
            .for_each(|client| client.client().sweep());
    }
}

// === impl ByStack ===

impl ByStack {
    fn of(&self, stack: Stack) -> &Arc<GuardedClient> {
        match stack {
            Stack::Old => &self.old,
            Stack::New => &self.new,
        }
    }
}
