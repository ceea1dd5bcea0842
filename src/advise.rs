//! Advice on rules: which rules would explain differences, and what a change of the rules would do to them.

pub(crate) mod preview;
pub(crate) mod suggest;

use crate::value::{Kind, Place};
use regex::Regex;
use serde_json::Value as Json;
use std::{borrow::Cow, sync::LazyLock};
use suggest::Hints;

/// A stored mismatch.
#[derive(Clone, Debug)]
pub(crate) struct Example<'e> {
    pub id: &'e str,
    pub route: &'e str,
    pub method: &'e str,
    pub statuses: [u16; 2],
    /// As stored, possibly masked.
    pub content_types: [Option<&'e str>; 2],
    /// The headers of both answers as stored; their names are never masked.
    pub headers: [&'e [(String, String)]; 2],
    /// How often both stacks were read again.
    pub rechecks: u32,
    /// The places where readings of the old stack differ from one another.
    pub noise: &'e [String],
    /// The number of all differences; some may not be kept.
    pub count: usize,
    pub differences: Vec<ExampleDifference<'e>>,
}

/// One difference of a stored mismatch.
#[derive(Clone, Debug)]
pub(crate) struct ExampleDifference<'e> {
    /// The id of its class.
    pub class: &'e str,
    /// The place of its class, where a rule would apply.
    pub class_place: &'e str,
    /// `None` if the place was redacted.
    pub place: Option<&'e Place>,
    pub kind: Kind,
    pub hints: &'e Hints,
    /// Both values, if both are shown whole.
    pub shown: Option<&'e [Option<Json>; 2]>,
    /// Both values as reported: masked ones by their type, such as `string(4)`.
    pub reported: [Option<&'e str>; 2],
}

/// A member whose name looks like an index is taken for one; no class has such a place.
static INDEX: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\[\d+\]").expect("the pattern must be valid"));

// === impl Example ===

impl<'e> Example<'e> {
    /// The headers that both answers have and that differ between readings of the old stack: the place and the name.
    fn varying_headers(&self) -> impl Iterator<Item = (&'e str, &'e str)> {
        let places = self.noise.iter();
        let named =
            places.filter_map(|place| Some((place.as_str(), place.strip_prefix("header.")?)));
        named.filter(|(_, name)| self.sends(|other| other == *name) == [true; 2])
    }

    /// Whether readings of the old stack differ at a place, given as in a class; it may be a header whose name ends in
    /// `*`.
    fn varies_at(&self, at: &str) -> bool {
        let is_at = |place: &String| match at.strip_suffix('*') {
            Some(start) if at.starts_with("header.") => place.starts_with(start),
            _ => class_place(place) == at,
        };
        self.noise.iter().any(is_at)
    }

    /// Whether all its differences were kept: nothing explains those that were not.
    fn is_whole(&self) -> bool {
        self.count == self.differences.len() && self.count > 0
    }

    /// Whether each answer has a header whose name matches.
    fn sends(&self, is_named: impl Fn(&str) -> bool) -> [bool; 2] {
        self.headers
            .map(|headers| headers.iter().any(|(name, _)| is_named(name)))
    }
}

/// A place with its array indices as `[*]`.
fn class_place(place: &str) -> Cow<'_, str> {
    INDEX.replace_all(place, "[*]")
}

// === impl ExampleDifference ===

impl<'e> ExampleDifference<'e> {
    /// Both values, if both are shown whole and are texts.
    fn texts(&self) -> Option<[&'e str; 2]> {
        match self.shown? {
            [Some(Json::String(old)), Some(Json::String(new))] => Some([old, new]),
            _ => None,
        }
    }
}
