//! Chooses the rule for one class: the narrowest that explains most of it.

use super::{Candidate, Example, ExampleDifference, FEWEST, Hint, probes::Probes, values};
use std::collections::{BTreeMap, HashMap};

/// A class, with what is stored of it.
#[derive(Debug)]
pub(super) struct Class<'e> {
    pub id: &'e str,
    pub route: &'e str,
    pub at: &'e str,
    /// The differences of each example that has the class.
    pub members: Vec<Member>,
}

/// The index of an example, and the indices of its differences in the class.
#[derive(Debug)]
pub(super) struct Member {
    pub example: usize,
    pub differences: Vec<usize>,
}

/// A narrow rule is preferred if it explains at least this share of what the best rule explains, in percent.
const NARROW: usize = 90;

/// All classes, sorted by id.
pub(super) fn of<'e>(examples: &'e [Example<'e>]) -> Vec<Class<'e>> {
    let mut classes: BTreeMap<&str, Class<'e>> = BTreeMap::new();
    for (number, example) in examples.iter().enumerate() {
        for (index, seen) in example.differences.iter().enumerate() {
            let class = classes.entry(seen.class).or_insert_with(|| Class {
                id: seen.class,
                route: example.route,
                at: seen.class_place,
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

// === impl Class ===

impl<'e> Class<'e> {
    /// The rule to suggest, if there is one. At equal counts, a rule that covers more than this place wins.
    pub(super) fn candidate(&self, examples: &[Example<'e>]) -> Option<Candidate> {
        let wide = self.wide(examples);
        let narrow = self.probe(examples);
        let by_values = || values::candidate(self, examples);
        let found = match (wide, narrow) {
            (Some((wide, count)), Some((_, other))) if count >= other => Some(wide),
            (_, Some((narrow, _))) => Some(narrow),
            (Some((wide, _)), None) => Some(wide),
            (None, None) => by_values(),
        };
        found.filter(Candidate::is_valid)
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
        let mut counts = vec![0; actions.len()];
        for seen in self.tried(examples) {
            for (probe, count) in counts.iter_mut().enumerate() {
                *count += usize::from(seen.clone().all(|seen| seen.hints.probes.has(probe)));
            }
        }
        let most = counts.iter().copied().max()?;
        let probes = (0..actions.len()).filter(|probe| {
            counts[*probe] * 100 >= most * NARROW && self.is_enough(counts[*probe], examples)
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
        let mut counts: HashMap<&Hint, usize> = HashMap::new();
        for mut seen in self.tried(examples) {
            let Some(first) = seen.next() else { continue };
            for hint in &first.hints.rules {
                if seen.clone().all(|other| other.hints.rules.contains(hint)) {
                    *counts.entry(hint).or_default() += 1;
                }
            }
        }
        let best = counts
            .into_iter()
            .max_by_key(|(hint, count)| (*count, std::cmp::Reverse(&hint.action)));
        let (hint, count) = best.filter(|(_, count)| self.is_enough(*count, examples))?;
        let candidate = Candidate {
            rule: hint.clone(),
            probe: None,
        };
        Some((candidate, count))
    }
}
