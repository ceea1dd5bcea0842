//! The configuration that is in force: changed by patches and by reloads, whole or not at all.

use super::{
    Config, Loaded, Origin,
    layers::Change,
    load::{load_noting, resolve},
    patch,
    reload::Cause,
    tree,
};
use crate::{
    ledger::Gauges,
    settings::{self, By, Edit, Refused, Setting, Settings},
    spanned_yaml::{ConfigError, ConfigErrors},
};
use jiff::Timestamp;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The one configuration of the process.
pub struct Running {
    origin: Origin,
    gauges: Gauges,
    /// Told of each change, for the next process.
    keep: Box<Keep>,
    /// Puts a configuration in force. Called under the lock, so that the last one called is the one that stays.
    publish: Box<dyn Fn(&Config) + Send + Sync>,
    /// Is told of each change of a setting.
    note: Box<dyn Fn(Vec<settings::Change>) + Send + Sync>,
    state: Mutex<State>,
}

/// Is told what the API has changed, and how all settings stand.
type Keep = dyn Fn(&Value, Settings) + Send + Sync;

struct State {
    loaded: Loaded,
    paths: Vec<PathBuf>,
    revision: u64,
    /// Of the last attempt to reload, where it failed: told once, not at every event around the files.
    failed: Option<ConfigErrors>,
    /// What the last reload found to need a restart: told once too.
    needs_restart: Vec<String>,
}

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Fields, by dotted name, that are in force now with another value.
    pub changed: Vec<String>,
    /// Fields that differ from what is running, and stay as they are until a restart.
    pub needs_restart: Vec<String>,
}

// === impl Running ===

