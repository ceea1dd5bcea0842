//! What the modules share, and how each is built from it.

mod listeners;

use super::{
    StartError, clock, open_files::Shares, recovered::Recovered, reflection::Reflecting,
    settings_publisher::SettingsPublisher,
};
use crate::{
    admin::{
        self, AdminState, documents,
        service::{
            evidence::GivenEvidence,
            history,
            readiness::Readiness,
            recheck::{self, Rechecks},
            verdict::VerdictSource,
            verdict_history,
        },
    },
    budget::Budget,
    compare,
    config::{Config, Origin, Running, reload::Reloads},
    drain,
    export::{self, Metrics, Push, Sources, Traces, log},
    http_client::{Client, Health, Instance, Target},
    ledger::{Clock, Gauges, Signal},
    pipeline::{QueueReceiver, ReadSampler, Recorder, Reports, Writes, queue},
    shadow,
    stack::Stack,
    store::{Counted, Database, Store},
    transport::{Address, Inherited},
};
use futures_util::{FutureExt as _, future::BoxFuture};
use jiff::Timestamp;
use opentelemetry_sdk::Resource;
use serde_json::Value;
use std::sync::Arc;
use tokio::{runtime, sync::Semaphore, task::JoinSet};

#[derive(Debug)]
pub(super) struct AppBuilder {
    pub(super) config: Config,
    shares: Shares,
    sampler: ReadSampler,
    gauges: Gauges,
    pub(super) counted: Counted,
    resource: Resource,
    metrics: Metrics,
    verdict: VerdictSource,
    pub(super) database: Database,
    pub(super) publisher: Arc<SettingsPublisher>,
    pub(super) readiness: Readiness,
    /// Old first.
    stacks: [Arc<Health>; 2],
    control: Option<Arc<Health>>,
}

/// Maximum number of reports that a listener may fall behind.
const BEHIND: usize = 2_048;

// === impl AppBuilder ===

impl AppBuilder {
    pub(super) fn new(
        restored: &Recovered,
        env: export::otlp::Env<'_>,
    ) -> (Self, queue::Queue, QueueReceiver) {
        let (gauges, counted) = (&restored.gauges, &restored.counted);
        let instance = Instance::new(rand::random());
        let config = restored.loaded.config.sent_by(&instance);
        let budget = Budget::new(config.settings.capture.max_total);
        let (queue, feed) = queue::channel(config.settings.queue.max_length, gauges.clone());
        let writes = Writes::new(config.settings.recheck.window(), gauges.clone());
        let ledger = counted.ledger.clone();
        let publisher = SettingsPublisher::new(&config, budget, ledger, writes, queue.clone());
        let declared = config.routes.declared().count();
        let max_routes = config.settings.max_routes.max(declared);
        let stacks = [(Stack::Old, &config.old), (Stack::New, &config.new)];
        let stacks = stacks.map(|(stack, target)| Arc::new(Health::new(stack.name(), target)));
        let control = config.control.as_ref();
        let control = control.map(|target| Arc::new(Health::new("control", target)));
        let resource = config.settings.telemetry.resource(instance.id(), env);
        let metrics = Metrics::new(resource.clone(), max_routes);
        let evidence = GivenEvidence::open(&restored.database);
        let verdict = verdict_source(counted, gauges, &publisher, evidence);
        metrics.observe(&Sources {
            ledger: counted.ledger.clone(),
            gauges: gauges.clone(),
            budget: publisher.budget.clone(),
            figures: Arc::new(verdict.clone()),
        });
        let readiness = Readiness::new(
            gauges.clone(),
            restored.database.clone(),
            stacks.clone(),
            control.clone(),
        );
        let shared = Self {
            readiness: readiness.noting(listeners::note(&config)),
            shares: Shares::take(listeners::count(&config)),
            sampler: ReadSampler::new(gauges.clone()),
            config,
            resource,
            verdict,
            gauges: gauges.clone(),
            counted: counted.clone(),
            metrics,
            database: restored.database.clone(),
            publisher: Arc::new(publisher),
            stacks,
            control,
        };
        (shared, queue, feed)
    }

