//! Pairs elements in any order, in time `n log n`.

use super::{
    Walk, align,
    arrays::Element,
    consistent::{self, Choices},
    digest::Digest,
};
use crate::stack::Stack;
use std::{collections::HashMap, ops::Range};

/// The maximum size of a group of near elements for optimal matching.
const MAX_MATCHED: usize = 64;

/// Two runs of elements.
type Runs<'e> = (&'e [Element], &'e [Element]);

/// Positions in both runs.
type Group<'g> = (&'g [usize], &'g [usize]);

/// Positions sorted by hash, in groups of equal hashes. A group may be empty on one side.
#[derive(Debug)]
struct Groups {
    olds: Vec<usize>,
    news: Vec<usize>,
    ranges: Vec<(Range<usize>, Range<usize>)>,
}

/// The pairs and the leftover elements, as positions in the matched lists.
#[derive(Debug, Default)]
pub(super) struct Matching {
    /// In order of old.
    pub pairs: Vec<(usize, usize)>,
    pub olds: Vec<usize>,
    pub news: Vec<usize>,
}

// === impl Walk ===

impl Walk<'_, '_> {
    /// Pairs elements that are equal under the rules.
    pub(super) fn matching(
        &mut self,
        runs: Runs<'_>,
        digests: &(Vec<Digest>, Vec<Digest>),
    ) -> Matching {
        let mut matching = Matching::default();
        for (olds, news) in Groups::new(digests, |digest| digest.hash).iter() {
            let is_near = olds.first().is_some_and(|at| digests.0[*at].near)
                || news.first().is_some_and(|at| digests.1[*at].near);
            if is_near && !olds.is_empty() && !news.is_empty() {
                self.match_near(runs, (olds, news), digests, &mut matching);
            } else {
                matching.add(olds, news, digests);
            }
        }
        if !matching.olds.is_empty() && !matching.news.is_empty() {
            matching.pair_bare(digests);
        }
        matching.sort();
        matching
    }

    /// Pairs elements by their value under one name. If several on one side have the same value, equal elements are
    /// paired first, and then the last one left on both sides. All others are ambiguous and stay unpaired.
    pub(super) fn by_key(
        &mut self,
        (olds, news): Runs<'_>,
        keys: &(Vec<Digest>, Vec<Digest>),
    ) -> Matching {
        let mut matching = Matching::default();
        for (group, alike) in Groups::new(keys, |digest| digest.hash).iter() {
            if let ([old], [new]) = (group, alike) {
                matching.pairs.push((*old, *new));
                continue;
            }
            let run = |run: &[Element], at: &[usize]| at.iter().map(|at| run[*at]).collect();
            let (left, right): (Vec<_>, Vec<_>) = (run(olds, group), run(news, alike));
            let digests = self.digests(&left, &right);
            let within = self.matching((&left, &right), &digests);
            let pair = |(old, new): (usize, usize)| (group[old], alike[new]);
            matching.pairs.extend(within.pairs.into_iter().map(pair));
            match (&within.olds[..], &within.news[..]) {
                ([old], [new]) => matching.pairs.push(pair((*old, *new))),
                (left, right) => {
                    matching.olds.extend(left.iter().map(|old| group[*old]));
                    matching.news.extend(right.iter().map(|new| alike[*new]));
                }
            }
        }
        matching.sort();
        matching
    }

    /// Digests of the keys by which elements are paired. An element whose key is missing or counts as absent uses the
    /// digest of the whole element.
    pub(super) fn keys(
        &mut self,
        (olds, news): Runs<'_>,
        name: &str,
    ) -> (Vec<Digest>, Vec<Digest>) {
        let mut of = |side, elements: &[Element]| -> Vec<Digest> {
            let elements = elements.iter();
            elements
                .map(|element| match self.key_digest(side, *element, name) {
                    Some(digest) if !digest.is_absent() => digest,
                    _ => self.element_digest(side, *element),
                })
                .collect()
        };
        (of(Stack::Old, olds), of(Stack::New, news))
    }

    /// Pairs as many near elements as possible, by augmenting paths.
    fn match_near(
        &mut self,
        (olds, news): Runs<'_>,
        (group, alike): Group<'_>,
        digests: &(Vec<Digest>, Vec<Digest>),
        matching: &mut Matching,
    ) {
        // The cost of the search: every new element is compared with every old one, down to the leaves.
        let document = self.pair.old;
        let sizes = group
            .iter()
            .map(|old| document.next(olds[*old].id) - olds[*old].id);
        let cost = sizes.map(|size| size as usize).sum::<usize>() * alike.len();
        let is_single = group.len() == 1 && alike.len() == 1;
        if is_single {
            return matching.add(group, alike, digests);
        }
        if group.len().max(alike.len()) > MAX_MATCHED || cost > self.patience {
            return self.match_ranked((olds, news), (group, alike), digests, matching);
        }
        self.patience -= cost;
        let mut met = |old: &usize| {
            let alike = alike.iter();
            alike.map(|new| self.met(olds[*old], news[*new])).collect()
        };
        let choices: Choices = group.iter().map(&mut met).collect();
        let equal: Vec<Vec<bool>> = choices
            .iter()
            .map(|news| news.iter().map(Option::is_some).collect())
            .collect();
        // If elements differ only in ids, those with equal ids most likely belong together.
        let mut same = Matching {
            olds: (0..group.len()).collect(),
            news: (0..alike.len()).collect(),
            ..Matching::default()
        };
        let of = |at: &[usize], digests: &[Digest]| at.iter().map(|at| digests[*at]).collect();
        same.pair_bare(&(of(group, &digests.0), of(alike, &digests.1)));
        same.pairs.retain(|(old, new)| equal[*old][*new]);
        let consistent = if self.meets() && group.len() == alike.len() {
            consistent::pair_all(&choices, &same.pairs, &mut self.patience)
        } else {
            None
        };
        let taken = consistent.unwrap_or_else(|| align::assign(&equal, alike.len(), &same.pairs));
        let mut free: Vec<usize> = group.to_vec();
        for (new, old) in alike.iter().zip(taken) {
            match old {
                Some(old) => {
                    matching.pairs.push((group[old], *new));
                    free.retain(|left| *left != group[old]);
                }
                None => matching.news.push(*new),
            }
        }
        matching.olds.extend(free);
    }