impl Running {
    /// `publish` puts changes in force; what was loaded is taken to be in force already.
    pub fn new(
        origin: Origin,
        loaded: Loaded,
        gauges: Gauges,
        publish: impl Fn(&Config) + Send + Sync + 'static,
    ) -> Self {
        gauges.set_settings_revision(1);
        let file = origin.file().map(PathBuf::from);
        let rules = loaded.rules.files.paths().iter().cloned();
        let paths = file.into_iter().chain(rules).collect();
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
            }),
        }
    }

    /// Goes on from where another process has ended, at its `revision`, and tells `keep` now and at each change what the
    /// API has changed, and how all settings stand.
    pub fn going_on(
        self,
        revision: u64,
        keep: impl Fn(&Value, Settings) + Send + Sync + 'static,
    ) -> Self {
        self.gauges.set_settings_revision(revision);
        let mut state = self.lock();
        state.revision = revision;
        keep(state.loaded.layers.api(), state.settings());
        drop(state);
        Self {
            keep: Box::new(keep),
            ..self
        }
    }

    /// Tells `note` of the settings that change from now on.
    pub fn noting(self, note: impl Fn(Vec<settings::Change>) + Send + Sync + 'static) -> Self {
        Self {
            note: Box::new(note),
            ..self
        }
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.lock().loaded.config.clone()
    }

    /// Files and folders whose change calls for a [reload](Self::reload): those of the last attempt, so that a bad
    /// one is seen when it is mended.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.lock().paths.clone()
    }

    /// Reads the files anew and puts in force what can change at runtime; what the API has changed stays.
    /// Reads files: not for a thread that serves.
    ///
    /// # Errors
    /// Every fault, and then nothing has changed.
    pub fn reload(&self, cause: Cause) -> Result<Reloaded, ConfigErrors> {
        let mut paths = Vec::new();
        let next = load_noting(&self.origin, &mut paths);
        let mut state = self.lock();
        state.paths = paths;
        match next.and_then(|next| self.replace(&mut state, next)) {
            Ok(reloaded) => {
                if state.failed.take().is_some() && reloaded.changed.is_empty() {
                    tracing::info!("the configuration is good again");
                }
                Ok(reloaded)
            }
            Err(faults) => {
                if cause == Cause::Hangup || state.failed.as_ref() != Some(&faults) {
                    self.gauges.reload_failed();
                    for fault in faults.iter() {
                        tracing::error!(%fault, "the configuration is wrong, the running one stays");
                    }
                }
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
        if reloaded.changed.is_empty() {
            state.loaded = Loaded {
                config: state.loaded.config.clone(),
                ..next
            };
            return Ok(reloaded);
        }
        tracing::info!(changed = ?reloaded.changed, "the configuration was reloaded");
        for warning in next.warnings() {
            tracing::warn!(%warning, "the configuration asks for attention");
        }
        self.put(state, next, By::File);
        Ok(reloaded)
    }

    /// Puts `next` in force, and tells each setting that changes by it.
    fn put(&self, state: &mut State, next: Loaded, by: By) {
        let before = state.loaded.layers.settings();
        let after = next.layers.settings();
        state.loaded = next;
        state.revision += 1;
        self.gauges.set_settings_revision(state.revision);
        (self.publish)(&state.loaded.config);
        (self.keep)(state.loaded.layers.api(), state.settings());
        let now = (state.revision, Timestamp::now());
        let changes = settings::changes((&before, &after), now, by);
        for change in &changes {
            let (name, old, new) = (&change.setting, &change.from, &change.to);
            let revision = state.revision;
            tracing::info!(%name, %old, %new, revision, %by, "setting changed");
        }
        (self.note)(changes);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Edit for Running {
    fn settings(&self) -> Settings {
        self.lock().settings()
    }

    fn patch(
        &self,
        patch: &Value,
        if_match: Option<u64>,
        caller: SocketAddr,
    ) -> Result<Settings, Refused> {
        let mut state = self.lock();
        if if_match.is_some_and(|revision| revision != state.revision) {
            return Err(Refused::Stale(state.revision));
        }
        let next = state.loaded.patched(patch).map_err(Refused::Invalid)?;
        if next.layers.api() == state.loaded.layers.api() {
            return Ok(state.settings());
        }
        self.put(&mut state, next, By::Api(caller));
        Ok(state.settings())
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
    /// With a merge patch laid upon what the API has changed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn patched(&self, patch: &Value) -> Result<Self, ConfigErrors> {
        let (patch, mut faults) = patch::admit(patch);
        let mut api = self.layers.api().clone();
        patch::merge(&mut api, &patch);
        let mut next = self.clone();
        next.layers = next.layers.with_api(api);
        let config = resolve(&next.name, &next.layers, (&next.rules, &next.hosts));
        match config {
            Ok(config) => next.config = Arc::new(config),
            Err(wrong) => faults.extend(bare(&wrong)),
        }
        faults.into_result(next)
    }

    /// Every runtime setting as it stands.
    pub fn settings(&self) -> BTreeMap<String, Setting> {
        self.layers.settings()
    }

    /// Gives `next` what stays: what needs a restart, and what the API has changed.
    fn carry_over(&self, next: &mut Self) -> Result<Reloaded, ConfigErrors> {
        let running = self.layers.base();
        let mut reloaded = Reloaded::default();
        for path in tree::changes(&running, &next.layers.base()) {
            let name = path.join(".");
            if Change::of(&path) == Change::Restart {
                next.layers
                    .keep(&path, tree::find(&running, &path).cloned());
                reloaded.needs_restart.push(name);
            } else {
                reloaded.changed.push(name);
            }
        }
        let is_listed = reloaded.changed.iter().any(|name| name == "rules");
        if !is_listed && next.rules.files != self.rules.files {
            reloaded.changed.push("rules".to_owned());
        }
        let layers = next.layers.clone();
        next.layers = layers.with_api(self.layers.api().clone());
        // What is kept is named there, and not in the file any more.
        next.hosts = std::mem::take(&mut next.hosts).with(&self.hosts);
        let config = resolve(&next.name, &next.layers, (&next.rules, &next.hosts));
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
        }
    }
}

/// Without places: who sends a patch has no file at hand.
fn bare(faults: &ConfigErrors) -> ConfigErrors {
    let mut told = ConfigErrors::default();
    for fault in faults.iter() {
        told.push(ConfigError::bare(fault.message.clone()));
    }
    told
}
