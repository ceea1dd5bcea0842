//! The renumbered ids that the checks of an epoch have paired. The shadow adds pairs; the store saves them across
//! restarts.

use crate::compare::{Bijections, Ids};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A check may still run in the previous epoch.
const KEPT: usize = 2;

/// The tables of the newest epochs, used only if a rule remembers ids across checks. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Pairs(Arc<Mutex<Epochs>>);

/// By id, oldest first.
type Epochs = VecDeque<(Arc<str>, Tables)>;

/// The tables of one epoch. One comparison at a time uses them.
#[derive(Clone, Debug, Default)]
pub struct Tables(Arc<Mutex<Bijections>>);

/// New pairs of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct Fresh {
    /// The id of the epoch.
    pub epoch: Arc<str>,
    pub table: String,
    pub pairs: Vec<Ids>,
}

// === impl Pairs ===

impl Pairs {
    /// Returns the tables of an epoch. Drops the oldest epoch if there are too many.
    pub fn tables(&self, epoch: &Arc<str>) -> Tables {
        let mut epochs = self.epochs();
        if let Some((_, tables)) = epochs.iter().find(|(id, _)| id == epoch) {
            return tables.clone();
        }
        let tables = Tables::default();
        epochs.push_back((epoch.clone(), tables.clone()));
        if epochs.len() > KEPT {
            epochs.pop_front();
        }
        tables
    }

    /// Takes the pairs added since the last call. Waits for comparisons that use the tables.
    pub fn take_fresh(&self) -> Vec<Fresh> {
        let epochs = self.epochs().clone();
        let mut fresh = Vec::new();
        for (epoch, tables) in epochs {
            let taken = tables.lock().take_fresh().into_iter();
            fresh.extend(taken.map(|(table, pairs)| Fresh {
                epoch: epoch.clone(),
                table,
                pairs,
            }));
        }
        fresh
    }

    /// Adds pairs from another process. They do not count as fresh.
    pub fn restore(&self, epoch: &Arc<str>, pairs: BTreeMap<String, Vec<Ids>>) {
        let tables = self.tables(epoch);
        let mut tables = tables.lock();
        for (table, pairs) in pairs {
            for ids in pairs {
                tables.restore(&table, ids);
            }
        }
    }

    fn epochs(&self) -> MutexGuard<'_, Epochs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Tables ===

impl Tables {
    /// Discards what a comparison that panicked left behind.
    pub fn lock(&self) -> MutexGuard<'_, Bijections> {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tables.rollback();
        tables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_keeps_its_tables_until_two_newer_ones_have_theirs() {
        let pairs = Pairs::default();
        let id = |id: &str| Arc::<str>::from(id);
        let first = pairs.tables(&id("1"));
        let same = |tables: &Tables| Arc::ptr_eq(&tables.0, &first.0);
        assert!(same(&pairs.tables(&id("1"))));
        assert!(!same(&pairs.tables(&id("2"))));
        assert!(same(&pairs.tables(&id("1"))));
        pairs.tables(&id("3"));
        assert!(!same(&pairs.tables(&id("1"))));
    }
}
