//! The regular expressions of JSONPath: I-Regexp (RFC 9485).

use super::Operand;
use regex::Regex;

/// The second argument of `match` and `search`.
#[derive(Clone, Debug)]
pub enum FilterPattern {
    /// `None` if it is not a regular expression: it matches nothing.
    Ready(Option<Regex>),
    /// Read from the document.
    At(Box<Operand>, fn(&str) -> Option<Regex>),
}

// === impl FilterPattern ===

impl FilterPattern {
    /// A pattern that must match the whole text.
    pub(super) fn whole(pattern: &str) -> Option<Regex> {
        Regex::new(&format!(r"\A(?:{})\z", translated(pattern))).ok()
    }

    /// A pattern that must match a part of the text.
    pub(super) fn part(pattern: &str) -> Option<Regex> {
        Regex::new(&translated(pattern)).ok()
    }
}

/// Translates I-Regexp to this crate's syntax: a dot matches no end of line.
fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut in_class = false;
    let mut escaped = false;
    for c in pattern.chars() {
        match c {
            '.' if !in_class && !escaped => out.push_str(r"[^\n\r]"),
            _ => out.push(c),
        }
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
    }
    out
}
