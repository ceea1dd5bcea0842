//! Figures from before the process started.

use super::rows;
use crate::{
    compare::Ids,
    ledger::{EpochState, Latencies, MAX_EPOCHS, MAX_TALLIES, RouteState, RuleCount, Sketch},
    outcome::{Outcome, Reason},
    store::journal::instant,
    verdict::{self, Cause, DistinctKeys, RouteEvidence, Version},
};
use rusqlite::{Connection, Row};
use std::{collections::BTreeMap, sync::Arc};

/// The stored epochs, and the state that continues the last of them.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// Oldest first. Every sample in them has an outcome.
    pub epochs: Vec<EpochState>,
    /// Of the last epoch.
    pub rules: Vec<(Arc<str>, RuleCount)>,
    /// Paired ids of the last epoch, by table.
    pub pairs: BTreeMap<String, Vec<Ids>>,
}

/// The outcome of a sample that was in progress when the process died.
pub(super) const LOST: Outcome = Outcome::NotCompared(Reason::Internal);

/// Maximum size of a key bitmap in bytes.
const MAX_KEYS: usize = 1 << 15;

// === impl Past ===

impl Past {
    /// Reads what is stored. The duration does not depend on the stored mismatches.
    ///
    /// # Errors
    /// Those of the database. Unreadable data is logged and left out.
    pub(crate) fn load(from: &Connection) -> rusqlite::Result<Self> {
        let mut epochs = Vec::new();
        let mut tallies = 0;
        for epoch in newest_epochs(from)? {
            let mut epoch = epoch?;
            epoch.routes = routes(from, epoch.number)?;
            tallies += epoch.routes.len();
            if tallies > MAX_TALLIES && !epochs.is_empty() {
                break;
            }
            epochs.push(epoch);
        }
        epochs.reverse();
        let Some(last) = epochs.last().map(|epoch| rows::signed(epoch.number)) else {
            return Ok(Self::default());
        };
        Ok(Self {
            epochs,
            rules: rules(from, last)?,
            pairs: pairs(from, last)?,
        })
    }
}

fn newest_epochs(from: &Connection) -> rusqlite::Result<Vec<rusqlite::Result<EpochState>>> {
    let mut found = from.prepare(
        "SELECT number, id, label, version, series, cause, since_ns, until_ns, comparable
         FROM epochs ORDER BY number DESC LIMIT ?1",
    )?;
    let epochs = found.query_map([MAX_EPOCHS as i64], epoch)?;
    Ok(epochs.collect())
}

fn epoch(row: &Row<'_>) -> rusqlite::Result<EpochState> {
    let text = |column| row.get::<_, Option<String>>(column);
    let cause: String = row.get(5)?;
    Ok(EpochState {
        number: row.get::<_, i64>(0)?.unsigned_abs(),
        series: row.get::<_, i64>(4)?.unsigned_abs(),
        comparable: row.get::<_, String>(8)?.into(),
        epoch: verdict::Epoch {
            id: row.get::<_, String>(1)?.into(),
            label: text(2)?.map(Arc::from),
            version: text(3)?.map(|version| Version::from_stored(&version)),
            cause: cause.parse().unwrap_or(Cause::Start),
            since: instant(row.get(6)?),
            until: row.get::<_, Option<i64>>(7)?.map(instant),
        },
        routes: Vec::new(),
    })
}

fn routes(from: &Connection, epoch: u64) -> rusqlite::Result<Vec<RouteState>> {
    let mut found = from.prepare_cached(
        "SELECT route, place, live, reads, sampled, delayed, outcomes, evidence, keys, old_latency,
           new_latency, forced
         FROM tallies WHERE epoch = ?1 ORDER BY place",
    )?;
    let routes = found.query_map([rows::signed(epoch)], route)?;
    routes.collect()
}

fn route(row: &Row<'_>) -> rusqlite::Result<RouteState> {
    let count = |column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.unsigned_abs());
    let route: Arc<str> = row.get::<_, String>(0)?.into();
    let sampled = count(4)?;
    let mut outcomes = rows::outcomes(&row.get::<_, String>(6)?);
    outcomes.add(LOST, sampled.saturating_sub(outcomes.ended()));
    let mut evidence: RouteEvidence =
        serde_json::from_str(&row.get::<_, String>(7)?).unwrap_or_else(|error| {
            tracing::error!(%route, %error, "stored evidence is unreadable; the route starts again");
            Default::default()
        });
    evidence.keys = row
        .get::<_, Option<Vec<u8>>>(8)?
        .and_then(|bytes| keys(&bytes))
        .map(Arc::new);
    let sketch = |bytes: Vec<u8>| {
        Sketch::from_bytes(&bytes).unwrap_or_else(|error| {
            tracing::error!(%route, %error, "stored latencies cannot be read: they start again");
            Sketch::default()
        })
    };
    Ok(RouteState {
        place: count(1)?,
        live: count(2)?,
        reads: count(3)?,
        sampled,
        forced: count(11)?,
        delayed: count(5)?,
        outcomes,
        evidence,
        latencies: Latencies {
            old: sketch(row.get(9)?),
            new: sketch(row.get(10)?),
        },
        route,
    })
}

/// `None` if the bitmaps are unreadable. Keys already checked may then be counted again.
fn keys(compressed: &[u8]) -> Option<DistinctKeys> {
    let bytes = zstd::bulk::decompress(compressed, MAX_KEYS).ok();
    let keys = bytes.and_then(|bytes| DistinctKeys::from_bytes(&bytes));
    if keys.is_none() {
        tracing::error!("the stored keys of a route are unreadable; they are counted again");
    }
    keys
}

fn rules(from: &Connection, epoch: i64) -> rusqlite::Result<Vec<(Arc<str>, RuleCount)>> {
    let mut found =
        from.prepare("SELECT rule, applied, masked FROM rule_counts WHERE epoch = ?1")?;
    let rules = found.query_map([epoch], |row| {
        let count = RuleCount {
            applied: row.get::<_, i64>(1)?.unsigned_abs(),
            masked: row.get::<_, i64>(2)?.unsigned_abs(),
        };
        Ok((row.get::<_, String>(0)?.into(), count))
    })?;
    rules.collect()
}

fn pairs(from: &Connection, epoch: i64) -> rusqlite::Result<BTreeMap<String, Vec<Ids>>> {
    let mut found = from.prepare("SELECT name, old, new FROM pairs WHERE epoch = ?1")?;
    let mut rows = found.query([epoch])?;
    let mut pairs = BTreeMap::<_, Vec<_>>::new();
    while let Some(row) = rows.next()? {
        let ids = rows::ids(row.get(1)?, row.get(2)?);
        pairs.entry(row.get(0)?).or_default().push(ids);
    }
    Ok(pairs)
}
