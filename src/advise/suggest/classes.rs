//! Chooses the rule for one class, or for the classes of one place on all routes: the narrowest that explains most.

use super::{
    Candidate, Example, ExampleDifference, FEWEST, Hint, builtin::Builtins, evidence::Evidence,
    found::Basis, headers, probes::Probes, values,
};
use crate::value::Kind;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

/// A class, with what is stored of it, or several classes that differ in their route only.
#[derive(Debug)]
pub(super) struct Class<'e> {
    pub id: &'e str,
    pub route: &'e str,
    pub at: &'e str,
    pub kind: Kind,
    /// The differences of each example that has the class.
    pub members: Vec<Member>,
}

/// The index of an example, and the indices of its differences in the class.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub example: usize,
    pub differences: Vec<usize>,
}

/// A narrow rule is preferred if it explains at least this share of what the best rule explains, in percent.
const NARROW: usize = 90;

/// All classes, sorted by id. What the built-in files explain is left out.
pub(super) fn of<'e>(examples: &'e [Example<'e>], chosen: Builtins) -> Vec<Class<'e>> {
    let mut classes: BTreeMap<&str, Class<'e>> = BTreeMap::new();
    for (number, example) in examples.iter().enumerate() {
        let differences = example.differences.iter().enumerate();
        for (index, seen) in differences.filter(|(_, seen)| !chosen.has(seen.hints.builtins)) {
            let class = classes.entry(seen.class).or_insert_with(|| Class {
                id: seen.class,
                route: example.route,
                at: seen.class_place,
                kind: seen.kind,
                members: Vec::new(),
            });
            match class.members.last_mut() {
                Some(member) if member.example == number => member.differences.push(index),
                _ => class.members.push(Member {
                    example: number,
                    differences: vec![index],
                }),
            }
        }
    }
    classes.into_values().collect()
}

/// The classes that differ in their route only, together.
pub(super) fn over_routes<'e>(classes: Vec<Class<'e>>) -> Vec<Vec<Class<'e>>> {
    let mut groups: BTreeMap<(&str, Kind), Vec<Class<'e>>> = BTreeMap::new();
    for class in classes {
        groups
            .entry((class.at, class.kind))
            .or_default()
            .push(class);
    }
    groups.into_values().collect()
}

// === impl Class ===

impl<'e> Class<'e> {
    /// Several classes, none of them empty, as one.
    pub(super) fn all(classes: &[Self]) -> Self {
        let first = &classes[0];
        let members = classes
            .iter()
            .flat_map(|class| class.members.iter().cloned());
        Self {
            members: members.collect(),
            ..*first
        }
    }

