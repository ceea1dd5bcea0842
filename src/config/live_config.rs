//! The configuration in force. A patch or a reload changes it as a whole or not at all.

mod reflection;

use super::{
    Config, Loaded, Origin,
    described::change_of,
    load::{load_with_paths, resolve},
    patch,
    reload::Cause,
    tree,
};
use crate::{
    ledger::Gauges,
    settings::{self, By, Refused, Setting, Settings, Source},
    spanned_yaml::{Change, ConfigError, ConfigErrors},
    stack::Stack,
    transport::Peer,
};
use jiff::Timestamp;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The one configuration of the process.
pub struct Running {
    origin: Origin,
    gauges: Gauges,
    /// Called on each change, with what the next process needs.
    keep: Box<Keep>,
    /// Puts a configuration in force. Called under the lock, so that calls arrive in the order of the revisions.
    publish: Box<dyn Fn(&Config) + Send + Sync>,
    /// Called with the settings that each change affects.
    note: Box<dyn Fn(Vec<settings::SettingChange>) + Send + Sync>,
    state: Mutex<State>,
}

/// Receives the changes made through the API, and the values of all settings.
type Keep = dyn Fn(&Value, Settings) + Send + Sync;

struct State {
    loaded: Loaded,
    paths: Vec<PathBuf>,
    revision: u64,
    /// Faults of the last reload if it failed. They are logged once, not at every file event.
    failed: Option<ConfigErrors>,
    /// Fields that need a restart, as of the last reload. Each is logged once.
    needs_restart: Vec<String>,
    /// Why the last attempt at server reflection has failed, if it has.
    unreflected: Option<(Stack, String)>,
}

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Fields, by dotted name, that took a new value.
    pub changed: Vec<String>,
    /// Fields that differ from the running configuration and keep their values until a restart.
    pub needs_restart: Vec<String>,
    /// Those of `changed` whose value, set through the API, stays in force.
    pub hidden: Vec<String>,
}

// === impl Running ===

impl Running {
    /// Takes `loaded` to be in force already; `publish` puts later changes in force.
    pub fn new(
        origin: Origin,
        loaded: Loaded,
        gauges: Gauges,
        publish: impl Fn(&Config) + Send + Sync + 'static,
    ) -> Self {
        gauges.settings_revision.set(1u64);
        gauges
            .serve_new
            .set(loaded.config.settings.serve.new.hundredths());
        let file = origin.file.clone().into_iter();
        let paths = file.chain(loaded.inputs.paths()).collect();
        Self {
            origin,
            gauges,
            keep: Box::new(|_, _| ()),
            publish: Box::new(publish),
            note: Box::new(|_| ()),
            state: Mutex::new(State {
                loaded,
                paths,
                revision: 1,
                failed: None,
                needs_restart: Vec::new(),
                unreflected: None,
            }),
        }
    }

    /// Continues at the `revision` of an earlier process. Calls `keep` now and on each change, with the changes made
    /// through the API and the values of all settings.
    pub fn resume(
        self,
        revision: u64,
        keep: impl Fn(&Value, Settings) + Send + Sync + 'static,
    ) -> Self {
        self.gauges.settings_revision.set(revision);
        let mut state = self.lock();
        state.revision = revision;
        keep(&state.loaded.layers.api, state.settings());
        drop(state);
        Self {
            keep: Box::new(keep),
            ..self
        }
    }

    /// Passes each later change of settings to `note`.
    pub fn on_change(
        self,
        note: impl Fn(Vec<settings::SettingChange>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            note: Box::new(note),
            ..self
        }
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.lock().loaded.config.clone()
    }

