//! Whether the process can do its work, and what impairs it.

use crate::{
    admin::documents::{ProcessHealth, StackHealth},
    http_client::{Health, Target, dial},
    ledger::{Bound, Gauges, Signal},
    serve::Serve,
    stack::Stack,
    store::Database,
    verdict::Counted,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use strum::VariantArray as _;
use tokio::time;

/// Shared by clones.
#[derive(Clone, Debug)]
pub struct Readiness {
    gauges: Gauges,
    database: Database,
    /// Old first.
    stacks: [Arc<Health>; 2],
    control: Option<Arc<Health>>,
    /// About the configuration.
    note: Option<Arc<str>>,
    is_primary_reached: Arc<AtomicBool>,
    is_ending: Arc<AtomicBool>,
}

/// Pause between two attempts to reach the primary.
const PAUSE: Duration = Duration::from_millis(500);

// === impl Readiness ===

impl Readiness {
    /// Not ready until the primary is reached.
    pub fn new(
        gauges: Gauges,
        database: Database,
        stacks: [Arc<Health>; 2],
        control: Option<Arc<Health>>,
    ) -> Self {
        Self {
            gauges,
            database,
            stacks,
            control,
            note: None,
            is_primary_reached: Arc::default(),
            is_ending: Arc::default(),
        }
    }

    /// Adds what is worth knowing about the configuration.
    #[must_use]
    pub fn noting(self, note: Option<String>) -> Self {
        Self {
            note: note.map(Arc::from),
            ..self
        }
    }

    /// Opens connections to the primary, without sending anything, until one succeeds.
    /// `primary` is asked at each attempt; the targets are by stack, old first.
    pub async fn reach(self, primary: impl Fn() -> Stack, targets: [Arc<Target>; 2]) {
        loop {
            let stack = primary() as usize;
            let health = &self.stacks[stack];
            let Err(error) = dial(&targets[stack]).await else {
                health.reached();
                return self.is_primary_reached.store(true, Ordering::Relaxed);
            };
            if let Some(why) = error.why() {
                health.failed(why, std::error::Error::source(&error));
            }
            time::sleep(PAUSE).await;
        }
    }

    /// From now on not ready, because the process is ending.
    pub fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }

    pub(in crate::admin) fn document(&self, serve: &Serve) -> ProcessHealth {
        let primary = serve.primary();
        let state = |stack: Stack| {
            StackHealth::new(stack, serve.serves(stack), &self.stacks[stack as usize])
        };
        let stacks = [Stack::Old, Stack::New].map(state);
        ProcessHealth {
            missing: self.missing(&stacks[primary as usize]),
            impaired: self.impaired(primary, &stacks),
            notes: self.notes(),
            stacks: stacks.into(),
        }
    }

    /// What is missing, each in a sentence; empty if ready.
    fn missing(&self, primary: &StackHealth) -> Vec<String> {
        let mut missing = Vec::new();
        if !self.is_primary_reached.load(Ordering::Relaxed) {
            let why = primary.trouble();
            let why = why.unwrap_or_else(|| "no connection so far".to_owned());
            missing.push(format!("the primary has not been reachable yet: {why}"));
        }
        if self.is_ending.load(Ordering::Relaxed) {
            missing.push("it is ending, and takes no new connections".to_owned());
        }
        missing
    }

    /// Intended states that are worth knowing.
    fn notes(&self) -> Vec<String> {
        let notes = self.database.notes().into_iter();
        let mut notes: Vec<_> = notes
            .chain(self.note.as_deref())
            .map(str::to_owned)
            .collect();
        let capped = self.gauges.bounds_reached(Bound::SamplesPerSecond);
        if capped > 0 {
            let reads = Counted(capped, "read");
            notes.push(format!(
                "{reads} not sampled since the start, because sample.max_per_second was reached"
            ));
        }
        notes
    }

    /// Faults that do not stop the process from working.
    fn impaired(&self, primary: Stack, stacks: &[StackHealth]) -> Vec<String> {
        let is_reached = self.is_primary_reached.load(Ordering::Relaxed);
        // What is missing names the primary until then.
        let named_here = |stack: &&StackHealth| is_reached || stack.stack != primary;
        let stacks = stacks.iter().filter(named_here);
        let mut impaired: Vec<_> = stacks.filter_map(StackHealth::trouble).collect();
        if let Some(control) = &self.control
            && let Some(failing) = control.failing()
        {
            let (url, cause) = (control.url(), failing.why);
            impaired.push(format!(
                "the control instance at {url} does not answer: {cause}"
            ));
        }
        if self.gauges.is_breaker_open() {
            impaired.push("the shadow's circuit breaker is open".to_owned());
        }
        if self.gauges.control_open.get() > 0 {
            let detail =
                "the control instance's circuit breaker is open: differences stay unconfirmed";
            impaired.push(detail.to_owned());
        }
        let panics = self.gauges.panics.get();
        if panics > 0 {
            let panics = Counted(panics, "panic");
            impaired.push(format!(
                "{panics} since the start: what panicked may work no more, and the log has where"
            ));
        }
        for signal in Signal::VARIANTS {
            let dropped = self.gauges.exports_dropped(*signal);
            if dropped > 0 {
                let name = signal.into_str();
                impaired.push(format!("{dropped} of {name} were dropped since the start"));
            }
        }
        impaired.extend(self.database.impairments());
        impaired
    }
}
