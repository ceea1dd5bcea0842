//! Reads stored examples page by page. An index serves every filter, whatever else is stored.

use super::{
    Filter, LookError, Order,
    pile::Pile,
    record::{id_of, number_of},
};
use crate::store::document::{Class, Stamp};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use std::{cmp::Reverse, fmt};

/// A stored example: its number and its stored document.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) number: i64,
    pub(super) document: Vec<u8>,
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

/// A filter in terms of the tables.
#[derive(Clone, Copy, Debug)]
struct Keys {
    class: Option<i64>,
    route: Option<i64>,
    since: i64,
    /// No lower number ended at `since` or later.
    first: i64,
}

/// The newest `?5` numbers of one group, from `?2` to below `?3`, that ended at `?4` or later. `?6` is their class or
/// route.
const BY_CLASS: &str = "SELECT shown.number FROM mismatch_shown shown
    JOIN mismatches USING (number)
    WHERE shown.class = ?6 AND shown.pile = ?1 AND shown.number >= ?2 AND shown.number < ?3 AND ended >= ?4
    ORDER BY shown.number DESC LIMIT ?5";
const BY_ROUTE: &str = "SELECT number FROM mismatches INDEXED BY mismatches_by_route
    WHERE route = ?6 AND pile = ?1 AND number >= ?2 AND number < ?3 AND ended >= ?4
    ORDER BY number DESC LIMIT ?5";
const BY_PILE: &str = "SELECT number FROM mismatches INDEXED BY mismatches_by_pile
    WHERE pile = ?1 AND number >= ?2 AND number < ?3 AND ended >= ?4
    ORDER BY number DESC LIMIT ?5";

const CLASS: &str =
    "SELECT class.id, route.name AS route, place, kind, count, first_seen, last_seen, kept
    FROM mismatch_classes class JOIN mismatch_routes route ON route.id = class.route";

/// The first number filed at `?1` or later.
const FIRST: &str =
    "SELECT number FROM mismatches WHERE filed >= ?1 ORDER BY filed, number LIMIT 1";
const BY_ID: &str =
    "SELECT number, document FROM mismatches WHERE id = ?1 ORDER BY number DESC LIMIT 1";

/// The queries on tables that may be large.
#[cfg(test)]
pub(super) const QUESTIONS: [&str; 5] = [BY_CLASS, BY_ROUTE, BY_PILE, FIRST, BY_ID];

/// The numbers of the newest examples that match `filter`, below `before`.
pub(super) fn numbers(
    database: &Connection,
    filter: &Filter,
    before: i64,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    let Some(keys) = Keys::of(database, filter)? else {
        return Ok(Vec::new());
    };
    let (sql, of) = keys.question();
    let mut found = Vec::new();
    let mut statement = database.prepare_cached(sql)?;
    let is_wanted = |pile: &Pile| {
        let outcome = filter.outcome.as_deref();
        outcome.is_none_or(|outcome| outcome == pile.outcome())
    };
    for pile in Pile::ALL.into_iter().filter(is_wanted) {
        let range = [pile.code(), keys.first, before, keys.since, limit as i64];
        let rows = statement.query_map(params_from_iter(range.into_iter().chain(of)), number)?;
        for row in rows {
            found.push(row?);
        }
    }
    found.sort_unstable_by_key(|number| Reverse(*number));
    found.truncate(limit);
    if keys.hold(database, &found)? {
        Ok(found)
    } else {
        Ok(Vec::new())
    }
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
        "{CLASS} WHERE ({key}, class.id) < (?1, ?2) ORDER BY {key} DESC, class.id DESC LIMIT ?3"
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
    let sql = format!("{CLASS} WHERE class.id = ?1");
    let mut statement = database.prepare_cached(&sql)?;
    let found = statement.query_row([id], class).optional()?;
    let found = found.map(|class| with_examples(database, id, class, examples));
    found.transpose()
}

/// The numbers of the newest `per_class` mismatches of each class, and as many of each route in each of `piles`.
pub(super) fn newest_of_each(
    database: &Connection,
    piles: &[Pile],
    per_class: usize,
) -> rusqlite::Result<Vec<i64>> {
    let mut numbers = Vec::new();
    let mut add = |sql: &str, of: i64, pile: Pile| -> rusqlite::Result<()> {
        let mut statement = database.prepare_cached(sql)?;
        let (all, below, since) = (i64::MIN, i64::MAX, i64::MIN);
        let range = [pile.code(), all, below, since, per_class as i64, of];
        for row in statement.query_map(range, number)? {
            numbers.push(row?);
        }
        Ok(())
    };
    for class in ids(database, "SELECT id FROM mismatch_classes")? {
        add(BY_CLASS, class, Pile::Classed)?;
    }
    for route in ids(database, "SELECT id FROM mismatch_routes")? {
        for pile in piles {
            add(BY_ROUTE, route, *pile)?;
        }
    }
    numbers.sort_unstable_by_key(|number| Reverse(*number));
    numbers.dedup();
    Ok(numbers)
}

