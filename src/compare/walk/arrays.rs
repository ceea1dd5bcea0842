//! Arrays: elements find each other by alignment, or, where a rule says so, whatever their order.

use super::{Likeness, Mode, Walk, align, digest::Digest};
use crate::{
    compare::{difference::Kind, json::Id},
    rules::{Action, Members},
    stack::Stack,
};
use similar::DiffOp;
use std::cell::RefCell;

/// Groups of elements that may be near each other are matched as well as possible up to this size.
const MAX_MATCHED: usize = 64;

/// An element and its index.
pub(super) type Element = (usize, Id);

/// Which elements belong together, and which are left over. Positions in the lists that were matched.
#[derive(Debug, Default)]
struct Matching {
    /// In order of old.
    pairs: Vec<(usize, usize)>,
    olds: Vec<usize>,
    news: Vec<usize>,
}

// === impl Walk ===

impl<'c> Walk<'_, 'c> {
    /// Compares two arrays.
    pub(super) fn arrays(&mut self, old: Id, new: Id) {
        let members = self.unordered();
        if self.is_probing() && members.is_none() {
            return self.in_step(old, new);
        }
        let olds: Vec<Element> = self.pair.old.elements(old).enumerate().collect();
        let news: Vec<Element> = self.pair.new.elements(new).enumerate().collect();
        // Nothing to search for.
        if let ([old], [new], None | Some(Members::AsSet)) = (&olds[..], &news[..], members) {
            return self.elements(*old, *new);
        }
        // Elements of a set are digested anyway: to probe them as well, at each level, would take too long.
        let pairs = olds.iter().zip(&news);
        let prefix = match members {
            Some(_) => pairs
                .take_while(|(old, new)| self.is_spelled_alike(old.1, new.1))
                .count(),
            None => self.alike(pairs),
        };
        if prefix == olds.len() && prefix == news.len() {
            return;
        }
        match members {
            Some(members) => self.set(old, new, (&olds[prefix..], &news[prefix..]), members),
            None => self.list(old, new, (&olds[prefix..], &news[prefix..])),
        }
    }

    /// The way in which a rule says that the arrays of this place are unordered.
    fn unordered(&mut self) -> Option<&'c Members> {
        let rules = self.findings.rules.rules();
        let mut here: Vec<usize> = self.rules[self.scope.rules.clone()].to_vec();
        here.sort_unstable();
        here.into_iter().find_map(|rule| match &rules[rule].action {
            Action::Unordered(members) => Some(members),
            _ => None,
        })
    }

    /// Compares elements at the same index, without alignment.
    fn in_step(&mut self, old: Id, new: Id) {
        let (olds, news) = (self.pair.old, self.pair.new);
        let (mut at, end) = olds.inside(old);
        let (mut ahead, new_end) = news.inside(new);
        let mut index = 0;
        while !self.is_done() && (at < end || ahead < new_end) {
            match (at < end, ahead < new_end) {
                (true, true) => self.elements((index, at), (index, ahead)),
                (true, false) => self.lone_element(Stack::Old, (index, at)),
                _ => self.lone_element(Stack::New, (index, ahead)),
            }
            if at < end {
                at = olds.next(at);
            }
            if ahead < new_end {
                ahead = news.next(ahead);
            }
            index += 1;
        }
    }

    /// How alike two elements are, as far as can be told without aligning arrays in them.
    fn probe(&mut self, old: Element, new: Element) -> Likeness {
        let before = std::mem::replace(&mut self.mode, Mode::Probing(Likeness::Equal));
        self.elements(old, new);
        match std::mem::replace(&mut self.mode, before) {
            Mode::Probing(likeness) => likeness,
            Mode::Telling => Likeness::Unlike,
        }
    }

    fn is_alike(&mut self, old: Element, new: Element) -> bool {
        self.probe(old, new) != Likeness::Unlike
    }

    /// How many pairs are equal under the rules before the first that is not. What the rules masked in them is
    /// counted.
    fn alike<'e>(&mut self, pairs: impl Iterator<Item = (&'e Element, &'e Element)>) -> usize {
        let mut count = 0;
        for (old, new) in pairs {
            match self.probe(*old, *new) {
                Likeness::Equal => {}
                Likeness::EqualByRules => self.elements(*old, *new),
                Likeness::Unlike => break,
            }
            count += 1;
        }
        count
    }

    /// Arrays whose order counts.
    fn list(&mut self, old: Id, new: Id, (olds, news): (&[Element], &[Element])) {
        let suffix = self.alike(olds.iter().rev().zip(news.iter().rev()));
        let olds = &olds[..olds.len() - suffix];
        let news = &news[..news.len() - suffix];
        match (olds.len(), news.len()) {
            (0, _) | (_, 0) | (1, 1) => self.replaced(olds, news),
            _ => self.aligned(old, new, (olds, news)),
        }
    }

    fn aligned(&mut self, old: Id, new: Id, (olds, news): (&[Element], &[Element])) {
        let digests = self.digests(olds, news);
        if olds.len() == news.len() {
            let matching = self.matching((olds, news), &digests);
            if matching.olds.is_empty() {
                self.differ(Kind::Order, Some(old), Some(new));
                return self.tell_masked((olds, news), &matching.pairs);
            }
        }
        let deadline = self.pair.deadline;
        let walk = RefCell::new(&mut *self);
        let near = |old: usize, new: usize| walk.borrow_mut().is_alike(olds[old], news[new]);
        let ops = align::align(&digests.0, &digests.1, &near, deadline);
        for op in ops {
            let (olds, news) = (&olds[op.old_range()], &news[op.new_range()]);
            match op {
                // Equal digests promise nothing: the pairs are compared.
                DiffOp::Equal { .. } => {
                    for (old, new) in olds.iter().zip(news) {
                        self.elements(*old, *new);
                    }
                }
                _ => self.replaced(olds, news),
            }
        }
    }

    /// Pairs that are equal under the rules: what the rules masked in them is counted.
    fn tell_masked(&mut self, (olds, news): (&[Element], &[Element]), pairs: &[(usize, usize)]) {
        if self.is_ruled() {
            for (old, new) in pairs {
                self.elements(olds[*old], news[*new]);
            }
        }
    }

    /// A run of elements in the place of another: compared one by one, the rest is missing or extra.
    fn replaced(&mut self, olds: &[Element], news: &[Element]) {
        let paired = olds.len().min(news.len());
        for (old, new) in olds.iter().zip(news) {
            self.elements(*old, *new);
        }
        for old in &olds[paired..] {
            self.lone_element(Stack::Old, *old);
        }
        for new in &news[paired..] {
            self.lone_element(Stack::New, *new);
        }
    }

    /// Arrays whose order does not count.
    fn set(&mut self, old: Id, new: Id, (olds, news): (&[Element], &[Element]), members: &Members) {
        let digests = match members {
            Members::AsSet => self.digests(olds, news),
            Members::ByKey(name) => self.keys(olds, news, name),
        };
        let mut matching = self.matching((olds, news), &digests);
        if !matching.pairs.is_sorted_by_key(|(_, new)| *new) {
            self.differ(Kind::Order, Some(old), Some(new));
        }
        if *members == Members::AsSet {
            // What found no equal is compared with what found none either.
            let paired = matching.olds.len().min(matching.news.len());
            let left = matching.olds.drain(..paired);
            matching
                .pairs
                .extend(left.zip(matching.news.drain(..paired)));
            matching.pairs.sort_unstable();
        }
        for (old, new) in matching.pairs {
            self.elements(olds[old], news[new]);
        }
        for old in matching.olds {
            self.lone_element(Stack::Old, olds[old]);
        }
        for new in matching.news {
            self.lone_element(Stack::New, news[new]);
        }
    }

    fn digests(&mut self, olds: &[Element], news: &[Element]) -> (Vec<Digest>, Vec<Digest>) {
        let mut of = |side, elements: &[Element]| -> Vec<Digest> {
            let elements = elements.iter();
            elements
                .map(|element| self.element_digest(side, *element))
                .collect()
        };
        (of(Stack::Old, olds), of(Stack::New, news))
    }

    /// Digests of the keys by which elements are paired; of the whole element where it has none.
    fn keys(
        &mut self,
        olds: &[Element],
        news: &[Element],
        name: &str,
    ) -> (Vec<Digest>, Vec<Digest>) {
        let mut of = |side, elements: &[Element]| -> Vec<Digest> {
            let elements = elements.iter();
            elements
                .map(|element| match self.key_digest(side, *element, name) {
                    Some(digest) => Digest {
                        near: false,
                        ..digest
                    },
                    None => self.element_digest(side, *element),
                })
                .collect()
        };
        (of(Stack::Old, olds), of(Stack::New, news))
    }

    /// Pairs elements of equal digests, in time `n log n`.
    fn matching(
        &mut self,
        (olds, news): (&[Element], &[Element]),
        digests: &(Vec<Digest>, Vec<Digest>),
    ) -> Matching {
        let sorted = |digests: &[Digest]| {
            let mut order: Vec<usize> = (0..digests.len()).collect();
            order.sort_by_key(|at| digests[*at].hash);
            order
        };
        let (old_order, new_order) = (sorted(&digests.0), sorted(&digests.1));
        let mut matching = Matching::default();
        let mut rest = &new_order[..];
        for group in old_order.chunk_by(|one, other| digests.0[*one].hash == digests.0[*other].hash)
        {
            let hash = digests.0[group[0]].hash;
            let before = rest.partition_point(|at| digests.1[*at].hash < hash);
            matching.news.extend_from_slice(&rest[..before]);
            rest = &rest[before..];
            let alike = rest.partition_point(|at| digests.1[*at].hash == hash);
            let (alike, behind) = rest.split_at(alike);
            rest = behind;
            if digests.0[group[0]].near && !alike.is_empty() {
                self.match_near((olds, news), (group, alike), &mut matching);
            } else {
                matching.add(group, alike);
            }
        }
        matching.news.extend_from_slice(rest);
        matching.pairs.sort_unstable();
        matching.olds.sort_unstable();
        matching.news.sort_unstable();
        matching
    }

    /// Pairs elements that may be near each other: as many as possible, by augmenting paths.
    fn match_near(
        &mut self,
        (olds, news): (&[Element], &[Element]),
        (group, alike): (&[usize], &[usize]),
        matching: &mut Matching,
    ) {
        // What the search costs: every new element is tried with every old one, each down to its leaves.
        let document = self.pair.old;
        let sizes = group
            .iter()
            .map(|old| document.next(olds[*old].1) - olds[*old].1);
        let cost = sizes.map(|size| size as usize).sum::<usize>() * alike.len();
        let is_single = group.len() == 1 && alike.len() == 1;
        if is_single || group.len().max(alike.len()) > MAX_MATCHED || cost > self.patience {
            return matching.add(group, alike);
        }
        self.patience -= cost;
        let equal: Vec<Vec<bool>> = group
            .iter()
            .map(|old| {
                let alike = alike.iter();
                alike
                    .map(|new| self.is_alike(olds[*old], news[*new]))
                    .collect()
            })
            .collect();
        let taken = align::assign(&equal, alike.len());
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
}

// === impl Matching ===

impl Matching {
    /// Pairs two groups in their order.
    fn add(&mut self, olds: &[usize], news: &[usize]) {
        let paired = olds.len().min(news.len());
        self.pairs
            .extend(olds.iter().copied().zip(news.iter().copied()));
        self.olds.extend_from_slice(&olds[paired..]);
        self.news.extend_from_slice(&news[paired..]);
    }
}
