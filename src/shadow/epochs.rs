//! What the checks of an epoch remember together: which ids, renumbered, have met.

use crate::compare::Bijections;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A check may still run in the epoch before the present one.
const KEPT: usize = 2;

/// The tables of the newest epochs. Asked only where a rule remembers ids across checks.
#[derive(Debug, Default)]
pub(super) struct Epochs(Mutex<VecDeque<(Arc<str>, Tables)>>);

/// The tables of one epoch: one comparison at a time uses them.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables(Arc<Mutex<Bijections>>);

// === impl Epochs ===

impl Epochs {
    /// The tables of an epoch. Where there are too many, the oldest are forgotten.
    pub(super) fn tables(&self, epoch: &Arc<str>) -> Tables {
        let mut epochs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
}

// === impl Tables ===

impl Tables {
    /// A comparison that panicked has left pairs that did meet: they stay.
    pub(super) fn lock(&self) -> MutexGuard<'_, Bijections> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_keeps_its_tables_until_two_newer_ones_have_theirs() {
        let epochs = Epochs::default();
        let id = |id: &str| Arc::<str>::from(id);
        let first = epochs.tables(&id("1"));
        let same = |tables: &Tables| Arc::ptr_eq(&tables.0, &first.0);
        assert!(same(&epochs.tables(&id("1"))));
        assert!(!same(&epochs.tables(&id("2"))));
        assert!(same(&epochs.tables(&id("1"))));
        epochs.tables(&id("3"));
        assert!(!same(&epochs.tables(&id("1"))));
    }
}
