//! What the checks of an epoch remember together: which ids, renumbered, have met. The shadow adds to it, the store
//! keeps it over a restart.

use crate::compare::{Bijections, Ids};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A check may still run in the epoch before the present one.
const KEPT: usize = 2;

/// The tables of the newest epochs. Asked only where a rule remembers ids across checks. Shared by clones.
#[derive(Clone, Debug, Default)]
pub struct Pairs(Arc<Mutex<Epochs>>);

/// By id, oldest first.
type Epochs = VecDeque<(Arc<str>, Tables)>;

/// The tables of one epoch: one comparison at a time uses them.
#[derive(Clone, Debug, Default)]
pub struct Tables(Arc<Mutex<Bijections>>);

/// Pairs that met in one table.
#[derive(Clone, Debug, PartialEq)]
pub struct Fresh {
    /// The id of the epoch.
    pub epoch: Arc<str>,
    pub table: String,
    pub pairs: Vec<Ids>,
}

// === impl Pairs ===

impl Pairs {
    /// The tables of an epoch. Where there are too many, the oldest are forgotten.
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

    /// Everything that met since the last call. Waits for the comparisons that use the tables.
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

    /// Knows what met in the epoch in another process; it is not fresh.
    pub fn restore(&self, epoch: &Arc<str>, pairs: BTreeMap<String, Vec<Ids>>) {
        let tables = self.tables(epoch);
        let mut tables = tables.lock();
        for (table, pairs) in pairs {
            for ids in pairs {
                tables.restore(&table, ids);
            }
        }
    }

    /// Everything is fresh again.
    pub fn forget_taken(&self) {
        let epochs = self.epochs().clone();
        for (_, tables) in epochs {
            tables.lock().forget_taken();
        }
    }

    fn epochs(&self) -> MutexGuard<'_, Epochs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Tables ===

impl Tables {
    /// What a comparison that panicked has left is forgotten.
    pub fn lock(&self) -> MutexGuard<'_, Bijections> {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tables.retract();
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
