//! Renumbered ids: which old id was paired with which new one.
//!
//! A table holds 128-bit hashes, never ids. It is bounded: once it is full, unknown pairs are reported as differences,
//! and counted.

use crate::{
    rules::{Action, Rule, Scope},
    stack::Stack,
};
use std::{
    collections::{HashMap, HashSet},
    mem,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The maximum number of pairs in one table.
const MAX_PAIRS: usize = 100_000;

/// Tables of pairs by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bijections {
    tables: HashMap<String, Table>,
    refused: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Table {
    news: HashMap<u128, u128>,
    olds: HashMap<u128, u128>,
    /// Pairs recorded since the last [`Bijections::keep`].
    met: Vec<Ids>,
    /// Kept pairs that [`Bijections::take_fresh`] has not returned yet.
    fresh: Vec<Ids>,
}

/// Pairs that one comparison recorded first, by the name of the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IdPairs(HashMap<String, HashSet<Ids>>);

/// The hashes of an old id and a new one at the same place.
pub type Ids = (u128, u128);

/// What a table knows about a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// The two are a known pair.
    Known,
    /// Neither is in a known pair.
    Fresh,
    /// At least one of them is in another pair.
    Taken,
    /// The table has no room for them.
    Full,
}

/// The tables of one comparison.
#[derive(Debug)]
pub(super) struct Tables<'e> {
    pub check: Bijections,
    pub epoch: &'e mut Bijections,
}

// === impl Bijections ===

impl Bijections {
    /// The number of pairs that counted as different because a table was full.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Keeps the pairs that were recorded since the last call.
    pub fn keep(&mut self) {
        for table in self.tables.values_mut() {
            table.fresh.append(&mut table.met);
        }
    }

    /// Forgets the pairs recorded since [`keep`](Self::keep), and returns them.
    pub fn rollback(&mut self) -> IdPairs {
        let mut met = IdPairs::default();
        for (name, table) in &mut self.tables {
            if !table.met.is_empty() {
                met.0.insert(name.clone(), table.rollback());
            }
        }
        met
    }

    /// Keeps pairs that were rolled back, except those that contradict known pairs or find no room.
    pub fn commit(&mut self, met: IdPairs) {
        for (name, pairs) in met.0 {
            for ids in pairs {
                if self.meeting(&name, ids) == Meeting::Fresh {
                    self.record(&name, ids);
                }
            }
        }
        self.keep();
    }

    /// Every pair kept since the last call, by the name of its table.
    pub fn take_fresh(&mut self) -> Vec<(String, Vec<Ids>)> {
        let tables = self.tables.iter_mut();
        let fresh = tables.map(|(name, table)| (name.clone(), mem::take(&mut table.fresh)));
        fresh.filter(|(_, pairs)| !pairs.is_empty()).collect()
    }

    /// Makes every pair fresh again.
    #[cfg(test)]
    pub(crate) fn forget_taken(&mut self) {
        for table in self.tables.values_mut() {
            table.fresh = table.news.iter().map(|(old, new)| (*old, *new)).collect();
        }
    }

    /// Adds a pair that was taken before; it is not fresh. A pair that contradicts a known one is ignored.
    pub fn restore(&mut self, name: &str, ids: Ids) {
        if self.meeting(name, ids) == Meeting::Fresh {
            self.table(name).insert(ids);
        }
    }

    fn meeting(&self, name: &str, (old, new): Ids) -> Meeting {
        let Some(table) = self.tables.get(name) else {
            return Meeting::Fresh;
        };
        match (table.news.get(&old), table.olds.get(&new)) {
            (Some(known), Some(_)) if *known == new => Meeting::Known,
            (None, None) if table.news.len() >= MAX_PAIRS => Meeting::Full,
            (None, None) => Meeting::Fresh,
            _ => Meeting::Taken,
        }
    }

    fn record(&mut self, name: &str, ids: Ids) {
        let table = self.table(name);
        table.insert(ids);
        table.met.push(ids);
    }

