//! Finds the smallest rules that would explain stored mismatches.
//!
//! Stored mismatches are redacted, and a masked value cannot be compared. So [`Hints`] are collected during the check,
//! while the values are known: which of a closed list of actions makes the two values equal, according to the
//! comparison itself. Hints reveal nothing else about the values. They are enough to predict later how many mismatches
//! a rule would mask. Rules that contain values (`map`) can be suggested only where values are shown.
//!
//! Nothing here activates a rule. `ignore` is suggested for no value, only for a header that one stack does not send. A
//! form alone excuses values only if `evidence` shows that old generates new ones for each answer. What callers may see
//! is a `decision` of people.

mod arrays;
mod builtin;
mod classes;
mod decision;
mod evidence;
mod found;
mod headers;
mod hints;
mod probes;
#[cfg(test)]
mod tests;
mod trial;
mod values;

pub(crate) use builtin::BuiltinSuggestion;
pub(crate) use hints::Hint;
pub use hints::{Answers, Hints, Prints};

use super::{Example, ExampleDifference};
use builtin::Builtins;
use classes::Class;
use found::{Basis, Found};
use probes::Probes;
use serde_json::Value as Json;
use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, HashSet},
    iter,
};

/// The result of searching stored mismatches.
#[derive(Clone, Debug)]
pub(crate) struct Suggestions {
    /// Built-in rule files that would mask much. What they explain needs no other suggestion.
    pub builtin: Vec<BuiltinSuggestion>,
    /// Sorted by the number of masked mismatches, most first.
    pub suggestions: Vec<Suggestion>,
    /// Rules that hide what callers may see, sorted likewise. Evidence cannot decide on them.
    pub decisions: Vec<Suggestion>,
    pub together: Together,
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

/// The numbers of mismatches that rules would mask together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Together {
    /// The suggestions alone.
    pub alone: usize,
    /// With the built-in files.
    pub with_builtin: usize,
    /// With the built-in files and all decisions.
    pub with_decisions: usize,
}

