//! Records what would make the differences of one check vanish, while its answers are still whole.
//!
//! Hints hold no values, so that they can be stored where values are masked. They hold the probes that sufficed, the
//! names of members, and prints that only distinguish equal from unequal values.

use super::{
    arrays,
    builtin::{self, Builtins},
    probes::Probes,
};
use crate::{
    compare::Answer,
    rules::{Action, Members, On, Rename},
    value::{Difference, Kind, Place, Step, Value, grpc::MessageType},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::time::Instant;

/// What would make one difference vanish.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hints {
    /// Not serialized if it is the default.
    #[serde(default, skip_serializing_if = "Effort::is_whole")]
    pub(super) effort: Effort,
    /// Probes at the place of the difference.
    pub(super) probes: Probes,
    /// Rules that concern more than this place.
    pub(super) rules: Vec<Hint>,
    /// Prints of both values; equal values have equal prints within this process.
    pub(super) prints: Option<[u64; 2]>,
    /// The built-in rule files that would hide it.
    #[serde(default)]
    pub(super) builtins: Builtins,
    /// Not serialized if it is the default.
    #[serde(default, skip_serializing_if = "Weight::is_proof")]
    pub(super) weight: Weight,
    /// The members by which the array is sorted on both sides, if only its order differs: then only elements that are
    /// equal in one of them changed places. `None` if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sorted_by: Option<Vec<String>>,
}

/// The answers that differ.
#[derive(Clone, Copy, Debug)]
pub struct Answers<'a> {
    /// The old stack's.
    pub old: &'a Answer,
    /// The new stack's.
    pub new: &'a Answer,
    /// What they are made of if they are gRPC.
    pub message_type: Option<&'a MessageType>,
}

/// A rule that would make a difference vanish, and maybe others too.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Hint {
    pub(super) at: String,
    /// As JSON.
    pub(super) action: String,
}

/// Distinguishes equal from unequal values. A print must not leave the process.
pub trait Prints {
    fn print(&self, value: &Value) -> u64;

    /// Whether a place may be shown unredacted, including its names.
    fn may_show(&self, place: &Place) -> bool;
}

/// Whether the budget sufficed to try everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Effort {
    /// What is not listed does not suffice.
    #[default]
    Tried,
    /// What is not listed may suffice.
    NotTried,
}

/// Whether the values prove a rule that makes them equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Weight {
    #[default]
    Proof,
    /// They may agree by chance: `true`, null, 0, an empty text, a number of few digits.
    Chance,
}

/// What may still be tried in one check.
#[derive(Debug)]
struct Room {
    differences: usize,
    /// Bytes of differing values, both sides.
    bytes: usize,
}

/// A longer text, in bytes, is not tried.
const MAX_TEXT: usize = 1 << 10;

/// A rounding that leaves fewer significant digits proves nothing.
const FEWEST_DIGITS: i32 = 3;

/// The maximum number of value bytes tried in one check.
const MAX_BYTES: usize = 16 << 10;

// === impl Hints ===

impl Hints {
    /// The maximum number of differences tried in one check.
    pub const MAX_TRIED: usize = 100;

    /// The hints for each difference between two answers; at most `room` of them are tried. After `deadline`, arrays are
    /// aligned coarsely, which hints at fewer built-in rules.
    pub fn of(
        differences: &[Difference],
        answers: Option<Answers<'_>>,
        prints: &impl Prints,
        room: usize,
        deadline: Option<Instant>,
    ) -> Vec<Self> {
        let mut room = Room {
            differences: room.min(Self::MAX_TRIED),
            bytes: MAX_BYTES,
        };
        let mut all: Vec<Self> = differences
            .iter()
            .map(|one| Self::at(one, &mut room, prints))
            .collect();
        if all.iter().any(Self::are_tried) {
            renamed(differences, &mut all);
            if let Some(answers) = answers {
                arrays::keyed(differences, answers, &mut all);
                builtin::find(differences, answers, deadline, &mut all);
            }
        }
        // A rule cannot contain a name that must not be shown.
        for (difference, hints) in differences.iter().zip(&mut all) {
            if prints.may_show(&difference.place) {
                hints.rules.retain(|hint| hint.may_be_reported(prints));
                let sorted_by = hints.sorted_by.iter_mut();
                sorted_by.for_each(|names| names.retain(|name| may_show_name(name, prints)));
            } else {
                *hints = Self::default()
            }
        }
        all
    }

    fn at(difference: &Difference, room: &mut Room, prints: &impl Prints) -> Self {
        if !room.takes(difference) {
            return Self {
                effort: Effort::NotTried,
                ..Self::default()
            };
        }
        let both = difference.old.as_ref().zip(difference.new.as_ref());
        let probes = Probes::of(difference);
        Self {
            probes,
            prints: both.map(|(old, new)| [prints.print(old), prints.print(new)]),
            weight: Weight::of(difference, probes),
            ..Self::default()
        }
    }

    /// Whether everything was tried.
    pub fn are_tried(&self) -> bool {
        self.effort.is_whole()
    }

    /// Whether something suffices, or it is known that nothing does.
    pub(super) fn say_something(&self) -> bool {
        self.are_tried() || self.probes != Probes::default() || !self.rules.is_empty()
    }

    /// Whether an action at `rule_at` was tried and made the difference vanish. The difference's class is at `at`.
    pub(in crate::advise) fn suffices(&self, at: &str, rule_at: &str, action: &Action) -> bool {
        let reported = match action {
            Action::Rename(Rename { to, on: On::Old }) => {
                Some(json!({"rename": {"to": to, "on": "old"}}))
            }
            Action::Unordered(Members::ByKey(key)) => Some(json!({"unordered": {"key": key}})),
            _ => None,
        };
        match reported {
            Some(reported) => self
                .rules
                .contains(&Hint::new(rule_at.to_owned(), &reported)),
            None => rule_at == at && self.probes.suffices(action),
        }
    }