    fn table(&mut self, name: &str) -> &mut Table {
        if !self.tables.contains_key(name) {
            self.tables.insert(name.to_owned(), Table::default());
        }
        self.tables
            .get_mut(name)
            .expect("it was put in where it was missing")
    }
}

// === impl Table ===

impl Table {
    fn insert(&mut self, (old, new): Ids) {
        self.news.insert(old, new);
        self.olds.insert(new, old);
    }

    fn rollback(&mut self) -> HashSet<Ids> {
        for (old, new) in &self.met {
            self.news.remove(old);
            self.olds.remove(new);
        }
        self.met.drain(..).collect()
    }
}

// === impl IdPairs ===

impl IdPairs {
    /// The number of pairs.
    pub fn len(&self) -> usize {
        self.0.values().map(HashSet::len).sum()
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Retains only the pairs that another comparison recorded too.
    pub fn intersect(&mut self, other: &Self) {
        self.0.retain(|name, pairs| {
            let others = other.0.get(name);
            pairs.retain(|ids| others.is_some_and(|others| others.contains(ids)));
            !pairs.is_empty()
        });
    }
}

// === impl Tables ===

impl<'e> Tables<'e> {
    pub(super) fn new(epoch: &'e mut Bijections) -> Self {
        Self {
            check: Bijections::default(),
            epoch,
        }
    }

    /// What is known about several pairs at once: the worst result counts. Pairs that contradict each other count as
    /// taken.
    pub(super) fn meeting(&self, rule: &Rule, pairs: &[Ids]) -> Meeting {
        let Some((scope, name)) = table_of(rule) else {
            return Meeting::Taken;
        };
        let tables = self.of(scope);
        let contradict = |(old, new): &Ids| {
            let mut pairs = pairs.iter();
            pairs.any(|(other, met)| (other == old) != (met == new))
        };
        let mut worst = Meeting::Known;
        for pair in pairs {
            match tables.meeting(name, *pair) {
                Meeting::Known => {}
                Meeting::Fresh if pairs.len() > 1 && contradict(pair) => return Meeting::Taken,
                Meeting::Fresh => worst = Meeting::Fresh,
                other => return other,
            }
        }
        worst
    }

    /// The new id that an id of one side belongs to, if it is known.
    pub(super) fn new_of(&self, rule: &Rule, side: Stack, id: u128) -> Option<u128> {
        let (scope, name) = table_of(rule)?;
        let table = self.of(scope).tables.get(name)?;
        match side {
            Stack::Old => table.news.get(&id).copied(),
            Stack::New => table.olds.contains_key(&id).then_some(id),
        }
    }

    fn of(&self, scope: Scope) -> &Bijections {
        match scope {
            Scope::Check => &self.check,
            Scope::Epoch => &*self.epoch,
        }
    }

    /// Records pairs, except those that are taken or find no room.
    pub(super) fn record(&mut self, rule: &Rule, pairs: &[Ids]) {
        let Some((scope, name)) = table_of(rule) else {
            return;
        };
        let tables = match scope {
            Scope::Check => &mut self.check,
            Scope::Epoch => &mut *self.epoch,
        };
        for pair in pairs {
            if tables.meeting(name, *pair) == Meeting::Fresh {
                tables.record(name, *pair);
            }
        }
    }

