//! Settings that the API has changed, kept over a restart.

use super::{Database, Journal};
use crate::settings::{Setting, Settings};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, types::Type};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What is kept of the settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    pub revision: u64,
    /// What the API has changed: all patches merged.
    pub changed: Value,
    /// Every setting as it stood. Tells whether the revision still says the same.
    pub in_force: BTreeMap<String, Setting>,
}

/// Keeps settings in a database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeptSettings {
    database: Database,
    refused: Journal,
}

/// Changes that no longer fitted, of which the newest stay.
const REFUSED: u32 = 20;

/// More than the settings take.
const BYTES: usize = 16 << 10;

// === impl KeptSettings ===

impl KeptSettings {
    pub fn new(database: Database) -> Self {
        let refused = Journal::new(database.clone(), "refused_settings", REFUSED);
        Self { database, refused }
    }

    /// Keeps what the API has `changed`, and all `settings`, in the place of those before, and never waits.
    pub fn keep(&self, changed: &Value, settings: Settings) {
        let changed = changed.to_string();
        let in_force = serde_json::to_string(&settings.settings).expect("settings must be JSON");
        let revision = i64::try_from(settings.revision).unwrap_or(i64::MAX);
        let put = move |to: &Connection| put(to, revision, &changed, &in_force);
        // Counted as dropped where it is not taken.
        let _ = self.database.write(BYTES, put);
    }

    /// Sets a change aside that no longer fits the configuration.
    pub fn set_aside(&self, kept: &Kept, faults: &[String]) {
        let document = json!({
            "revision": kept.revision,
            "changed": kept.changed,
            "faults": faults,
        });
        self.refused.append(Timestamp::now(), &document);
    }
}

// === impl Kept ===

impl Kept {
    /// What was kept last; `None`: nothing ever.
    ///
    /// # Errors
    /// Those of the database.
    pub fn load(from: &Connection) -> rusqlite::Result<Option<Self>> {
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
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(&row.get::<_, String>(column)?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}

fn put(to: &Connection, revision: i64, changed: &str, in_force: &str) -> rusqlite::Result<()> {
    to.prepare_cached(
        "INSERT INTO settings VALUES (1, ?1, ?2, ?3)
         ON CONFLICT (one) DO UPDATE SET revision = excluded.revision, changed = excluded.changed,
           in_force = excluded.in_force",
    )?
    .execute((revision, changed, in_force))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{settings::Source, telemetry::Gauges};
    use std::time::Duration;

    #[test]
    fn the_last_settings_are_kept_whole() {
        let database = Database::open(None, Gauges::default()).unwrap();
        let kept = KeptSettings::new(database.clone());
        assert_eq!(database.read(Kept::load).unwrap(), None);
        let changed = json!({"sample": {"rate": 0.5}});
        let setting = Setting {
            value: json!(0.5),
            source: Source::Api,
        };
        for revision in [2, 3] {
            let settings = BTreeMap::from([("sample.rate".to_owned(), setting.clone())]);
            kept.keep(&changed, Settings { revision, settings });
        }
        assert!(database.settle(Duration::from_secs(20)));
        let expected = Kept {
            revision: 3,
            changed,
            in_force: BTreeMap::from([("sample.rate".to_owned(), setting)]),
        };
        assert_eq!(database.read(Kept::load).unwrap(), Some(expected));
    }
}