    /// The rule to suggest, if there is one. At equal counts, a rule that covers more than this place wins.
    pub(super) fn candidate(&self, examples: &[Example<'e>]) -> Option<Candidate> {
        let wide = self.wide(examples);
        let narrow = self.probe(examples);
        let by_values = || values::candidate(self, examples);
        let found = match (wide, narrow) {
            (Some((wide, count)), Some((_, other))) if count >= other => Some(wide),
            // Where ids were renumbered, a rule that knows which is which excuses less.
            (wide, Some((narrow, _))) if narrow.needs_evidence() => by_values()
                .or_else(|| self.is_generated(examples).then_some(narrow))
                .or(wide.map(|(wide, _)| wide)),
            (_, Some((narrow, _))) => Some(narrow),
            (Some((wide, _)), None) => Some(wide),
            (None, None) => by_values(),
        };
        let found = found.filter(Candidate::is_valid);
        found.or_else(|| headers::candidate(self, examples))
    }

    /// Whether enough examples show that old generates new values for each answer.
    pub(super) fn is_generated(&self, examples: &[Example<'e>]) -> bool {
        Evidence::of(self, examples).is_some_and(|evidence| evidence.count() >= FEWEST)
    }

    /// Whether a rule that was found for more than this class explains enough of it.
    pub(super) fn is_explained(
        &self,
        by: &Candidate,
        basis: &Basis,
        examples: &[Example<'e>],
    ) -> bool {
        if by.needs_evidence() && Evidence::of(self, examples).is_none() {
            return false;
        }
        if matches!(basis, Basis::Classes) {
            return true;
        }
        let tried = self.tried(examples);
        let explained = tried.filter(|seen| {
            let mut seen = seen.clone();
            seen.all(|seen| basis.explains(by, seen))
        });
        let count = explained.count();
        count > 0 && count * 2 >= self.tried(examples).count()
    }

    /// The differences of the class.
    pub(super) fn seen<'x>(
        &'x self,
        examples: &'x [Example<'e>],
    ) -> impl Iterator<Item = &'x ExampleDifference<'e>> {
        self.members.iter().flat_map(move |member| {
            let all = &examples[member.example].differences;
            member.differences.iter().map(move |index| &all[*index])
        })
    }

    /// The differences of the class on which rules were tried, grouped by example.
    pub(super) fn tried<'x>(
        &'x self,
        examples: &'x [Example<'e>],
    ) -> impl Iterator<Item = impl Iterator<Item = &'x ExampleDifference<'e>> + Clone> {
        let seen = self.members.iter().map(move |member| {
            let all = &examples[member.example].differences;
            let seen = member.differences.iter().map(move |index| &all[*index]);
            seen.filter(|seen| seen.hints.say_something())
        });
        seen.filter(|seen| seen.clone().next().is_some())
    }

    /// Whether enough differences were tried to conclude that nothing explains the class.
    pub(super) fn is_tried(&self, examples: &[Example<'e>]) -> bool {
        self.tried(examples).count() >= FEWEST.min(self.members.len())
    }

    /// Whether this many examples are enough for a suggestion.
    pub(super) fn is_enough(&self, count: usize, examples: &[Example<'e>]) -> bool {
        count >= FEWEST && count * 2 >= self.tried(examples).count()
    }

    /// The narrowest probe that explains almost as many examples as the best one.
    fn probe(&self, examples: &[Example<'e>]) -> Option<(Candidate, usize)> {
        let actions = Probes::actions();
        let (mut counts, mut proofs) = (vec![0; actions.len()], vec![0; actions.len()]);
        let mut tried = 0;
        for seen in self.tried(examples) {
            tried += 1;
            let is_proof = seen.clone().any(|seen| seen.hints.weight.is_proof());
            for probe in 0..actions.len() {
                if seen.clone().all(|seen| seen.hints.probes.has(probe)) {
                    counts[probe] += 1;
                    proofs[probe] += usize::from(is_proof);
                }
            }
        }
        let most = counts.iter().copied().max()?;
        // Of cut numbers, every second one looks rounded.
        let is_proven = |probe: usize| {
            !Probes::needs_proof(probe)
                || proofs[probe] >= FEWEST && counts[probe] * 100 >= tried * NARROW
        };
        let probes = (0..actions.len()).filter(|probe| {
            counts[*probe] * 100 >= most * NARROW
                && self.is_enough(counts[*probe], examples)
                && is_proven(*probe)
        });
        let mut candidates = probes.map(|probe| {
            let candidate = Candidate {
                probe: Some(probe),
                ..Candidate::new(self.at, &actions[probe])
            };
            (candidate, counts[probe])
        });
        candidates.find(|(candidate, _)| candidate.is_valid())
    }

    /// The rule elsewhere that explains the most examples.
    fn wide(&self, examples: &[Example<'e>]) -> Option<(Candidate, usize)> {
        let mut counts: HashMap<&Hint, [usize; 2]> = HashMap::new();
        for mut seen in self.tried(examples) {
            let is_proof = seen.clone().any(|seen| seen.hints.weight.is_proof());
            let Some(first) = seen.next() else { continue };
            for hint in &first.hints.rules {
                if seen.clone().all(|other| other.hints.rules.contains(hint)) {
                    let [count, proofs] = counts.entry(hint).or_default();
                    *count += 1;
                    *proofs += usize::from(is_proof);
                }
            }
        }
        let counts = counts.into_iter().filter(|(hint, [count, proofs])| {
            self.is_enough(*count, examples) && (*proofs >= FEWEST || !hint.needs_proof())
        });
        let best = counts.max_by_key(|(hint, [count, _])| (*count, Reverse(&hint.action)));
        let (hint, [count, _]) = best?;
        let candidate = Candidate {
            rule: hint.clone(),
            probe: None,
        };
        Some((candidate, count))
    }
}
