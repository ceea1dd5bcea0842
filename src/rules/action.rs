//! What a rule does at its place.
//!
//! [`read`] has the table of all actions and reads them. [`text`] has those that only change how a text is spelled:
//! one more of those is one more entry there.

mod parse;
mod read;
mod same;
mod subject;
mod text;
mod time;
mod transform;

pub use parse::Parse;
pub use same::Same;
pub use subject::{Subject, Tree};
pub use text::TextForm;
pub use time::{Format, Near, Time};
pub use transform::{Map, On, Pattern, Replace, Transform};

use crate::{stack::Stack, value::number::Tolerance};
use std::fmt;

/// What counts as equal at a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Anything, absence included.
    Ignore,
    /// A missing member and any of these values.
    Optional(Vec<Subject<'static>>),
    /// Numbers that are close to each other.
    Tolerance(Tolerance),
    /// Numbers that are equal once rounded to this many decimal places, halves away from zero.
    Round(i32),
    /// Equal or close instants.
    Time(Time),
    /// Arrays, or the values of a header, with the same members in any order.
    Unordered(Members),
    /// Two values of the same shape.
    Same(Same),
    /// Ids that were renumbered.
    Bijection(Bijection),
    /// The statuses of one group.
    Status(Vec<Vec<u16>>),
    /// The member counts as if it had another name.
    Rename(Rename),
    /// Another value replaces it, and later rules judge that one.
    Transform(Transform),
}

/// How the elements of unordered arrays are paired.
#[derive(Clone, Debug, PartialEq)]
pub enum Members {
    /// As a multiset: equal elements are paired.
    AsSet,
    /// Elements that are equal in the member of this name are paired.
    ByKey(String),
}

/// Each old value always maps to the same new one, and the other way round.
#[derive(Clone, Debug, PartialEq)]
pub struct Bijection {
    /// How long a pair is remembered.
    pub scope: Scope,
    /// Rules with the same name share their pairs; a rule without a name has its own.
    pub name: Option<String>,
}

/// How long pairs are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Within one check.
    Check,
    /// Within the epoch, across checks.
    Epoch,
}

/// Another name for a member.
#[derive(Clone, Debug, PartialEq)]
pub struct Rename {
    /// The name under which the member counts.
    pub to: String,
    /// The sides whose member is renamed.
    pub on: On,
}

// === impl Action ===

impl Action {
    /// The name of the action in rule files.
    pub fn name(&self) -> &'static str {
        self.spelling().0
    }

    /// The name and the argument as in rule files; an empty argument if there is none.
    fn spelling(&self) -> (&'static str, String) {
        match self {
            Self::Ignore => ("ignore", String::new()),
            Self::Optional(values) => ("optional", format!("[{}]", listed(values))),
            Self::Tolerance(Tolerance { abs, rel }) => {
                let parts = [("abs", abs), ("rel", rel)].into_iter();
                let parts = parts
                    .filter_map(|(name, amount)| Some(format!("{name}: {}", amount.as_ref()?)));
                ("tolerance", format!("{{{}}}", listed(parts)))
            }
            Self::Round(places) => ("round", places.to_string()),
            Self::Time(time) => ("time", time.to_string()),
            Self::Unordered(Members::AsSet) => ("unordered", String::new()),
            Self::Unordered(Members::ByKey(key)) => ("unordered", format!("{{key: {key}}}")),
            Self::Same(same) => ("same", same.to_string()),
            Self::Bijection(Bijection { scope, name }) => {
                let scope = spelled(&Scope::NAMED, scope);
                let argument = match name {
                    None => scope.to_owned(),
                    Some(name) => format!("{{scope: {scope}, name: {name:?}}}"),
                };
                ("bijection", argument)
            }
            Self::Status(groups) => ("status", format!("{{equal: {groups:?}}}")),
            Self::Rename(Rename { to, on }) => ("rename", format!("{{to: {to:?}, on: {on}}}")),
            Self::Transform(transform) => transform.spelling(),
        }
    }

    /// The action for comparing two answers of one stack, or `None` if it does not apply.
    pub(super) fn between_readings_of(&self, stack: Stack) -> Option<Self> {
        let mut action = self.clone();
        let on = match &mut action {
            Self::Bijection(_) => return None,
            Self::Rename(Rename { on, .. })
            | Self::Transform(
                Transform::Replace(Replace { on, .. }) | Transform::Map(Map { on, .. }),
            ) => on,
            _ => return Some(action),
        };
        if !on.covers(stack) {
            return None;
        }
        *on = On::Both;
        Some(action)
    }

    /// Whether it pairs ids.
    pub fn is_bijection(&self) -> bool {
        matches!(self, Self::Bijection(_))
    }

    /// Whether it replaces the value, so that later rules judge another one.
    pub fn is_transform(&self) -> bool {
        matches!(self, Self::Transform(_))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.spelling() {
            (name, argument) if argument.is_empty() => f.write_str(name),
            (name, argument) => write!(f, "{{{name}: {argument}}}"),
        }
    }
}

/// Values in a row, with commas.
fn listed(values: impl IntoIterator<Item: ToString>) -> String {
    let values = values.into_iter().map(|value| value.to_string());
    values.collect::<Vec<_>>().join(", ")
}

/// The name of a value in rule files, from the table of its type; empty for a value without a name.
fn spelled<T: PartialEq>(named: &[(&'static str, T)], value: &T) -> &'static str {
    let found = named.iter().find(|(_, known)| known == value);
    found.map_or("", |(name, _)| name)
}

// === impl Scope ===

impl Scope {
    const NAMED: [(&'static str, Self); 2] = [("check", Self::Check), ("epoch", Self::Epoch)];
}
