//! Adds examples and enforces the limits. An index finds everything that must go.
//!
//! Each class of its differences retains a mismatch. One class of its route and outcome retains every other example, and
//! a mismatch past the limit on classes. An example stays while at least one class retains it.

use super::record::{MISMATCH, Record, Shown};
use crate::store::Config;
use rusqlite::{Connection, OptionalExtension, Params, params};

/// The tables, within one transaction.
#[derive(Debug)]
pub(super) struct Retention<'t> {
    database: &'t Connection,
    limits: &'t Config,
    /// How many more examples may be removed.
    removals: i64,
    pub(super) dropped: Dropped,
}

/// What the limits removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) examples: u64,
    /// Mismatches without a class of their own.
    pub(super) classes: u64,
}

/// Epochs whose counts of classes stay.
const EPOCHS: i64 = 100;

const FULL: &str = "SELECT id, outcome, kept - ?1 FROM mismatch_classes WHERE kept > ?1";

/// The oldest `?3` examples of a class.
const OLDEST: &str = "SELECT number FROM mismatch_shown WHERE class = ?1 AND outcome = ?2
    ORDER BY number LIMIT ?3";

const UNLINK: &str = "DELETE FROM mismatch_shown WHERE class = ?1 AND outcome = ?2 AND number = ?3";

/// Removes an example unless a class retains it.
const REMOVE_RELEASED: &str = "DELETE FROM mismatches WHERE number = ?1 AND NOT EXISTS (
    SELECT 1 FROM mismatch_shown shown
    JOIN mismatch_classes class ON class.id = shown.class AND class.outcome = shown.outcome
    WHERE shown.number = ?1)";

/// Removes the oldest example if it is older than `?1`, or if more are kept than `?2`, or more bytes than `?3`.
const REMOVE_OLDEST: &str = "DELETE FROM mismatches
    WHERE number = (SELECT min(number) FROM mismatches)
    AND (filed < ?1 OR (SELECT kept > ?2 OR bytes > ?3 FROM mismatch_totals))";

// === impl Retention ===

impl<'t> Retention<'t> {
    /// Removes at most `removals` examples to make room.
    pub(super) fn new(database: &'t Connection, limits: &'t Config, removals: i64) -> Self {
        Self {
            database,
            limits,
            removals,
            dropped: Dropped::default(),
        }
    }

    pub(super) fn add(&mut self, records: &[Record]) -> rusqlite::Result<()> {
        let newest = "SELECT number, filed FROM mismatches ORDER BY number DESC LIMIT 1";
        let newest = self
            .database
            .query_row(newest, [], |row| Ok((row.get(0)?, row.get(1)?)));
        let (mut number, mut filed) = newest.optional()?.unwrap_or((0_i64, i64::MIN));
        for record in records {
            number += 1;
            filed = filed.max(record.ended);
            let route = self.route(&record.route)?;
            let epoch = self.epoch(&record.epoch)?;
            let classes = self.classify(record, route, epoch)?;
            let Some(document) = &record.document else {
                self.dropped.examples += 1;
                continue;
            };
            let (id, outcome, ended) = (record.id, record.outcome, record.ended);
            self.run(
                "INSERT INTO mismatches VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![number, id, route, outcome, filed, ended, document, epoch],
            )?;
            for class in classes {
                let link = "INSERT INTO mismatch_shown VALUES (?1, ?2, ?3)";
                self.run(link, [class, outcome, number])?;
            }
        }
        Ok(())
    }

    fn route(&self, name: &str) -> rusqlite::Result<i64> {
        let known = "SELECT id FROM mismatch_routes WHERE name = ?1";
        let mut known = self.database.prepare_cached(known)?;
        if let Some(id) = known.query_row([name], |row| row.get(0)).optional()? {
            return Ok(id);
        }
        self.run("INSERT INTO mismatch_routes (name) VALUES (?1)", [name])?;
        Ok(self.database.last_insert_rowid())
    }

    fn epoch(&self, id: &str) -> rusqlite::Result<i64> {
        let known = "SELECT number FROM mismatch_epochs WHERE id = ?1";
        let mut known = self.database.prepare_cached(known)?;
        if let Some(number) = known.query_row([id], |row| row.get(0)).optional()? {
            return Ok(number);
        }
        self.run("INSERT INTO mismatch_epochs (id) VALUES (?1)", [id])?;
        let number = self.database.last_insert_rowid();
        let forget = "DELETE FROM mismatch_epochs WHERE number <= ?1";
        self.run(forget, [number - EPOCHS])?;
        Ok(number)
    }