/// A rule and its effect on the stored mismatches.
#[derive(Clone, Debug)]
pub(crate) struct Suggestion {
    /// An entry of a rule file, except for the reason, which only people know.
    pub rule: Json,
    /// Ids of the classes that it explains.
    pub classes: Vec<String>,
    /// What a person has to know to judge it.
    pub note: Option<String>,
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

/// Of a field of a printed rule: it is indented, may be commented out, and has to fit into 80 columns.
const COLUMNS: usize = 78;

/// The classes that were searched, and what was found.
#[derive(Debug, Default)]
struct Search<'f> {
    found: HashMap<(Candidate, Option<&'f str>), Found<'f>>,
    unexplained: Vec<String>,
    not_tried: Vec<String>,
    looked_at: usize,
}

/// Searches the mismatches class by class, as long as `may_go_on` returns true. `routes` are those of which reads were
/// checked, `ids` those of the rules in force.
pub(crate) fn suggest(
    examples: &[Example<'_>],
    routes: &BTreeSet<&str>,
    ids: &[&str],
    may_go_on: &dyn Fn() -> bool,
) -> Suggestions {
    let (builtins, builtin): (Vec<_>, Vec<_>) = builtin::choose(examples).into_iter().unzip();
    let chosen = builtins
        .into_iter()
        .fold(Builtins::default(), Builtins::with);
    let classes = classes::of(examples, chosen);
    let count = classes.len();
    let mut search = Search::default();
    for classes in classes::over_routes(classes) {
        if !may_go_on() {
            break;
        }
        search.add(&classes, examples);
    }
    for (candidate, routes) in headers::varying(examples, chosen) {
        let found = search.entry(candidate, None, Basis::Classes);
        found.routes.extend(routes);
    }
    let mut looked_at = search.looked_at;
    let mut found = headers::families(search.found.into_values().collect(), examples);
    found.sort_by(|one, other| one.candidate.cmp(&other.candidate));
    let (decisions, proved): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|found| decision::of(found, examples).is_some());
    let mut together = Together::default();
    for example in examples.iter().take_while(|_| may_go_on()) {
        together.add(example, chosen, [&proved, &decisions]);
    }
    let [mut suggestions, mut decisions] = [proved, decisions].map(|all| {
        let mut suggestions = Vec::new();
        for found in &all {
            if may_go_on() {
                suggestions.push(found.judged(examples, routes))
            } else {
                looked_at = looked_at.saturating_sub(found.classes.len())
            }
        }
        // A stable sort: equal ones stay in the order of their places.
        suggestions.sort_by_key(|suggestion| Reverse((suggestion.masks, suggestion.explains)));
        suggestions
    });
    name(suggestions.iter_mut().chain(&mut decisions), ids);
    Suggestions {
        builtin,
        together,
        suggestions,
        decisions,
        unexplained: search.unexplained,
        not_tried: search.not_tried,
        differences_not_tried: not_tried_in(examples),
        looked_at,
        classes: count,
    }
}

fn not_tried_in(examples: &[Example<'_>]) -> usize {
    let all = examples.iter().flat_map(|example| &example.differences);
    all.filter(|seen| !seen.hints.are_tried()).count()
}

/// Gives each rule an id of its own: ids must be unique over all rules in force.
fn name<'s>(suggestions: impl Iterator<Item = &'s mut Suggestion>, in_force: &[&str]) {
    let mut taken: HashSet<String> = in_force.iter().map(|id| (*id).to_owned()).collect();
    for suggestion in suggestions {
        let name = suggestion.rule["id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let mut names = iter::once(name.clone()).chain(numbered);
        let id = names.find(|name| taken.insert(name.clone()));
        suggestion.rule["id"] = id.into();
    }
}

// === impl Together ===

impl Together {
    fn add(
        &mut self,
        example: &Example<'_>,
        chosen: Builtins,
        [proved, decisions]: [&[Found<'_>]; 2],
    ) {
        if !example.is_whole() {
            return;
        }
        let is_gone = |by: &dyn Fn(&ExampleDifference<'_>) -> bool| {
            usize::from(example.differences.iter().all(by))
        };
        let any = |all: &[Found<'_>], seen: &ExampleDifference<'_>| {
            all.iter().any(|found| found.explains(example, seen))
        };
        let by_builtin =
            |seen: &ExampleDifference<'_>| chosen.has(seen.hints.builtins) || any(proved, seen);
        self.alone += is_gone(&|seen| any(proved, seen));
        self.with_builtin += is_gone(&by_builtin);
        self.with_decisions += is_gone(&|seen| by_builtin(seen) || any(decisions, seen));
    }
}

// === impl Search ===

impl<'f> Search<'f> {
    /// Finds a rule for classes that differ in their route only, or else one for each of them.
    fn add(&mut self, classes: &[Class<'f>], examples: &[Example<'f>]) {
        let common = Class::all(classes).candidate(examples);
        let common = common.map(|common| (Basis::of(&common), common));
        // What was found in the values of these classes does not hold for others.
        let first = classes[0].id;
        for class in classes {
            self.looked_at += 1;
            let of_all = common
                .as_ref()
                .filter(|(basis, common)| class.is_explained(common, basis, examples));
            let of_all = of_all.map(|(_, common)| (common.clone(), first));
            let found = of_all.or_else(|| Some((class.candidate(examples)?, class.id)));
            match found {
                Some((candidate, id)) => self.found(candidate, id, class),
                None if class.is_tried(examples) => self.unexplained.push(class.id.to_owned()),
                None => self.not_tried.push(class.id.to_owned()),
            }
        }
    }

    fn found(&mut self, candidate: Candidate, id: &'f str, class: &Class<'f>) {
        let basis = Basis::of(&candidate);
        let alone = matches!(basis, Basis::Values(_)).then_some(id);
        self.entry(candidate, alone, basis).add(class);
    }

    fn entry(
        &mut self,
        candidate: Candidate,
        alone: Option<&'f str>,
        basis: Basis,
    ) -> &mut Found<'f> {
        let found = self.found.entry((candidate, alone));
        found.or_insert_with_key(|key| Found::new(key.0.clone(), basis))
    }
}

// === impl Suggestion ===

impl Suggestion {
    /// The rule as an entry of the list `rules` of a rule file.
    pub(crate) fn yaml(&self) -> String {
        let fields = ["id", "why", "when", "at", "do"].into_iter();
        let lines = fields
            .filter_map(|field| Some(format!("{field}: {}\n", self.rule.get(field)?)))
            .map(|line| {
                if line.len() > COLUMNS {
                    self.many_routes().unwrap_or(line)
                } else {
                    line
                }
            })
            .collect::<Vec<_>>();
        format!("- {}", lines.join("  "))
    }

    /// The routes that it is for, each on a line.
    fn many_routes(&self) -> Option<String> {
        let routes = self.rule["when"]["routes"].as_array()?;
        let lines = routes.iter().map(|route| format!("      - {route}\n"));
        Some(format!("when:\n    routes:\n{}", lines.collect::<String>()))
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

    /// Whether it excuses any value of a form, so that only values that old generates for each answer justify it.
    pub(super) fn needs_evidence(&self) -> bool {
        match self.probe {
            Some(probe) => Probes::is_of_form(probe),
            None => self.action()["same"] == "any",
        }
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