    /// Identifies the list of probes: hints from a version with another list mean nothing here.
    pub fn edition() -> u64 {
        Probes::edition()
    }

    /// Hints for a difference on which nothing was tried.
    pub fn unknown() -> Self {
        Self {
            effort: Effort::NotTried,
            ..Self::default()
        }
    }

    /// The hints that stay valid in another process, which has other prints.
    pub fn without_prints(self) -> Self {
        Self {
            prints: None,
            ..self
        }
    }

    /// The approximate size in bytes.
    pub fn size(&self) -> usize {
        let texts = self
            .rules
            .iter()
            .map(|hint| hint.at.len() + hint.action.len());
        let names = self.sorted_by.iter().flatten();
        let names = names.map(|name| size_of_val(name) + name.len());
        size_of::<Self>()
            + texts.sum::<usize>()
            + names.sum::<usize>()
            + size_of_val(&self.rules[..])
    }
}

// === impl Effort ===

impl Effort {
    fn is_whole(&self) -> bool {
        *self == Self::Tried
    }
}

// === impl Weight ===

impl Weight {
    fn of(difference: &Difference, probes: Probes) -> Self {
        let is_chance = match (&difference.old, &difference.new) {
            (Some(Value::Json(one)), None) | (None, Some(Value::Json(one))) => is_trivial(one),
            (Some(Value::Json(Json::Number(one))), Some(_)) => probes
                .digits_left(one.as_str())
                .is_some_and(|digits| digits < FEWEST_DIGITS),
            _ => false,
        };
        if is_chance { Self::Chance } else { Self::Proof }
    }

    pub(super) fn is_proof(&self) -> bool {
        *self == Self::Proof
    }
}

/// Whether many members have such a value, so that two with the same one need not be the same.
fn is_trivial(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(_) => true,
        Json::Number(number) => {
            let digits = number.as_str().split(['e', 'E']).next().unwrap_or_default();
            let digits = digits
                .chars()
                .filter(char::is_ascii_digit)
                .collect::<String>();
            digits.trim_matches('0').len() < 2
        }
        Json::String(text) => text.chars().nth(1).is_none(),
        Json::Array(elements) => elements.iter().all(is_trivial),
        Json::Object(members) => members.values().all(is_trivial),
    }
}

// === impl Room ===

impl Room {
    /// Whether there is room for one more difference; takes it if so.
    fn takes(&mut self, difference: &Difference) -> bool {
        let sides = [&difference.old, &difference.new].into_iter().flatten();
        let lengths = sides.map(length);
        let Some(bytes) = lengths.sum::<Option<usize>>() else {
            return false;
        };
        if self.differences == 0 || self.bytes < bytes {
            return false;
        }
        self.differences -= 1;
        self.bytes -= bytes;
        true
    }
}

/// The number of bytes to compare in a value; `None` if there are too many.
fn length(value: &Value) -> Option<usize> {
    let bytes = match value {
        Value::Json(Json::String(text)) | Value::Text(text) => text.len(),
        Value::Json(Json::Number(number)) => number.as_str().len(),
        Value::Summary { class, length } if *class == "string" => *length,
        Value::Json(_) | Value::Summary { .. } | Value::Unreadable { .. } => 0,
    };
    (bytes <= MAX_TEXT).then_some(bytes)
}

// === impl Hint ===

impl Hint {
    pub(super) fn new(at: String, action: &Json) -> Self {
        Self {
            at,
            action: action.to_string(),
        }
    }

    fn may_be_reported(&self, prints: &impl Prints) -> bool {
        let action: Json = serde_json::from_str(&self.action).unwrap_or_default();
        let names = [&action["rename"]["to"], &action["unordered"]["key"]];
        let mut names = names.into_iter().filter_map(Json::as_str);
        names.all(|name| may_show_name(name, prints))
    }

    /// Whether values may fit it by chance.
    pub(super) fn needs_proof(&self) -> bool {
        self.action.starts_with("{\"rename\"")
    }
}

fn may_show_name(name: &str, prints: &impl Prints) -> bool {
    prints.may_show(&Place::Node(vec![Step::Name(name.to_owned())]))
}

/// Finds members that only old has and that new has under another name.
fn renamed(differences: &[Difference], all: &mut [Hints]) {
    let members = |kind: Kind| {
        let lone = differences.iter().enumerate();
        lone.filter(move |(_, difference)| difference.kind == kind)
            .filter_map(|(index, difference)| Some((index, member(difference)?)))
            .collect::<Vec<_>>()
    };
    let (olds, news) = (members(Kind::Missing), members(Kind::Extra));
    for (old, (above, _, value)) in &olds {
        let twins = |(other_above, _, other): &(&[Step], &str, &Json)| {
            other_above == above && other == value
        };
        let mut found = news.iter().filter(|(_, other)| twins(other));
        let is_alone = olds.iter().filter(|(_, other)| twins(other)).count() == 1;
        let (Some((new, (_, to, _))), None, true) = (found.next(), found.next(), is_alone) else {
            continue;
        };
        let action = json!({"rename": {"to": to, "on": "old"}});
        let hint = Hint::new(differences[*old].place.class_text(), &action);
        all[*old].rules.push(hint.clone());
        all[*new].rules.push(hint);
    }
}

/// The path of the object, the name and the value of a member that only one side has.
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
        _ => None,
    }
}
