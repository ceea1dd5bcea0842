//! Reads stored examples page by page. An index serves every filter, whatever else is stored.

use super::{
    Filter, Order, QueryError,
    record::{MISMATCH, NOISE, OUTCOMES, id_of, number_of},
};
use crate::store::document::{Class, Stamp};
use rusqlite::{Connection, OptionalExtension, Params, Row, Statement, params, params_from_iter};
use std::cmp::Reverse;

/// A stored example: its number and its stored document.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) number: i64,
    pub(super) document: Vec<u8>,
}

/// Examples that rules are judged by.
#[derive(Clone, Debug)]
pub(super) struct Selected {
    /// Newest first.
    pub(super) numbers: Vec<i64>,
    /// At most so many of each class.
    pub(super) per_class: usize,
    /// How many there are to select from.
    pub(super) stored: u64,
}

/// The position of a page of classes: after the last class of the previous page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct After {
    pub(super) order: Order,
    pub(super) key: i64,
    pub(super) id: i64,
}

/// A class with its position. `key` is what classes are sorted by.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) class: Class,
    pub(super) after: After,
}

/// The newest `?5` numbers of one outcome, from `?2` to below `?3`, that ended at `?4` or later, of a class or a route.
const BY_CLASS: &str = "SELECT shown.number FROM mismatch_shown shown
    JOIN mismatches USING (number)
    WHERE shown.class = ?6 AND shown.outcome = ?1 AND shown.number >= ?2 AND shown.number < ?3
      AND ended >= ?4 AND (?7 IS NULL OR route = ?7)
    ORDER BY shown.number DESC LIMIT ?5";
const BY_ROUTE: &str = "SELECT number FROM mismatches INDEXED BY mismatches_by_route
    WHERE route = ?6 AND outcome = ?1 AND number >= ?2 AND number < ?3 AND ended >= ?4
    ORDER BY number DESC LIMIT ?5";
const BY_OUTCOME: &str = "SELECT number FROM mismatches INDEXED BY mismatches_by_outcome
    WHERE outcome = ?1 AND number >= ?2 AND number < ?3 AND ended >= ?4
    ORDER BY number DESC LIMIT ?5";

/// The newest `?3` numbers of a class.
const NEWEST: &str = "SELECT number FROM mismatch_shown WHERE class = ?1 AND outcome = ?2
    ORDER BY number DESC LIMIT ?3";

const CLASS: &str =
    "SELECT class.id, route.name AS route, place, kind, count, first_seen, last_seen, kept
    FROM mismatch_classes class JOIN mismatch_routes route ON route.id = class.route
    WHERE kind <> ''";

/// The first number filed at `?1` or later.
const FIRST: &str =
    "SELECT number FROM mismatches WHERE filed >= ?1 ORDER BY filed, number LIMIT 1";
const BY_ID: &str =
    "SELECT number, document FROM mismatches WHERE id = ?1 ORDER BY number DESC LIMIT 1";

/// The queries on tables that may be large.
#[cfg(test)]
pub(super) const QUERIES: [&str; 6] = [BY_CLASS, BY_ROUTE, BY_OUTCOME, NEWEST, FIRST, BY_ID];

/// The numbers of the newest examples that match `filter`, below `before`.
pub(super) fn numbers(
    database: &Connection,
    filter: &Filter,
    before: i64,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    let named = |name: &String| {
        let id = "SELECT id FROM mismatch_routes WHERE name = ?1";
        let mut id = database.prepare_cached(id)?;
        id.query_row([name], number).optional()
    };
    let route = filter.route.as_ref().map(named).transpose()?;
    let class = filter.class.as_deref().map(number_of);
    if route == Some(None) || class == Some(None) {
        return Ok(Vec::new());
    }
    let (sql, of) = match (class.flatten(), route.flatten()) {
        (Some(class), route) => (BY_CLASS, vec![Some(class), route]),
        (None, Some(route)) => (BY_ROUTE, vec![Some(route)]),
        (None, None) => (BY_OUTCOME, Vec::new()),
    };
    let (mut since, mut first) = (i64::MIN, i64::MIN);
    if let Some(time) = filter.since {
        since = Stamp(time).millis();
        let found = database.prepare_cached(FIRST)?.query_row([since], number);
        first = found.optional()?.unwrap_or(i64::MAX);
    }
    let mut found = Vec::new();
    let mut statement = database.prepare_cached(sql)?;
    for (outcome, name) in OUTCOMES {
        if filter.outcome.as_ref().is_none_or(|wanted| wanted == name) {
            let range = [outcome, first, before, since, limit as i64].map(Some);
            let params = params_from_iter(range.into_iter().chain(of.iter().copied()));
            found.append(&mut numbers_of(&mut statement, params)?);
        }
    }
    found.sort_unstable_by_key(|number| Reverse(*number));
    found.truncate(limit);
    Ok(found)
}

/// The documents with these numbers, without those deleted meanwhile.
pub(super) fn documents(database: &Connection, numbers: &[i64]) -> rusqlite::Result<Vec<Found>> {
    let document = "SELECT number, document FROM mismatches WHERE number = ?1";
    let mut document = database.prepare_cached(document)?;
    let found = numbers.iter().filter_map(|number| {
        let found = document.query_row([number], found);
        found.optional().transpose()
    });
    found.collect()
}

pub(super) fn by_id(database: &Connection, id: i64) -> rusqlite::Result<Option<Found>> {
    let mut document = database.prepare_cached(BY_ID)?;
    document.query_row([id], found).optional()
}

