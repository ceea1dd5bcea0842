//! Keeps examples of what went wrong, and counts their classes.
//!
//! Everything is bounded: examples in number, in bytes and in age, examples of one class, classes. The newest are kept;
//! what has to go is counted. One class that occurs a thousand times a second takes no room from one that occurs once.
//!
//! Whoever reads waits for the disk: that is nothing for a thread that serves.

mod ingest;
mod pile;
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
use pile::Pile;
use query::{After, Found};
use record::Record;
use std::{
    sync::mpsc::{SyncSender, sync_channel},
    time::SystemTime,
};
use utoipa::ToSchema;
use writer::Intake;

/// The examples and classes. Shared by clones.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    intake: SyncSender<Vec<Record>>,
    keep_per_class: usize,
    gauges: Gauges,
    /// Tells this process from others that wrote the same file.
    process: u64,
}

/// Which examples are asked for; what is `None` does not matter.
#[derive(Clone, Debug)]
pub struct Filter {
    pub route: Option<String>,
    /// The id of a class.
    pub class: Option<String>,
    /// The name of an outcome.
    pub outcome: Option<String>,
    /// Checks that ended then or later.
    pub since: Option<SystemTime>,
    /// At most so many.
    pub limit: usize,
    /// Where the last page ended: [`Page::next`].
    pub cursor: Option<String>,
}

/// Which classes come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Those that most checks showed.
    #[default]
    Frequent,
    /// Those seen last.
    Recent,
}

/// Examples, the newest first.
#[derive(Clone, Debug, serde::Serialize, ToSchema)]
#[schema(as = MismatchPage)]
pub struct Page {
    pub mismatches: Vec<Mismatch>,
    /// Where the next page begins; null: there is none.
    #[schema(required)]
    pub next: Option<String>,
    /// Checks told of that are not stored yet.
    pub waiting: u64,
}

/// Classes in their order.
#[derive(Clone, Debug, serde::Serialize, ToSchema)]
pub struct Classes {
    pub classes: Vec<Class>,
    /// Where the next page begins; null: there is none.
    #[schema(required)]
    pub next: Option<String>,
    /// Checks told of that are not counted yet.
    pub waiting: u64,
}

/// Some of what is stored: enough to judge rules by.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The newest first.
    pub mismatches: Vec<Mismatch>,
    /// Examples that it was selected from.
    pub stored: u64,
    /// At most so many are of one class.
    pub newest_per_class: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error("not a cursor: {0}")]
    Cursor(String),
    #[error("the store cannot be read")]
    Database(#[from] rusqlite::Error),
}

/// Ids of examples told with each class of a list, and with one class.
const LISTED_EXAMPLES: usize = 5;
const SHOWN_EXAMPLES: usize = 50;

/// Of a selection: examples of one class, of all, and the bytes of these as they are stored.
const SELECTED_PER_CLASS: usize = 50;
const SELECTED: usize = 10_000;
const SELECTED_BYTES: usize = 8 << 20;

/// Documents read at once: others who read get their turn in between.
const CHUNK: usize = 64;

// === impl Store ===

impl Store {
    pub fn new(database: Database, config: Config, gauges: Gauges) -> Self {
        // One batch is written while another is made ready: more would only wait.
        let (intake, heard) = sync_channel(1);
        let keep_per_class = config.keep_per_class;
        database.add_source(Intake::new(heard, config, gauges.clone()));
        Self {
            database,
            intake,
            keep_per_class,
            gauges,
            process: rand::random(),
        }
    }

    /// At most `limit` classes, from where `cursor` says, each with the ids of its 5 newest examples. Classes whose
    /// count rises between two pages may be missing on the second.
    ///
    /// # Errors
    /// [`LookError`].
    pub fn classes(
        &self,
        order: Order,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Classes, LookError> {
        let after = match cursor {
            Some(cursor) => After::parse(cursor, order)?,
            None => After::nothing(order),
        };
        // First: what is written meanwhile may be missing, and is told to be.
        let waiting = self.gauges.store_waiting();
        let mut listed = self
            .database
            .read(|from| query::classes(from, after, limit.saturating_add(1), LISTED_EXAMPLES))?;
        let next = next(&mut listed, limit, |last| last.after.to_string());
        let classes = listed.into_iter().map(|listed| listed.class).collect();
        Ok(Classes {
            classes,
            next,
            waiting,
        })
    }

    /// A class with the ids of its 50 newest examples.
    ///
    /// # Errors
    /// [`LookError::Database`].
    pub fn class(&self, id: &str) -> Result<Option<Class>, LookError> {
        let Some(id) = record::number_of(id) else {
            return Ok(None);
        };
        let found = self
            .database
            .read(|from| query::class_by_id(from, id, SHOWN_EXAMPLES))?;
        Ok(found)
    }

    /// The examples that `filter` asks for, the newest first.
    ///
    /// # Errors
    /// [`LookError`].
    pub fn mismatches(&self, filter: &Filter) -> Result<Page, LookError> {
        let before = match &filter.cursor {
            None => i64::MAX,
            Some(text) => {
                let number = u64::from_str_radix(text, 16).ok();
                let number = number.and_then(|number| i64::try_from(number).ok());
                number.ok_or_else(|| LookError::Cursor(text.clone()))?
            }
        };
        let waiting = self.gauges.store_waiting();
        let limit = filter.limit.saturating_add(1);
        let mut numbers = self
            .database
            .read(|from| query::numbers(from, filter, before, limit))?;
        let next = next(&mut numbers, filter.limit, |last| format!("{last:x}"));
        let mismatches = self.documents(&numbers, usize::MAX)?;
        Ok(Page {
            mismatches,
            next,
            waiting,
        })
    }

    /// The newest mismatches of each class, and the newest noise of each route, for which rules are wanted as much; not
    /// what differed for another reason.
    ///
    /// # Errors
    /// [`LookError::Database`].
    pub fn selection(&self) -> Result<Selection, LookError> {
        let piles = [Pile::Unclassed, Pile::Noise];
        let (numbers, newest_per_class, stored) = self.database.read(|from| {
            let holders = query::holders(from, piles.len())?;
            let per_class = (SELECTED / holders.max(1)).clamp(1, SELECTED_PER_CLASS);
            let numbers = query::newest_of_each(from, &piles, per_class)?;
            let stored = query::kept(from, &[Pile::Classed, Pile::Unclassed, Pile::Noise])?;
            Ok((numbers, per_class, stored))
        })?;
        Ok(Selection {
            mismatches: self.documents(&numbers, SELECTED_BYTES)?,
            stored,
            newest_per_class,
        })
    }

    /// # Errors
    /// [`LookError::Database`].
    pub fn mismatch(&self, id: &str) -> Result<Option<Mismatch>, LookError> {
        let Some(id) = record::number_of(id) else {
            return Ok(None);
        };
        let found = self.database.read(|from| query::by_id(from, id))?;
        Ok(found.and_then(|found| self.read(&found)))
    }

    /// Up to the one with which there are more bytes.
    fn documents(&self, numbers: &[i64], bytes: usize) -> Result<Vec<Mismatch>, LookError> {
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

/// Where the page after the first `limit` of what was found begins; `None`: there is none.
fn next<T>(found: &mut Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Option<String> {
    let has_more = found.len() > limit;
    found.truncate(limit);
    found.last().filter(|_| has_more).map(cursor)
}

// === impl Filter ===

impl Filter {
    /// Everything, `limit` at a time.
    pub fn all(limit: usize) -> Self {
        Self {
            route: None,
            class: None,
            outcome: None,
            since: None,
            limit,
            cursor: None,
        }
    }
}
