//! Files examples and enforces the limits. An index finds everything that must go.
//!
//! Each class of its differences retains an example; without classes, its route does. It stays while at least one of
//! them retains it.

use super::{
    pile::Pile,
    record::{Record, Shown, classes_of},
};
use crate::store::Config;
use rusqlite::{Connection, OptionalExtension, params};

/// The tables, within one transaction.
#[derive(Debug)]
pub(super) struct Shelf<'t> {
    database: &'t Connection,
    bounds: &'t Config,
    /// How many more examples may be removed.
    may_go: i64,
    pub(super) gone: Gone,
}

/// What the limits removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) examples: u64,
    /// Mismatches without a class of their own.
    pub(super) classes: u64,
}

/// An example to be removed.
#[derive(Debug)]
struct Leaving {
    number: i64,
    route: i64,
    pile: i64,
    classes: Vec<u8>,
    bytes: i64,
}

/// Bytes of an example in addition to its document, with its share of each index, and bytes per class.
const ROW: i64 = 160;
const LINK: i64 = 40;

/// Examples read at once when the oldest are removed.
const CHUNK: i64 = 100;

// === impl Shelf ===

impl<'t> Shelf<'t> {
    /// Removes at most `may_go` examples to make room.
    pub(super) fn new(database: &'t Connection, bounds: &'t Config, may_go: i64) -> Self {
        let gone = Gone::default();
        Self {
            database,
            bounds,
            may_go,
            gone,
        }
    }

    pub(super) fn put(&mut self, records: &[Record]) -> rusqlite::Result<()> {
        let newest = "SELECT number, filed FROM mismatches ORDER BY number DESC LIMIT 1";
        let newest = self
            .database
            .query_row(newest, [], |row| Ok((row.get(0)?, row.get(1)?)));
        let (mut number, mut filed) = newest.optional()?.unwrap_or((0_i64, i64::MIN));
        for record in records {
            number += 1;
            filed = filed.max(record.ended);
            self.put_one(record, (number, filed))?;
        }
        Ok(())
    }

