//! A rule that explains some classes, and its effect on all stored mismatches.

use super::{
    Candidate, Example, ExampleDifference, PROMPT, Suggestion, classes::Class, values::Translation,
};
use serde_json::json;
use std::collections::BTreeSet;

#[derive(Debug)]
pub(super) struct Found<'f> {
    pub candidate: Candidate,
    translation: Option<Translation>,
    routes: BTreeSet<&'f str>,
    /// The ids of the classes.
    pub classes: BTreeSet<&'f str>,
}

/// The maximum number of reported ids of mismatches that a rule does not explain.
const MAX_SHOWN: usize = 3;

// === impl Found ===

impl<'f> Found<'f> {
    pub(super) fn new(candidate: Candidate, translation: Option<Translation>) -> Self {
        Self {
            candidate,
            translation,
            routes: BTreeSet::new(),
            classes: BTreeSet::new(),
        }
    }

    pub(super) fn add(&mut self, class: &Class<'f>) {
        self.routes.insert(class.route);
        self.classes.insert(class.id);
    }

    /// Whether the rule would make a difference vanish.
    pub(super) fn explains(&self, example: &Example<'_>, seen: &ExampleDifference<'_>) -> bool {
        self.routes.contains(example.route)
            && match &self.translation {
                Some(translation) => {
                    self.classes.contains(seen.class) && translation.explains(seen)
                }
                None => self.candidate.explains(seen),
            }
    }

    pub(super) fn judged(&self, examples: &[Example<'_>]) -> Suggestion {
        let mut suggestion = Suggestion {
            rule: json!({
                "id": self.candidate.name(),
                "why": PROMPT,
                "when": {"routes": self.routes},
                "at": self.candidate.rule.at,
                "do": self.candidate.action(),
            }),
            classes: self.classes.iter().map(|id| (*id).to_owned()).collect(),
            masks: 0,
            of: 0,
            explains: 0,
            not_tried: 0,
            not: Vec::new(),
        };
        for example in examples {
            let is_gone = |seen: &ExampleDifference<'_>| self.explains(example, seen);
            let is_masked = example.is_whole() && example.differences.iter().all(is_gone);
            suggestion.masks += usize::from(is_masked);
            let is_of_class = |seen: &&ExampleDifference<'_>| self.classes.contains(seen.class);
            let mut of_class = example.differences.iter().filter(is_of_class).peekable();
            if of_class.peek().is_none() {
                continue;
            }
            suggestion.of += 1;
            let mut left = of_class.filter(|seen| !is_gone(seen)).peekable();
            if left.peek().is_none() {
                suggestion.explains += 1;
            } else if left.any(|seen| !seen.hints.are_tried()) {
                suggestion.not_tried += 1;
            } else if suggestion.not.len() < MAX_SHOWN {
                suggestion.not.push(example.id.to_owned());
            }
        }
        suggestion
    }
}
