//! Stores examples of what went wrong, and counts their classes.
//!
//! Everything is bounded: examples in number, bytes and age, examples per class, and classes. The newest are kept;
//! evicted ones are counted. A class that occurs a thousand times a second takes no room from one that occurs once.
//!
//! Reads block on the disk, so call them from threads that may block.

mod ingest;
mod query;
mod record;
mod retention;
#[cfg(test)]
mod tests;
mod writer;

use super::{
    Config, Database,
    document::{Class, Mismatch},
};
use crate::ledger::Gauges;
use query::{After, Found};
use record::Record;
use serde::{Deserialize, Serialize};
use std::{
    sync::mpsc::{SyncSender, sync_channel},
    time::SystemTime,
};
use utoipa::ToSchema;
use writer::MismatchWriter;

/// The examples and classes. Clones share them.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    intake: SyncSender<Vec<Record>>,
    keep_per_class: usize,
    gauges: Gauges,
    /// Distinguishes this process from others that wrote the same file.
    process: u64,
}

/// Selects examples. `None` matches everything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub route: Option<String>,
    /// The id of a class.
    pub class: Option<String>,
    /// The id of an epoch.
    pub epoch: Option<String>,
    /// The name of an outcome.
    pub outcome: Option<String>,
    /// The check ended at or after this time.
    pub since: Option<SystemTime>,
    /// The maximum number of results.
    pub limit: usize,
    /// Where the last page ended: [`Page::next`].
    pub cursor: Option<String>,
}

/// Selects classes. `None` matches everything.
#[derive(Clone, Debug, Default)]
pub struct ClassFilter {
    pub route: Option<String>,
    /// The id of an epoch; counts and examples are then those of it.
    pub epoch: Option<String>,
    pub order: Order,
    /// The maximum number of results.
    pub limit: usize,
    /// Where the last page ended: [`Classes::next`].
    pub cursor: Option<String>,
}

/// Order of classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Most checks first.
    #[default]
    Frequent,
    /// Most recently seen first.
    Recent,
}

/// Examples, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = MismatchPage)]
pub struct Page {
    pub mismatches: Vec<Mismatch>,
    /// The cursor of the next page; null on the last page.
    #[schema(required)]
    pub next: Option<String>,
    /// Reported checks that are not stored yet.
    pub waiting: u64,
}

/// A page of sorted classes.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Classes {
    pub classes: Vec<Class>,
    /// The number of classes on all pages.
    pub total: u64,
    /// The cursor of the next page; null on the last page.
    #[schema(required)]
    pub next: Option<String>,
    /// Reported checks that are not counted yet.
    pub waiting: u64,
}

/// A selection of stored examples, sufficient to judge rules.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Newest first.
    pub mismatches: Vec<Mismatch>,
    /// The number of stored examples that it was selected from.
    pub stored: u64,
    /// The maximum number of examples per class.
    pub newest_per_class: usize,
}

/// Why a query failed.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("not a cursor: {0}")]
    Cursor(String),
    #[error("the store cannot be read")]
    Database(#[from] rusqlite::Error),
}

/// Example ids per class, in a list of classes and for a single class.
const LISTED_EXAMPLES: usize = 5;
const SHOWN_EXAMPLES: usize = 50;

/// Limits of a selection: examples per class, examples in all, and their stored bytes.
const SELECTED_PER_CLASS: usize = 50;
const SELECTED: usize = 10_000;
const SELECTED_BYTES: usize = 8 << 20;

/// Documents per read, so that other readers get their turn in between.
const CHUNK: usize = 64;

// === impl Store ===

impl Store {
    pub fn new(database: Database, config: Config, gauges: Gauges) -> Self {
        // One batch is written while another is prepared. More would only wait.
        let (intake, received) = sync_channel(1);
        let keep_per_class = config.keep_per_class;
        database.add_source(MismatchWriter::new(received, config, gauges.clone()));
        Self {
            database,
            intake,
            keep_per_class,
            gauges,
            process: rand::random(),
        }
    }

