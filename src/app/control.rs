//! The thread that holds everything together: it binds, starts, waits for the end, and sees to it in order.

use super::{
    StartError,
    evidence::Standing,
    mismatches::Stored,
    reachable::Reachable,
    switchboard::{Switchboard, Switched},
};
use crate::{
    admin::{self, Ask, Handles, Readiness},
    budget::Budget,
    compare,
    config::{Config, Loaded, Origin, Running, reload::Reloads},
    drain,
    handoff::{Feed, Reports, sample},
    proxy,
    report::{self, Metrics, Push, Sources, Traces, log},
    settings::Editor,
    shadow,
    store::{self, Store},
    telemetry::{Gauges, Ledger, RuleCounts, Signal, Timings},
    upstream::Client,
};
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, mpsc::SyncSender},
    thread,
    time::Duration,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::JoinSet,
    time,
};

/// Where a started sidecar listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) listen: SocketAddr,
    pub(super) admin: SocketAddr,
}

/// Everything that runs.
#[derive(Debug)]
struct Threads {
    control: Runtime,
    live: Runtime,
    shadow: Runtime,
}

/// What several modules share.
#[derive(Debug)]
struct Shared {
    config: Arc<Config>,
    gauges: Gauges,
    ledger: Ledger,
    budget: Budget,
    rule_counts: RuleCounts,
    metrics: Metrics,
    switched: Switched,
    switchboard: Arc<Switchboard>,
}

/// A sidecar that listens.
#[derive(Debug)]
struct Started {
    addresses: Addresses,
    grace: Duration,
    /// The live side, then the shadow, then what goes on until everything else has ended.
    live_signal: drain::Signal,
    shadow_signal: drain::Signal,
    control_signal: drain::Signal,
    switchboard: Arc<Switchboard>,
    ledger: Ledger,
    /// End by themselves when the shadow has reported its last check.
    listeners: JoinSet<()>,
    /// End when the control signal drains.
    servers: JoinSet<()>,
}

/// Reports that a listener may fall behind by.
const BEHIND: usize = 2_048;

/// For what is left to say once everything has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Runs the sidecar until `stopped` is dropped or sent to.
pub(super) fn run(
    origin: Origin,
    loaded: Loaded,
    started: SyncSender<Result<Addresses, StartError>>,
    stopped: oneshot::Receiver<()>,
) {
    // Runtimes must not be dropped on a thread of another one, so that they are made and dropped out here.
    let threads = match Threads::start() {
        Ok(threads) => threads,
        Err(error) => return answer(&started, Err(error.into())),
    };
    let Threads {
        control,
        live,
        shadow,
    } = threads;
    match control.block_on(start(origin, loaded, (&live, &shadow))) {
        Ok(running) => {
            answer(&started, Ok(running.addresses));
            control.block_on(async {
                // Dropped or sent to: both ask for the end.
                let _ = stopped.await;
                running.end(live, shadow).await;
            });
        }
        Err(error) => answer(&started, Err(error)),
    }
}

fn answer(
    started: &SyncSender<Result<Addresses, StartError>>,
    result: Result<Addresses, StartError>,
) {
    // Nobody listens only when the starter is gone, and then the end comes by itself.
    let _ = started.send(result);
}

async fn start(
    origin: Origin,
    loaded: Loaded,
    (live, shadow): (&Runtime, &Runtime),
) -> Result<Started, StartError> {
    let config = loaded.config().clone();
    let env = |name: &str| std::env::var(name).ok();
    let (shared, queue, feed) = Shared::new(&config, &env);

    let (live_signal, live_watch) = drain::channel();
    let bound = bind_live(live, &shared, queue).await?;
    let listen = bound.addr();

    let mut listeners = JoinSet::new();
    let store = Store::new(store(&config), shared.gauges.clone());
    let reports = listen_to_reports(&shared, &store, &mut listeners, &env)?;

    let (control_signal, control_watch) = drain::channel();
    let mut servers = JoinSet::new();
    let admin = shared
        .serve_admin((origin, loaded), store, (&mut servers, &control_watch))
        .await?;
    shared.push_metrics((&mut servers, &control_watch), &env)?;

    let (shadow_signal, shadow_watch) = drain::channel();
    let worker = shared.worker(feed, reports);
    shadow.spawn(worker.run(shadow_watch));
    live.spawn(bound.run(live_watch));
    Ok(Started {
        addresses: Addresses { listen, admin },
        grace: config.grace,
        live_signal,
        shadow_signal,
        control_signal,
        switchboard: shared.switchboard.clone(),
        ledger: shared.ledger.clone(),
        listeners,
        servers,
    })
}

