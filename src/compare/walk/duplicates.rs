//! Decides which of several equal elements is the surplus one.
//!
//! Any of them may be. The one reported is the one without which the others are in the same order on both sides, if
//! there is one. Otherwise a set that only lost a member would also seem to be reordered.

use super::{digest::Digest, matching::Matching};
use crate::compare::align::runs;
use std::collections::HashMap;

/// What makes elements interchangeable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Sort {
    /// They are equal without rules.
    Bare(u64),
    /// Nothing does: the element belongs to the pair with this number.
    Pair(usize),
}

/// The elements of one side in order, each with its position.
type Elements = Vec<(usize, Sort)>;

/// The maximum number of elements of both sides for alignment in quadratic time. For more, a linear search may not find
/// an order.
const FEW: usize = 1_000;

// === impl Matching ===

impl Matching {
    /// Chooses among equal elements so that the pairs are in order on both sides, if possible.
    pub(super) fn keep_order(&mut self, digests: &(Vec<Digest>, Vec<Digest>)) {
        let is_in_order = self.pairs.is_sorted_by_key(|(_, new)| *new);
        if is_in_order || self.olds.is_empty() && self.news.is_empty() {
            return;
        }
        let (olds, news) = self.elements(digests);
        let found = if olds.len() + news.len() <= FEW {
            Some(aligned(&olds, &news))
        } else {
            stepped(&olds, &news)
        };
        if let Some(found) = found.filter(|found| found.pairs.len() == self.pairs.len()) {
            *self = found;
        }
    }

    fn elements(&self, digests: &(Vec<Digest>, Vec<Digest>)) -> (Elements, Elements) {
        let bare = |digest: &Digest| Sort::Bare(digest.bare);
        let lone = |positions: &[usize], digests: &[Digest]| -> Elements {
            let positions = positions.iter();
            positions.map(|at| (*at, bare(&digests[*at]))).collect()
        };
        let mut olds = lone(&self.olds, &digests.0);
        let mut news = lone(&self.news, &digests.1);
        for (number, (old, new)) in self.pairs.iter().enumerate() {
            let sort = match bare(&digests.0[*old]) {
                sort if sort == bare(&digests.1[*new]) => sort,
                _ => Sort::Pair(number),
            };
            olds.push((*old, sort));
            news.push((*new, sort));
        }
        olds.sort_unstable_by_key(|(at, _)| *at);
        news.sort_unstable_by_key(|(at, _)| *at);
        (olds, news)
    }
}

/// The longest run that is in the same order on both sides.
fn aligned(olds: &Elements, news: &Elements) -> Matching {
    let sorts = |elements: &Elements| elements.iter().map(|(_, sort)| *sort).collect::<Vec<_>>();
    let positions =
        |elements: &[(usize, Sort)]| elements.iter().map(|(at, _)| *at).collect::<Vec<_>>();
    let mut found = Matching::default();
    for run in runs(&sorts(olds), &sorts(news), None) {
        let olds = positions(&olds[run.olds]);
        let news = positions(&news[run.news]);
        if run.is_equal {
            found.pairs.extend(olds.into_iter().zip(news));
        } else {
            found.olds.extend(olds);
            found.news.extend(news);
        }
    }
    found
}

/// Visits both sides at once, and leaves out surplus elements. Exact if only one side has a surplus; `None` if the
/// choice is ambiguous.
fn stepped(olds: &Elements, news: &Elements) -> Option<Matching> {
    let mut surplus: HashMap<Sort, isize> = HashMap::new();
    for (_, sort) in olds {
        *surplus.entry(*sort).or_default() += 1;
    }
    for (_, sort) in news {
        *surplus.entry(*sort).or_default() -= 1;
    }
    let mut found = Matching::default();
    let (mut olds, mut news) = (olds.iter().peekable(), news.iter().peekable());
    loop {
        let (old, new) = match (olds.peek(), news.peek()) {
            (None, None) => return Some(found),
            (old, new) => (old.copied(), new.copied()),
        };
        // Pairing the first of several equal elements is never worse than pairing a later one.
        if let (Some((old, sort)), Some((new, other))) = (old, new)
            && sort == other
        {
            found.pairs.push((*old, *new));
            olds.next();
            news.next();
            continue;
        }
        let old = old.filter(|(_, sort)| surplus[sort] > 0);
        let new = new.filter(|(_, sort)| surplus[sort] < 0);
        if let Some((at, sort)) = old {
            surplus.entry(*sort).and_modify(|count| *count -= 1);
            found.olds.push(*at);
            olds.next();
        } else {
            let (at, sort) = new?;
            surplus.entry(*sort).and_modify(|count| *count += 1);
            found.news.push(*at);
            news.next();
        }
    }
}
