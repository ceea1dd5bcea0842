//! Composes the process that validates in the background: the shadow with its clients, and no listener.

use super::{StartError, builder::AppBuilder, clock, control::runtime, recovered::Recovered};
use crate::{
    admin::documents::Verdict,
    background::Offers,
    compare::Answer,
    config::{Config, Loaded},
    drain,
    export::log,
    ledger::Clock,
    pipeline::{Queue, ReadRequest},
    serve::Serve,
    settings::Checks,
    shadow::{self, RereadError, Rereader},
    stack::Stack,
    store::{Journal, OpenError},
    verdict::Cause,
};
use jiff::Timestamp;
use std::{
    num::NonZeroUsize,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
    time,
};
use tracing::level_filters::LevelFilter;

/// What a run in the background sets instead of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Overrides {
    pub(crate) store: Option<PathBuf>,
    pub(crate) in_flight: NonZeroUsize,
    /// Whether the old stack is gone.
    pub(crate) is_old_recorded: bool,
    /// Whether the checks in the store belong to this run.
    pub(crate) is_resumed: bool,
}

/// The shadow alone. It is ended by [`Background::stop`].
#[derive(Debug)]
pub(crate) struct Background {
    pub(crate) config: Config,
    shared: AppBuilder,
    queue: Queue,
    rereader: Rereader,
    /// The number of epochs at the start.
    epochs: usize,
    listeners: JoinSet<()>,
    servers: JoinSet<()>,
    shadow_signal: drain::Signal,
    control_signal: drain::Signal,
    control: Runtime,
    shadow: Runtime,
}

/// Reads wait for their turn at this length of the queue, never for so long as callers' may.
const MAX_AGE: Duration = Duration::from_secs(3_600);

/// How long the last checks may take to become evidence.
const SETTLE_WITHIN: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

// === impl Overrides ===

impl Overrides {
    /// The log has what went wrong; the rest is progress, which the terminal shows.
    pub(crate) fn log(config: &Config) -> log::Config {
        let log = config.settings.log;
        log::Config {
            level: log.level.min(LevelFilter::WARN),
            ..log
        }
    }

    /// The configuration of the sidecar, for reads that no caller waits for.
    fn apply(&self, config: &Config) -> Config {
        let log = Self::log(config);
        let mut config = config.clone();
        let settings = &mut config.settings;
        settings.listen = None;
        settings.mirror.listen = None;
        settings.ext_proc.listen = None;
        settings.paused = Checks::Running;
        settings.serve = Serve::default();
        settings.store.path = self.store.clone();
        settings.log = log;
        settings.queue.max_age = MAX_AGE;
        for protection in [&mut settings.old.protection, &mut settings.new.protection] {
            protection.max_in_flight = protection.max_in_flight.min(self.in_flight);
        }
        // They are about callers, and time does not pass here as it does for them.
        settings.verdict.soak = Duration::ZERO;
        if self.is_old_recorded {
            // Nothing can be read again.
            settings.recheck.after.clear();
        }
        config
    }
}

// === impl Background ===

impl Background {
    /// # Errors
    /// [`StartError`].
    pub(crate) fn start(loaded: Loaded, overrides: &Overrides) -> Result<Self, StartError> {
        let config = overrides.apply(&loaded.config);
        let loaded = loaded.overridden(config);
        let env = |name: &str| std::env::var(name).ok();
        let control = Builder::new_current_thread().enable_all().build()?;
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let shadow = runtime("twinread-shadow", threads, shadow::yield_to_others)?;
        let _entered = control.enter();
        let restored = Recovered::open(loaded)?;
        if overrides.store.is_some() && restored.database.path().is_none() {
            let why = "a run cannot go on from a store that cannot be written";
            return Err(OpenError::Failed(why.into()).into());
        }
        let (shared, queue, feed) = AppBuilder::new(&restored, &env);
        if !overrides.is_resumed {
            shared.counted.ledger.begin_epoch(None, Cause::Asked);
        }
        let mut listeners = JoinSet::new();
        let store = shared.store();
        let reports = shared.listen_to_reports(&store, None, &mut listeners, &env)?;
        let worker = shared.worker(feed, reports);
        let rereader = worker.rereader();
        let (control_signal, control_watch) = drain::channel();
        let (shadow_signal, shadow_watch) = drain::channel();
        let clock = clock::Watch {
            ledger: shared.counted.ledger.clone(),
            wall: Clock::new(Timestamp::now),
            database: shared.database.clone(),
            gauges: shared.gauges().clone(),
        };
        let mut servers = JoinSet::new();
        servers.spawn(async move { clock.run(control_watch).await });
        shadow.spawn(worker.run(shadow_watch));
        drop(_entered);
        Ok(Self {
            config: shared.config.clone(),
            epochs: shared.counted.ledger.epochs().len(),
            shared,
            queue,
            rereader,
            listeners,
            servers,
            shadow_signal,
            control_signal,
            control,
            shadow,
        })
    }