    pub(super) fn refuse(&mut self) {
        self.epoch.refused += 1;
    }
}

/// Identifies a table, except for collisions with probability 2^-64.
pub(super) fn table_key(rule: &Rule) -> Option<u64> {
    let (scope, name) = table_of(rule)?;
    Some(xxh3_64_with_seed(name.as_bytes(), scope as u64))
}

fn table_of(rule: &Rule) -> Option<(Scope, &str)> {
    match &rule.action {
        Action::Bijection(bijection) => {
            let name = bijection.name.as_deref().unwrap_or(&rule.id);
            Some((bijection.scope, name))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_old_id_meets_one_new_one_and_the_other_way_round() {
        let mut pairs = Bijections::default();
        assert_eq!(pairs.meeting("ids", (5, 7)), Meeting::Fresh);
        pairs.record("ids", (5, 7));
        for (pair, expected) in [
            ((5, 7), Meeting::Known),
            ((5, 8), Meeting::Taken),
            ((6, 7), Meeting::Taken),
            ((6, 8), Meeting::Fresh),
        ] {
            assert_eq!(pairs.meeting("ids", pair), expected, "{pair:?}");
        }
        assert_eq!(pairs.meeting("others", (5, 8)), Meeting::Fresh);
    }

    #[test]
    fn what_was_taken_once_can_be_restored_and_is_not_fresh() {
        let mut pairs = Bijections::default();
        pairs.record("ids", (5, 7));
        pairs.keep();
        let taken = pairs.take_fresh();
        assert_eq!(taken, [("ids".to_owned(), vec![(5, 7)])]);
        assert_eq!(pairs.take_fresh(), []);

        let mut restored = Bijections::default();
        restored.restore("ids", (5, 7));
        restored.restore("ids", (5, 8));
        assert_eq!(restored.meeting("ids", (5, 7)), Meeting::Known);
        assert_eq!(restored.meeting("ids", (6, 7)), Meeting::Taken);
        assert_eq!(restored.take_fresh(), []);
        restored.forget_taken();
        assert_eq!(restored.take_fresh(), taken);
    }

    #[test]
    fn what_is_rolled_back_was_never_there_until_it_is_committed() {
        let mut pairs = Bijections::default();
        pairs.record("ids", (5, 7));
        pairs.keep();
        pairs.record("ids", (6, 8));
        pairs.record("others", (5, 8));
        let met = pairs.rollback();
        assert_eq!((met.len(), pairs.rollback()), (2, IdPairs::default()));
        assert_eq!(pairs.meeting("ids", (5, 7)), Meeting::Known);
        assert_eq!(pairs.meeting("ids", (6, 9)), Meeting::Fresh);
        assert_eq!(pairs.take_fresh(), [("ids".to_owned(), vec![(5, 7)])]);

        pairs.record("ids", (6, 9));
        pairs.keep();
        pairs.commit(met);
        assert_eq!(pairs.meeting("ids", (6, 9)), Meeting::Known);
        assert_eq!(pairs.meeting("ids", (1, 8)), Meeting::Fresh);
        assert_eq!(pairs.meeting("others", (5, 8)), Meeting::Known);
        let fresh: HashMap<_, _> = pairs.take_fresh().into_iter().collect();
        let expected = [("ids", (6, 9)), ("others", (5, 8))];
        let expected = expected.map(|(name, ids)| (name.to_owned(), vec![ids]));
        assert_eq!(fresh, HashMap::from(expected));
    }

    #[test]
    fn of_two_comparisons_that_is_left_which_met_in_both() {
        let met = |ids: &[(&str, Ids)]| {
            let mut pairs = Bijections::default();
            ids.iter().for_each(|(name, ids)| pairs.record(name, *ids));
            pairs.rollback()
        };
        let mut first = met(&[("a", (1, 1)), ("a", (2, 2)), ("b", (3, 3))]);
        first.intersect(&met(&[("a", (1, 1)), ("a", (2, 4)), ("c", (3, 3))]));
        assert_eq!(first, met(&[("a", (1, 1))]));
        first.intersect(&IdPairs::default());
        assert!(first.is_empty());
    }

    #[test]
    fn a_full_table_knows_what_it_knew_and_takes_no_more() {
        let mut pairs = Bijections::default();
        (0..MAX_PAIRS as u128).for_each(|id| pairs.record("ids", (id, id)));
        assert_eq!(pairs.meeting("ids", (1, 1)), Meeting::Known);
        assert_eq!(pairs.meeting("ids", (u128::MAX, 1)), Meeting::Taken);
        assert_eq!(pairs.meeting("ids", (u128::MAX, u128::MAX)), Meeting::Full);
    }
}
