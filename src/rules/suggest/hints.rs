//! What would make the differences of one check vanish, learnt while its answers are still whole.
//!
//! Hints hold no values, so that they may be kept where values are masked: probes that sufficed, names of members,
//! and prints that only tell equal values from others.

use super::{arrays, probes::Probes, trial};
use crate::{
    compare::{Answer, Comparing, Difference, Kind, Place, Step, Value},
    rules::{Action, Members, On, Rename},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::collections::HashMap;

/// What would make one difference vanish.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hints {
    /// At the place of the difference.
    pub(super) probes: Probes,
    /// Rules that concern more than this place.
    pub(super) rules: Vec<Hint>,
    /// Equal values have equal prints, within this process.
    pub(super) prints: Option<[u64; 2]>,
}

/// A rule that would make a difference vanish, and maybe others with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hint {
    pub(super) at: String,
    /// As JSON.
    pub(super) action: String,
}

/// Tells equal values from others, and may be told nobody.
pub trait Prints {
    fn print(&self, value: &Value) -> u64;

    /// Whether a place may be told as it is, its names included.
    fn may_tell(&self, place: &Place) -> bool;
}

/// What was tried in one check. Differences of one class are mostly of one cause: what explained none of the first is
/// not tried on each of the others, so that a check in which everything differs costs little more than one with little.
#[derive(Debug, Default)]
struct Tries {
    count: usize,
    classes: HashMap<(&'static str, String), Tried>,
}

/// What was tried in one class.
#[derive(Clone, Copy, Debug, Default)]
struct Tried {
    count: usize,
    sufficed: Probes,
}

/// Differences of one class on which every probe is tried.
const ALL_TRIED: usize = 4;

/// Differences of one check on which any is.
const MAX_TRIED: usize = 100;

// === impl Hints ===

impl Hints {
    /// The hints of each of the differences between two answers.
    pub fn of(
        differences: &[Difference],
        answers: Option<(&Answer, &Answer)>,
        prints: &impl Prints,
    ) -> Vec<Self> {
        let mut tries = Tries::default();
        let mut all: Vec<Self> = differences
            .iter()
            .map(|one| Self::at(one, &mut tries, prints))
            .collect();
        renamed(differences, &mut all);
        if let Some((old, new)) = answers {
            arrays::keyed(differences, (old, new), &mut all);
        }
        // A rule cannot be written down with a name that must not be told.
        for (difference, hints) in differences.iter().zip(&mut all) {
            match prints.may_tell(&difference.place) {
                true => hints.rules.retain(|hint| hint.may_be_told(prints)),
                false => *hints = Self::default(),
            }
        }
        all
    }

    fn at(difference: &Difference, tries: &mut Tries, prints: &impl Prints) -> Self {
        let both = difference.old.as_ref().zip(difference.new.as_ref());
        Self {
            probes: tries.probes(difference),
            rules: Vec::new(),
            prints: both.map(|(old, new)| [prints.print(old), prints.print(new)]),
        }
    }

    /// Whether an action at `rule_at` was tried and made the difference vanish, whose class stands at `at`.
    pub(in crate::rules) fn suffices(&self, at: &str, rule_at: &str, action: &Action) -> bool {
        let told = match action {
            Action::Rename(Rename { to, on: On::Old }) => {
                Some(json!({"rename": {"to": to, "on": "old"}}))
            }
            Action::Unordered(Members::ByKey(key)) => Some(json!({"unordered": {"key": key}})),
            _ => None,
        };
        match told {
            Some(told) => self.rules.contains(&Hint::new(rule_at.to_owned(), &told)),
            None => rule_at == at && self.probes.suffices(action),
        }
    }

    /// Tells the list of probes from other ones: hints that another version took mean nothing under this one's list.
    pub fn edition() -> u64 {
        Probes::edition()
    }

    /// What is left of them in another process, whose prints are others.
    pub fn without_prints(self) -> Self {
        Self {
            prints: None,
            ..self
        }
    }

