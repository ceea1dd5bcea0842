//! The histories in the store: changes of the settings, and of the verdict.

use crate::{
    config::default_settings,
    settings::{By, Change, Setting, Settings, changes},
    store::{Database, Entry, Journal},
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// A page of a history, the newest entry first.
#[derive(Clone, Debug)]
pub(in crate::admin) struct Page<T> {
    pub(in crate::admin) entries: Vec<T>,
    /// The cursor of the next page; `None` on the last one.
    pub(in crate::admin) next: Option<u64>,
    /// Entries of this page that are left out because they cannot be read.
    pub(in crate::admin) unreadable: u64,
}

/// Entries kept of each history.
const KEPT: u32 = 10_000;

/// Changes of settings.
pub fn of_settings(database: &Database) -> Journal {
    Journal::new(database.clone(), "settings", KEPT)
}

/// Changes of the verdict.
pub fn of_verdict(database: &Database) -> Journal {
    Journal::new(database.clone(), "verdict", KEPT)
}

/// Up to `limit` entries; only those before `cursor` if given. May block on disk I/O.
pub(in crate::admin) fn page<T: DeserializeOwned>(
    journal: &Journal,
    limit: usize,
    cursor: Option<u64>,
) -> rusqlite::Result<Page<T>> {
    let page = journal.page(cursor, limit)?;
    let count = page.entries.len();
    let entries: Vec<_> = page.entries.into_iter().filter_map(parsed).collect();
    let unreadable = page.unreadable + (count - entries.len()) as u64;
    Ok(Page {
        entries,
        next: page.next,
        unreadable,
    })
}

fn parsed<T: DeserializeOwned>(entry: Entry) -> Option<T> {
    let number = entry.number;
    let read = serde_json::from_value(entry.document);
    read.inspect_err(|error| {
        tracing::warn!(number, %error, "an entry of a history cannot be understood, and is left out");
    })
    .ok()
}

/// Records changes of settings.
pub fn record(journal: &Journal, changes: &[Change]) {
    for change in changes {
        journal.append(change.at, change);
    }
}

/// Records what differs from the settings of the previous process.
pub fn record_start(journal: &Journal, now: &Settings) {
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
    let all = page::<Change>(journal, KEPT as usize, None)?;
    for change in all.entries.into_iter().rev() {
        if let Some(setting) = settings.get_mut(&change.setting) {
            setting.value = change.to;
            setting.source = change.to_source.unwrap_or(setting.source);
        }
    }
    Ok(settings)
}
