//! Puts a configuration in force through one publisher for each module that reads settings at runtime.

use crate::{
    admin::service::verdict::required,
    budget::Budget,
    config::{Comparable, Config, EpochFingerprint},
    http_client::Target,
    intake,
    ledger::Ledger,
    live,
    pipeline::{Queue, Writes},
    redact::{HashKey, Redactor},
    settings::{Checks, Publisher},
    shadow,
};
use std::sync::{Arc, Mutex, PoisonError};

/// The writing ends of everything that changes at runtime.
#[derive(Debug)]
pub(super) struct SettingsPublisher {
    pub(super) live: Publisher<live::LiveSettings>,
    pub(super) intake: Publisher<intake::Settings>,
    pub(super) shadow: Publisher<shadow::Settings>,
    pub(super) redactor: Publisher<Redactor>,
    pub(super) config: Publisher<Config>,
    /// What the clients connect to.
    stacks: Vec<Arc<Target>>,
    key: HashKey,
    pub(super) budget: Budget,
    pub(super) ledger: Ledger,
    pub(super) writes: Writes,
    /// Taken out when the process ends: the shadow works until every sender is dropped, and nothing more is sampled.
    queue: Mutex<Option<Queue>>,
}

// === impl SettingsPublisher ===

impl SettingsPublisher {
    pub(super) fn new(
        config: &Config,
        budget: Budget,
        ledger: Ledger,
        writes: Writes,
        queue: Queue,
    ) -> Self {
        config.settings.log.put_level();
        let key = HashKey(rand::random());
        let redactor = Redactor::new(config.settings.redact.clone(), key.clone());
        ledger.declare(config.routes.declared());
        ledger.relearn();
        ledger.judge_by(&config.settings.verdict, required(config));
        Self {
            live: Publisher::new(live(config, &redactor)),
            intake: Publisher::new(intake(config)),
            shadow: Publisher::new(shadow(config)),
            redactor: Publisher::new(redactor),
            config: Publisher::new(config.clone()),
            stacks: stacks(config).cloned().collect(),
            key,
            budget,
            ledger,
            writes,
            queue: Mutex::new(Some(queue)),
        }
    }

    /// Puts `config` in force for the next unit of work. Begins an epoch if checks are no longer comparable.
    pub(super) fn put(&self, config: &Config) {
        config.settings.log.put_level();
        self.budget.set_limit(config.settings.capture.max_total);
        self.writes.set_window(config.settings.recheck.window());
        let redactor = Redactor::new(config.settings.redact.clone(), self.key.clone());
        let (mut live, mut intake) = (live(config, &redactor), intake(config));
        // Held to the end, so that sampling that has ended does not begin again.
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match &*queue {
            Some(queue) => queue.set_max_length(config.settings.queue.max_length),
            None => (live.checks, intake.checks) = (Checks::Paused, Checks::Paused),
        }
        let before = self.config.get();
        for (stack, next) in self.stacks.iter().zip(stacks(config)) {
            stack.adopt(next);
        }
        self.shadow.publish(shadow(config));
        self.redactor.publish(redactor);
        self.config.publish(config.clone());
        self.ledger
            .judge_by(&config.settings.verdict, required(config));
        self.ledger.declare(config.routes.declared());
        self.live.publish(live);
        self.intake.publish(intake);
        // Only after the new rules are in force: a check sampled under the old ones must not count in the new epoch.
        let comparable = Comparable::of(config);
        if let Some(cause) = comparable.cause(&Comparable::of(&before)) {
            let fingerprint = EpochFingerprint::of(config).text();
            let label = config.settings.epoch.label.as_deref();
            self.ledger
                .begin_comparable(Some(fingerprint), label, cause);
        }
    }

    /// Samples nothing more, and drops the queue, so that the shadow ends.
    pub(super) fn end_sampling(&self) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        *queue = None;
        self.live.publish(live::LiveSettings {
            checks: Checks::Paused,
            ..live::LiveSettings::clone(&self.live.get())
        });
        self.intake.publish(intake::Settings {
            checks: Checks::Paused,
            ..intake::Settings::clone(&self.intake.get())
        });
    }
}

fn stacks(config: &Config) -> impl Iterator<Item = &Arc<Target>> {
    [&config.old, &config.new]
        .into_iter()
        .chain(&config.control)
}

fn live(config: &Config, redactor: &Redactor) -> live::LiveSettings {
    let settings = &config.settings;
    live::LiveSettings {
        serve: Arc::new(settings.serve.clone()),
        checks: settings.paused,
        reads: settings.reads.clone(),
        routes: config.routes.clone(),
        sampling: settings.sample.clone(),
        capture: settings.capture.clone(),
        live_token: settings.live_token.clone(),
        comparing: config.comparing.clone(),
        forwarded: settings.forwarded,
        access_log: settings.access_log,
        tls: config.listen_tls.clone(),
        redactor: Arc::new(redactor.clone()),
    }
}

fn intake(config: &Config) -> intake::Settings {
    let settings = &config.settings;
    intake::Settings {
        checks: settings.paused,
        reads: settings.reads.clone(),
        routes: config.routes.clone(),
        sampling: settings.sample.clone(),
        serve_header: settings.serve.header.clone(),
        capture: settings.capture.clone(),
        comparing: config.comparing.clone(),
    }
}

fn shadow(config: &Config) -> shadow::Settings {
    let settings = &config.settings;
    shadow::Settings {
        old: settings.old.protection.clone(),
        new: settings.new.protection.clone(),
        queue: settings.queue.clone(),
        capture: settings.capture.clone(),
        recheck: settings.recheck.clone(),
        conditional: settings.conditional,
        trace: settings.telemetry.trace,
        traced: settings.telemetry.traced,
        version_header: settings.epoch.version_header.clone(),
        drain: settings.drain.clone(),
    }
}