/// At most `limit` classes after `after`, with at most `examples` ids each.
pub(super) fn classes(
    database: &Connection,
    after: After,
    limit: usize,
    examples: usize,
) -> rusqlite::Result<Vec<Listed>> {
    // The number of classes is bounded, so that no index is needed.
    let key = match after.order {
        Order::Frequent => "count",
        Order::Recent => "last_seen",
    };
    let sql = format!(
        "{CLASS} AND ({key}, class.id) < (?1, ?2) ORDER BY {key} DESC, class.id DESC LIMIT ?3"
    );
    let mut statement = database.prepare_cached(&sql)?;
    let listed = statement.query_map(params![after.key, after.id, limit as i64], |row| {
        let id = row.get(0)?;
        let key = row.get(key)?;
        Ok((id, key, class(row)?))
    })?;
    let mut found = Vec::new();
    for row in listed {
        let (id, key, class) = row?;
        found.push(Listed {
            class: with_examples(database, id, class, examples)?,
            after: After { key, id, ..after },
        });
    }
    Ok(found)
}

pub(super) fn class_by_id(
    database: &Connection,
    id: i64,
    examples: usize,
) -> rusqlite::Result<Option<Class>> {
    let sql = format!("{CLASS} AND class.id = ?1");
    let mut statement = database.prepare_cached(&sql)?;
    let found = statement.query_row([id], class).optional()?;
    let found = found.map(|class| with_examples(database, id, class, examples));
    found.transpose()
}

/// What rules are judged by: the newest examples of each class of mismatches, and of the noise of each route. Their number
/// is `most` at most, but one of each.
pub(super) fn select(
    database: &Connection,
    most: usize,
    per_class: usize,
) -> rusqlite::Result<Selected> {
    let classes = "SELECT id, outcome FROM mismatch_classes WHERE outcome IN (?1, ?2)";
    let mut classes = database.prepare_cached(classes)?;
    let classes = classes.query_map([MISMATCH, NOISE], |row| Ok([row.get(0)?, row.get(1)?]))?;
    let classes: Vec<[i64; 2]> = classes.collect::<Result<_, _>>()?;
    let per_class = (most / classes.len().max(1)).clamp(1, per_class);
    let mut numbers = Vec::new();
    let mut newest = database.prepare_cached(NEWEST)?;
    for [class, outcome] in classes {
        let params = [class, outcome, per_class as i64];
        numbers.append(&mut numbers_of(&mut newest, params)?);
    }
    numbers.sort_unstable_by_key(|number| Reverse(*number));
    numbers.dedup();
    // One class retains an example of another outcome.
    let stored = "SELECT kept - (SELECT coalesce(sum(kept), 0) FROM mismatch_classes
                  WHERE outcome NOT IN (?1, ?2)) FROM mismatch_totals";
    let stored = database.query_row(stored, [MISMATCH, NOISE], number)?;
    Ok(Selected {
        numbers,
        per_class,
        stored: stored.unsigned_abs(),
    })
}

fn with_examples(
    database: &Connection,
    id: i64,
    class: Class,
    limit: usize,
) -> rusqlite::Result<Class> {
    let newest =
        "SELECT example.id FROM mismatch_shown shown JOIN mismatches example USING (number)
                  WHERE shown.class = ?1 AND shown.outcome = ?2 ORDER BY shown.number DESC LIMIT ?3";
    let mut newest = database.prepare_cached(newest)?;
    let newest = newest.query_map(params![id, MISMATCH, limit as i64], number)?;
    let examples = newest.map(|id| id.map(id_of)).collect::<Result<_, _>>()?;
    Ok(Class { examples, ..class })
}

fn class(row: &Row<'_>) -> rusqlite::Result<Class> {
    let route: String = row.get("route")?;
    Ok(Class {
        id: id_of(row.get(0)?),
        route: route.into(),
        place: row.get("place")?,
        kind: row.get("kind")?,
        count: row.get::<_, i64>("count")?.unsigned_abs(),
        kept: row.get::<_, i64>("kept")?.unsigned_abs(),
        first_seen: Stamp::of_millis(row.get("first_seen")?),
        last_seen: Stamp::of_millis(row.get("last_seen")?),
        examples: Vec::new(),
    })
}

fn found(row: &Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found {
        number: row.get(0)?,
        document: row.get(1)?,
    })
}

fn number(row: &Row<'_>) -> rusqlite::Result<i64> {
    row.get(0)
}

fn numbers_of(statement: &mut Statement<'_>, params: impl Params) -> rusqlite::Result<Vec<i64>> {
    statement.query_map(params, number)?.collect()
}

// === impl After ===

impl After {
    /// Parses the cursor of a page in that order; without one, this is the first page.
    pub(super) fn parse(cursor: Option<&str>, order: Order) -> Result<Self, QueryError> {
        let number = |text: &str| u64::from_str_radix(text, 16).ok().map(u64::cast_signed);
        let parsed = |text: &str| {
            let (key, id) = text.strip_prefix(prefix(order))?.split_once('-')?;
            Some((number(key)?, number(id)?))
        };
        let (key, id) = match cursor {
            None => (i64::MAX, i64::MAX),
            Some(text) => parsed(text).ok_or_else(|| QueryError::Cursor(text.to_owned()))?,
        };
        Ok(Self { order, key, id })
    }

    pub(super) fn cursor(self) -> String {
        format!("{}{:x}-{:x}", prefix(self.order), self.key, self.id)
    }
}

/// Distinguishes the cursors of both orders; not a hexadecimal digit.
fn prefix(order: Order) -> &'static str {
    match order {
        Order::Frequent => "n",
        Order::Recent => "t",
    }
}
