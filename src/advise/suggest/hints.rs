//! What would make the differences of one check vanish, learnt while its answers are still whole.
//!
//! Hints hold no values, so that they may be kept where values are masked: probes that sufficed, names of members,
//! and prints that only tell equal values from others.

use super::{arrays, probes::Probes};
use crate::{
    compare::Answer,
    rules::{Action, Members, On, Rename},
    value::{Difference, Kind, Place, Step, Value},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

/// What would make one difference vanish.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hints {
    /// Left out of what is stored where it goes without saying.
    #[serde(default, skip_serializing_if = "Effort::is_whole")]
    pub(super) effort: Effort,
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

/// Whether there was room to find out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Effort {
    /// What is not told would not do.
    #[default]
    Tried,
    /// What is not told may do.
    NotTried,
}

/// What may still be tried in one check.
#[derive(Debug)]
struct Room {
    differences: usize,
    /// Of the values that differ, both sides.
    bytes: usize,
}

/// A text that is longer, in bytes, is not tried.
const MAX_TEXT: usize = 1 << 10;

/// Bytes of values that are tried in one check.
const MAX_BYTES: usize = 16 << 10;

// === impl Hints ===

impl Hints {
    /// Differences that are tried in one check, at most.
    pub const MAX_TRIED: usize = 100;

    /// The hints of each of the differences between two answers, of which no more than `room` are tried.
    pub fn of(
        differences: &[Difference],
        answers: Option<(&Answer, &Answer)>,
        prints: &impl Prints,
        room: usize,
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
            if let Some((old, new)) = answers {
                arrays::keyed(differences, (old, new), &mut all);
            }
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

    fn at(difference: &Difference, room: &mut Room, prints: &impl Prints) -> Self {
        if !room.takes(difference) {
            return Self {
                effort: Effort::NotTried,
                ..Self::default()
            };
        }
        let both = difference.old.as_ref().zip(difference.new.as_ref());
        Self {
            effort: Effort::Tried,
            probes: Probes::of(difference),
            rules: Vec::new(),
            prints: both.map(|(old, new)| [prints.print(old), prints.print(new)]),
        }
    }

    /// Whether there was room to try everything.
    pub fn are_tried(&self) -> bool {
        self.effort.is_whole()
    }

    /// Whether something would do, or it is known that nothing does.
    pub(super) fn say_something(&self) -> bool {
        self.are_tried() || self.probes != Probes::default() || !self.rules.is_empty()
    }

    /// Whether an action at `rule_at` was tried and made the difference vanish, whose class stands at `at`.
    pub(in crate::advise) fn suffices(&self, at: &str, rule_at: &str, action: &Action) -> bool {
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

    /// Hints of which nothing is known.
    pub fn unknown() -> Self {
        Self {
            effort: Effort::NotTried,
            ..Self::default()
        }
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

// === impl Effort ===

impl Effort {
    fn is_whole(&self) -> bool {
        *self == Self::Tried
    }
}

// === impl Room ===

impl Room {
    /// Whether there is room for one difference more, which is taken.
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

/// Bytes that are looked at in a value; `None` where that are too many.
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
        _ => None,
    }
}