    fn put_one(&mut self, record: &Record, (number, filed): (i64, i64)) -> rusqlite::Result<()> {
        let route = self.route(&record.route)?;
        let (pile, shown) = self.classify(record, route)?;
        let Some(document) = &record.document else {
            self.gone.examples += 1;
            return Ok(());
        };
        let classes = record.class_list();
        let (pile, ended) = (pile.code(), record.ended);
        self.run(
            "INSERT INTO mismatches VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                number, record.id, route, pile, filed, ended, classes, document
            ],
        )?;
        for class in shown {
            self.link(class, pile, number)?;
        }
        self.run(
            "INSERT INTO mismatch_piles VALUES (?1, ?2, 1, ?3)
             ON CONFLICT DO UPDATE SET kept = kept + 1, bytes = bytes + excluded.bytes",
            [route, pile, bytes(document.len() as i64, &classes)],
        )?;
        Ok(())
    }

    /// Counts a mismatch under its classes. Returns its group and the classes that show it.
    fn classify(&mut self, record: &Record, route: i64) -> rusqlite::Result<(Pile, Vec<i64>)> {
        // Lag and noise are kept as examples but are not classes of mismatches.
        if record.pile != Pile::Unclassed {
            let shown = record.classes.iter().map(|class| class.id);
            return Ok((record.pile, shown.collect()));
        }
        let mut shown = Vec::new();
        for class in &record.classes {
            if self.count(class, route, record)? {
                shown.push(class.id);
            }
        }
        let pile = if shown.is_empty() {
            Pile::Unclassed
        } else {
            Pile::Classed
        };
        Ok((pile, shown))
    }

    fn route(&self, name: &str) -> rusqlite::Result<i64> {
        let known = "SELECT id FROM mismatch_routes WHERE name = ?1";
        let known = self
            .database
            .prepare_cached(known)?
            .query_row([name], |row| row.get(0));
        if let Some(id) = known.optional()? {
            return Ok(id);
        }
        self.run("INSERT INTO mismatch_routes (name) VALUES (?1)", [name])?;
        Ok(self.database.last_insert_rowid())
    }

    /// Counts a mismatch under one of its classes; `false` if the limit on classes is reached.
    fn count(&mut self, class: &Shown, route: i64, record: &Record) -> rusqlite::Result<bool> {
        let known = self.run(
            "UPDATE mismatch_classes SET count = count + 1, first_seen = min(first_seen, ?2),
             last_seen = max(last_seen, ?2) WHERE id = ?1",
            params![class.id, record.ended],
        )?;
        if known > 0 {
            return Ok(true);
        }
        let (place, kind) = (&class.place, class.kind.name());
        let max_classes = self.bounds.max_classes as i64;
        let begun = self.run(
            "INSERT INTO mismatch_classes SELECT ?1, ?2, ?3, ?4, 1, ?5, ?5, 0
             WHERE (SELECT count(*) FROM mismatch_classes) < ?6",
            params![class.id, route, place, kind, record.ended, max_classes],
        )?;
        if begun == 0 {
            self.gone.classes += 1;
        }
        Ok(begun > 0)
    }

    /// Removes what exceeds a limit or, at `now`, is too old; `false` if more is left than may be removed at once.
    pub(super) fn make_room(&mut self, now: i64) -> rusqlite::Result<bool> {
        self.let_go_of_surplus()?;
        self.thin_piles()?;
        self.remove_oldest(now)?;
        if self.may_go == 0 {
            return Ok(false);
        }
        let oldest = self.oldest_allowed(now);
        let stale = "DELETE FROM mismatch_classes WHERE kept = 0 AND last_seen < ?1";
        self.run(stale, [oldest])?;
        self.run("DELETE FROM mismatch_piles WHERE kept = 0", [])?;
        self.run(
            "DELETE FROM mismatch_routes WHERE id NOT IN (SELECT route FROM mismatch_piles)
             AND id NOT IN (SELECT route FROM mismatch_classes)",
            [],
        )?;
        Ok(true)
    }

    /// Each class with more than `keep_per_class` examples releases its oldest.
    fn let_go_of_surplus(&mut self) -> rusqlite::Result<()> {
        let full = "SELECT id, kept - ?1 FROM mismatch_classes WHERE kept > ?1";
        let keep = self.bounds.keep_per_class as i64;
        for [class, surplus] in self.rows(full, [keep])? {
            let oldest = "SELECT number FROM mismatch_shown WHERE class = ?1 AND pile = ?2
                          ORDER BY number LIMIT ?3";
            let limit = surplus.min(self.may_go);
            let which = params![class, Pile::Classed.code(), limit];
            for [number] in self.rows(oldest, which)? {
                self.let_go(class, number)?;
            }
        }
        Ok(())
    }

    fn let_go(&mut self, class: i64, number: i64) -> rusqlite::Result<()> {
        self.unlink(class, Pile::Classed.code(), number)?;
        let Some(example) = self.leaving(number)? else {
            return Ok(());
        };
        let held = "SELECT 1 FROM mismatch_shown WHERE class = ?1 AND pile = ?2 AND number = ?3";
        let mut held = self.database.prepare_cached(held)?;
        for other in classes_of(&example.classes) {
            if held.exists([other, example.pile, number])? {
                return Ok(());
            }
        }
        drop(held);
        self.remove(&example)
    }

    /// Applies the same limit to each outcome of a route as to a class.
    fn thin_piles(&mut self) -> rusqlite::Result<()> {
        let full =
            "SELECT route, pile, kept - ?1 FROM mismatch_piles WHERE kept > ?1 AND pile <> ?2";
        let keep = self.bounds.keep_per_class as i64;
        for [route, pile, surplus] in self.rows(full, [keep, Pile::Classed.code()])? {
            let oldest = "SELECT number FROM mismatches INDEXED BY mismatches_by_route
                          WHERE route = ?1 AND pile = ?2 ORDER BY number LIMIT ?3";
            let limit = surplus.min(self.may_go);
            for [number] in self.rows(oldest, [route, pile, limit])? {
                if let Some(example) = self.leaving(number)? {
                    self.remove(&example)?;
                }
            }
        }
        Ok(())
    }

    fn remove_oldest(&mut self, now: i64) -> rusqlite::Result<()> {
        let all = "SELECT coalesce(sum(kept), 0), coalesce(sum(bytes), 0) FROM mismatch_piles";
        let all = self.rows(all, [])?;
        let [mut kept, mut bytes] = all[0];
        let oldest_allowed = self.oldest_allowed(now);
        let oldest = "SELECT number, filed FROM mismatches ORDER BY number LIMIT ?1";
        while self.may_go > 0 {
            let chunk = self.rows(oldest, [self.may_go.min(CHUNK)])?;
            for [number, filed] in &chunk {
                let is_too_much = kept > self.bounds.keep_mismatches as i64
                    || bytes > self.bounds.max_bytes() as i64;
                if !is_too_much && *filed >= oldest_allowed {
                    return Ok(());
                }
                if let Some(example) = self.leaving(*number)? {
                    kept -= 1;
                    bytes -= example.bytes;
                    self.remove(&example)?;
                }
            }
            if chunk.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn oldest_allowed(&self, now: i64) -> i64 {
        let keep = i64::try_from(self.bounds.keep.as_millis()).unwrap_or(i64::MAX);
        now.saturating_sub(keep)
    }

    fn leaving(&self, number: i64) -> rusqlite::Result<Option<Leaving>> {
        let row = "SELECT route, pile, classes, length(document) FROM mismatches WHERE number = ?1";
        let mut row = self.database.prepare_cached(row)?;
        let leaving = row.query_row([number], |row| {
            let (classes, document): (Vec<u8>, i64) = (row.get(2)?, row.get(3)?);
            Ok(Leaving {
                number,
                route: row.get(0)?,
                pile: row.get(1)?,
                bytes: bytes(document, &classes),
                classes,
            })
        });
        leaving.optional()
    }

    fn remove(&mut self, example: &Leaving) -> rusqlite::Result<()> {
        let Leaving {
            number,
            route,
            pile,
            ..
        } = *example;
        for class in classes_of(&example.classes) {
            self.unlink(class, pile, number)?;
        }
        self.run("DELETE FROM mismatches WHERE number = ?1", [number])?;
        self.run(
            "UPDATE mismatch_piles SET kept = kept - 1, bytes = bytes - ?3
             WHERE route = ?1 AND pile = ?2",
            [route, pile, example.bytes],
        )?;
        self.gone.examples += 1;
        self.may_go -= 1;
        Ok(())
    }

    fn link(&self, class: i64, pile: i64, number: i64) -> rusqlite::Result<()> {
        let link = "INSERT INTO mismatch_shown VALUES (?1, ?2, ?3)";
        self.run(link, [class, pile, number])?;
        if pile == Pile::Classed.code() {
            let hold = "UPDATE mismatch_classes SET kept = kept + 1 WHERE id = ?1";
            self.run(hold, [class])?;
        }
        Ok(())
    }

    fn unlink(&self, class: i64, pile: i64, number: i64) -> rusqlite::Result<()> {
        let link = "DELETE FROM mismatch_shown WHERE class = ?1 AND pile = ?2 AND number = ?3";
        let was_linked = self.run(link, [class, pile, number])? > 0;
        if was_linked && pile == Pile::Classed.code() {
            let hold = "UPDATE mismatch_classes SET kept = kept - 1 WHERE id = ?1";
            self.run(hold, [class])?;
        }
        Ok(())
    }

    fn run(&self, sql: &str, params: impl rusqlite::Params) -> rusqlite::Result<usize> {
        self.database.prepare_cached(sql)?.execute(params)
    }

    fn rows<const N: usize>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
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

fn bytes(document: i64, classes: &[u8]) -> i64 {
    document + ROW + LINK * classes_of(classes).count() as i64
}