    /// Returns the classes that match `filter`, each with the ids of its 5 newest examples. A class whose count rises
    /// between two pages may be missing from the second.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn classes(&self, filter: &ClassFilter) -> Result<Classes, QueryError> {
        let after = After::parse(filter.cursor.as_deref(), filter.order)?;
        // Read first, because what is written meanwhile may be missing and must count as waiting.
        let waiting = self.gauges.store_waiting.get();
        let more = filter.limit.saturating_add(1);
        let read = |from: &_| query::classes(from, filter, after, (more, LISTED_EXAMPLES));
        let (mut listed, total) = self.database.read(read)?;
        Ok(Classes {
            next: next(&mut listed, filter.limit, |last| last.after.cursor()),
            classes: listed.into_iter().map(|listed| listed.class).collect(),
            total,
            waiting,
        })
    }

    /// Returns a class, as it is over all epochs, with the ids of its 50 newest examples.
    ///
    /// # Errors
    /// [`QueryError::Database`].
    pub fn class(&self, id: &str) -> Result<Option<Class>, QueryError> {
        let Some(id) = record::number_of(id) else {
            return Ok(None);
        };
        let read = |from: &_| query::class_by_id(from, id, SHOWN_EXAMPLES);
        Ok(self.database.read(read)?)
    }

    /// Returns the examples that match `filter`, newest first.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn mismatches(&self, filter: &Filter) -> Result<Page, QueryError> {
        let before = match &filter.cursor {
            None => i64::MAX,
            Some(text) => {
                let number = u64::from_str_radix(text, 16).ok();
                let number = number.and_then(|number| i64::try_from(number).ok());
                number.ok_or_else(|| QueryError::Cursor(text.clone()))?
            }
        };
        let waiting = self.gauges.store_waiting.get();
        let limit = filter.limit.saturating_add(1);
        let read = |from: &_| query::numbers(from, filter, before, limit);
        let mut numbers = self.database.read(read)?;
        Ok(Page {
            next: next(&mut numbers, filter.limit, |last| format!("{last:x}")),
            mismatches: self.documents(&numbers, usize::MAX)?,
            waiting,
        })
    }

    /// Returns the newest mismatches of each class and the newest noise of each route, because both need rules; those of
    /// `epoch`, or of all. Excludes differences with other causes.
    ///
    /// # Errors
    /// [`QueryError::Database`].
    pub fn selection(&self, epoch: Option<&str>) -> Result<Selection, QueryError> {
        let select = |from: &_| query::select(from, epoch, SELECTED, SELECTED_PER_CLASS);
        let selected = self.database.read(select)?;
        Ok(Selection {
            mismatches: self.documents(&selected.numbers, SELECTED_BYTES)?,
            stored: selected.stored,
            newest_per_class: selected.per_class,
        })
    }

    /// # Errors
    /// [`QueryError::Database`].
    pub fn mismatch(&self, id: &str) -> Result<Option<Mismatch>, QueryError> {
        let Some(id) = record::number_of(id) else {
            return Ok(None);
        };
        let found = self.database.read(|from| query::by_id(from, id))?;
        Ok(found.and_then(|found| self.read(&found)))
    }

    /// Reads documents until their total size exceeds `bytes`.
    fn documents(&self, numbers: &[i64], bytes: usize) -> Result<Vec<Mismatch>, QueryError> {
        let mut left = bytes;
        let mut mismatches = Vec::new();
        for numbers in numbers.chunks(CHUNK) {
            for found in self.database.read(|from| query::documents(from, numbers))? {
                match left.checked_sub(found.document.len()) {
                    Some(less) => left = less,
                    None => return Ok(mismatches),
                }
                mismatches.extend(self.read(&found));
            }
        }
        Ok(mismatches)
    }

    fn read(&self, found: &Found) -> Option<Mismatch> {
        let read = record::read(&found.document, self.process);
        read.inspect_err(|error| {
            let number = found.number;
            tracing::warn!(%error, number, "a stored example is left out");
        })
        .ok()
    }
}

/// Truncates `found` to `limit`, and returns the cursor of the next page if there is one.
fn next<T>(found: &mut Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Option<String> {
    let has_more = found.len() > limit;
    found.truncate(limit);
    found.last().filter(|_| has_more).map(cursor)
}

// === impl Filter ===

impl Filter {
    /// Matches everything, `limit` per page.
    pub fn all(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }
}