    /// Counts a mismatch under its classes. Returns the classes that show or retain the example.
    fn classify(&mut self, record: &Record, route: i64, epoch: i64) -> rusqlite::Result<Vec<i64>> {
        let is_mismatch = record.outcome == MISMATCH;
        let mut classes = Vec::new();
        for class in &record.classes {
            // Lag and noise are shown under a class, but are no mismatches of it.
            if is_mismatch {
                if !self.count(class, route, record.ended)? {
                    continue;
                }
                self.count_in(epoch, class.id, record.ended)?;
            }
            classes.push(class.id);
        }
        if !is_mismatch || classes.is_empty() {
            let of_route = -8 * route - record.outcome;
            self.run(
                "INSERT OR IGNORE INTO mismatch_classes VALUES (?1, ?2, '', '', 0, 0, 0, 0, ?3)",
                [of_route, route, record.outcome],
            )?;
            classes.push(of_route);
        }
        Ok(classes)
    }

    /// Counts a mismatch under one of its classes; `false` if the limit on classes is reached.
    fn count(&mut self, class: &Shown, route: i64, ended: i64) -> rusqlite::Result<bool> {
        let known = self.run(
            "UPDATE mismatch_classes SET count = count + 1, first_seen = min(first_seen, ?2),
             last_seen = max(last_seen, ?2) WHERE id = ?1",
            [class.id, ended],
        )?;
        if known > 0 {
            return Ok(true);
        }
        let (place, kind) = (&class.place, class.kind.name());
        let max_classes = self.limits.max_classes as i64;
        let added = self.run(
            "INSERT INTO mismatch_classes SELECT ?1, ?2, ?3, ?4, 1, ?5, ?5, 0, 0
             WHERE (SELECT count(*) FROM mismatch_classes WHERE kind <> '') < ?6",
            params![class.id, route, place, kind, ended, max_classes],
        )?;
        self.dropped.classes += u64::from(added == 0);
        Ok(added > 0)
    }

    fn count_in(&self, epoch: i64, class: i64, ended: i64) -> rusqlite::Result<()> {
        self.run(
            "INSERT INTO mismatch_class_epochs VALUES (?1, ?2, 1, ?3, ?3)
             ON CONFLICT DO UPDATE SET count = count + 1, first_seen = min(first_seen, ?3),
             last_seen = max(last_seen, ?3)",
            [class, epoch, ended],
        )?;
        Ok(())
    }

    /// Removes what exceeds a limit or, at `now`, is too old; `false` if more is left than may be removed at once.
    pub(super) fn make_room(&mut self, now: i64) -> rusqlite::Result<bool> {
        let keep = i64::try_from(self.limits.keep.as_millis()).unwrap_or(i64::MAX);
        let oldest = now.saturating_sub(keep);
        self.release_surplus()?;
        let limits = [self.limits.keep_mismatches, self.limits.max_bytes()];
        let [kept, bytes] = limits.map(|limit| limit as i64);
        while self.removals > 0 && self.run(REMOVE_OLDEST, [oldest, kept, bytes])? > 0 {
            self.count_removed();
        }
        if self.removals == 0 {
            return Ok(false);
        }
        let unused =
            "DELETE FROM mismatch_classes WHERE kept = 0 AND (kind = '' OR last_seen < ?1)";
        self.run(unused, [oldest])?;
        let unused = "DELETE FROM mismatch_routes
            WHERE id NOT IN (SELECT route FROM mismatch_classes)
            AND NOT EXISTS (SELECT 1 FROM mismatches WHERE route = mismatch_routes.id)";
        self.run(unused, [])?;
        Ok(true)
    }

    /// Each class with more than `keep_per_class` examples releases its oldest.
    fn release_surplus(&mut self) -> rusqlite::Result<()> {
        let keep = self.limits.keep_per_class as i64;
        for [class, outcome, surplus] in self.rows(FULL, [keep])? {
            let limit = surplus.min(self.removals);
            for [number] in self.rows(OLDEST, [class, outcome, limit])? {
                self.run(UNLINK, [class, outcome, number])?;
                if self.run(REMOVE_RELEASED, [number])? > 0 {
                    self.count_removed();
                }
            }
        }
        Ok(())
    }

    fn count_removed(&mut self) {
        self.dropped.examples += 1;
        self.removals -= 1;
    }

    fn run(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.database.prepare_cached(sql)?.execute(params)
    }

    fn rows<const N: usize>(
        &self,
        sql: &str,
        params: impl Params,
    ) -> rusqlite::Result<Vec<[i64; N]>> {
        let mut statement = self.database.prepare_cached(sql)?;
        let rows = statement.query_map(params, |row| {
            let mut numbers = [0; N];
            for (column, number) in numbers.iter_mut().enumerate() {
                *number = row.get(column)?;
            }
            Ok(numbers)
        });
        rows?.collect()
    }
}