    pub(super) fn store(&self) -> Store {
        let database = self.database.clone();
        let mut config = self.config.settings.store.clone();
        // If the file cannot be opened, the bounds of the in-memory store apply.
        config.path = database.path().map(Into::into);
        Store::new(database, config, self.gauges.clone())
    }

    pub(super) fn gauges(&self) -> &Gauges {
        &self.gauges
    }

    pub(super) fn verdict(&self) -> documents::Verdict {
        self.verdict.verdict()
    }

    /// Everything that receives reports: the log if there is to be one, the store, and a collector if configured.
    pub(super) fn listen_to_reports(
        &self,
        store: &Store,
        logs: Option<Signal>,
        listeners: &mut JoinSet<()>,
        env: export::otlp::Env<'_>,
    ) -> Result<Reports, StartError> {
        let mut reports = Reports::new(self.gauges.clone());
        if let Some(signal) = logs {
            let lines = log::Mismatches::new(reports.listen(signal, BEHIND));
            listeners.spawn(lines.run());
        }
        let kept = reports.listen(Signal::Store, BEHIND);
        listeners.spawn(store.clone().run(kept));
        let telemetry = &self.config.settings.telemetry;
        let tls = self.config.collector_tls.as_ref();
        if let Some(target) = telemetry.otlp.target(Signal::Traces, env, tls)? {
            let received = reports.listen(Signal::Traces, BEHIND);
            let to = (&target, &self.resource);
            let traces = Traces::new(received, telemetry.traced, to, self.gauges.clone())?;
            listeners.spawn(traces.run());
        }
        Ok(reports)
    }

    pub(super) fn worker(&self, feed: QueueReceiver, reports: Reports) -> shadow::Worker {
        let client = |target: &Arc<Target>, health| {
            let (target, gauges) = (target.clone(), self.gauges.clone());
            Client::bounded(target, health, self.shares.client, gauges)
        };
        let [old, new] = &self.stacks;
        let control = self.config.control.as_ref().zip(self.control.clone());
        let control = control.map(|(target, health)| client(target, health));
        shadow::Worker::new(shadow::Parts {
            feed,
            old: client(&self.config.old, old.clone()),
            new: client(&self.config.new, new.clone()),
            control,
            handles: shadow::Handles {
                settings: self.publisher.shadow.reader(),
                compare: compare::compare_within,
                ledger: self.counted.ledger.clone(),
                gauges: self.gauges.clone(),
                timings: self.metrics.timings(),
                rule_counts: self.counted.rule_counts.clone(),
                pairs: self.counted.pairs.clone(),
                reports,
                writes: self.publisher.writes.clone(),
                redactor: self.publisher.redactor.reader(),
                taken: || (),
            },
        })
    }

