//! Reads stored examples page by page. An index serves every filter, whatever else is stored.

use super::{
    ClassFilter, Filter, Order, QueryError,
    record::{MISMATCH, NOISE, OUTCOMES, id_of, number_of},
};
use crate::{
    store::document::{Class, Stamp},
    value::Kind,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::cmp::Reverse;
use strum::VariantArray as _;

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

/// Which examples are wanted.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    first: i64,
    before: i64,
    /// The number of an epoch; `None`: of all.
    epoch: Option<i64>,
    since: i64,
    class: Option<i64>,
    route: Option<i64>,
    limit: i64,
}

/// The number of no epoch.
const UNKNOWN: i64 = -1;

/// Queries for the examples of one outcome `?1`, numbered from `?2` to below `?3`. What each adds: the check ended at `?5`
/// or later, it shows the class `?6`, it is of the route `?7`.
const BY_CLASS: &str = "SELECT example.number FROM mismatch_shown AS example JOIN mismatches AS whole USING (number)
    WHERE example.class = ?6 AND example.outcome = ?1 AND example.number >= ?2 AND example.number < ?3
      AND whole.ended >= ?5 AND (?7 IS NULL OR whole.route = ?7)";
const BY_ROUTE: &str =
    "SELECT example.number FROM mismatches AS example INDEXED BY mismatches_by_route
    WHERE route = ?7 AND outcome = ?1 AND number >= ?2 AND number < ?3 AND ended >= ?5";
const BY_OUTCOME: &str =
    "SELECT example.number FROM mismatches AS example INDEXED BY mismatches_by_outcome
    WHERE outcome = ?1 AND number >= ?2 AND number < ?3 AND ended >= ?5";
const NUMBERS_OF_CLASS: &str = "SELECT example.number FROM mismatch_shown AS example
    WHERE class = ?6 AND outcome = ?1 AND number >= ?2 AND number < ?3";
const IDS_OF_CLASS: &str = "SELECT whole.id FROM mismatch_shown AS example JOIN mismatches AS whole USING (number)
    WHERE example.class = ?6 AND example.outcome = ?1 AND example.number >= ?2 AND example.number < ?3";

/// What limits each of them to the epoch `?4`, and to the newest `?8`. The index has both columns: `epoch` follows the
/// document in a row, which would have to be read.
const NEWEST: &str = "AND (?4 IS NULL OR EXISTS (
      SELECT 1 FROM mismatches AS own INDEXED BY mismatches_by_epoch
      WHERE own.epoch = ?4 AND own.outcome = ?1 AND own.number = example.number))
    ORDER BY example.number DESC LIMIT ?8";

/// What of a class is listed: over all epochs, or in the epoch `?1`.
const CLASS: &str = "SELECT class.id, route.name AS route, class.place AS place, class.kind AS kind,
      class.kept AS kept, seen.count AS count, seen.first_seen AS first_seen, seen.last_seen AS last_seen";
const OF_ALL_EPOCHS: &str = "FROM mismatch_classes AS class
    JOIN mismatch_routes AS route ON route.id = class.route
    JOIN mismatch_classes AS seen ON seen.id = class.id";
const OF_EPOCH: &str = "FROM mismatch_class_epochs AS seen
    JOIN mismatch_classes AS class ON class.id = seen.class AND seen.epoch = ?1
    JOIN mismatch_routes AS route ON route.id = class.route";

/// The first number filed at `?1` or later.
const FIRST: &str =
    "SELECT number FROM mismatches WHERE filed >= ?1 ORDER BY filed, number LIMIT 1";
/// The first number of an epoch and outcome.
const FIRST_OF_EPOCH: &str = "SELECT number FROM mismatches INDEXED BY mismatches_by_epoch
    WHERE epoch = ?1 AND outcome = ?2 ORDER BY number LIMIT 1";
const BY_ID: &str =
    "SELECT number, document FROM mismatches WHERE id = ?1 ORDER BY number DESC LIMIT 1";