    /// About how many bytes they take.
    pub fn size(&self) -> usize {
        let texts = self
            .rules
            .iter()
            .map(|hint| hint.at.len() + hint.action.len());
        size_of::<Self>() + texts.sum::<usize>() + size_of_val(&self.rules[..])
    }
}

// === impl Tries ===

impl Tries {
    fn probes(&mut self, difference: &Difference) -> Probes {
        if self.count == MAX_TRIED {
            return Probes::default();
        }
        self.count += 1;
        let class = (difference.kind.name(), difference.place.class_text());
        let tried = self.classes.entry(class).or_default();
        let among = match tried.count < ALL_TRIED {
            true => Probes::ALL,
            // Wider ones of the same action sufficed too; narrower ones would not do for the class.
            false => tried.sufficed,
        };
        let found = Probes::of(difference, among);
        tried.count += 1;
        tried.sufficed = tried.sufficed.and(found);
        found
    }
}

// === impl Hint ===

impl Hint {
    pub(super) fn new(at: String, action: &Json) -> Self {
        Self {
            at,
            action: action.to_string(),
        }
    }

    fn may_be_told(&self, prints: &impl Prints) -> bool {
        let action: Json = serde_json::from_str(&self.action).unwrap_or_default();
        let names = [&action["rename"]["to"], &action["unordered"]["key"]];
        let mut names = names.into_iter().filter_map(Json::as_str);
        names.all(|name| prints.may_tell(&Place::Node(vec![Step::Name(name.to_owned())])))
    }
}

/// Members that only old has and that new has under another name.
fn renamed(differences: &[Difference], all: &mut [Hints]) {
    let members = |kind: Kind| {
        let lone = differences.iter().enumerate();
        lone.filter(move |(_, difference)| difference.kind == kind)
            .filter_map(|(index, difference)| Some((index, member(difference)?)))
            .collect::<Vec<_>>()
    };
    let (olds, news) = (members(Kind::Missing), members(Kind::Extra));
    for (old, (above, name, value)) in &olds {
        let twins = |(other_above, _, other): &(&[Step], &str, &Json)| {
            other_above == above && other == value
        };
        let mut found = news.iter().filter(|(_, other)| twins(other));
        let is_alone = olds.iter().filter(|(_, other)| twins(other)).count() == 1;
        let (Some((new, (_, to, _))), None, true) = (found.next(), found.next(), is_alone) else {
            continue;
        };
        let action = json!({"rename": {"to": to, "on": "old"}});
        if is_renaming((name, to), value, &action) {
            let hint = Hint::new(differences[*old].place.class_text(), &action);
            all[*old].rules.push(hint.clone());
            all[*new].rules.push(hint);
        }
    }
}

/// The object of a lone member, by the way to it, its name and its value. Trivial values are anyone's.
fn member(difference: &Difference) -> Option<(&[Step], &str, &Json)> {
    let Place::Node(steps) = &difference.place else {
        return None;
    };
    let (Step::Name(name), above) = steps.split_last()? else {
        return None;
    };
    let value = difference.old.as_ref().or(difference.new.as_ref())?;
    match value {
        Value::Json(json) => Some((above, name, json)),
        Value::Text(_) | Value::Summary { .. } => None,
    }
}

/// Tried, like everything that is suggested.
fn is_renaming((from, to): (&str, &str), value: &Json, action: &Json) -> bool {
    let at = Place::Node(vec![Step::Name(from.to_owned())]).to_string();
    let rule = json!({"rules": [{"id": "r", "why": "probe", "at": at, "do": action}]});
    let Ok(rules) = trial::compile(&rule) else {
        return false;
    };
    let comparing = Comparing {
        rules: rules.into(),
        ..Comparing::default()
    };
    let [old, new] = [from, to].map(|name| json!({name: value}).to_string());
    trial::compare_json(&old, &new, &comparing)
        .differences()
        .is_empty()
}