    /// Pairs elements of a large group, each with one of close rank. Exact if they differ only in rank.
    fn match_ranked(
        &mut self,
        (olds, news): Runs<'_>,
        (group, alike): Group<'_>,
        digests: &(Vec<Digest>, Vec<Digest>),
        matching: &mut Matching,
    ) {
        let order = |one: &Digest, other: &Digest| {
            let ranks = one.rank.total_cmp(&other.rank);
            ranks.then(one.bare.cmp(&other.bare))
        };
        let ranked = |at: &[usize], digests: &[Digest]| {
            let mut ranked = at.to_vec();
            ranked.sort_by(|one, other| order(&digests[*one], &digests[*other]));
            ranked
        };
        let (left, right) = (ranked(group, &digests.0), ranked(alike, &digests.1));
        let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
        let mut rest = (Vec::new(), Vec::new());
        while let (Some(old), Some(new)) = (left.peek().copied(), right.peek().copied()) {
            let is_alike = self.is_alike(olds[old], news[new]);
            let order = order(&digests.0[old], &digests.1[new]);
            if is_alike {
                matching.pairs.push((old, new));
            }
            // An element that differs from the least of the others differs from all of them.
            if is_alike || order.is_le() {
                rest.0.extend(left.next().filter(|_| !is_alike));
            }
            if is_alike || order.is_gt() {
                rest.1.extend(right.next().filter(|_| !is_alike));
            }
        }
        rest.0.extend(left);
        rest.1.extend(right);
        matching.add(&rest.0, &rest.1, digests);
    }
}

// === impl Matching ===

impl Matching {
    /// Pairs two groups with equal hashes: first those equal without rules, the rest in order.
    fn add(&mut self, olds: &[usize], news: &[usize], digests: &(Vec<Digest>, Vec<Digest>)) {
        if let ([old], [new]) = (olds, news) {
            return self.pairs.push((*old, *new));
        }
        if olds.is_empty() || news.is_empty() {
            self.olds.extend_from_slice(olds);
            return self.news.extend_from_slice(news);
        }
        let mut within = Self {
            pairs: Vec::new(),
            olds: olds.to_vec(),
            news: news.to_vec(),
        };
        within.pair_bare(digests);
        within.sort();
        let paired = within.olds.len().min(within.news.len());
        let rest = within.olds.drain(..paired).zip(within.news.drain(..paired));
        self.pairs.extend(rest.chain(within.pairs));
        self.olds.extend(within.olds);
        self.news.extend(within.news);
    }

    /// Pairs the leftover elements that are equal without rules.
    fn pair_bare(&mut self, digests: &(Vec<Digest>, Vec<Digest>)) {
        let mut left: HashMap<u64, Vec<usize>> = HashMap::new();
        for new in self.news.iter().rev() {
            left.entry(digests.1[*new].bare).or_default().push(*new);
        }
        let mut pairs = Vec::new();
        self.olds.retain(|old| {
            let alike = left.get_mut(&digests.0[*old].bare);
            let new = alike.and_then(Vec::pop);
            pairs.extend(new.map(|new| (*old, new)));
            new.is_none()
        });
        self.news = left.into_values().flatten().collect();
        self.pairs.extend(pairs);
    }

    fn sort(&mut self) {
        self.pairs.sort_unstable();
        self.olds.sort_unstable();
        self.news.sort_unstable();
    }
}

// === impl Groups ===

impl Groups {
    fn new((olds, news): &(Vec<Digest>, Vec<Digest>), hash: impl Fn(&Digest) -> u64) -> Self {
        let sorted = |digests: &[Digest]| {
            let mut order: Vec<usize> = (0..digests.len()).collect();
            order.sort_by_key(|at| hash(&digests[*at]));
            order
        };
        let mut groups = Self {
            olds: sorted(olds),
            news: sorted(news),
            ranges: Vec::new(),
        };
        let (mut old, mut new) = (0, 0);
        while old < groups.olds.len() || new < groups.news.len() {
            let left = groups.olds[old..].iter().map(|at| hash(&olds[*at]));
            let right = groups.news[new..].iter().map(|at| hash(&news[*at]));
            let next = left.clone().take(1).chain(right.clone().take(1)).min();
            let old_end = old + left.take_while(|hash| Some(*hash) == next).count();
            let new_end = new + right.take_while(|hash| Some(*hash) == next).count();
            groups.ranges.push((old..old_end, new..new_end));
            (old, new) = (old_end, new_end);
        }
        groups
    }

    fn iter(&self) -> impl Iterator<Item = Group<'_>> {
        let ranges = self.ranges.iter().cloned();
        ranges.map(|(olds, news)| (&self.olds[olds], &self.news[news]))
    }
}
