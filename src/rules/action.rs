//! What a rule does at its place.

mod parse;
mod read;
mod same;
mod subject;
mod time;
mod transform;

pub use parse::Parse;
pub use same::Same;
pub use subject::{Subject, Tree};
pub use time::{Format, Near, Time};
pub use transform::{Form, Map, On, Pattern, Replace, Transform};

use crate::{
    stack::Stack,
    value::{Numbers, json::Class, number::Tolerance},
};
use std::fmt;

/// What counts as equal at a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Anything, absence included.
    Ignore,
    /// A missing member and any of these values.
    Optional(Vec<Literal>),
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
    pub scope: Scope,
    /// Rules with the same name share their pairs; a rule without a name has its own.
    pub name: Option<String>,
}

/// How long pairs are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Check,
    Epoch,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rename {
    pub to: String,
    pub on: On,
}

/// A value as spelled in a rule file.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Null,
    Boolean(bool),
    Number(String),
    Text(String),
    EmptyArray,
    EmptyObject,
}

// === impl Action ===

impl Action {
    /// The name of the action in rule files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Optional(_) => "optional",
            Self::Tolerance(_) => "tolerance",
            Self::Round(_) => "round",
            Self::Time(_) => "time",
            Self::Unordered(_) => "unordered",
            Self::Same(_) => "same",
            Self::Bijection(_) => "bijection",
            Self::Status(_) => "status",
            Self::Rename(_) => "rename",
            Self::Transform(Transform::Parse(_)) => "parse",
            Self::Transform(Transform::Replace(_)) => "replace",
            Self::Transform(Transform::Map(_)) => "map",
            Self::Transform(Transform::CaseFold) => "case",
            Self::Transform(Transform::SpaceCollapse) => "space",
            Self::Transform(Transform::Unicode(_)) => "unicode",
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
        match self {
            Self::Ignore => f.write_str("ignore"),
            Self::Optional(values) => write!(f, "{{optional: [{}]}}", listed(values)),
            Self::Tolerance(Tolerance { abs, rel }) => {
                let parts = [("abs", abs), ("rel", rel)].into_iter();
                let parts: Vec<_> = parts
                    .filter_map(|(name, amount)| Some(format!("{name}: {}", amount.as_ref()?)))
                    .collect();
                write!(f, "{{tolerance: {{{}}}}}", parts.join(", "))
            }
            Self::Round(places) => write!(f, "{{round: {places}}}"),
            Self::Time(time) => time.fmt(f),
            Self::Unordered(Members::AsSet) => f.write_str("unordered"),
            Self::Unordered(Members::ByKey(key)) => write!(f, "{{unordered: {{key: {key}}}}}"),
            Self::Same(same) => same.fmt(f),
            Self::Bijection(Bijection { scope, name: None }) => {
                write!(f, "{{bijection: {}}}", scope.name())
            }
            Self::Bijection(Bijection {
                scope,
                name: Some(name),
            }) => {
                let scope = scope.name();
                write!(f, "{{bijection: {{scope: {scope}, name: {name:?}}}}}")
            }
            Self::Status(groups) => write!(f, "{{status: {{equal: {groups:?}}}}}"),
            Self::Rename(Rename { to, on }) => {
                write!(f, "{{rename: {{to: {to:?}, on: {}}}}}", on.name())
            }
            Self::Transform(transform) => transform.fmt(f),
        }
    }
}

fn listed(values: &[Literal]) -> String {
    let values: Vec<_> = values.iter().map(ToString::to_string).collect();
    values.join(", ")
}

// === impl Scope ===

impl Scope {
    pub const ALL: [Self; 2] = [Self::Check, Self::Epoch];

    pub fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Epoch => "epoch",
        }
    }
}

// === impl Literal ===

impl Literal {
    /// The value as rules see it; arrays and objects are empty here.
    pub fn subject(&self) -> Subject<'static> {
        match self {
            Self::Null => Subject::Null,
            Self::Boolean(flag) => Subject::Boolean(*flag),
            Self::Number(text) => Subject::Number(text.clone().into()),
            Self::Text(text) => Subject::Text(text.clone().into()),
            Self::EmptyArray => Subject::Tree(Tree::empty(Class::Array)),
            Self::EmptyObject => Subject::Tree(Tree::empty(Class::Object)),
        }
    }

    /// Whether a value equals this one.
    pub fn is(&self, subject: &Subject<'_>) -> bool {
        let own = self.subject();
        match (own.container(), subject.container()) {
            (Some(one), Some(other)) => one == other && subject.is_empty(),
            _ => own.equals(subject, Numbers::Numeric),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(flag) => flag.fmt(f),
            Self::Number(text) => f.write_str(text),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::EmptyArray => f.write_str("[]"),
            Self::EmptyObject => f.write_str("{}"),
        }
    }
}
