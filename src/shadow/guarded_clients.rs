//! Every way to a stack: to the shadow, and for reading a second time to the primary and to the control instance, each
//! with guards of its own.

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

/// Where the stacks are, and a second instance of the old one.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) old: Client<Full<Bytes>>,
    pub(super) new: Client<Full<Bytes>>,
    pub(super) control: Option<Client<Full<Bytes>>>,
}

#[derive(Debug)]
pub(super) struct GuardedClients {
    shadow: ByStack,
    primary: ByStack,
    control: Option<Arc<GuardedClient>>,
    rechecks: Bucket,
    /// Where the clock of `rechecks` begins.
    since: Instant,
}

#[derive(Debug)]
struct ByStack {
    old: Arc<GuardedClient>,
    new: Arc<GuardedClient>,
}

/// Which instance of the old stack is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instance {
    /// The one that callers are, or were, served by.
    Own,
    /// The control instance, where there is one.
    Control,
}

// === impl GuardedClients ===

impl GuardedClients {
    pub(super) fn new(clients: Clients, gauges: &Gauges) -> Self {
        let Clients { old, new, control } = clients;
        let by_stack = |watched: &dyn Fn() -> BreakerGauge| ByStack {
            old: Arc::new(GuardedClient::new(
                Stack::Old.name(),
                old.clone(),
                watched(),
            )),
            new: Arc::new(GuardedClient::new(
                Stack::New.name(),
                new.clone(),
                watched(),
            )),
        };
        let watched = || BreakerGauge::AsControl(gauges.clone());
        let control = control.map(|client| GuardedClient::new("control", client, watched()));
        Self {
            shadow: by_stack(&|| BreakerGauge::AsShadow(gauges.clone())),
            primary: by_stack(&|| BreakerGauge::Not),
            control: control.map(Arc::new),
            rechecks: Bucket::default(),
            since: Instant::now(),
        }
    }

    /// Leave to replay a sample, or why there is none.
    pub(super) fn admit(
        &self,
        sample: &CapturedRead,
        settings: &Settings,
    ) -> Result<Permit, Reason> {
        let now = Instant::now();
        if now.saturating_duration_since(sample.offered) > settings.max_age {
            return Err(Reason::Expired);
        }
        self.shadow.of(sample.primary.other()).admit(now, settings)
    }

    /// The ways by which both stacks are read again, old's first.
    pub(super) fn again(&self, primary: Stack, instance: Instance) -> [&Arc<GuardedClient>; 2] {
        let of = |stack| match stack == primary {
            true => self.primary.of(stack),
            false => self.shadow.of(stack),
        };
        let control = match instance {
            Instance::Own => None,
            Instance::Control => self.control.as_ref(),
        };
        [control.unwrap_or(of(Stack::Old)), of(Stack::New)]
    }

    /// Whether another instance than that which callers are served by is read again for the old stack.
    pub(super) fn has_control(&self) -> bool {
        self.control.is_some()
    }

    /// Books one reading of both stacks, and says how long it has to wait; `None`: for longer than `patience`.
    pub(super) fn book(&self, settings: &Settings, patience: Duration) -> Option<Duration> {
        let limit = settings.recheck.max_per_second;
        self.rechecks.book(self.since.elapsed(), limit, patience)
    }

    /// Closes connections that have been idle for too long. Lanes to one stack share theirs.
    pub(super) fn sweep(&self) {
        let lanes = [Some(&self.shadow.old), Some(&self.shadow.new)];
        let lanes = lanes.into_iter().chain([self.control.as_ref()]).flatten();
        lanes.for_each(|lane| lane.client().sweep());
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