/// The number of examples in these groups.
pub(super) fn kept(database: &Connection, piles: &[Pile]) -> rusqlite::Result<u64> {
    let kept = "SELECT coalesce(sum(kept), 0) FROM mismatch_piles WHERE pile = ?1";
    let mut kept = database.prepare_cached(kept)?;
    let mut all = 0;
    for pile in piles {
        all += kept.query_row([pile.code()], number)?;
    }
    Ok(all.unsigned_abs())
}

/// The number of holders: every class, and every route once per each of `piles`.
pub(super) fn holders(database: &Connection, piles: usize) -> rusqlite::Result<usize> {
    let count =
        "SELECT (SELECT count(*) FROM mismatch_classes), (SELECT count(*) FROM mismatch_routes)";
    let (classes, routes): (u32, u32) =
        database.query_row(count, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(classes as usize + routes as usize * piles)
}

fn with_examples(
    database: &Connection,
    id: i64,
    class: Class,
    limit: usize,
) -> rusqlite::Result<Class> {
    let newest =
        "SELECT example.id FROM mismatch_shown shown JOIN mismatches example USING (number)
                  WHERE shown.class = ?1 AND shown.pile = ?2 ORDER BY shown.number DESC LIMIT ?3";
    let mut newest = database.prepare_cached(newest)?;
    let newest = newest.query_map(params![id, Pile::Classed.code(), limit as i64], number)?;
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

fn ids(database: &Connection, sql: &str) -> rusqlite::Result<Vec<i64>> {
    let mut statement = database.prepare_cached(sql)?;
    statement.query_map([], number)?.collect()
}

// === impl Keys ===

impl Keys {
    /// `None` if nothing stored has that route or class.
    fn of(database: &Connection, filter: &Filter) -> rusqlite::Result<Option<Self>> {
        let mut keys = Self {
            class: None,
            route: None,
            since: i64::MIN,
            first: i64::MIN,
        };
        if let Some(name) = &filter.route {
            let id = "SELECT id FROM mismatch_routes WHERE name = ?1";
            let mut id = database.prepare_cached(id)?;
            keys.route = id.query_row([name], number).optional()?;
        }
        if let Some(id) = &filter.class {
            keys.class = number_of(id);
        }
        if let Some(since) = filter.since {
            keys.since = Stamp(since).millis();
            let mut first = database.prepare_cached(FIRST)?;
            let found = first.query_row([keys.since], number).optional()?;
            keys.first = found.unwrap_or(i64::MAX);
        }
        let is_known = keys.route.is_some() == filter.route.is_some()
            && keys.class.is_some() == filter.class.is_some();
        Ok(is_known.then_some(keys))
    }

    /// The query with the best index, and its parameter.
    fn question(&self) -> (&'static str, Option<i64>) {
        match (self.class, self.route) {
            (Some(_), _) => (BY_CLASS, self.class),
            (None, Some(_)) => (BY_ROUTE, self.route),
            (None, None) => (BY_PILE, None),
        }
    }

    /// Whether the examples found by class also belong to the route. All examples of a class share one route.
    fn hold(&self, database: &Connection, found: &[i64]) -> rusqlite::Result<bool> {
        let (Some(_), Some(route), Some(any)) = (self.class, self.route, found.first()) else {
            return Ok(true);
        };
        let is_of_route = "SELECT 1 FROM mismatches WHERE number = ?1 AND route = ?2";
        database.prepare_cached(is_of_route)?.exists([*any, route])
    }
}

// === impl After ===

impl After {
    /// The position of the first page.
    pub(super) fn nothing(order: Order) -> Self {
        Self {
            order,
            key: i64::MAX,
            id: i64::MAX,
        }
    }

    /// Parses the cursor of a page in that order.
    pub(super) fn parse(text: &str, order: Order) -> Result<Self, LookError> {
        let number = |text| u64::from_str_radix(text, 16).ok().map(u64::cast_signed);
        let of_order = text.strip_prefix(prefix(order));
        let after = of_order.and_then(|text| text.split_once('-'));
        let after = after.and_then(|(key, id)| {
            Some(Self {
                order,
                key: number(key)?,
                id: number(id)?,
            })
        });
        after.ok_or_else(|| LookError::Cursor(text.to_owned()))
    }
}

/// Distinguishes the cursors of both orders; not a hexadecimal digit.
fn prefix(order: Order) -> &'static str {
    match order {
        Order::Frequent => "n",
        Order::Recent => "t",
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:x}-{:x}", prefix(self.order), self.key, self.id)
    }
}
