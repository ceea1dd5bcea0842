//! Compares arrays: elements are paired by alignment or, if a rule says so, in any order.

use super::{Likeness, Mode, Walk, active::Extent, align, consistent::IdPair, digest::Digest};
use crate::{
    rules::{Action, Members},
    stack::Stack,
    value::{
        difference::Kind,
        json::{Document, Id},
    },
};
use std::{borrow::Cow, cell::RefCell};

/// An element of an array.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element {
    pub index: usize,
    pub id: Id,
}

// === impl Element ===

impl Element {
    fn all(document: &Document<'_>, array: Id) -> Vec<Self> {
        let elements = document.elements(array).enumerate();
        elements.map(|(index, id)| Self { index, id }).collect()
    }
}

// === impl Walk ===

impl<'c> Walk<'_, 'c> {
    /// Compares two arrays.
    pub(super) fn arrays(&mut self, old: Id, new: Id) {
        let members = self.unordered();
        if self.is_probing() && members.is_none() {
            return self.in_step(old, new);
        }
        let (olds, news) = (
            Element::all(self.pair.old, old),
            Element::all(self.pair.new, new),
        );
        // Only one pairing is possible.
        if let ([old], [new], None | Some(Members::AsSet)) = (&olds[..], &news[..], members) {
            return self.elements(*old, *new);
        }
        // Elements of a set are digested anyway: probing them as well, at each level, would take too long.
        let pairs = olds.iter().zip(&news);
        let prefix = match members {
            // Equal ids on both sides need not belong together.
            Some(_) if !self.is_probing() && self.meets() => 0,
            Some(_) => self.spelled_alike(pairs),
            // In arrays of equal length, the last elements are always paired, however different they are.
            None => self.alike(pairs.take(olds.len().max(news.len()).saturating_sub(1))),
        };
        if prefix == olds.len().max(news.len()) {
            return;
        }
        match members {
            Some(members) => self.set(old, new, (&olds[prefix..], &news[prefix..]), members),
            None => self.list(old, new, (&olds[prefix..], &news[prefix..])),
        }
    }

    /// How a rule makes the arrays at this place unordered.
    fn unordered(&mut self) -> Option<&'c Members> {
        let rules = self.findings.rules.rules();
        let mut here: Vec<usize> = self.active.rules().to_vec();
        here.sort_unstable();
        here.into_iter().find_map(|rule| match &rules[rule].action {
            Action::Unordered(members) => Some(members),
            _ => None,
        })
    }

    /// The number of leading pairs with the same spelling.
    fn spelled_alike<'e>(
        &mut self,
        pairs: impl Iterator<Item = (&'e Element, &'e Element)>,
    ) -> usize {
        let mut count = 0;
        for (old, new) in pairs {
            if !self.is_spelled_alike(old.id, new.id) {
                break;
            }
            self.elements(*old, *new);
            count += 1;
        }
        count
    }

    /// Compares elements at the same index, without alignment.
    fn in_step(&mut self, old: Id, new: Id) {
        let (olds, news) = (self.pair.old, self.pair.new);
        let (mut at, end) = olds.inside(old);
        let (mut ahead, new_end) = news.inside(new);
        let mut index = 0;
        while !self.is_done() && (at < end || ahead < new_end) {
            let (old, new) = (Element { index, id: at }, Element { index, id: ahead });
            match (at < end, ahead < new_end) {
                (true, true) => self.elements(old, new),
                (true, false) => self.lone_element(Stack::Old, old),
                _ => self.lone_element(Stack::New, new),
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

    /// How similar two elements are, without aligning arrays in them.
    fn probe(&mut self, old: Element, new: Element) -> Likeness {
        let before = std::mem::replace(&mut self.mode, Mode::Probing(Likeness::Equal));
        self.elements(old, new);
        match std::mem::replace(&mut self.mode, before) {
            Mode::Probing(likeness) => likeness,
            Mode::Reporting => Likeness::Unlike,
        }
    }

    /// The ids that two elements would pair; `None` if they differ.
    pub(super) fn met(&mut self, old: Element, new: Element) -> Option<Vec<IdPair>> {
        let before = self.met.replace(Vec::new());
        let is_alike = self.is_alike(old, new);
        let met = std::mem::replace(&mut self.met, before);
        met.filter(|_| is_alike)
    }

    pub(super) fn is_alike(&mut self, old: Element, new: Element) -> bool {
        self.probe(old, new) != Likeness::Unlike
    }

    /// The number of leading pairs that are equal under the rules. Counts what the rules masked in them.
    fn alike<'e>(&mut self, pairs: impl Iterator<Item = (&'e Element, &'e Element)>) -> usize {
        let mut count = 0;
        for (old, new) in pairs {
            match self.probe(*old, *new) {
                Likeness::Equal if !self.meets() => {}
                Likeness::Equal | Likeness::EqualByRules => self.elements(*old, *new),
                Likeness::Unlike => break,
            }
            count += 1;
        }
        count
    }

    /// Compares arrays whose order counts.
    fn list(&mut self, old: Id, new: Id, (olds, news): (&[Element], &[Element])) {
        if let ([old], [new]) = (olds, news) {
            return self.elements(*old, *new);
        }
        let suffix = self.alike(olds.iter().rev().zip(news.iter().rev()));
        let olds = &olds[..olds.len() - suffix];
        let news = &news[..news.len() - suffix];
        match (olds.len(), news.len()) {
            (0, _) | (_, 0) | (1, 1) => self.replaced(olds, news),
            _ => self.aligned(old, new, (olds, news)),
        }
    }

    fn aligned(&mut self, old: Id, new: Id, (olds, news): (&[Element], &[Element])) {
        let mut digests = self.digests(olds, news);
        let (mut olds, mut news) = (Cow::Borrowed(olds), Cow::Borrowed(news));
        if self.active.extent() == Extent::Below {
            let (old_held, old_rest) = holding(&olds, &digests.0);
            let (new_held, new_rest) = holding(&news, &digests.1);
            self.replaced(&old_rest, &new_rest);
            (olds, news) = (old_held.into(), new_held.into());
            digests = self.digests(&olds, &news);
        }
        let (olds, news) = (&*olds, &*news);
        if olds.len() == news.len() {
            let matching = self.matching((olds, news), &digests);
            let is_in_order = matching.pairs.is_sorted_by_key(|(_, new)| *new);
            if matching.olds.is_empty() && !is_in_order {
                self.differ(Kind::Order, Some(old), Some(new));
                return self.report_masked((olds, news), &matching.pairs);
            }
        }
        let deadline = self.pair.deadline;
        let walk = RefCell::new(&mut *self);
        let near = |old: usize, new: usize| walk.borrow_mut().is_alike(olds[old], news[new]);
        // Equal digests do not prove equality, so pairs are compared in any run.
        for run in align::align(&digests.0, &digests.1, &near, deadline) {
            self.replaced(&olds[run.olds], &news[run.news]);
        }
    }

    /// Counts what the rules masked in pairs that are equal under them.
    fn report_masked(&mut self, (olds, news): (&[Element], &[Element]), pairs: &[(usize, usize)]) {
        if self.is_ruled() {
            for (old, new) in pairs {
                self.elements(olds[*old], news[*new]);
            }
        }
    }

    /// Compares a run of elements with the run that replaces it, one by one; the rest is missing or extra.
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

    /// Compares arrays whose order does not count.
    pub(super) fn set(
        &mut self,
        old: Id,
        new: Id,
        (olds, news): (&[Element], &[Element]),
        members: &'c Members,
    ) {
        let digests = match members {
            Members::AsSet => self.digests(olds, news),
            Members::ByKey(name) => self.keys((olds, news), name),
        };
        if self.is_waiting(&digests) {
            return self.postpone((old, new), (olds, news), members);
        }
        let mut matching = match members {
            Members::AsSet => self.matching((olds, news), &digests),
            Members::ByKey(_) => self.by_key((olds, news), &digests),
        };
        // Equal ids need not belong together.
        if *members == Members::AsSet && !self.meets() {
            matching.keep_order(&digests);
        }
        if !matching.pairs.is_sorted_by_key(|(_, new)| *new) {
            self.differ(Kind::Order, Some(old), Some(new));
        }
        if *members == Members::AsSet {
            // Unpaired elements of both sides are compared with each other.
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

    pub(super) fn digests(
        &mut self,
        olds: &[Element],
        news: &[Element],
    ) -> (Vec<Digest>, Vec<Digest>) {
        let mut of = |side, elements: &[Element]| {
            let elements = elements.iter();
            elements
                .map(|element| self.element_digest(side, *element))
                .collect()
        };
        (of(Stack::Old, olds), of(Stack::New, news))
    }
}

/// The elements that hold something selected, and the rest: its order does not count.
fn holding(elements: &[Element], digests: &[Digest]) -> (Vec<Element>, Vec<Element>) {
    let digested = elements.iter().zip(digests);
    let (holding, rest): (Vec<_>, Vec<_>) =
        digested.partition(|(_, digest)| **digest != Digest::NOTHING);
    let elements = |of: Vec<(&Element, _)>| of.into_iter().map(|(element, _)| *element).collect();
    (elements(holding), elements(rest))
}