async fn bind_live(
    live: &Runtime,
    shared: &Shared,
    queue: sample::Queue,
) -> Result<proxy::Bound, StartError> {
    let config = &shared.config;
    let addr = config.listen;
    let settings = proxy::Config {
        listen: addr,
        old: config.old.clone(),
        new: config.new.clone(),
    };
    let handles = proxy::Handles {
        live: shared.switched.live.clone(),
        ledger: shared.ledger.clone(),
        gauges: shared.gauges.clone(),
        budget: shared.budget.clone(),
        queue,
        timings: shared.timings(),
    };
    // On the runtime whose threads are to poll the listener.
    let bound = live.spawn(async { proxy::bind(settings, handles) }).await;
    let bound = bound.unwrap_or_else(|error| Err(io::Error::other(error)));
    bound.map_err(|source| StartError::Bind { addr, source })
}

/// Everything that hears of checks: the log, the store, and a collector where there is one.
fn listen_to_reports(
    shared: &Shared,
    store: &Store,
    listeners: &mut JoinSet<()>,
    env: report::otlp::Env<'_>,
) -> Result<Reports, StartError> {
    let mut reports = Reports::new(shared.gauges.clone());
    let lines = log::Mismatches::new(reports.listen(Signal::Logs, BEHIND));
    listeners.spawn(lines.run());
    let kept = reports.listen(Signal::Store, BEHIND);
    listeners.spawn(store.clone().run(kept));
    let telemetry = &shared.config.telemetry;
    if let Some(target) = telemetry.report.otlp.target(Signal::Traces, env)? {
        let heard = reports.listen(Signal::Traces, BEHIND);
        let resource = telemetry.report.resource(env);
        let to = (&target, &resource);
        let traces = Traces::new(heard, telemetry.traced, to, shared.gauges.clone())?;
        listeners.spawn(traces.run());
    }
    Ok(reports)
}

fn store(config: &Config) -> store::Config {
    store::Config {
        keep_mismatches: config.store.keep_mismatches,
        keep_per_class: config.store.keep_per_class,
        ..store::Config::default()
    }
}

// === impl Threads ===

impl Threads {
    fn start() -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let live = Builder::new_multi_thread()
            .worker_threads(cores)
            .thread_name("twinread-live")
            .enable_all()
            .build()?;
        Ok(Self {
            control: Builder::new_current_thread().enable_all().build()?,
            live,
            shadow: shadow::runtime(cores.div_ceil(2))?,
        })
    }
}

// === impl Shared ===

impl Shared {
    fn new(config: &Arc<Config>, env: report::otlp::Env<'_>) -> (Self, sample::Queue, Feed) {
        let gauges = Gauges::default();
        let ledger = Ledger::new(config.max_routes, gauges.clone());
        if config.label.is_some() {
            ledger.begin_epoch(config.label.as_deref(), crate::verdict::Cause::Start);
        }
        let budget = Budget::new(config.capture.max_total);
        let (queue, feed) = sample::channel(config.queue.max_length, gauges.clone());
        let switched = (budget.clone(), ledger.clone(), queue.clone());
        let (switchboard, switched) = Switchboard::new(config, switched);
        let metrics = Metrics::new(config.telemetry.report.resource(env), config.max_routes);
        let shared = Self {
            config: config.clone(),
            gauges,
            ledger,
            budget,
            rule_counts: RuleCounts::default(),
            metrics,
            switched,
            switchboard: Arc::new(switchboard),
        };
        shared.metrics.observe(&Sources {
            ledger: shared.ledger.clone(),
            gauges: shared.gauges.clone(),
            budget: shared.budget.clone(),
            figures: Arc::new(shared.standing()),
        });
        (shared, queue, feed)
    }

    fn timings(&self) -> Timings {
        self.metrics.timings()
    }

    fn standing(&self) -> Standing {
        Standing {
            ledger: self.ledger.clone(),
            judging: self.switched.judging.clone(),
            rule_counts: self.rule_counts.clone(),
        }
    }

    fn worker(&self, feed: Feed, reports: Reports) -> shadow::Worker {
        shadow::Worker::new(shadow::Parts {
            feed,
            old: Client::new(self.config.old.clone()),
            new: Client::new(self.config.new.clone()),
            settings: self.switched.shadow.clone(),
            compare: compare::compare,
            ledger: self.ledger.clone(),
            gauges: self.gauges.clone(),
            timings: self.timings(),
            rule_counts: self.rule_counts.clone(),
            reports,
            redactor: self.switched.redactor.clone(),
        })
    }

