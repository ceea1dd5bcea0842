//! One entry of the section `routes`: which requests it matches, and the name it gives.

use super::{Head, JsonBody, OTHER, Selector, keys, selector::Capture};
use crate::spanned_yaml::{ConfigError, ConfigErrors, Cursor, Fields, Setting as _};
use std::borrow::Cow;

/// Maximum length of a name in `routes`, in bytes.
pub(crate) const MAX_NAME: usize = 100;

/// Maximum length of what one capture adds to a name, in characters.
const MAX_CAPTURED: usize = 64;

/// A named group of requests.
#[derive(Clone, Debug)]
pub struct Entry {
    parts: Vec<Part>,
    pub(crate) selector: Selector,
    /// Captures that are not part of the name, by name.
    keys: Vec<(String, Capture)>,
    pub(crate) is_required: bool,
    pub(crate) sample: Option<f64>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Captured { name: String, capture: Capture },
}

// === impl Entry ===

impl Entry {
    pub(super) fn read(at: &Cursor<'_>) -> Result<Self, ConfigErrors> {
        let mut fields = Fields::of(at.clone());
        let selector = Selector::take(&mut fields, |at| at.method());
        let is_required = fields.optional("required", bool::of_node) == Some(true);
        let parts = fields.required("name", |at| {
            let parts = read_name(at, &selector)?;
            let is_fixed = matches!(parts.as_slice(), [Part::Text(_)]);
            if is_required && !is_fixed {
                // It could not be determined whether such a route was seen.
                return Err(at.fault("a required route needs a name without captures"));
            }
            Ok(parts)
        });
        let sample = fields.optional("sample", |at| at.number_within(0.0, 1.0));
        fields.finish().into_result(Self {
            is_required,
            sample,
            ..Self::new(parts.unwrap_or_default(), selector)
        })
    }

    fn new(parts: Vec<Part>, selector: Selector) -> Self {
        let is_in_name = |name: &str| {
            let mut parts = parts.iter();
            parts.any(|part| matches!(part, Part::Captured { name: own, .. } if own == name))
        };
        let mut keys = selector.captures();
        keys.retain(|(name, _)| !is_in_name(name));
        Self {
            parts,
            selector,
            keys,
            is_required: false,
            sample: None,
        }
    }

    /// An entry whose name is the same for every request.
    pub(super) fn named(name: String, selector: Selector) -> Self {
        Self::new(vec![Part::Text(name)], selector)
    }

    /// Its name, in which `*` stands for each capture.
    pub(super) fn name_pattern(&self) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Captured { .. } => "*",
        });
        parts.collect()
    }

    /// The name, if it holds no captures.
    pub fn fixed_name(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Key of the record that a matching request is about; `None` if nothing identifies it.
    pub(super) fn key(&self, head: &Head<'_>, body: Option<&JsonBody<'_>>) -> Option<u64> {
        let captured = self.keys.iter().filter_map(|(name, capture)| {
            let value = self.selector.captured((*capture, name), head, body)?;
            Some((name.as_str(), value))
        });
        keys::of_pairs(captured)
    }

    /// The name of a matching request. Captures are cut and made safe to print.
    pub(super) fn name(&self, head: &Head<'_>, body: Option<&JsonBody<'_>>) -> Cow<'_, str> {
        if let Some(name) = self.fixed_name() {
            return Cow::Borrowed(name);
        }
        let mut text = String::with_capacity(MAX_NAME);
        for part in &self.parts {
            match part {
                Part::Text(fixed) => text.push_str(fixed),
                Part::Captured { name, capture } => {
                    let value = self.selector.captured((*capture, name), head, body);
                    let value = value.unwrap_or_default();
                    text.extend(value.chars().take(MAX_CAPTURED).map(safe));
                }
            }
        }
        Cow::Owned(text)
    }
}

/// Splits `dynamodb {op}` into its parts.
fn read_name(at: &Cursor<'_>, selector: &Selector) -> Result<Vec<Part>, ConfigError> {
    let text = at.text()?;
    if text == OTHER {
        return Err(at.fault("`other` is the route past `max_routes`"));
    }
    if text.trim().is_empty() || text.len() > MAX_NAME || text.contains(char::is_control) {
        return Err(at.expected(format!("a name of 1 to {MAX_NAME} printable characters")));
    }
    let mut parts = Vec::new();
    let mut left = text;
    while let Some((before, rest)) = left.split_once('{') {
        let Some((name, after)) = rest.split_once('}') else {
            return Err(at.fault("expected `{` to be closed by `}`"));
        };
        let Some(capture) = selector.capture(name) else {
            return Err(at.fault(format!("`{{{name}}}` is captured nowhere in this entry")));
        };
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        let name = name.to_owned();
        parts.push(Part::Captured { name, capture });
        left = after;
    }
    if !left.is_empty() {
        parts.push(Part::Text(left.to_owned()));
    }
    Ok(parts)
}

/// Prevents a client from forging labels or lines.
fn safe(c: char) -> char {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' | ':' | '/' => c,
        _ => '_',
    }
}
