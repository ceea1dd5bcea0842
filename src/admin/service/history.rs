//! The histories in the store: changes of the settings, and of the verdict.

use crate::{
    config::default_settings,
    settings::{By, Setting, SettingChange, Settings, changes},
    store::{Database, Journal},
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Entries kept of each history.
const KEPT: u32 = 10_000;

/// Changes of settings.
pub fn of_settings(database: &Database) -> Journal {
    Journal::new(database.clone(), "settings", KEPT)
}

/// Changes of the verdict.
pub(crate) fn of_verdict(database: &Database) -> Journal {
    Journal::new(database.clone(), "verdict", KEPT)
}

/// Records changes of settings.
pub fn record(journal: &Journal, changes: &[SettingChange]) {
    for change in changes {
        journal.append(change.at, change);
    }
}

/// Records what differs from the settings of the previous process.
pub(crate) fn record_start(journal: &Journal, now: &Settings) {
    match last_settings(journal) {
        Ok(before) => {
            let at = (now.revision, Timestamp::now());
            record(journal, &changes((&before, &now.settings), at, By::Start));
        }
        Err(error) => {
            tracing::warn!(%error, "failed to record the settings that this start changes");
        }
    }
}

/// Every setting as of the last recorded change.
fn last_settings(journal: &Journal) -> rusqlite::Result<BTreeMap<String, Setting>> {
    let mut settings = default_settings();
    let all = journal.page::<SettingChange>(None, KEPT as usize)?;
    for change in all.entries.into_iter().rev() {
        if let Some(setting) = settings.get_mut(&change.setting) {
            setting.value = change.to;
            setting.source = change.to_source.unwrap_or(setting.source);
        }
    }
    Ok(settings)
}
