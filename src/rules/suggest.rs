//! Finds the smallest rules that would explain stored mismatches.
//!
//! What is stored is redacted, and a masked value cannot be judged. So [`Hints`] are taken while a check is whole:
//! which of a closed list of actions makes the two values equal, tried by the comparison itself. They tell nothing of
//! the values but that, and are enough to say later which rule would mask how many mismatches. Rules that hold
//! values themselves (`map`) can be suggested only where values are shown.
//!
//! Nothing here puts a rule in force, and `ignore` is never suggested.

mod arrays;
mod classes;
mod hints;
mod probes;
#[cfg(test)]
mod tests;
mod trial;
mod values;

pub use hints::{Hint, Hints, Prints};

use serde_json::{Value as Json, json};
use std::collections::{BTreeSet, HashMap};

/// A stored mismatch.
#[derive(Clone, Debug)]
pub struct Example<'e> {
    pub id: &'e str,
    pub route: &'e str,
    /// How many differences there were; those that were not kept can be explained by nothing.
    pub count: usize,
    pub differences: Vec<Seen<'e>>,
}

/// One difference of a stored mismatch.
#[derive(Clone, Debug)]
pub struct Seen<'e> {
    /// The id of its class.
    pub class: &'e str,
    /// The place of its class, which is where a rule would stand.
    pub at: &'e str,
    pub hints: &'e Hints,
    /// Both values, where both are shown whole.
    pub values: Option<[&'e str; 2]>,
}

/// What came of looking at stored mismatches.
#[derive(Clone, Debug)]
pub struct Suggestions {
    /// Those first that would mask the most mismatches.
    pub suggestions: Vec<Suggestion>,
    /// Ids of classes that no single rule would explain.
    pub unexplained: Vec<String>,
    /// Classes that were looked at, and how many there are: fewer where time was up.
    pub looked_at: usize,
    pub classes: usize,
}

/// A rule, and what it would do to what is stored.
#[derive(Clone, Debug)]
pub struct Suggestion {
    /// As it stands in a rule file, but for its reason, which only people know.
    pub rule: Json,
    /// The ids of the classes that it explains.
    pub classes: Vec<String>,
    /// Mismatches that would be none: all their differences are gone.
    pub masks: usize,
    /// Mismatches that show one of the classes, and of these, those in which the rule explains all of it.
    pub of: usize,
    pub explains: usize,
    /// Ids of up to three that it does not explain.
    pub not: Vec<String>,
}

/// A rule that may be suggested, before it is known what it does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub at: String,
    /// As JSON.
    pub action: String,
    /// Index of the probe, where it is one.
    pub probe: Option<usize>,
}

/// What stands for the reason that only people know.
const PROMPT: &str = "say why";

/// Mismatches of a class that a rule must explain to be suggested, and at least half of them.
const FEWEST: usize = 2;

/// Looks at the mismatches class by class, as long as `may_go_on` says so.
pub fn suggest(examples: &[Example<'_>], may_go_on: &dyn Fn() -> bool) -> Suggestions {
    let classes = classes::of(examples);
    let mut found: HashMap<(Candidate, Option<&str>), (BTreeSet<&str>, BTreeSet<&str>)> =
        HashMap::new();
    let mut unexplained = Vec::new();
    let mut looked_at = 0;
    for class in &classes {
        if !may_go_on() {
            break;
        }
        looked_at += 1;
        match class.candidate(examples) {
            Some(candidate) => {
                // What was tried with the values of one class says nothing of another.
                let alone = values::Translation::of(&candidate).map(|_| class.id);
                let (routes, ids) = found.entry((candidate, alone)).or_default();
                routes.insert(class.route);
                ids.insert(class.id);
            }
            None => unexplained.push(class.id.to_owned()),
        }
    }
    let mut suggestions: Vec<_> = found
        .iter()
        .map(|((candidate, _), (routes, ids))| judged(candidate, routes, ids, examples))
        .collect();
    suggestions.sort_by(|(one, at), (other, other_at)| {
        (other.masks, other.explains, at).cmp(&(one.masks, one.explains, other_at))
    });
    Suggestions {
        suggestions: named(suggestions.into_iter().map(|(suggestion, _)| suggestion)),
        unexplained,
        looked_at,
        classes: classes.len(),
    }
}

/// What a rule would do to all that is stored.
fn judged<'c>(
    candidate: &'c Candidate,
    routes: &BTreeSet<&str>,
    classes: &BTreeSet<&str>,
    examples: &[Example<'_>],
) -> (Suggestion, &'c str) {
    let translation = values::Translation::of(candidate);
    let explains = |example: &Example<'_>, seen: &Seen<'_>| {
        routes.contains(example.route)
            && match &translation {
                Some(translation) => classes.contains(seen.class) && translation.explains(seen),
                None => candidate.explains(seen),
            }
    };
    let mut suggestion = Suggestion {
        rule: json!({
            "id": candidate.name(),
            "why": PROMPT,
            "when": {"routes": routes},
            "at": candidate.at,
            "do": candidate.action(),
        }),
        classes: classes.iter().map(|id| (*id).to_owned()).collect(),
        masks: 0,
        of: 0,
        explains: 0,
        not: Vec::new(),
    };
    for example in examples {
        let is_whole = example.count == example.differences.len() && example.count > 0;
        let are_gone = example
            .differences
            .iter()
            .all(|seen| explains(example, seen));
        suggestion.masks += usize::from(is_whole && are_gone);
        let mut of_class = example
            .differences
            .iter()
            .filter(|seen| classes.contains(seen.class))
            .peekable();
        if of_class.peek().is_none() {
            continue;
        }
        suggestion.of += 1;
        if of_class.all(|seen| explains(example, seen)) {
            suggestion.explains += 1;
        } else if suggestion.not.len() < 3 {
            suggestion.not.push(example.id.to_owned());
        }
    }
    (suggestion, &candidate.at)
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
    pub fn yaml(&self) -> String {
        let lines = ["id", "why", "when", "at", "do"]
            .map(|field| format!("{field}: {}\n", self.rule[field]));
        format!("- {}", lines.join("  "))
    }
}

// === impl Candidate ===

impl Candidate {
    pub(super) fn new(at: &str, action: &Json) -> Self {
        Self {
            at: at.to_owned(),
            action: action.to_string(),
            probe: None,
        }
    }

    fn action(&self) -> Json {
        serde_json::from_str(&self.action).expect("an action was made from JSON")
    }

    /// Whether it can stand in a rule file at all: not every action has a meaning at every place.
    pub(super) fn is_valid(&self) -> bool {
        let rule = json!({"id": "s", "why": PROMPT, "at": self.at, "do": self.action()});
        trial::compile(&json!({"rules": [rule]})).is_ok()
    }

    fn explains(&self, seen: &Seen<'_>) -> bool {
        let is_same = |hint: &Hint| hint.at == self.at && hint.action == self.action;
        match self.probe {
            Some(probe) => seen.at == self.at && seen.hints.probes.has(probe),
            None => seen.hints.rules.iter().any(is_same),
        }
    }

    /// `served-at-time` for a rule at `$.served_at`.
    fn name(&self) -> String {
        let action = self.action();
        let action = match &action {
            Json::Object(members) => members.keys().next().map_or("", String::as_str),
            action => action.as_str().unwrap_or_default(),
        };
        let words = format!("{}-{action}", self.at).to_lowercase();
        let words = words.split(|letter: char| !letter.is_alphanumeric());
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        words.join("-")
    }
}
