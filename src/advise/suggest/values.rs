//! Finds rules that follow from the values of several checks: renumbered ids, translated names.

use super::{Candidate, Example, ExampleDifference, classes::Class, trial};
use regex::Regex;
use serde_json::{Value as Json, json};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::LazyLock,
};

/// What a rule that translates values explains.
#[derive(Clone, Debug)]
pub(super) enum Translation {
    Bijection,
    Map(HashMap<String, String>),
}

/// Values with such a name are ids. For other values, a constant mapping from old to new proves little: a wrong price
/// is wrong each time.
static ID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"((?i:^|[_\-.])(?i:ids?|key|ref|uuid|guid|no|number)|[a-z](Ids?|ID|Key|Ref|No|Number))(\[\*\])*$")
        .expect("the pattern must be valid")
});

/// The maximum number of value pairs in a table.
const MAX_TABLE: usize = 16;

/// The maximum length of a translated name, in bytes.
const MAX_WORD: usize = 32;

/// The rule that explains a class by its values.
pub(super) fn candidate(class: &Class<'_>, examples: &[Example<'_>]) -> Option<Candidate> {
    let seen: Vec<_> = class.tried(examples).flatten().collect();
    if !class.is_enough(class.tried(examples).count(), examples) {
        return None;
    }
    renumbered(class.at, &seen).or_else(|| translated(class.at, &seen))
}

/// Ids where each old one always maps to the same new one, and the other way round.
fn renumbered(at: &str, seen: &[&ExampleDifference<'_>]) -> Option<Candidate> {
    if !ID.is_match(at) {
        return None;
    }
    let pairs: Option<HashSet<[u64; 2]>> = seen.iter().map(|seen| seen.hints.prints).collect();
    let pairs = pairs?;
    // At least two pairs, and at least one of them repeated: otherwise everything is a bijection.
    if pairs.len() < 2 || pairs.len() == seen.len() {
        return None;
    }
    let document = |side: usize| numbered(pairs.iter().map(|pair| pair[side].to_string()));
    let (old, new) = (document(0), document(1));
    is_equal(&json!({"bijection": "check"}), &old, &new)
        .then(|| Candidate::new(at, &json!({"bijection": {"scope": "epoch"}})))
}

/// Words where each old one always maps to the same new one. Needs shown values.
fn translated(at: &str, seen: &[&ExampleDifference<'_>]) -> Option<Candidate> {
    let mut table: BTreeMap<String, String> = BTreeMap::new();
    for seen in seen {
        let [old, new] = seen.texts()?.map(word);
        let (old, new) = old.zip(new)?;
        let known = table.entry(old.clone()).or_insert_with(|| new.clone());
        if *known != new || table.len() > MAX_TABLE {
            return None;
        }
    }
    if table.len() == seen.len() {
        return None;
    }
    let action = json!({"map": {"table": table, "on": "old"}});
    let (old, new) = (
        numbered(table.keys().cloned()),
        numbered(table.values().cloned()),
    );
    is_equal(&action, &old, &new).then(|| Candidate::new(at, &action))
}

/// An object with these values, whose names are numbers.
fn numbered(values: impl Iterator<Item = String>) -> Json {
    let members = values.enumerate();
    let members = members.map(|(index, value)| (index.to_string(), value.into()));
    Json::Object(members.collect())
}

/// A value that names something: neither a number nor running text.
fn word(value: &str) -> Option<String> {
    let is_letter = |letter: char| letter.is_alphabetic() || letter == '_' || letter == '-';
    let is_word = !value.is_empty() && value.len() <= MAX_WORD && value.chars().all(is_letter);
    is_word.then(|| value.to_owned())
}

/// Whether the members of two objects are equal under a rule at each of them.
fn is_equal(action: &Json, old: &Json, new: &Json) -> bool {
    trial::compile([("$.*", action)]).is_ok_and(|rules| {
        let comparison = trial::compare_json(&old.to_string(), &new.to_string(), rules);
        comparison.differences().is_empty()
    })
}

// === impl Translation ===

impl Translation {
    /// `None` if the candidate does not depend on values.
    pub(super) fn of(candidate: &Candidate) -> Option<Self> {
        let action = candidate.action();
        if let Some(table) = action["map"]["table"].as_object() {
            let pairs = table.iter();
            let pairs =
                pairs.filter_map(|(old, new)| Some((old.clone(), new.as_str()?.to_owned())));
            return Some(Self::Map(pairs.collect()));
        }
        action.get("bijection").map(|_| Self::Bijection)
    }

    /// Whether it explains a difference at its place. A bijection was tried with all of them.
    pub(super) fn explains(&self, seen: &ExampleDifference<'_>) -> bool {
        match (self, seen.texts()) {
            (Self::Bijection, _) => seen.hints.prints.is_some(),
            (Self::Map(table), Some([old, new])) => {
                table.get(old).is_some_and(|known| known == new)
            }
            (Self::Map(_), None) => false,
        }
    }
}