/// The queries on tables that may be large.
#[cfg(test)]
pub(super) fn queries() -> Vec<String> {
    let newest = [
        BY_CLASS,
        BY_ROUTE,
        BY_OUTCOME,
        NUMBERS_OF_CLASS,
        IDS_OF_CLASS,
    ]
    .map(newest);
    let others = [FIRST, FIRST_OF_EPOCH, BY_ID].map(str::to_owned);
    newest.into_iter().chain(others).collect()
}

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
    let mut wanted = Wanted {
        before,
        epoch: epoch(database, filter.epoch.as_deref())?,
        class: class.flatten(),
        route: route.flatten(),
        ..Wanted::newest(limit)
    };
    let sql = match (wanted.class, wanted.route) {
        (Some(_), _) => BY_CLASS,
        (None, Some(_)) => BY_ROUTE,
        (None, None) => BY_OUTCOME,
    };
    if let Some(time) = filter.since {
        wanted.since = Stamp(time).millis();
        let mut first = database.prepare_cached(FIRST)?;
        let first = first.query_row([wanted.since], number).optional()?;
        wanted.first = first.unwrap_or(i64::MAX);
    }
    let mut found = Vec::new();
    for (outcome, name) in OUTCOMES {
        if filter.outcome.as_ref().is_none_or(|asked| asked == name) {
            found.append(&mut find(database, sql, outcome, wanted)?);
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

/// At most `limit` classes after `after` that match `filter`, with at most `examples` ids each; and the number of all
/// that match.
pub(super) fn classes(
    database: &Connection,
    filter: &ClassFilter,
    after: After,
    (limit, examples): (usize, usize),
) -> rusqlite::Result<(Vec<Listed>, u64)> {
    let epoch = epoch(database, filter.epoch.as_deref())?;
    let (from, route) = (of(epoch), &filter.route);
    let matching = format!("{from} WHERE class.kind <> '' AND (?2 IS NULL OR route.name = ?2)");
    let total = format!("SELECT count(*) {matching}");
    let total: i64 = database.query_row(&total, params![epoch, route], |row| row.get(0))?;
    // The number of classes is bounded, so that no index is needed.
    let key = match after.order {
        Order::Frequent => "count",
        Order::Recent => "last_seen",
    };
    let sql = format!(
        "{CLASS} {matching} AND (seen.{key}, class.id) < (?3, ?4)
         ORDER BY seen.{key} DESC, class.id DESC LIMIT ?5"
    );
    let mut statement = database.prepare_cached(&sql)?;
    let page = params![epoch, route, after.key, after.id, limit as i64];
    let listed = statement.query_map(page, |row| {
        let id = row.get(0)?;
        let key = row.get(key)?;
        Ok((id, key, class(row)?))
    })?;
    let mut found = Vec::new();
    for row in listed {
        let (id, key, class) = row?;
        let wanted = Wanted {
            epoch,
            ..Wanted::of_class(id, examples)
        };
        found.push(Listed {
            class: with_examples(database, class, wanted)?,
            after: After { key, id, ..after },
        });
    }
    Ok((found, total.unsigned_abs()))
}

/// The class over all epochs.
pub(super) fn class_by_id(
    database: &Connection,
    id: i64,
    examples: usize,
) -> rusqlite::Result<Option<Class>> {
    let sql = format!("{CLASS} {OF_ALL_EPOCHS} WHERE class.kind <> '' AND class.id = ?1");
    let mut statement = database.prepare_cached(&sql)?;
    let found = statement.query_row([id], class).optional()?;
    let found = found.map(|class| with_examples(database, class, Wanted::of_class(id, examples)));
    found.transpose()
}

/// What rules are judged by: the newest examples of each class of mismatches, and of the noise of each route, of one epoch
/// or of all. Their number is `most` at most, but one of each.
pub(super) fn select(
    database: &Connection,
    of_epoch: Option<&str>,
    most: usize,
    per_class: usize,
) -> rusqlite::Result<Selected> {
    let epoch = epoch(database, of_epoch)?;
    let classes = "SELECT id, outcome FROM mismatch_classes WHERE outcome IN (?1, ?2)";
    let mut classes = database.prepare_cached(classes)?;
    let classes = classes.query_map([MISMATCH, NOISE], |row| Ok([row.get(0)?, row.get(1)?]))?;
    let classes: Vec<[i64; 2]> = classes.collect::<Result<_, _>>()?;
    let mut of_classes = Vec::new();
    for [class, outcome] in classes {
        let wanted = Wanted {
            epoch,
            ..Wanted::of_class(class, per_class)
        };
        of_classes.push(find(database, NUMBERS_OF_CLASS, outcome, wanted)?);
    }
    // Classes without an example in that epoch take no share.
    let sharing = of_classes.iter().filter(|numbers| !numbers.is_empty());
    let per_class = (most / sharing.count().max(1)).clamp(1, per_class);
    let numbers = of_classes.into_iter();
    let mut numbers: Vec<_> = numbers
        .flat_map(|numbers| numbers.into_iter().take(per_class))
        .collect();
    numbers.sort_unstable_by_key(|number| Reverse(*number));
    numbers.dedup();
    Ok(Selected {
        numbers,
        per_class,
        stored: stored(database, epoch)?,
    })
}

/// The number of stored mismatches and noise.
fn stored(database: &Connection, epoch: Option<i64>) -> rusqlite::Result<u64> {
    let stored: i64 = match epoch {
        Some(epoch) => {
            let of_epoch = "SELECT count(*) FROM mismatches INDEXED BY mismatches_by_epoch
                WHERE epoch = ?1 AND outcome IN (?2, ?3)";
            database.query_row(of_epoch, [epoch, MISMATCH, NOISE], number)?
        }
        // One class retains an example of another outcome.
        None => {
            let of_all = "SELECT kept - (SELECT coalesce(sum(kept), 0) FROM mismatch_classes
                WHERE outcome NOT IN (?1, ?2)) FROM mismatch_totals";
            database.query_row(of_all, [MISMATCH, NOISE], number)?
        }
    };
    Ok(stored.unsigned_abs())
}

/// The class with the ids of its newest examples; within an epoch, also with their number.
fn with_examples(database: &Connection, class: Class, wanted: Wanted) -> rusqlite::Result<Class> {
    let examples = find(database, IDS_OF_CLASS, MISMATCH, wanted)?;
    let mut kept = class.kept;
    if wanted.epoch.is_some() {
        let all = Wanted {
            limit: i64::MAX,
            ..wanted
        };
        kept = find(database, NUMBERS_OF_CLASS, MISMATCH, all)?.len() as u64;
    }
    Ok(Class {
        examples: examples.into_iter().map(id_of).collect(),
        kept,
        ..class
    })
}

/// What one of the queries for examples finds.
fn find(
    database: &Connection,
    sql: &str,
    outcome: i64,
    wanted: Wanted,
) -> rusqlite::Result<Vec<i64>> {
    let mut first = wanted.first;
    if let Some(epoch) = wanted.epoch {
        let mut of_epoch = database.prepare_cached(FIRST_OF_EPOCH)?;
        let of_epoch = of_epoch.query_row([epoch, outcome], number).optional()?;
        first = first.max(of_epoch.unwrap_or(i64::MAX));
    }
    let mut statement = database.prepare_cached(&newest(sql))?;
    let Wanted {
        before,
        epoch,
        since,
        class,
        route,
        limit,
        ..
    } = wanted;
    let params = params![outcome, first, before, epoch, since, class, route, limit];
    statement.query_map(params, number)?.collect()
}

fn newest(sql: &str) -> String {
    format!("{sql} {NEWEST}")
}

/// The tables of classes, of one epoch or of all.
fn of(epoch: Option<i64>) -> &'static str {
    match epoch {
        Some(_) => OF_EPOCH,
        None => OF_ALL_EPOCHS,
    }
}