    /// For offering reads.
    pub(crate) fn offers(&self) -> Offers {
        Offers {
            ledger: self.shared.counted.ledger.clone(),
            gauges: self.shared.gauges().clone(),
            budget: self.shared.publisher.budget.clone(),
            queue: self.queue.clone(),
            reads: self.config.settings.reads.clone(),
            routes: self.config.routes.clone(),
            comparing: self.config.comparing.clone(),
        }
    }

    /// Reads one stack, outside of checks.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) fn read(&self, stack: Stack, request: ReadRequest) -> Result<Answer, RereadError> {
        let rereader = self.rereader.clone();
        let mut held = self.shared.publisher.budget.share();
        let reading = async move { rereader.read(stack, request, &mut held).await };
        let read = self.shadow.spawn(reading);
        let read = self.control.block_on(read);
        read.unwrap_or(Err(RereadError::Ending))
    }

    /// The newest checkpoint of a kind.
    pub(crate) fn checkpoints(&self, kind: &'static str) -> Journal {
        Journal::new(self.shared.database.clone(), kind, 1)
    }

    /// Runs a task on the control thread, which is this one.
    pub(crate) fn run<T>(&self, task: impl Future<Output = T>) -> T {
        self.control.block_on(task)
    }

    /// The verdict on all checks so far, once the last of them are evidence.
    pub(crate) fn verdict(&self) -> Verdict {
        self.control.block_on(async {
            let deadline = Instant::now() + SETTLE_WITHIN;
            loop {
                let verdict = self.shared.verdict();
                let is_settled = verdict.routes.iter().all(|route| route.counts.waiting == 0);
                if is_settled || Instant::now() >= deadline {
                    return verdict;
                }
                time::sleep(LOOK).await;
            }
        })
    }

    /// The build of the new stack that answered, if it was one and named itself, and whether there were several.
    pub(crate) fn build(&self) -> (Option<String>, bool) {
        let epochs = self.shared.counted.ledger.epochs();
        let begun = epochs.iter().skip(self.epochs.saturating_sub(1));
        let builds: Vec<_> = begun
            .filter_map(|epoch| epoch.epoch.version.clone())
            .collect();
        match builds.as_slice() {
            [] => (None, false),
            [build] => (Some(build.to_string()), false),
            [first, others @ ..] if others.iter().all(|other| other == first) => {
                (Some(first.to_string()), false)
            }
            _ => (None, true),
        }
    }

    /// Cuts what is under way, and closes the store.
    pub(crate) fn stop(mut self) {
        drop(self.queue);
        self.shared.publisher.end_sampling();
        self.control.block_on(async {
            self.shared.counted.ledger.shut_down();
            // Open checks are not waited for.
            let drained = time::timeout(Duration::from_millis(100), self.shadow_signal.drain());
            let _ = drained.await;
        });
        self.shadow.shutdown_background();
        self.control.block_on(async {
            let listeners = async { while self.listeners.join_next().await.is_some() {} };
            let _ = time::timeout(Duration::from_secs(2), listeners).await;
            self.control_signal.drain().await;
            while self.servers.join_next().await.is_some() {}
        });
        self.shared.database.close();
    }
}
