//! A rule that explains some classes, and its effect on all stored mismatches.

use super::{
    Candidate, Example, ExampleDifference, FEWEST, PROMPT, Suggestion, classes::Class, decision,
    evidence::Evidence, headers, probes::Probes, values::Translation,
};
use crate::value::Kind;
use serde_json::{Value as Json, json};
use std::collections::{BTreeSet, HashMap, HashSet};

#[derive(Debug)]
pub(super) struct Found<'f> {
    pub candidate: Candidate,
    pub basis: Basis,
    pub routes: BTreeSet<&'f str>,
    /// The ids of the classes.
    pub classes: BTreeSet<&'f str>,
}

/// How it is known which differences a rule explains.
#[derive(Clone, Debug)]
pub(super) enum Basis {
    /// It was tried during the checks.
    Hints,
    /// It follows from the values of several checks.
    Values(Translation),
    /// It explains its classes whole.
    Classes,
}

/// The maximum number of reported ids of mismatches that a rule does not explain.
const MAX_SHOWN: usize = 3;

// === impl Basis ===

impl Basis {
    pub(super) fn of(candidate: &Candidate) -> Self {
        if candidate.probe.is_some() {
            return Self::Hints;
        }
        match Translation::of(candidate) {
            Some(translation) => Self::Values(translation),
            None if headers::is_whole(candidate) => Self::Classes,
            None => Self::Hints,
        }
    }

    /// Whether the rule would make a difference in its classes vanish.
    pub(super) fn explains(&self, candidate: &Candidate, seen: &ExampleDifference<'_>) -> bool {
        match self {
            Self::Hints => candidate.explains(seen),
            Self::Values(translation) => translation.explains(seen),
            Self::Classes => true,
        }
    }
}

// === impl Found ===

impl<'f> Found<'f> {
    pub(super) fn new(candidate: Candidate, basis: Basis) -> Self {
        Self {
            candidate,
            basis,
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
        let is_of_classes = matches!(self.basis, Basis::Hints) || self.classes.contains(seen.class);
        self.routes.contains(example.route)
            && is_of_classes
            && self.basis.explains(&self.candidate, seen)
    }

    /// `all` are the routes of which reads were checked.
    pub(super) fn judged(&self, examples: &[Example<'_>], all: &BTreeSet<&str>) -> Suggestion {
        let mut suggestion = Suggestion {
            rule: self.rule(all),
            classes: self.classes.iter().map(|id| (*id).to_owned()).collect(),
            note: self.note(examples),
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
            if self.ends_noise(example) {
                suggestion.of += 1;
                suggestion.explains += 1;
                continue;
            }
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

    /// Whether it is for a header that varies in the readings of an example.
    fn ends_noise(&self, example: &Example<'_>) -> bool {
        matches!(self.basis, Basis::Classes)
            && self.candidate.needs_evidence()
            && self.is_varied(example)
    }

    fn is_varied(&self, example: &Example<'_>) -> bool {
        self.routes.contains(example.route) && example.varies_at(&self.candidate.rule.at)
    }

    /// What shows that old generates new values for each answer.
    pub(super) fn evidence(&self, examples: &[Example<'_>]) -> Option<Evidence> {
        let varied = examples.iter().filter(|example| self.is_varied(example));
        match varied.count() {
            0 if self.candidate.needs_evidence() => {
                Some(Evidence::Distinct(self.explained(examples).count()))
            }
            ..FEWEST => None,
            varied => {
                let is_repeated = examples.iter().any(|example| self.is_repeated(example));
                (!is_repeated).then_some(Evidence::Varies(varied))
            }
        }
    }

    /// Whether old's own readings agree in an example of its classes.
    fn is_repeated(&self, example: &Example<'_>) -> bool {
        let mut differences = example.differences.iter();
        example.rechecks > 0
            && !self.is_varied(example)
            && differences.any(|seen| self.classes.contains(seen.class))
    }

    /// The differences that would vanish.
    fn explained<'x>(
        &'x self,
        examples: &'x [Example<'x>],
    ) -> impl Iterator<Item = &'x ExampleDifference<'x>> {
        examples.iter().flat_map(move |example| {
            let differences = example.differences.iter();
            differences.filter(move |seen| self.explains(example, seen))
        })
    }

    pub(super) fn kinds(&self, examples: &[Example<'_>]) -> HashSet<Kind> {
        self.explained(examples).map(|seen| seen.kind).collect()
    }

    /// The rule without its reason. One for all of several routes names none.
    fn rule(&self, all: &BTreeSet<&str>) -> Json {
        let mut rule = json!({
            "id": self.candidate.name(),
            "why": PROMPT,
            "at": self.candidate.rule.at,
            "do": self.candidate.action(),
        });
        if self.routes.len() < 2 || !self.routes.is_superset(all) {
            rule["when"] = json!({"routes": self.routes});
        }
        rule
    }

    /// What a person has to know to judge the rule.
    fn note(&self, examples: &[Example<'_>]) -> Option<String> {
        if let Some(seen) = decision::of(self, examples) {
            return Some(format!("a decision: {seen}"));
        }
        let action = self.candidate.action();
        if action == "unordered" || action.get("unordered").is_some() {
            return Some(order_note(self.explained(examples)));
        }
        if action.get("bijection").is_some() {
            return Some(pairs_note(self.explained(examples)));
        }
        let is_clock = self.candidate.probe.is_some_and(Probes::is_of_clock);
        if self.candidate.needs_evidence() || is_clock {
            return self.evidence(examples).map(|evidence| evidence.to_string());
        }
        matches!(self.basis, Basis::Classes).then(|| "only new sends it".to_owned())
    }
}

/// How often old values met their new ones.
fn pairs_note<'e>(differences: impl Iterator<Item = &'e ExampleDifference<'e>>) -> String {
    let mut pairs: HashMap<[u64; 2], usize> = HashMap::new();
    for pair in differences.filter_map(|seen| seen.hints.prints) {
        *pairs.entry(pair).or_default() += 1;
    }
    let repeated = pairs.values().filter(|count| **count > 1).count();
    let olds = pairs.len();
    format!("each of {olds} old values met one new value, {repeated} of them more than once")
}

/// Whether only elements that are equal in the member by which they are sorted changed places.
fn order_note<'e>(differences: impl Iterator<Item = &'e ExampleDifference<'e>>) -> String {
    let mut common: Option<Vec<&str>> = None;
    for seen in differences {
        let Some(names) = &seen.hints.sorted_by else {
            return "whether only ties change places is not known".to_owned();
        };
        match &mut common {
            None => common = Some(names.iter().map(String::as_str).collect()),
            Some(common) => common.retain(|name| names.iter().any(|known| known == name)),
        }
    }
    match common.unwrap_or_default().first() {
        Some(name) => format!(
            "only ties change places: both sides are sorted by `{name}`, and a rule cannot say that they stay so"
        ),
        None => "the order itself differs, not only that of ties: callers must not rely on it"
            .to_owned(),
    }
}
