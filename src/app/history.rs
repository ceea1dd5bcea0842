//! The journals in the store, as the admin API needs them.

use crate::{
    admin::{History, JournalPage, Keeper, Stored, Unreadable},
    config::default_settings,
    settings::{By, Change, Setting, Settings, changes},
    store::{Database, Entry, Journal},
};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fmt, marker::PhantomData, time::Duration};

/// A history in the store. Shared by clones.
pub(super) struct Kept<T> {
    journal: Journal,
    of: PhantomData<fn() -> T>,
}

pub(super) type Changes = Kept<Change>;

/// Persists changes.
#[derive(Debug)]
pub(super) struct Keeping(pub(super) Database);

/// How long a call that changes something waits for the disk.
const PATIENCE: Duration = Duration::from_secs(2);

/// Entries kept of each kind.
const KEPT: u32 = 10_000;

// === impl Kept ===

impl<T> Kept<T> {
    pub(super) fn new(database: Database, kind: &'static str) -> Self {
        Self {
            journal: Journal::new(database, kind, KEPT),
            of: PhantomData,
        }
    }
}

impl<T: Serialize> Kept<T> {
    pub(super) fn note(&self, at: Timestamp, entry: &T) {
        self.journal.append(at, entry);
    }
}

impl<T: DeserializeOwned + 'static> History<T> for Kept<T> {
    fn page(&self, limit: usize, cursor: Option<u64>) -> Result<JournalPage<T>, Unreadable> {
        let page = self.journal.page(cursor, limit);
        let page = page.map_err(|error| Unreadable(error.to_string()))?;
        let count = page.entries.len();
        let entries: Vec<_> = page.entries.into_iter().filter_map(understood).collect();
        let unreadable = page.unreadable + (count - entries.len()) as u64;
        Ok(JournalPage {
            entries,
            next: page.next,
            unreadable,
        })
    }
}

fn understood<T: DeserializeOwned>(entry: Entry) -> Option<T> {
    let number = entry.number;
    let read = serde_json::from_value(entry.document);
    read.inspect_err(|error| {
        tracing::warn!(number, %error, "an entry of a history cannot be understood, and is left out");
    })
    .ok()
}

impl Keeper for Keeping {
    fn keep(&self) -> Stored {
        if self.0.keeps(PATIENCE) {
            Stored::Yes
        } else {
            Stored::No
        }
    }
}

impl Changes {
    pub(super) fn note_all(&self, changes: &[Change]) {
        for change in changes {
            self.note(change.at, change);
        }
    }

    /// Records what differs from the settings of the previous process.
    pub(super) fn note_start(&self, now: &Settings) {
        match self.last() {
            Ok(before) => {
                let at = (now.revision, Timestamp::now());
                self.note_all(&changes((&before, &now.settings), at, By::Start));
            }
            Err(error) => {
                tracing::warn!(%error, "failed to record the settings that this start changes")
            }
        }
    }

    /// Every setting as of the last recorded change.
    fn last(&self) -> Result<BTreeMap<String, Setting>, Unreadable> {
        let mut settings = default_settings();
        let all = self.page(KEPT as usize, None)?;
        for change in all.entries.into_iter().rev() {
            if let Some(setting) = settings.get_mut(&change.setting) {
                setting.value = change.to;
                setting.source = change.to_source.unwrap_or(setting.source);
            }
        }
        Ok(settings)
    }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self {
            journal: self.journal.clone(),
            of: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kept").field(&self.journal).finish()
    }
}
