//! Reads and writes figures as rows.

use super::super::journal::nanoseconds;
use crate::{
    compare::Ids,
    ledger::{EpochState, RouteState, RuleCount},
    outcome::Outcome,
    pipeline::Fresh,
    verdict::{DistinctKeys, Outcomes, evidence::REST},
};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use std::collections::BTreeMap;

/// The counters of a minute: live, reads, sampled, match_exact, match_rules, mismatch, transient, noise, shadow_error,
/// not_compared.
type Minute = [i64; 10];

pub(super) fn put_epoch(to: &Connection, state: &EpochState) -> rusqlite::Result<()> {
    let epoch = &state.epoch;
    to.prepare_cached(
        "INSERT INTO epochs (number, id, label, version, series, cause, since_ns, until_ns, comparable)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (number) DO UPDATE SET version = excluded.version, until_ns = excluded.until_ns",
    )?
    .execute((
        signed(state.number),
        &*epoch.id,
        epoch.label.as_deref(),
        epoch.version.as_ref().map(|version| version.as_str()),
        signed(state.series),
        epoch.cause.name(),
        nanoseconds(epoch.since),
        epoch.until.map(nanoseconds),
        &*state.comparable,
    ))?;
    Ok(())
}

/// Writes a tally's totals. The increase over the stored totals counts in the minute of `now`.
pub(super) fn put_tally(
    to: &Connection,
    epoch: u64,
    now: Timestamp,
    state: &RouteState,
) -> rusqlite::Result<()> {
    let before = stored(to, epoch, &state.route)?;
    let mut put = to.prepare_cached(
        "INSERT INTO tallies (epoch, route, place, live, reads, sampled, delayed, outcomes, evidence, keys,
           old_latency, new_latency, forced)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (epoch, route) DO UPDATE SET live = excluded.live, reads = excluded.reads,
           sampled = excluded.sampled, delayed = excluded.delayed, outcomes = excluded.outcomes,
           evidence = excluded.evidence, keys = excluded.keys, old_latency = excluded.old_latency,
           new_latency = excluded.new_latency, forced = excluded.forced
         RETURNING id",
    )?;
    let values = (
        signed(epoch),
        &*state.route,
        signed(state.place),
        signed(state.live),
        signed(state.reads),
        signed(state.sampled),
        signed(state.delayed),
        written(&state.outcomes),
        serde_json::to_string(&state.evidence).expect("evidence must be JSON"),
        state.evidence.keys.as_deref().map(compressed),
        state.latencies.old.to_bytes(),
        state.latencies.new.to_bytes(),
        signed(state.forced),
    );
    let tally: i64 = put.query_row(values, |row| row.get(0))?;
    // Its checks belong to other routes and count in their minutes.
    if &*state.route == REST {
        return Ok(());
    }
    let after = minute_of([state.live, state.reads, state.sampled], &state.outcomes);
    let mut added = after;
    for (added, before) in added.iter_mut().zip(before) {
        *added -= before;
    }
    if added.iter().all(|count| *count == 0) {
        Ok(())
    } else {
        add_minute(to, now.as_second().div_euclid(60), tally, added)
    }
}

fn stored(to: &Connection, epoch: u64, route: &str) -> rusqlite::Result<Minute> {
    let sql = "SELECT live, reads, sampled, outcomes FROM tallies WHERE epoch = ?1 AND route = ?2";
    let mut found = to.prepare_cached(sql)?;
    let counts = found.query_row((signed(epoch), route), |row| {
        let counted = [row.get(0)?, row.get(1)?, row.get(2)?].map(i64::unsigned_abs);
        Ok(minute_of(counted, &outcomes(&row.get::<_, String>(3)?)))
    });
    Ok(counts.optional()?.unwrap_or_default())
}

