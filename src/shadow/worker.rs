//! Takes samples out of the queue and sends each on its check, within the bounds that protect the shadow.
//!
//! A sample leaves the queue only when there is a place for its check, so that what waits is counted, and shed, in one
//! place. The worker ends when every [`Queue`](crate::handoff::Queue) is gone and the checks have ended; once the process
//! drains, at the latest after `grace`, and what is left then counts as `shutting_down`.

use super::{
    Settings,
    check::{self, Bench},
    epochs::Epochs,
    lane::{Lane, Passage},
};
use crate::{
    compare::{Answer, Bijections, Comparing, Comparison, Context},
    drain::Watch,
    handoff::{Feed, Reports, Sample},
    redact::Redactor,
    settings::Current,
    stack::Stack,
    telemetry::{Gauges, Ledger, RuleCounts, Timings},
    upstream::Client,
    verdict::{Outcome, Reason},
};
use bytes::Bytes;
use http_body_util::Full;
use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time};

/// How the answers of both stacks are compared: [`compare_within`](crate::compare::compare_within).
pub type Compare = fn((&Answer, &Answer), &Context<'_>, &Comparing, &mut Bijections) -> Comparison;

/// What a [`Worker`] is made of.
#[derive(Debug)]
pub struct Parts {
    pub feed: Feed,
    pub old: Client<Full<Bytes>>,
    pub new: Client<Full<Bytes>>,
    pub settings: Current<Settings>,
    pub compare: Compare,
    pub ledger: Ledger,
    pub gauges: Gauges,
    pub timings: Timings,
    pub rule_counts: RuleCounts,
    pub reports: Reports,
    pub redactor: Current<Redactor>,
}

/// Checks samples until there are no more.
#[derive(Debug)]
pub struct Worker {
    feed: Feed,
    settings: Current<Settings>,
    ledger: Ledger,
    lanes: Lanes,
    bench: Arc<Bench>,
    checks: JoinSet<()>,
}

#[derive(Debug)]
struct Lanes {
    old: Arc<Lane>,
    new: Arc<Lane>,
}

/// How long samples gather once the queue was empty. Each wake of a sleeping thread costs the live side, which has to
/// wake it, about as much as a request's head; a check may well wait for this long.
const GATHER: Duration = Duration::from_millis(1);

/// How often connections that have been idle for too long are closed.
const SWEEP: Duration = Duration::from_secs(10);

// === impl Worker ===

impl Worker {
    pub fn new(parts: Parts) -> Self {
        let lane = |stack, client| Arc::new(Lane::new(stack, client, parts.gauges.clone()));
        Self {
            feed: parts.feed,
            settings: parts.settings,
            ledger: parts.ledger,
            lanes: Lanes {
                old: lane(Stack::Old, parts.old),
                new: lane(Stack::New, parts.new),
            },
            bench: Arc::new(Bench {
                compare: parts.compare,
                epochs: Epochs::default(),
                gauges: parts.gauges,
                timings: parts.timings,
                rule_counts: parts.rule_counts,
                reports: parts.reports,
                redactor: parts.redactor,
            }),
            checks: JoinSet::new(),
        }
    }

    /// Checks samples until every queue is dropped, or until the drain and `grace` after it are over.
    /// Runs on threads of the shadow's own, and so do the checks.
    pub async fn run(mut self, drain: Watch) {
        let settings = self.settings.clone();
        let mut signal = drain.clone();
        let over = pin!(async move {
            signal.signaled().await;
            time::sleep(settings.get().grace).await;
        });
        tokio::select! {
            biased;
            () = over => {}
            () = self.serve() => {}
        }
        self.cut().await;
        drop(drain);
    }

    async fn serve(&mut self) {
        let mut sweep = time::interval(SWEEP);
        loop {
            self.place().await;
            if let Some(sample) = self.feed.try_next() {
                self.begin(sample);
                continue;
            }
            // Nobody listens to the queue meanwhile, so that nobody has to be woken.
            time::sleep(GATHER).await;
            let next = tokio::select! {
                biased;
                next = self.feed.next() => next,
                _ = sweep.tick() => {
                    self.lanes.sweep();
                    continue;
                }
            };
            let Some(sample) = next else { break };
            self.begin(sample);
        }
        while self.checks.join_next().await.is_some() {}
    }

    /// Waits until one more check may be in flight.
    async fn place(&mut self) {
        while self.checks.try_join_next().is_some() {}
        while self.checks.len() >= self.settings.get().max_in_flight.get() {
            self.checks.join_next().await;
        }
    }

    /// Begins the check of a sample, or ends it at once.
    fn begin(&mut self, sample: Box<Sample>) {
        let settings = self.settings.get();
        match self.lanes.admit(&sample, &settings) {
            Ok(passage) => {
                let check = check::run(self.bench.clone(), sample, passage, settings);
                // Boxed, for spawning would copy a future of this size several times over.
                self.checks.spawn(Box::pin(check));
            }
            Err(reason) => check::refuse(&self.bench, sample, reason, &settings),
        }
    }

    /// Ends what is left, and counts it.
    async fn cut(&mut self) {
        self.ledger.shut_down();
        self.checks.shutdown().await;
        while let Some(sample) = self.feed.try_next() {
            let reason = Reason::ShuttingDown;
            sample.ticket.finish(Outcome::NotCompared(reason));
        }
    }
}

// === impl Lanes ===

impl Lanes {
    fn admit(&self, sample: &Sample, settings: &Settings) -> Result<Passage, Reason> {
        let now = Instant::now();
        if now.saturating_duration_since(sample.offered) > settings.max_age {
            return Err(Reason::Expired);
        }
        let lane = match sample.primary.other() {
            Stack::Old => &self.old,
            Stack::New => &self.new,
        };
        lane.admit(now, settings)
    }

    fn sweep(&self) {
        self.old.client().sweep();
        self.new.client().sweep();
    }
}
