//! Histories: the newest documents of a kind, in the order of writing.

use super::Database;
use jiff::Timestamp;
use rusqlite::Connection;
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

/// One history. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    database: Database,
    kind: &'static str,
    keep: u32,
}

/// Documents, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Entries<T> {
    pub entries: Vec<T>,
    /// The cursor of the next page; `None` on the last page.
    pub next: Option<u64>,
    /// Documents left out of this page because they cannot be read.
    pub unreadable: u64,
}

/// How long to wait for a document that was just queued.
const PATIENCE: Duration = Duration::from_secs(1);

// === impl Journal ===

impl Journal {
    /// The history of a `kind`, which keeps its newest `keep` documents. Journals of the same kind share one history.
    pub fn new(database: Database, kind: &'static str, keep: u32) -> Self {
        Self {
            database,
            kind,
            keep,
        }
    }

    /// Adds a document without waiting. The database counts what it drops.
    pub fn append(&self, at: Timestamp, document: &impl Serialize) {
        let text = match serde_json::to_string(document) {
            Ok(text) => text,
            Err(error) => {
                tracing::error!(%error, kind = self.kind, "a document that is no JSON is not kept");
                return;
            }
        };
        let (kind, keep) = (self.kind, self.keep);
        // The database counts it if it is dropped.
        let _ = self
            .database
            .write(text.len(), move |to| append(to, (kind, keep), at, &text));
    }

    /// Returns at most `limit` documents before `cursor`, or the newest; includes all appended earlier. Blocks on the
    /// disk, so call it from a thread that may block.
    ///
    /// # Errors
    /// Those of the database.
    pub fn page<T: DeserializeOwned>(
        &self,
        cursor: Option<u64>,
        limit: usize,
    ) -> rusqlite::Result<Entries<T>> {
        self.database.settle(PATIENCE);
        let before = cursor.map_or(i64::MAX, |cursor| i64::try_from(cursor).unwrap_or(i64::MAX));
        let asked = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let mut found = self.database.read(|from| {
            let mut found = from.prepare_cached(
                "SELECT number, document FROM journal
                 WHERE kind = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3",
            )?;
            let found = found.query_map((self.kind, before, asked), |row| {
                let number = row.get::<_, i64>(0)?.unsigned_abs();
                Ok((number, self.parsed(number, row.get_ref(1)?.as_bytes()?)))
            })?;
            found.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| has_more).map(|(number, _)| *number);
        let count = found.len();
        let entries: Vec<_> = found.into_iter().filter_map(|(_, entry)| entry).collect();
        Ok(Entries {
            unreadable: (count - entries.len()) as u64,
            entries,
            next,
        })
    }

    fn parsed<T: DeserializeOwned>(&self, number: u64, document: &[u8]) -> Option<T> {
        let parsed = serde_json::from_slice(document);
        parsed
            .inspect_err(|error| {
                let kind = self.kind;
                tracing::warn!(kind, number, %error, "a stored document cannot be read, and is left out");
            })
            .ok()
    }
}

fn append(
    to: &Connection,
    (kind, keep): (&str, u32),
    at: Timestamp,
    text: &str,
) -> rusqlite::Result<()> {
    let last = "SELECT coalesce(max(number), 0) FROM journal WHERE kind = ?1";
    let last: i64 = to
        .prepare_cached(last)?
        .query_row([kind], |row| row.get(0))?;
    let number = last + 1;
    to.prepare_cached(
        "INSERT INTO journal (kind, number, at_ns, document) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute((kind, number, nanoseconds(at), text))?;
    to.prepare_cached("DELETE FROM journal WHERE kind = ?1 AND number <= ?2")?
        .execute((kind, number - i64::from(keep)))?;
    Ok(())
}

/// The database form of an instant. The years 1678 to 2261 fit.
pub(super) fn nanoseconds(at: Timestamp) -> i64 {
    let nanoseconds = at.as_nanosecond();
    nanoseconds.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// The instant of a database value.
pub(super) fn instant(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanoseconds.into())
        .expect("every such instant is within a Timestamp's range")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Gauges;

    fn journal(keep: u32) -> Journal {
        let database = Database::open(None, Gauges::default()).unwrap();
        Journal::new(database, "changes", keep)
    }

    #[test]
    fn the_newest_documents_stay_and_pages_follow_one_another() {
        let journal = journal(5);
        for second in 1..=7 {
            journal.append(instant(second * 1_000_000_000), &second);
        }
        let first = journal.page::<u64>(None, 3).unwrap();
        assert_eq!(first.entries, [7, 6, 5]);
        let last = "SELECT at_ns FROM journal WHERE number = 7";
        let last = |from: &Connection| from.query_row(last, [], |row| row.get(0));
        let last = instant(journal.database.read(last).unwrap());
        assert_eq!(last, Timestamp::from_second(7).unwrap());
        journal.append(Timestamp::UNIX_EPOCH, &"later");
        let second = journal.page::<u64>(first.next, 3).unwrap();
        assert_eq!(second.entries, [4]);
        assert_eq!(second.next, None);
    }

    #[test]
    fn entry_that_is_no_json_is_counted_and_keeps_its_page_slot() {
        let journal = journal(5);
        for number in 1..=4 {
            journal.append(Timestamp::UNIX_EPOCH, &number);
        }
        journal.page::<u64>(None, 1).unwrap();
        let spoil = "UPDATE journal SET document = '{\"cut' WHERE number >= 3";
        let spoilt = journal.database.read(|to| to.execute_batch(spoil));
        spoilt.unwrap();
        let first = journal.page::<u64>(None, 3).unwrap();
        assert_eq!((first.entries, first.unreadable), (vec![2], 2));
        let second = journal.page::<u64>(first.next, 3).unwrap();
        assert_eq!((second.entries, second.unreadable), (vec![1], 0));
    }

    #[test]
    fn histories_of_other_kinds_are_apart() {
        let one = journal(2);
        let other = Journal::new(one.database.clone(), "others", 2);
        one.append(Timestamp::UNIX_EPOCH, &1);
        assert!(other.page::<u64>(None, 9).unwrap().entries.is_empty());
        other.append(Timestamp::UNIX_EPOCH, &2);
        assert_eq!(other.page::<u64>(None, 9).unwrap().entries, [2]);
    }
}