    pub(super) fn rechecks(
        &self,
        store: Store,
        rereader: shadow::Rereader,
        shadow: &runtime::Handle,
    ) -> Rechecks {
        Rechecks {
            store,
            rereader,
            shadow: shadow.clone(),
            live: self.publisher.live.reader(),
            redactor: self.publisher.redactor.reader(),
            ledger: self.counted.ledger.clone(),
            budget: self.publisher.budget.clone(),
            supplied: recheck::supplied(&self.config),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// What asks for descriptors.
    pub(super) fn reflecting(
        &self,
        reflector: shadow::Reflector,
        running: Arc<Running>,
    ) -> Reflecting {
        Reflecting {
            reflector,
            running,
            config: self.publisher.config.reader(),
            ledger: self.counted.ledger.clone(),
            budget: self.publisher.budget.clone(),
            database: self.database.clone(),
        }
    }

    /// The configuration in force, which the API and reloads change.
    pub(super) fn running(&self, origin: Origin, restored: Recovered) -> Arc<Running> {
        let Recovered {
            loaded,
            revision,
            settings: kept,
            ..
        } = restored;
        let publisher = self.publisher.clone();
        let publish = move |config: &Config| publisher.put(config);
        let keep = move |changed: &Value, settings| kept.keep(changed, settings);
        let running = Running::new(origin, loaded, self.gauges.clone(), publish);
        let running = running.resume(revision, keep);
        let changes = history::of_settings(&self.database);
        history::record_start(&changes, &running.settings());
        let running = running.on_change(move |new| history::record(&changes, &new));
        Arc::new(running)
    }

    /// The admin API, and what keeps its answers current.
    pub(super) fn serve_admin(
        &self,
        state: AdminState,
        inherited: Option<Inherited>,
        servers: &mut JoinSet<()>,
        drain: &drain::Watch,
    ) -> Result<Address, StartError> {
        let running = state.running.clone();
        let addr = self.config.settings.admin.clone();
        let config = admin::Config {
            listen: addr.clone(),
            inherited,
            token: self.config.settings.admin_token.clone(),
            connections: self.shares.admin.get().min(admin::MAX_CONNECTIONS),
        };
        let bound = admin::bind(config, state);
        let bound = bound.map_err(|source| StartError::Bind {
            setting: "admin",
            addr,
            source,
        })?;
        let addr = bound.address().clone();
        servers.spawn(bound.run(drain.clone()));
        let judging = (
            self.verdict.clone(),
            history::of_verdict(&self.database),
            drain.clone(),
        );
        keep_alive(servers, "verdict", judging, |(source, journal, drain)| {
            verdict_history::watch(source.clone(), journal.clone(), drain.clone()).boxed()
        });
        let clock = clock::Watch {
            ledger: self.counted.ledger.clone(),
            wall: Clock::new(Timestamp::now),
            database: self.database.clone(),
            gauges: self.gauges.clone(),
        };
        let closing = (clock, drain.clone());
        keep_alive(servers, "clock", closing, |(clock, drain)| {
            clock.run(drain.clone()).boxed()
        });
        servers.spawn(Reloads::start(running)?.run(drain.clone()));
        let config = self.verdict.config.clone();
        let primary = move || config.get().settings.serve.primary();
        let targets = [self.config.old.clone(), self.config.new.clone()];
        let (mut signal, readiness) = (drain.clone(), self.readiness.clone());
        servers.spawn(async move {
            tokio::select! {
                () = readiness.reach(primary, targets) => {}
                () = signal.signaled() => {}
            }
        });
        Ok(addr)
    }

    pub(super) fn admin_state(
        &self,
        running: Arc<Running>,
        store: Store,
        rechecks: Rechecks,
        recorder: Recorder,
    ) -> AdminState {
        AdminState {
            recorder,
            ledger: self.counted.ledger.clone(),
            gauges: self.gauges.clone(),
            running,
            database: self.database.clone(),
            store,
            verdict: self.verdict.clone(),
            rechecks: Arc::new(rechecks),
            metrics: self.metrics.clone(),
            readiness: self.readiness.clone(),
        }
    }

    pub(super) fn push_metrics(
        &self,
        servers: &mut JoinSet<()>,
        drain: &drain::Watch,
        env: export::otlp::Env<'_>,
    ) -> Result<(), StartError> {
        let otlp = &self.config.settings.telemetry.otlp;
        if let Some(target) =
            otlp.target(Signal::Metrics, env, self.config.collector_tls.as_ref())?
        {
            let push = Push::new(self.metrics.clone(), &target, self.gauges.clone(), env)?;
            servers.spawn(push.run(drain.clone()));
        }
        Ok(())
    }
}

/// Spawns a task whose end before the drain nobody would notice.
fn keep_alive<T: Send + 'static>(
    servers: &mut JoinSet<()>,
    name: &'static str,
    mut task: T,
    run: impl for<'t> Fn(&'t mut T) -> BoxFuture<'t, ()> + Send + 'static,
) {
    servers.spawn(async move { drain::keep_alive(name, &mut task, run, || ()).await });
}

fn verdict_source(
    counted: &Counted,
    gauges: &Gauges,
    publisher: &SettingsPublisher,
    evidence: GivenEvidence,
) -> VerdictSource {
    VerdictSource {
        evidence,
        ledger: counted.ledger.clone(),
        gauges: gauges.clone(),
        config: publisher.config.reader(),
        rule_counts: counted.rule_counts.clone(),
        shown: Arc::default(),
    }
}
