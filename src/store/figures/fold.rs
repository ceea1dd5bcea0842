//! Aggregates and deletes old figures.

use super::rows::ADD;
use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::Value;
use std::time::Duration;

/// Older minutes become hours.
const MINUTES_KEPT: i64 = 2 * 24 * 60;

/// Aggregates minutes older than two days into hours, and deletes minutes and hours older than `keep`.
pub(super) fn fold(to: &Connection, now: Timestamp, keep: Duration) -> rusqlite::Result<()> {
    let minute = now.as_second().div_euclid(60);
    // Whole hours only.
    let folded = (minute - MINUTES_KEPT).div_euclid(60) * 60;
    let kept_minutes = i64::try_from(keep.as_secs() / 60).unwrap_or(i64::MAX);
    let oldest = minute.saturating_sub(kept_minutes);
    to.execute("DELETE FROM minutes WHERE minute < ?1", [oldest])?;
    let first: Option<i64> =
        to.query_row("SELECT min(minute) FROM minutes", [], |row| row.get(0))?;
    // One by one: after days without a process, sorting all of them would take much memory.
    let end = folded / 60;
    let mut add = to.prepare(&format!(
        "INSERT INTO hours
         SELECT ?1, tally, sum(live), sum(reads), sum(sampled), sum(match_exact), sum(match_rules),
           sum(mismatch), sum(transient), sum(noise), sum(shadow_error), sum(not_compared)
         FROM minutes WHERE minute BETWEEN ?1 * 60 AND ?1 * 60 + 59 GROUP BY tally
         ON CONFLICT (hour, tally) DO UPDATE SET {ADD}"
    ))?;
    for hour in first.map_or(end, |first| first.div_euclid(60))..end {
        add.execute([hour])?;
    }
    to.execute("DELETE FROM minutes WHERE minute < ?1", [folded])?;
    to.execute("DELETE FROM hours WHERE hour < ?1", [oldest.div_euclid(60)])?;
    Ok(())
}

/// Deletes all epochs except these `numbers`, and the pairs of ended epochs, which only the current one needs.
pub(super) fn keep_epochs(to: &Connection, numbers: &[u64]) -> rusqlite::Result<()> {
    to.execute(
        "DELETE FROM epochs WHERE number NOT IN (SELECT value FROM json_each(?1))",
        [Value::from(numbers).to_string()],
    )?;
    to.execute(
        "DELETE FROM pairs WHERE epoch IN (SELECT number FROM epochs WHERE until_ns IS NOT NULL)",
        [],
    )?;
    Ok(())
}
