//! Histories: the newest documents of a kind, in the order of writing.

use super::Database;
use jiff::Timestamp;
use rusqlite::Connection;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// One history. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    database: Database,
    kind: &'static str,
    keep: u32,
}

/// A document of a history.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Starts at 1 and increases by one per document.
    pub number: u64,
    pub at: Timestamp,
    pub document: Value,
}

/// Documents, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Entries {
    pub entries: Vec<Entry>,
    /// The cursor of the next page; `None` on the last page.
    pub next: Option<u64>,
    /// Documents left out of this page because they are not JSON.
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
    pub fn page(&self, cursor: Option<u64>, limit: usize) -> rusqlite::Result<Entries> {
        self.database.settle(PATIENCE);
        let before = cursor.map_or(i64::MAX, |cursor| i64::try_from(cursor).unwrap_or(i64::MAX));
        let mut found = self
            .database
            .read(|from| entries(from, self.kind, before, limit.saturating_add(1)))?;
        let next = if found.len() > limit {
            found.truncate(limit);
            found.last().map(|(number, _)| *number)
        } else {
            None
        };
        let count = found.len();
        let entries: Vec<_> = found.into_iter().filter_map(|(_, entry)| entry).collect();
        let unreadable = (count - entries.len()) as u64;
        Ok(Entries {
            entries,
            next,
            unreadable,
        })
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

/// Entries with their numbers; `None` if the document is not JSON.
fn entries(
    from: &Connection,
    kind: &str,
    before: i64,
    limit: usize,
) -> rusqlite::Result<Vec<(u64, Option<Entry>)>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut found = from.prepare_cached(
        "SELECT number, at_ns, document FROM journal
         WHERE kind = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3",
    )?;
    let entries = found.query_map((kind, before, limit), |row| {
        let number = row.get::<_, i64>(0)?.unsigned_abs();
        let at = instant(row.get(1)?);
        let document = serde_json::from_slice(row.get_ref(2)?.as_bytes()?);
        let document = document.inspect_err(|error| {
            tracing::warn!(kind, number, %error, "a stored document cannot be read, and is left out");
        });
        let entry = document.map(|document| Entry {
            number,
            at,
            document,
        });
        Ok((number, entry.ok()))
    })?;
    entries.collect()
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

    fn numbers(entries: &Entries) -> Vec<u64> {
        entries.entries.iter().map(|entry| entry.number).collect()
    }

    #[test]
    fn the_newest_documents_stay_and_pages_follow_one_another() {
        let journal = journal(5);
        for second in 1..=7 {
            journal.append(instant(second * 1_000_000_000), &second);
        }
        let first = journal.page(None, 3).unwrap();
        assert_eq!(numbers(&first), [7, 6, 5]);
        assert_eq!(first.entries[0].document, 7);
        assert_eq!(first.entries[0].at, Timestamp::from_second(7).unwrap());
        journal.append(Timestamp::UNIX_EPOCH, &"later");
        let second = journal.page(first.next, 3).unwrap();
        assert_eq!(numbers(&second), [4]);
        assert_eq!(second.next, None);
    }

    #[test]
    fn what_is_no_json_is_left_out_and_counted_and_has_its_place_on_a_page() {
        let journal = journal(5);
        for number in 1..=4 {
            journal.append(Timestamp::UNIX_EPOCH, &number);
        }
        journal.page(None, 1).unwrap();
        let spoil = "UPDATE journal SET document = '{\"cut' WHERE number >= 3";
        let spoilt = journal.database.read(|to| to.execute_batch(spoil));
        spoilt.unwrap();
        let first = journal.page(None, 3).unwrap();
        assert_eq!((numbers(&first), first.unreadable), (vec![2], 2));
        let second = journal.page(first.next, 3).unwrap();
        assert_eq!((numbers(&second), second.unreadable), (vec![1], 0));
    }

    #[test]
    fn histories_of_other_kinds_are_apart() {
        let one = journal(2);
        let other = Journal::new(one.database.clone(), "others", 2);
        one.append(Timestamp::UNIX_EPOCH, &1);
        assert!(numbers(&other.page(None, 9).unwrap()).is_empty());
        other.append(Timestamp::UNIX_EPOCH, &2);
        assert_eq!(numbers(&other.page(None, 9).unwrap()), [1]);
    }
}