/// The number of an epoch by its id.
fn epoch(database: &Connection, id: Option<&str>) -> rusqlite::Result<Option<i64>> {
    let Some(id) = id else { return Ok(None) };
    let known = "SELECT number FROM mismatch_epochs WHERE id = ?1";
    let mut known = database.prepare_cached(known)?;
    let known = known.query_row([id], number).optional()?;
    Ok(Some(known.unwrap_or(UNKNOWN)))
}

fn class(row: &Row<'_>) -> rusqlite::Result<Class> {
    let route: String = row.get("route")?;
    let kind: String = row.get("kind")?;
    Ok(Class {
        id: id_of(row.get(0)?),
        route: route.into(),
        place: row.get("place")?,
        severity: severity(&kind).to_owned(),
        kind,
        count: row.get::<_, i64>("count")?.unsigned_abs(),
        kept: row.get::<_, i64>("kept")?.unsigned_abs(),
        first_seen: Stamp::of_millis(row.get("first_seen")?),
        last_seen: Stamp::of_millis(row.get("last_seen")?),
        examples: Vec::new(),
    })
}

fn severity(kind: &str) -> &'static str {
    let mut breaking = Kind::VARIANTS.iter().filter(|kind| kind.is_breaking());
    if breaking.any(|breaking| breaking.name() == kind) {
        "breaking"
    } else {
        "value"
    }
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

// === impl Wanted ===

impl Wanted {
    fn newest(limit: usize) -> Self {
        Self {
            first: i64::MIN,
            before: i64::MAX,
            epoch: None,
            since: i64::MIN,
            class: None,
            route: None,
            limit: limit as i64,
        }
    }

    fn of_class(class: i64, limit: usize) -> Self {
        Self {
            class: Some(class),
            ..Self::newest(limit)
        }
    }
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
