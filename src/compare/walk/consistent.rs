//! Pairs elements so that their ids never contradict each other.
//!
//! An element may be similar to several others, and all pairs have to agree on the ids. This is a search in a bounded
//! number of steps, starting with the elements that have the fewest choices.

use std::collections::{HashMap, HashSet, hash_map::Entry};

/// An old id and a new one that a table would pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct IdPair {
    pub table: u64,
    pub old: u128,
    pub new: u128,
}

/// For each old element and each new one, the ids that would be paired; `None` if the elements differ.
pub(super) type Choices = Vec<Vec<Option<Vec<IdPair>>>>;

/// The maximum number of steps for each element; every choice and every retry is a step.
const STEPS: usize = 64;

#[derive(Debug)]
struct Search<'c> {
    choices: &'c Choices,
    /// Pairs that are tried first.
    same: HashSet<(usize, usize)>,
    /// For each new element, the paired old one.
    taken: Vec<Option<usize>>,
    news: HashMap<(u64, u128), u128>,
    olds: HashMap<(u64, u128), u128>,
    /// The remaining steps.
    steps: usize,
}

/// Pairs all elements: the old element for each new one. `None` if no solution was found, or if all pairings are
/// equally good. Steps are deducted from `patience`.
pub(super) fn pair_all(
    choices: &Choices,
    same: &[(usize, usize)],
    patience: &mut usize,
) -> Option<Vec<Option<usize>>> {
    let count = choices.len();
    if !shares_ids(choices) {
        return None;
    }
    // Each step visits what is still free on both sides.
    let price = count.pow(2).div_ceil(3);
    let steps = (count * STEPS).min(*patience / price);
    let mut search = Search {
        choices,
        same: same.iter().copied().collect(),
        taken: vec![None; count],
        news: HashMap::new(),
        olds: HashMap::new(),
        steps,
    };
    let is_found = search.all();
    *patience -= (steps - search.steps) * price;
    is_found.then_some(search.taken)
}

/// Whether an id is in more than one element.
fn shares_ids(choices: &Choices) -> bool {
    let old = |met: &Vec<IdPair>| met.iter().map(|ids| (ids.table, ids.old)).collect();
    let new = |met: &Vec<IdPair>| met.iter().map(|ids| (ids.table, ids.new)).collect();
    let olds = choices
        .iter()
        .filter_map(|news| news.iter().flatten().next().map(old));
    let news = (0..choices.len()).filter_map(|at| {
        let mut met = choices.iter().filter_map(|news| news.get(at)?.as_ref());
        met.next().map(new)
    });
    is_any_repeated(olds) || is_any_repeated(news)
}

fn is_any_repeated(mut elements: impl Iterator<Item = HashSet<(u64, u128)>>) -> bool {
    let mut seen = HashSet::new();
    elements.any(|ids| ids.into_iter().any(|id| !seen.insert(id)))
}

// === impl Search ===

impl Search<'_> {
    /// Finds a partner for every old element that has none yet.
    fn all(&mut self) -> bool {
        let free = (0..self.choices.len()).filter(|old| !self.taken.contains(&Some(*old)));
        let fewest = free
            .map(|old| (old, self.possible(old)))
            .min_by_key(|(_, news)| news.len());
        let Some((old, mut news)) = fewest else {
            return true;
        };
        news.sort_by_key(|new| !self.same.contains(&(old, *new)));
        for new in news {
            let Some(left) = self.steps.checked_sub(1) else {
                return false;
            };
            self.steps = left;
            let met = self.meet(old, new);
            self.taken[new] = Some(old);
            if self.all() {
                return true;
            }
            self.taken[new] = None;
            for IdPair { table, old, new } in met {
                self.news.remove(&(table, old));
                self.olds.remove(&(table, new));
            }
        }
        false
    }

    /// The new elements that can still be paired with an old one.
    fn possible(&self, old: usize) -> Vec<usize> {
        let free = (0..self.taken.len()).filter(|new| self.taken[*new].is_none());
        free.filter(|new| {
            let met = self.choices[old][*new].as_ref();
            met.is_some_and(|met| self.agrees(met))
        })
        .collect()
    }

    /// Whether pairs of ids contradict neither the known pairs nor each other.
    fn agrees(&self, met: &[IdPair]) -> bool {
        met.iter().all(|IdPair { table, old, new }| {
            let known = (
                self.news.get(&(*table, *old)),
                self.olds.get(&(*table, *new)),
            );
            let is_known = match known {
                (None, None) => true,
                (Some(known), _) => known == new,
                (None, Some(_)) => false,
            };
            let mut others = met.iter().filter(|other| other.table == *table);
            is_known && others.all(|other| (other.old == *old) == (other.new == *new))
        })
    }

    /// Records the ids of a pair, and returns those that are new.
    fn meet(&mut self, old: usize, new: usize) -> Vec<IdPair> {
        let choices = self.choices;
        let mut fresh = Vec::new();
        for ids in choices[old][new].iter().flatten() {
            if let Entry::Vacant(free) = self.news.entry((ids.table, ids.old)) {
                free.insert(ids.new);
                self.olds.insert((ids.table, ids.new), ids.old);
                fresh.push(*ids);
            }
        }
        fresh
    }
}
