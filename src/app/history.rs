//! What was noted in the store, as the admin API asks for it.

use crate::{
    admin::{History, Noted, Unreadable},
    settings::Change,
    store::{Database, Journal},
};

/// The changes of settings. Shared by clones.
#[derive(Clone, Debug)]
pub(super) struct Changes(Journal);

/// Changes kept.
const KEPT: u32 = 10_000;

// === impl Changes ===

impl Changes {
    pub(super) fn new(database: Database) -> Self {
        Self(Journal::new(database, "settings", KEPT))
    }

    pub(super) fn note(&self, changes: &[Change]) {
        for change in changes {
            self.0.append(change.at, change);
        }
    }
}

impl History<Change> for Changes {
    fn page(&self, limit: usize, cursor: Option<u64>) -> Result<Noted<Change>, Unreadable> {
        let unreadable = |error: &dyn std::error::Error| Unreadable(error.to_string());
        let page = self.0.page(cursor, limit);
        let page = page.map_err(|error| unreadable(&error))?;
        let entries = page.entries.into_iter();
        let entries = entries.map(|entry| serde_json::from_value(entry.document));
        Ok(Noted {
            entries: entries
                .collect::<Result<_, _>>()
                .map_err(|error| unreadable(&error))?,
            next: page.next,
        })
    }
}
