//! Puts a configuration in force through one publisher for each module that reads settings at runtime.

use super::recovered::EpochFingerprint;
use crate::{
    admin::service::verdict::required,
    budget::Budget,
    config::{Comparable, Config},
    ledger::Ledger,
    live,
    pipeline::{Queue, Writes},
    redact::{HashKey, Redactor},
    settings::{self, Current, Publisher},
    shadow,
};
use std::sync::{Arc, Mutex, PoisonError};

/// The writing ends of everything that changes at runtime.
#[derive(Debug)]
pub(super) struct SettingsPublisher {
    live: Publisher<live::LiveSettings>,
    shadow: Publisher<shadow::Settings>,
    redactor: Publisher<Redactor>,
    config: Publisher<Config>,
    key: HashKey,
    budget: Budget,
    ledger: Ledger,
    writes: Writes,
    /// Taken out when the process ends: the shadow works until every sender is dropped.
    queue: Mutex<Option<Queue>>,
}

/// The reading ends.
#[derive(Clone, Debug)]
pub(super) struct SettingsReaders {
    pub(super) live: Current<live::LiveSettings>,
    pub(super) shadow: Current<shadow::Settings>,
    pub(super) redactor: Current<Redactor>,
    pub(super) config: Current<Config>,
}

/// The share of captured bytes that may wait for a recheck is 1 / `WAITING`; the rest is for new samples.
const WAITING: usize = 4;

// === impl SettingsPublisher ===

impl SettingsPublisher {
    pub(super) fn new(
        config: &Arc<Config>,
        (budget, ledger, writes, queue): (Budget, Ledger, Writes, Queue),
    ) -> (Self, SettingsReaders) {
        let key = HashKey(rand::random());
        ledger.declare(config.routes.declared());
        ledger.relearn();
        let (live, live_now) = settings::channel(live(config));
        let (shadow, shadow_now) = settings::channel(shadow(config));
        let redactor = Redactor::new(config.settings.redact.clone(), key.clone());
        let (redactor, redactor_now) = settings::channel(redactor);
        let (current, current_now) = settings::channel(Config::clone(config));
        let switched = SettingsReaders {
            live: live_now,
            shadow: shadow_now,
            redactor: redactor_now,
            config: current_now,
        };
        ledger.judge_by(&config.settings.verdict, required(config));
        let switchboard = Self {
            live,
            shadow,
            redactor,
            config: current,
            key,
            budget,
            ledger,
            writes,
            queue: Mutex::new(Some(queue)),
        };
        (switchboard, switched)
    }

    /// Puts `config` in force for the next unit of work. Begins an epoch if checks are no longer comparable.
    pub(super) fn put(&self, config: &Config) {
        self.budget.set_limit(config.settings.capture.max_total);
        self.writes.set_window(config.settings.recheck.window());
        if let Some(queue) = &*self.queue.lock().unwrap_or_else(PoisonError::into_inner) {
            queue.set_max_length(config.settings.queue.max_length);
        }
        let before = self.config.get();
        self.shadow.publish(shadow(config));
        let redactor = Redactor::new(config.settings.redact.clone(), self.key.clone());
        self.redactor.publish(redactor);
        self.config.publish(config.clone());
        self.ledger
            .judge_by(&config.settings.verdict, required(config));
        self.ledger.declare(config.routes.declared());
        self.live.publish(live(config));
        // Only after the new rules are in force: a check sampled under the old ones must not count in the new epoch.
        let comparable = Comparable::of(config);
        if let Some(cause) = comparable.cause(&Comparable::of(&before)) {
            let yardstick = EpochFingerprint::of(config).text();
            self.ledger
                .begin_comparable(yardstick, config.settings.epoch.label.as_deref(), cause);
        }
    }

    /// Drops the queue, so that the shadow ends.
    pub(super) fn close_queue(&self) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        *queue = None;
    }
}

fn live(config: &Config) -> live::LiveSettings {
    live::LiveSettings {
        serve_from: config.settings.serve_from,
        checks: config.settings.paused,
        reads: config.settings.reads.clone(),
        routes: config.routes.clone(),
        sampling: config.settings.sample.clone(),
        max_body: config.settings.capture.max_body,
        live_token: config.settings.live_token.clone(),
        comparing: config.comparing.clone(),
    }
}

fn shadow(config: &Config) -> shadow::Settings {
    shadow::Settings {
        timeout: config.settings.new.timeout,
        max_in_flight: config.settings.new.max_in_flight,
        max_per_second: config.settings.new.max_per_second,
        breaker: config.settings.new.breaker,
        max_age: config.settings.queue.max_age,
        max_body: config.settings.capture.max_body,
        deadline: config.comparing.options.deadline,
        trace: config.settings.telemetry.trace,
        traced: config.settings.telemetry.traced,
        recheck: shadow::Recheck {
            after: config.settings.recheck.after.clone(),
            max_per_second: config.settings.recheck.max_per_second,
            max_waiting: config.settings.queue.max_length,
            max_waiting_bytes: config.settings.capture.max_total / WAITING,
        },
        conditional: config.settings.conditional,
        version_header: config.settings.epoch.version_header.clone(),
        grace: config.settings.drain.grace,
    }
}
