//! Settings changed through the API, which survive a restart.

use super::{Database, Journal, Source};
use crate::settings::{Setting, Settings};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, types::Type};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The stored settings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    pub revision: u64,
    /// All patches through the API, merged.
    pub changed: Value,
    /// Every setting's value at that time. Shows whether the revision still means the same.
    pub in_force: BTreeMap<String, Setting>,
}

/// Stores the settings in a database. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct KeptSettings(Arc<Mutex<Latest>>);

#[derive(Debug, Default)]
struct Latest {
    kept: Option<Kept>,
    /// How often they were replaced.
    number: u64,
    /// Earlier API changes that do not fit the configuration. They stay until the API changes something else.
    misfit: Option<Value>,
}

#[derive(Debug)]
struct Writing {
    settings: KeptSettings,
    /// The numbers of the committed row, and of the one in the open transaction.
    stored: u64,
    written: u64,
}

/// Rejected changes of which the newest stay.
const REFUSED: u32 = 20;

// === impl KeptSettings ===

impl KeptSettings {
    /// `misfit` holds earlier API changes that are kept although they are not in force.
    pub(crate) fn new(database: &Database, misfit: Option<Value>) -> Self {
        let latest = Latest {
            misfit,
            ..Latest::default()
        };
        let settings = Self(Arc::new(Mutex::new(latest)));
        database.add_source(Writing {
            settings: settings.clone(),
            stored: 0,
            written: 0,
        });
        settings
    }

    /// Replaces the stored settings by what the API has `changed` and all `settings`, without waiting.
    pub(crate) fn keep(&self, changed: &Value, settings: Settings) {
        let mut latest = self.latest();
        if changed
            .as_object()
            .is_some_and(|changed| !changed.is_empty())
        {
            latest.misfit = None;
        }
        latest.number += 1;
        latest.kept = Some(Kept {
            revision: settings.revision,
            changed: latest.misfit.as_ref().unwrap_or(changed).clone(),
            in_force: settings.settings,
        });
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn newer_than(&self, number: u64) -> Option<(u64, Kept)> {
        let latest = self.latest();
        let kept = latest.kept.clone().filter(|_| latest.number > number)?;
        Some((latest.number, kept))
    }
}

// === impl Writing ===

impl Source for Writing {
    fn write(&mut self, to: &Connection) -> rusqlite::Result<()> {
        self.written = self.stored;
        if let Some((number, kept)) = self.settings.newer_than(self.stored) {
            put(to, &kept)?;
            self.written = number;
        }
        Ok(())
    }

    fn committed(&mut self) {
        self.stored = self.written;
    }
}

// === impl Kept ===

impl Kept {
    /// Returns the last stored settings; `None` if there never were any.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) fn load(from: &Connection) -> rusqlite::Result<Option<Self>> {
        let sql = "SELECT revision, changed, in_force FROM settings";
        let kept = from.query_row(sql, [], |row| {
            Ok(Kept {
                revision: row.get::<_, i64>(0)?.unsigned_abs(),
                changed: json(row, 1)?,
                in_force: json(row, 2)?,
            })
        });
        kept.optional()
    }

    /// Records that it does not fit the configuration because of `faults`.
    pub(crate) fn set_aside(&self, database: &Database, faults: &[String]) {
        let document = json!({
            "revision": self.revision,
            "changed": self.changed,
            "faults": faults,
        });
        let refused = Journal::new(database.clone(), "refused_settings", REFUSED);
        refused.append(Timestamp::now(), &document);
    }
}

fn json<T: DeserializeOwned>(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(&row.get::<_, String>(column)?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}

fn put(to: &Connection, kept: &Kept) -> rusqlite::Result<()> {
    let revision = i64::try_from(kept.revision).unwrap_or(i64::MAX);
    let in_force = serde_json::to_string(&kept.in_force).expect("settings must be JSON");
    to.prepare_cached(
        "INSERT INTO settings VALUES (1, ?1, ?2, ?3)
         ON CONFLICT (one) DO UPDATE SET revision = excluded.revision, changed = excluded.changed,
           in_force = excluded.in_force",
    )?
    .execute((revision, kept.changed.to_string(), in_force))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ledger::Gauges, settings};
    use std::time::Duration;

    #[test]
    fn the_last_settings_are_kept_whole() {
        let database = Database::open(None, Gauges::default()).unwrap();
        let kept = KeptSettings::new(&database, None);
        assert_eq!(database.read(Kept::load).unwrap(), None);
        let changed = json!({"sample": {"rate": 0.5}});
        let setting = Setting {
            value: json!(0.5),
            source: settings::Source::Api,
            hidden: None,
        };
        for revision in [2, 3] {
            let settings = BTreeMap::from([("sample.rate".to_owned(), setting.clone())]);
            kept.keep(
                &changed,
                Settings {
                    revision,
                    settings,
                    warnings: Vec::new(),
                },
            );
        }
        assert!(database.settle(Duration::from_secs(20)));
        let expected = Kept {
            revision: 3,
            changed,
            in_force: BTreeMap::from([("sample.rate".to_owned(), setting)]),
        };
        assert_eq!(database.read(Kept::load).unwrap(), Some(expected));
    }

    #[test]
    fn what_does_not_fit_stays_until_the_api_changes_something_else() {
        let database = Database::open(None, Gauges::default()).unwrap();
        let misfit = json!({"capture": {"max_body": "1KiB"}});
        let kept = KeptSettings::new(&database, Some(misfit.clone()));
        let other = json!({"paused": true});
        for (changed, expected) in [
            (json!({}), &misfit),
            (other.clone(), &other),
            (json!({}), &json!({})),
        ] {
            let settings = BTreeMap::new();
            kept.keep(
                &changed,
                Settings {
                    revision: 2,
                    settings,
                    warnings: Vec::new(),
                },
            );
            assert!(database.settle(Duration::from_secs(20)));
            let stored = database.read(Kept::load).unwrap().unwrap();
            assert_eq!(&stored.changed, expected);
        }
    }
}
