//! The schema by version, with one script per step. A released script never changes.

use rusqlite::{Connection, TransactionBehavior};

/// The step from version `n` to `n + 1` is at index `n`.
pub(super) const STEPS: [&str; 7] = [
    include_str!("../schema/0001.sql"),
    include_str!("../schema/0002.sql"),
    include_str!("../schema/0003.sql"),
    include_str!("../schema/0004.sql"),
    include_str!("../schema/0005.sql"),
    include_str!("../schema/0006.sql"),
    include_str!("../schema/0007.sql"),
];

/// Marks our files: `twnr`.
pub(super) const APPLICATION_ID: u32 = 0x7477_6e72;

/// The tables read at the start. They are checked for damage whatever the size of the file.
pub(super) const READ_AT_START: [&str; 6] = [
    "epochs",
    "tallies",
    "rule_counts",
    "pairs",
    "settings",
    "journal",
];

pub(super) fn known() -> u32 {
    STEPS.len() as u32
}

pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Runs every outstanding step, each in its own transaction.
pub(super) fn migrate(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    let reached = version(connection)? as usize;
    for (step, script) in steps.iter().enumerate().skip(reached) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(script)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", step as u32 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}
