//! Restores the figures and settings of the previous process as far as they still fit.

use super::{StartError, reflection};
use crate::{
    config::{Config, EpochFingerprint, Loaded},
    export,
    ledger::{Clock, EpochState, Gauges, Ledger, LedgerSnapshot, RuleCounts},
    pipeline::Pairs,
    spanned_yaml::ConfigErrors,
    store::{self, Counted, Database, FigureStore, Kept, KeptSettings, Past},
    verdict::Cause,
};
use rusqlite::Connection;
use serde_json::Value;
use std::{
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// State that outlives the process, restored and kept up to date from now on.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) loaded: Loaded,
    /// Revision of the settings.
    pub(super) revision: u64,
    pub(super) settings: KeptSettings,
    pub(super) database: Database,
    pub(super) counted: Counted,
    pub(super) gauges: Gauges,
}

/// What a process may take to end after `drain.grace`.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Pause between two attempts to open the store.
const LOOK: Duration = Duration::from_millis(20);

// === impl Recovered ===

impl Recovered {
    /// Opens the store that `loaded` names.
    pub(super) fn open(loaded: Loaded) -> Result<Self, StartError> {
        let gauges = Gauges::default();
        export::count_in(&gauges);
        let (database, past, kept) = open(&loaded.config, &gauges)?;
        let (loaded, revision, misfit) = again(loaded, kept, &database);
        let loaded = reflection::recalled(loaded, &database);
        let settings = KeptSettings::new(&database, misfit);
        let config = loaded.config.clone();
        let counted = counted(past, &config, &gauges);
        if database.path().is_some() {
            // Stores the initial state at once, in case the process ends early.
            database.add_source(FigureStore::new(
                counted.clone(),
                config.settings.store.keep,
            ));
        }
        Ok(Self {
            loaded,
            revision,
            settings,
            database,
            counted,
            gauges,
        })
    }
}

/// Opens the store and reads it. A store that cannot be read is treated as one that cannot be opened.
fn open(config: &Config, gauges: &Gauges) -> Result<(Database, Past, Option<Kept>), StartError> {
    let path = config.settings.store.path.as_deref();
    let database = open_in_time(path, config, gauges)?;
    let read = match (path, database.path()) {
        (Some(path), None) => return Ok(peek(path, database)),
        _ => database.read(stored),
    };
    match (read, path) {
        (Ok((past, kept)), _) => {
            let kept = kept.unwrap_or_else(|error| unread((SETTINGS, &error), &database));
            Ok((database, past, kept))
        }
        (Err(error), Some(path)) => {
            let database = Database::open_in_place_of(path, &error, gauges.clone())?;
            Ok(peek(path, database))
        }
        (Err(error), None) => Err(store::OpenError::Failed(error.into()).into()),
    }
}

/// Waits for the process before to end, if that is about to.
fn open_in_time(
    path: Option<&Path>,
    config: &Config,
    gauges: &Gauges,
) -> Result<Database, store::OpenError> {
    let give_up = Instant::now() + config.settings.drain.grace + LAST_WORDS;
    let mut is_logged = false;
    loop {
        match Database::open(path, gauges.clone()) {
            Err(store::OpenError::InUse(path)) if Instant::now() < give_up => {
                if !is_logged {
                    let path = path.display();
                    tracing::warn!(%path, "the store is used by another process: waiting for that to end");
                }
                is_logged = true;
                thread::sleep(LOOK);
            }
            opened => return opened,
        }
    }
}

/// Reads what it can from a store that cannot be written, next to the in-memory one that replaces it.
fn peek(path: &Path, in_memory: Database) -> (Database, Past, Option<Kept>) {
    if matches!(path.try_exists(), Ok(false)) {
        return (in_memory, Past::default(), None);
    }
    tracing::warn!(
        "the store cannot be opened for writing: its data is used, and nothing is added"
    );
    let past = store::peek(path, Past::load);
    let kept = store::peek(path, Kept::load);
    let past = past.unwrap_or_else(|error| unread(("the figures", &error), &in_memory));
    let kept = kept.unwrap_or_else(|error| unread((SETTINGS, &error), &in_memory));
    (in_memory, past, kept)
}