/// Adds the inserted values to an existing row of a minute or an hour.
pub(super) const ADD: &str = "live = live + excluded.live, reads = reads + excluded.reads,
   sampled = sampled + excluded.sampled, match_exact = match_exact + excluded.match_exact,
   match_rules = match_rules + excluded.match_rules, mismatch = mismatch + excluded.mismatch,
   transient = transient + excluded.transient, noise = noise + excluded.noise,
   shadow_error = shadow_error + excluded.shadow_error, not_compared = not_compared + excluded.not_compared";

fn add_minute(to: &Connection, minute: i64, tally: i64, added: Minute) -> rusqlite::Result<()> {
    to.prepare_cached(&format!(
        "INSERT INTO minutes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (minute, tally) DO UPDATE SET {ADD}"
    ))?
    .execute(params_from_iter([minute, tally].into_iter().chain(added)))?;
    Ok(())
}

pub(super) fn put_rule(
    to: &Connection,
    epoch: u64,
    rule: &str,
    count: RuleCount,
) -> rusqlite::Result<()> {
    to.prepare_cached(
        "INSERT INTO rule_counts VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (epoch, rule) DO UPDATE SET applied = excluded.applied, masked = excluded.masked",
    )?
    .execute((signed(epoch), rule, signed(count.applied), signed(count.masked)))?;
    Ok(())
}

pub(super) fn put_pairs(to: &Connection, fresh: &Fresh) -> rusqlite::Result<()> {
    // Skips the pairs of an epoch that has been deleted meanwhile.
    let mut put = to.prepare_cached(
        "INSERT OR IGNORE INTO pairs SELECT number, ?2, ?3, ?4 FROM epochs WHERE id = ?1",
    )?;
    for (old, new) in &fresh.pairs {
        put.execute((
            &*fresh.epoch,
            &fresh.table,
            old.to_be_bytes(),
            new.to_be_bytes(),
        ))?;
    }
    Ok(())
}

fn compressed(keys: &DistinctKeys) -> Vec<u8> {
    zstd::bulk::compress(&keys.to_bytes(), 1).expect("bytes in memory must compress")
}

/// The stored form of `outcomes`: `{"mismatch/auth": 3}`.
fn written(outcomes: &Outcomes) -> String {
    let named: BTreeMap<_, _> = outcomes
        .iter()
        .map(|(outcome, count)| (name(outcome), count))
        .collect();
    serde_json::to_string(&named).expect("names and numbers must be JSON")
}

/// Parses stored `outcomes`. An unknown outcome counts as `not_compared{internal}`, because every sample must have an
/// outcome; unreadable text gives none, and loading the past adds the missing ones.
pub(super) fn outcomes(text: &str) -> Outcomes {
    let named: BTreeMap<String, u64> = serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::error!(%error, "stored outcomes cannot be read");
        BTreeMap::new()
    });
    let mut outcomes = Outcomes::default();
    for (stored, count) in named {
        let mut all = Outcome::ALL.into_iter();
        let known = all.find(|outcome| name(*outcome) == stored);
        outcomes.add(known.unwrap_or(super::past::LOST), count);
    }
    outcomes
}

fn name(outcome: Outcome) -> String {
    match outcome.detail() {
        "" => outcome.name().to_owned(),
        detail => format!("{}/{detail}", outcome.name()),
    }
}

fn minute_of([live, reads, sampled]: [u64; 3], outcomes: &Outcomes) -> Minute {
    let mut minute = [0; 10];
    let counted = [live, reads, sampled].map(signed);
    minute[..3].copy_from_slice(&counted);
    for (outcome, count) in outcomes.iter() {
        let column = match outcome {
            Outcome::Match(via) => 3 + via as usize,
            Outcome::Mismatch(_) => 5,
            Outcome::Transient => 6,
            Outcome::Noise => 7,
            Outcome::ShadowError(_) => 8,
            Outcome::NotCompared(_) => 9,
        };
        minute[column] += signed(count);
    }
    minute
}

/// The stored hashes of a pair.
pub(super) fn ids(old: [u8; 16], new: [u8; 16]) -> Ids {
    (u128::from_be_bytes(old), u128::from_be_bytes(new))
}

/// SQLite only has signed numbers. No counter grows that large.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