    /// Files and folders whose change calls for a [reload](Self::reload). They are those of the last attempt, so that
    /// fixing a faulty file is noticed.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.lock().paths.clone()
    }

    /// Reads the files again and puts in force what can change at runtime. Changes made through the API stay. Blocks on
    /// file I/O; do not call it from a thread that serves requests.
    ///
    /// # Errors
    /// Every fault. In that case nothing has changed.
    pub fn reload(&self, cause: Cause) -> Result<Reloaded, ConfigErrors> {
        let mut paths = Vec::new();
        let next = load_with_paths(&self.origin, &mut paths);
        let mut state = self.lock();
        state.paths = paths;
        match next.and_then(|next| self.replace(&mut state, next)) {
            Ok(reloaded) => {
                self.gauges.reload_refused.set(0u64);
                if state.failed.take().is_some() && reloaded.changed.is_empty() {
                    tracing::info!("the configuration is good again");
                }
                Ok(reloaded)
            }
            Err(faults) => {
                if cause == Cause::Hangup || state.failed.as_ref() != Some(&faults) {
                    self.gauges.reload_failures.add(1);
                    for fault in faults.iter() {
                        tracing::error!(%fault, "the configuration is wrong, the running one stays");
                    }
                }
                self.gauges.reload_refused.set(1u64);
                state.failed = Some(faults.clone());
                Err(faults)
            }
        }
    }

    fn replace(&self, state: &mut State, mut next: Loaded) -> Result<Reloaded, ConfigErrors> {
        let reloaded = state.loaded.carry_over(&mut next)?;
        for name in &reloaded.needs_restart {
            if !state.needs_restart.contains(name) {
                tracing::warn!(%name, "changed in the configuration, but needs a restart");
            }
        }
        state.needs_restart.clone_from(&reloaded.needs_restart);
        let is_restart_needed = !reloaded.needs_restart.is_empty();
        self.gauges.restart_needed.set(is_restart_needed);
        if reloaded.changed.is_empty() {
            state.loaded = Loaded {
                config: state.loaded.config.clone(),
                ..next
            };
            return Ok(reloaded);
        }
        tracing::info!(changed = ?reloaded.changed, "the configuration was reloaded");
        for name in &reloaded.hidden {
            tracing::warn!(%name, "changed in the configuration, but the value that the API set stays; null returns to the file's");
        }
        self.put(state, next, By::File);
        Ok(reloaded)
    }

    /// Puts `next` in force; publishes, stores and logs each setting that changes. Returns the warnings that it logs.
    fn put(&self, state: &mut State, next: Loaded, by: By) -> Vec<ConfigError> {
        let before = state.loaded.layers.settings();
        let after = next.layers.settings();
        let known = state.loaded.warnings();
        let all = next.warnings().into_iter();
        // A reload is a moment at which somebody looks; a patch is about what it changes.
        let is_due = |warning: &ConfigError| by == By::File || !known.contains(warning);
        let warnings: Vec<_> = all.filter(is_due).collect();
        for warning in &warnings {
            tracing::warn!(%warning, "configuration warning");
        }
        state.loaded = next;
        state.revision += 1;
        self.gauges.settings_revision.set(state.revision);
        let serve = &state.loaded.config.settings.serve;
        self.gauges.serve_new.set(serve.new.hundredths());
        for stack in [Stack::Old, Stack::New] {
            // A breaker of a stack that is no shadow any more keeps nothing from it.
            if !serve.reads_from(stack.other()) {
                self.gauges.shadow_open[stack as usize].set(false);
            }
        }
        (self.publish)(&state.loaded.config);
        (self.keep)(&state.loaded.layers.api, state.settings());
        let now = (state.revision, Timestamp::now());
        let changes = settings::changes((&before, &after), now, by);
        for change in &changes {
            let (name, old, new) = (&change.setting, &change.from, &change.to);
            let revision = state.revision;
            tracing::info!(%name, %old, %new, revision, %by, "setting changed");
        }
        (self.note)(changes);
        warnings
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn settings(&self) -> Settings {
        self.lock().settings()
    }

    /// Where the files differ from what is in force, each in a sentence.
    pub fn impairments(&self) -> Vec<String> {
        let state = self.lock();
        let refused = state.failed.as_ref().and_then(|faults| {
            let first = faults.iter().next()?;
            let more = match faults.iter().count() - 1 {
                0 => String::new(),
                more => format!(" (and {more} more, see the log)"),
            };
            Some(format!(
                "the last reload was refused, the configuration before it stays in force: {first}{more}"
            ))
        });
        let names = state.needs_restart.join(", ");
        let restart = (!names.is_empty())
            .then(|| format!("changed in the file, and not in force before a restart: {names}"));
        refused
            .into_iter()
            .chain(restart)
            .chain(state.reflection_problem())
            .collect()
    }

    /// Applies a JSON merge patch (RFC 7396) completely or not at all; `null` restores the file's value. The log and
    /// the history name `caller`. The warnings of the result are those that the patch causes.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub fn patch(
        &self,
        patch: &Value,
        if_match: Option<u64>,
        caller: Peer,
    ) -> Result<Settings, Refused> {
        let mut state = self.lock();
        if if_match.is_some_and(|revision| revision != state.revision) {
            return Err(Refused::Stale(state.revision));
        }
        let next = state.loaded.patched(patch).map_err(Refused::Invalid)?;
        if next.layers.api == state.loaded.layers.api {
            return Ok(state.settings());
        }
        let warnings = self.put(&mut state, next, By::Api(caller));
        // The sender of a patch has no file.
        let text = |warning: ConfigError| match warning.mark {
            Some(_) => warning.to_string(),
            None => warning.message,
        };
        Ok(Settings {
            warnings: warnings.into_iter().map(text).collect(),
            ..state.settings()
        })
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

// === impl Loaded ===

impl Loaded {
    /// Applies a merge patch on top of the changes made through the API.
    ///
    /// # Errors
    /// Every fault of the patch, and of the configuration that it results in.
    pub fn patched(&self, patch: &Value) -> Result<Self, ConfigErrors> {
        let (patch, mut faults) = patch::admit(patch);
        let mut api = self.layers.api.clone();
        patch::merge(&mut api, &patch);
        let mut next = self.clone();
        next.layers.api = api;
        let config = resolve(&next.name, &next.layers, &next.inputs);
        match config {
            Ok(config) => next.config = Arc::new(config),
            // The sender of a patch has no file.
            Err(wrong) => faults.extend(wrong.map(|fault| ConfigError::bare(fault.message))),
        }
        faults.into_result(next)
    }

    /// Every runtime setting with its value.
    pub fn settings(&self) -> BTreeMap<String, Setting> {
        self.layers.settings()
    }

    /// Carries over to `next` the fields that need a restart and the changes made through the API.
    fn carry_over(&self, next: &mut Self) -> Result<Reloaded, ConfigErrors> {
        let running = self.layers.base();
        let mut reloaded = Reloaded::default();
        for path in tree::changes(&running, &next.layers.base()) {
            let name = path.join(".");
            if change_of(&path) == Change::Restart {
                next.layers
                    .keep(&path, tree::find(&running, &path).cloned());
                reloaded.needs_restart.push(name);
            } else {
                if self.layers.source(&path) == Source::Api {
                    reloaded.hidden.push(name.clone());
                }
                reloaded.changed.push(name);
            }
        }
        let asked = next.config.settings.grpc.reflection;
        let (own, others) = (&self.inputs, &mut next.inputs);
        others.described.keep_reflected(&own.described, asked);
        let described = [&others.described, &own.described];
        let [next_print, own_print] = described.map(|one| one.descriptors.fingerprint());
        let has_new_descriptors = next_print != own_print;
        let files = [
            ("rules", others.rules.files != own.rules.files),
            ("openapi", others.documents.texts != own.documents.texts),
            ("grpc.descriptors", has_new_descriptors),
        ];
        let certificates = others.certificates.changed_since(&own.certificates);
        let certificates = certificates.map(|section| (section, true));
        for (name, is_changed) in files.into_iter().chain(certificates) {
            if is_changed && !reloaded.changed.iter().any(|listed| listed == name) {
                reloaded.changed.push(name.to_owned());
            }
        }
        others.certificates.keep_those_of(&own.certificates);
        next.layers.api.clone_from(&self.layers.api);
        // Fields that are carried over may name hosts that are no longer in the file.
        others.hosts = std::mem::take(&mut others.hosts).with(&own.hosts);
        let config = resolve(&next.name, &next.layers, &next.inputs);
        next.config = Arc::new(config?);
        Ok(reloaded)
    }
}

// === impl State ===

impl State {
    fn settings(&self) -> Settings {
        Settings {
            revision: self.revision,
            settings: self.loaded.layers.settings(),
            warnings: Vec::new(),
        }
    }
}