const SETTINGS: &str = "the settings that the API had changed";

/// Falls back to the default, and logs and reports the error.
fn unread<T: Default>((what, error): (&str, &rusqlite::Error), database: &Database) -> T {
    tracing::error!(what, %error, "stored data cannot be read, and is not in force");
    database.add_impairment(format!(
        "{what} cannot be read from the store, and are not in force: {error}"
    ));
    T::default()
}

/// Settings are separate, because a fault in them does not affect the rest of the store.
type Found = (Past, Result<Option<Kept>, rusqlite::Error>);

fn stored(from: &Connection) -> rusqlite::Result<Found> {
    let past = Past::load(from)?;
    match Kept::load(from) {
        Err(error) if !matches!(error, rusqlite::Error::FromSqlConversionFailure(..)) => Err(error),
        kept => Ok((past, kept)),
    }
}

/// Applies the stored API changes to `loaded`. Returns the configuration, its revision, and the API changes if they no
/// longer fit.
fn again(loaded: Loaded, kept: Option<Kept>, database: &Database) -> (Loaded, u64, Option<Value>) {
    let Some(kept) = kept else {
        return (loaded, 1, None);
    };
    let (loaded, faults) = match loaded.patched(&kept.changed) {
        Ok(patched) => (patched, None),
        Err(faults) => (loaded, Some(faults)),
    };
    // The file may have changed meanwhile.
    let is_another = loaded.settings() != kept.in_force;
    let revision = kept.revision + u64::from(is_another);
    let misfit = faults.map(|faults| {
        let faults = report_misfit(&kept, &faults, database);
        // Set aside once, and reported at every start.
        if is_another {
            kept.set_aside(database, &faults);
        }
        kept.changed
    });
    (loaded, revision, misfit)
}

fn report_misfit(kept: &Kept, faults: &ConfigErrors, database: &Database) -> Vec<String> {
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    for fault in &faults {
        tracing::warn!(fault, changed = %kept.changed, "settings changed by the API no longer fit the configuration");
    }
    database.add_impairment(format!(
        "the settings that the API had changed do not fit the configuration any more, and none of them is in force until it \
         fits them or the API changes others: {}",
        faults.join("; ")
    ));
    faults
}

fn counted(past: Past, config: &Config, gauges: &Gauges) -> Counted {
    let opening = opening(past.epochs, config);
    let goes_on = matches!(opening, LedgerSnapshot::GoesOn(_));
    let max_routes = config.settings.max_routes;
    let ledger = Ledger::open(max_routes, gauges.clone(), Clock::system(), opening);
    let counted = Counted {
        ledger,
        rule_counts: RuleCounts::default(),
        pairs: Pairs::default(),
    };
    if goes_on {
        for (rule, count) in past.rules {
            counted.rule_counts.add(&rule, count);
        }
        counted.pairs.restore(&counted.ledger.epoch(), past.pairs);
    }
    counted
}

/// Continues the last epoch if its checks are comparable with those to come.
fn opening(past: Vec<EpochState>, config: &Config) -> LedgerSnapshot {
    let fingerprint = EpochFingerprint::of(config);
    let cause = match past.last() {
        None => Some(Cause::Start),
        Some(last) if last.epoch.until.is_some() => Some(Cause::Start),
        Some(last) => fingerprint.cause(&last.comparable),
    };
    match cause {
        None => LedgerSnapshot::GoesOn(past),
        Some(cause) => LedgerSnapshot::Begins {
            past,
            comparable: fingerprint.text(),
            label: config.settings.epoch.label.as_deref().map(Arc::from),
            cause,
        },
    }
}
