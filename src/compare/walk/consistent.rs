//! Pairs of elements whose ids contradict each other nowhere.
//!
//! Each of two elements may be alike to several: which of them belong together, all of them have to agree on. This is
//! searched for, the elements with the fewest choices first, in a bounded number of steps.

use crate::compare::bijection::Ids;
use std::collections::{HashMap, HashSet, hash_map::Entry};

/// An old id and a new one that meet, and the table that they meet in.
pub(super) type Met = (u64, Ids);

/// For each old element and each new one, what would meet; `None`: they are unlike.
pub(super) type Choices = Vec<Vec<Option<Vec<Met>>>>;

/// Steps for each element at most: to choose for it is one, and so is to choose again.
const STEPS: usize = 64;

#[derive(Debug)]
struct Search<'c> {
    choices: &'c Choices,
    /// Those that are tried first.
    same: HashSet<(usize, usize)>,
    /// For each new element, the old one that it belongs to.
    taken: Vec<Option<usize>>,
    news: HashMap<(u64, u128), u128>,
    olds: HashMap<(u64, u128), u128>,
    /// How many more may be made.
    steps: usize,
}

/// Pairs all elements: for each new one, the old one that it belongs to. `None` where no way was found, or where any way is as
/// good as another. Steps are paid from `patience`.
pub(super) fn pair_all(
    choices: &Choices,
    same: &[(usize, usize)],
    patience: &mut usize,
) -> Option<Vec<Option<usize>>> {
    let count = choices.len();
    if !shares_ids(choices) {
        return None;
    }
    // Each looks at what is still free on both sides.
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

/// Whether an id stands in more than one element.
fn shares_ids(choices: &Choices) -> bool {
    let old = |met: &Vec<Met>| met.iter().map(|(table, ids)| (*table, ids.0)).collect();
    let new = |met: &Vec<Met>| met.iter().map(|(table, ids)| (*table, ids.1)).collect();
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
    /// Finds a place for every old element that has none yet.
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
            for (table, (old, new)) in met {
                self.news.remove(&(table, old));
                self.olds.remove(&(table, new));
            }
        }
        false
    }

    /// The new elements that an old one may still belong to.
    fn possible(&self, old: usize) -> Vec<usize> {
        let free = (0..self.taken.len()).filter(|new| self.taken[*new].is_none());
        free.filter(|new| {
            let met = self.choices[old][*new].as_ref();
            met.is_some_and(|met| self.agrees(met))
        })
        .collect()
    }

    /// Whether ids may meet, as far as is known and with each other.
    fn agrees(&self, met: &[Met]) -> bool {
        met.iter().all(|(table, (old, new))| {
            let known = (
                self.news.get(&(*table, *old)),
                self.olds.get(&(*table, *new)),
            );
            let is_known = match known {
                (None, None) => true,
                (Some(known), _) => known == new,
                (None, Some(_)) => false,
            };
            let mut others = met.iter().filter(|(other, _)| other == table);
            is_known && others.all(|(_, other)| (other.0 == *old) == (other.1 == *new))
        })
    }

    /// Remembers what meets in a pair, and says what of it is new.
    fn meet(&mut self, old: usize, new: usize) -> Vec<Met> {
        let choices = self.choices;
        let met = choices[old][new].iter().flatten();
        let mut fresh = Vec::new();
        for (table, (old, new)) in met {
            if let Entry::Vacant(free) = self.news.entry((*table, *old)) {
                free.insert(*new);
                self.olds.insert((*table, *new), *old);
                fresh.push((*table, (*old, *new)));
            }
        }
        fresh
    }
}