    /// The admin API, and the reloads that change what it shows.
    async fn serve_admin(
        &self,
        (origin, loaded): (Origin, Loaded),
        store: Store,
        (servers, drain): (&mut JoinSet<()>, &drain::Watch),
    ) -> Result<SocketAddr, StartError> {
        let switchboard = self.switchboard.clone();
        let publish = move |config: &Config| switchboard.put(config);
        let running = Running::new(origin, loaded, self.gauges.clone(), publish);
        let running = Arc::new(running);
        let reachable = Reachable::default();
        let handles = self.handles(running.clone(), store, reachable.clone());
        let addr = self.config.admin;
        let config = admin::Config {
            listen: addr,
            token: self.config.admin_token.clone(),
        };
        let bound = admin::bind(config, handles).await;
        let bound = bound.map_err(|source| StartError::Bind { addr, source })?;
        let addr = bound.addr();
        servers.spawn(bound.run(drain.clone()));
        servers.spawn(Reloads::start(running)?.run(drain.clone()));
        let primary = match self.config.serve_from {
            crate::stack::Stack::Old => self.config.old.clone(),
            crate::stack::Stack::New => self.config.new.clone(),
        };
        let mut signal = drain.clone();
        servers.spawn(async move {
            tokio::select! {
                () = reachable.find(primary) => {}
                () = signal.signaled() => {}
            }
        });
        Ok(addr)
    }

    fn handles(&self, running: Arc<Running>, store: Store, reachable: Reachable) -> Handles {
        let (verdict, rules) = (self.standing(), self.standing());
        let metrics = self.metrics.clone();
        let gauges = self.gauges.clone();
        Handles {
            ledger: self.ledger.clone(),
            editor: Editor(running),
            mismatches: Arc::new(Stored(store)),
            verdict: Ask::new(move || verdict.verdict()),
            rules: Ask::new(move || rules.rules()),
            metrics: Ask::new(move || metrics.text()),
            readiness: Ask::new(move || readiness(&reachable, &gauges)),
        }
    }

    fn push_metrics(
        &self,
        (servers, drain): (&mut JoinSet<()>, &drain::Watch),
        env: report::otlp::Env<'_>,
    ) -> Result<(), StartError> {
        let otlp = &self.config.telemetry.report.otlp;
        if let Some(target) = otlp.target(Signal::Metrics, env)? {
            let push = Push::new(self.metrics.clone(), &target, self.gauges.clone(), env)?;
            servers.spawn(push.run(drain.clone()));
        }
        Ok(())
    }
}

fn readiness(reachable: &Reachable, gauges: &Gauges) -> Readiness {
    let mut readiness = Readiness::default();
    if !reachable.get() {
        let missing = "the primary has not been reachable yet".to_owned();
        readiness.missing.push(missing);
    }
    let impaired = &mut readiness.impaired;
    impaired.push("evidence is kept in memory and will not survive a restart".to_owned());
    if gauges.breaker_open() > 0 {
        impaired.push("the shadow's circuit breaker is open".to_owned());
    }
    for signal in Signal::ALL {
        let dropped = gauges.exports_dropped(signal);
        if dropped > 0 {
            let name = signal.name();
            impaired.push(format!("{dropped} of {name} were dropped since the start"));
        }
    }
    readiness
}

// === impl Started ===

impl Started {
    /// Live requests first, then checks, then what tells of them. `grace` bounds the first two together.
    async fn end(mut self, live: Runtime, shadow_threads: Runtime) {
        tracing::info!(grace = ?self.grace, "ending: live requests first, then accepted checks");
        self.switchboard.close_queue();
        let shadow = tokio::spawn(self.shadow_signal.drain());
        if time::timeout(self.grace, self.live_signal.drain())
            .await
            .is_err()
        {
            tracing::warn!("live requests were cut at the end of the grace period");
        }
        self.ledger.shut_down();
        // Cuts what is left of the live side, and with it the last handles on the queue.
        live.shutdown_background();
        // The shadow keeps to `grace` by itself.
        if shadow.await.is_err() {
            tracing::error!("the shadow came to no orderly end");
        }
        shadow_threads.shutdown_background();
        join(&mut self.listeners).await;
        self.control_signal.drain().await;
        join(&mut self.servers).await;
        tracing::info!("ended");
    }
}

async fn join(tasks: &mut JoinSet<()>) {
    let all = async { while tasks.join_next().await.is_some() {} };
    if time::timeout(LAST_WORDS, all).await.is_err() {
        tracing::warn!("some reports were given up at the end");
    }
}
