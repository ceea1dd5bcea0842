//! Finds the smallest rules that would explain stored mismatches.
//!
//! Stored mismatches are redacted, and a masked value cannot be compared. So [`Hints`] are collected during the check,
//! while the values are known: which of a closed list of actions makes the two values equal, according to the
//! comparison itself. Hints reveal nothing else about the values. They are enough to predict later how many mismatches
//! a rule would mask. Rules that contain values (`map`) can be suggested only where values are shown.
//!
//! Nothing here activates a rule, and `ignore` is never suggested.

mod arrays;
mod classes;
mod found;
mod hints;
mod probes;
#[cfg(test)]
mod tests;
mod trial;
mod values;

pub(crate) use hints::Hint;
pub use hints::{Hints, Prints};

use super::{Example, ExampleDifference};
use found::Found;
use serde_json::Value as Json;
use std::{cmp::Reverse, collections::HashMap};
use values::Translation;

/// The result of searching stored mismatches.
#[derive(Clone, Debug)]
pub(crate) struct Suggestions {
    /// Sorted by the number of masked mismatches, most first.
    pub suggestions: Vec<Suggestion>,
    /// The number of mismatches that all suggestions together would mask.
    pub together: usize,
    /// Ids of classes that no single rule would explain.
    pub unexplained: Vec<String>,
    /// Ids of classes with too few tried differences to know whether a rule explains them.
    pub not_tried: Vec<String>,
    /// The number of differences on which no rule was tried, because the budget was used up.
    pub differences_not_tried: usize,
    /// How many classes were searched, out of `classes`: fewer if time ran out.
    pub looked_at: usize,
    pub classes: usize,
}

/// A rule and its effect on the stored mismatches.
#[derive(Clone, Debug)]
pub(crate) struct Suggestion {
    /// An entry of a rule file, except for the reason, which only people know.
    pub rule: Json,
    /// Ids of the classes that it explains.
    pub classes: Vec<String>,
    /// The number of mismatches that it would mask: all their differences are gone.
    pub masks: usize,
    /// The number of mismatches with one of the classes, and how many of them the rule explains completely.
    pub of: usize,
    pub explains: usize,
    /// How many of them were not tried.
    pub not_tried: usize,
    /// Ids of up to three mismatches that it does not explain.
    pub not: Vec<String>,
}

/// A rule that may be suggested, before its effect is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub rule: Hint,
    /// The index of the probe, if it is one.
    pub probe: Option<usize>,
}

/// The placeholder for the reason, which only people know. No rule file that is in force may hold it.
pub(crate) const PROMPT: &str = "say why";

/// A suggested rule must explain at least this many mismatches of a class, and at least half of them.
const FEWEST: usize = 2;

/// Searches the mismatches class by class, as long as `may_go_on` returns true.
pub(crate) fn suggest(examples: &[Example<'_>], may_go_on: &dyn Fn() -> bool) -> Suggestions {
    let classes = classes::of(examples);
    let mut found: HashMap<(Candidate, Option<&str>), Found<'_>> = HashMap::new();
    let (mut unexplained, mut not_tried) = (Vec::new(), Vec::new());
    let mut looked_at = 0_usize;
    for class in &classes {
        if !may_go_on() {
            break;
        }
        looked_at += 1;
        let Some(candidate) = class.candidate(examples) else {
            if class.is_tried(examples) {
                unexplained.push(class.id.to_owned())
            } else {
                not_tried.push(class.id.to_owned())
            }
            continue;
        };
        let translation = Translation::of(&candidate);
        // What was tried with the values of one class does not hold for another.
        let alone = translation.as_ref().map(|_| class.id);
        let found = found.entry((candidate, alone)).or_insert_with_key(|key| {
            let candidate = key.0.clone();
            Found::new(candidate, translation)
        });
        found.add(class);
    }
    let mut found: Vec<_> = found.into_values().collect();
    let together = examples
        .iter()
        .take_while(|_| may_go_on())
        .filter(|example| {
            let explains = |seen: &ExampleDifference<'_>| {
                found.iter().any(|found| found.explains(example, seen))
            };
            example.is_whole() && example.differences.iter().all(explains)
        });
    let together = together.count();
    found.sort_by(|one, other| one.candidate.cmp(&other.candidate));
    let mut suggestions = Vec::new();
    for found in &found {
        if may_go_on() {
            suggestions.push(found.judged(examples))
        } else {
            looked_at = looked_at.saturating_sub(found.classes.len())
        }
    }
    // A stable sort: equal ones stay in the order of their places.
    suggestions.sort_by_key(|suggestion| Reverse((suggestion.masks, suggestion.explains)));
    Suggestions {
        together,
        suggestions: named(suggestions.into_iter()),
        unexplained,
        not_tried,
        differences_not_tried: not_tried_in(examples),
        looked_at,
        classes: classes.len(),
    }
}

fn not_tried_in(examples: &[Example<'_>]) -> usize {
    let all = examples.iter().flat_map(|example| &example.differences);
    all.filter(|seen| !seen.hints.are_tried()).count()
}

/// Ids must be unique in a rule file.
fn named(suggestions: impl Iterator<Item = Suggestion>) -> Vec<Suggestion> {
    let mut taken: HashMap<String, usize> = HashMap::new();
    suggestions
        .map(|mut suggestion| {
            let name = suggestion.rule["id"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let times = taken.entry(name.clone()).or_default();
            *times += 1;
            if *times > 1 {
                suggestion.rule["id"] = format!("{name}-{times}").into();
            }
            suggestion
        })
        .collect()
}

// === impl Suggestion ===

impl Suggestion {
    /// The rule as an entry of the list `rules` of a rule file.
    pub(crate) fn yaml(&self) -> String {
        let lines = ["id", "why", "when", "at", "do"]
            .map(|field| format!("{field}: {}\n", self.rule[field]));
        format!("- {}", lines.join("  "))
    }
}

// === impl Candidate ===

impl Candidate {
    pub(super) fn new(at: &str, action: &Json) -> Self {
        let rule = Hint::new(at.to_owned(), action);
        Self { rule, probe: None }
    }

    pub(super) fn action(&self) -> Json {
        serde_json::from_str(&self.rule.action).expect("an action was made from JSON")
    }

    /// Whether a rule file may contain it: not every action has a meaning at every place.
    pub(super) fn is_valid(&self) -> bool {
        trial::compile([(self.rule.at.as_str(), &self.action())]).is_ok()
    }

    pub(super) fn explains(&self, seen: &ExampleDifference<'_>) -> bool {
        match self.probe {
            Some(probe) => seen.class_place == self.rule.at && seen.hints.probes.has(probe),
            None => seen.hints.rules.contains(&self.rule),
        }
    }

    /// `served-at-time` for a rule at `$.served_at`.
    pub(super) fn name(&self) -> String {
        let action = self.action();
        let action = match &action {
            Json::Object(members) => members.keys().next().map_or("", String::as_str),
            action => action.as_str().unwrap_or_default(),
        };
        let words = format!("{}-{action}", self.rule.at).to_lowercase();
        let words = words.split(|letter: char| !letter.is_alphanumeric());
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        words.join("-")
    }
}
