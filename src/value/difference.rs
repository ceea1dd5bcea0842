//! Where and how two answers differ.

use serde::{Deserialize, Serialize};
use std::fmt;
use strum::{Display, IntoStaticStr, VariantArray};

/// One place where two answers differ under the rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Where.
    pub place: Place,
    /// How.
    pub kind: Kind,
    /// The value in old; `None` if old has nothing there.
    pub old: Option<Value>,
    /// The value in new; `None` if new has nothing there.
    pub new: Option<Value>,
}

/// A place in an answer. Reports, rules and the API all spell it as its `Display` does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Place {
    /// The status code.
    Status,
    /// All values of a header, by its name in lower case.
    Header(String),
    /// All values of a trailer, by its name in lower case.
    Trailer(String),
    /// A node of a JSON, NDJSON or XML document.
    Node(Vec<Step>),
    /// All values of a form field, by its decoded name.
    Form(String),
    /// Lines of a text, numbered from 1 in old; `first == last` for one line.
    Lines {
        /// The first line, from 1.
        first: usize,
        /// The last line, included.
        last: usize,
    },
    /// Offset of the first differing byte, from 0.
    Byte(usize),
    /// The whole body.
    Body,
}

/// One step from a node to one of its members.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Step {
    /// To the member of that name.
    Name(String),
    /// To the element at that index, from 0: the index in old, for `extra` the index in new.
    Index(usize),
}

/// How a place differs: a closed list.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    Display,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// The statuses differ.
    Status,
    /// Old has it, new does not.
    Missing,
    /// New has it, old does not.
    Extra,
    /// The values have different types; null is a type.
    Type,
    /// The values differ, but not their type.
    Value,
    /// The same members in another order.
    Order,
    /// The bodies have different formats.
    Format,
    /// A body cannot be read as its format or encoding, on one side only.
    Undecodable,
    /// Lines of a text differ.
    Text,
    /// Bytes differ.
    Bytes,
}

/// The value of one side at a place, before redaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A JSON value with exact numbers.
    Json(serde_json::Value),
    /// A text that is not JSON: a header, lines, a body.
    Text(String),
    /// Too large to keep, or not text: the type (`object`, `array`, `string`, `bytes`, ...) and the length in bytes.
    Summary {
        /// Its type.
        class: &'static str,
        /// In bytes.
        length: usize,
    },
    /// A body that cannot be read as declared: the reason and position, without any content, and the length in bytes.
    Unreadable {
        /// The reason, for people.
        why: String,
        /// In bytes.
        length: usize,
    },
}

/// Longer values, in bytes, are reported by type and length only.
pub(super) const MAX_VALUE: usize = 16 << 10;

/// How indices are displayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Indices {
    Shown,
    /// As `[*]`.
    Any,
}

// === impl Place ===

impl Place {
    /// The place as in a class: `[*]` for every index, no numbers of lines and bytes.
    pub fn class_text(&self) -> String {
        match self {
            Self::Node(steps) => path(steps, Indices::Any),
            Self::Lines { .. } => "line".to_owned(),
            Self::Byte(_) => "byte".to_owned(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("status"),
            Self::Header(name) => write!(f, "header.{name}"),
            Self::Trailer(name) => write!(f, "trailer.{name}"),
            Self::Node(steps) => f.write_str(&path(steps, Indices::Shown)),
            Self::Form(name) => write!(f, "form.{name}"),
            Self::Lines { first, last } if first == last => write!(f, "line {first}"),
            Self::Lines { first, last } => write!(f, "lines {first}-{last}"),
            Self::Byte(offset) => write!(f, "byte {offset}"),
            Self::Body => f.write_str("body"),
        }
    }
}

/// A JSONPath; names without an RFC 9535 shorthand are in brackets.
fn path(steps: &[Step], indices: Indices) -> String {
    let mut path = String::from("$");
    for step in steps {
        match step {
            Step::Index(_) if indices == Indices::Any => path.push_str("[*]"),
            Step::Index(index) => path.push_str(&format!("[{index}]")),
            Step::Name(name) if has_shorthand(name) => {
                path.push('.');
                path.push_str(name);
            }
            Step::Name(name) => {
                path.push_str("['");
                name.chars().for_each(|c| escape(c, &mut path));
                path.push_str("']");
            }
        }
    }
    path
}

/// `member-name-shorthand` of RFC 9535, section 2.5.1.1.
fn has_shorthand(name: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
    name.starts_with(is_first) && name.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

/// Escapes a character for a normalized path, RFC 9535, section 2.7.
fn escape(c: char, out: &mut String) {
    match c {
        '\'' => out.push_str("\\'"),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        c => out.push(c),
    }
}

// === impl Value ===

impl Value {
    /// A text; its type, which is `class`, and its length if it is long.
    pub fn text(text: &str, class: &'static str) -> Self {
        Self::text_of(text.len(), class, || text.to_owned())
    }

    /// The same of a text that is built only if it is short enough; `length` is in bytes.
    pub fn text_of(length: usize, class: &'static str, text: impl FnOnce() -> String) -> Self {
        if length <= MAX_VALUE {
            Self::Text(text())
        } else {
            Self::Summary { class, length }
        }
    }
}

// === impl Kind ===

impl Kind {
    /// The name in reports, the API and rule tests.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether such a difference breaks callers whatever the values are, because they cannot read the answer as before.
    pub fn is_breaking(self) -> bool {
        matches!(
            self,
            Self::Status | Self::Missing | Self::Type | Self::Format | Self::Undecodable
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_spelled_as_rfc_9535_does() {
        let name = |name: &str| Step::Name(name.to_owned());
        for (steps, path) in [
            (vec![], "$"),
            (
                vec![name("items"), Step::Index(3), name("total")],
                "$.items[3].total",
            ),
            (vec![name("a b"), name("@id")], "$['a b']['@id']"),
            (vec![name("")], "$['']"),
            (vec![name("1a"), name("_1"), name("é")], "$['1a']._1.é"),
            (vec![name("it's\n\\\u{1}")], "$['it\\'s\\n\\\\\\u0001']"),
        ] {
            assert_eq!(Place::Node(steps).to_string(), path);
        }
    }

    #[test]
    fn lines_and_bytes_are_named() {
        assert_eq!(Place::Lines { first: 3, last: 3 }.to_string(), "line 3");
        assert_eq!(Place::Lines { first: 3, last: 5 }.to_string(), "lines 3-5");
        assert_eq!(Place::Byte(1024).to_string(), "byte 1024");
        assert_eq!(Place::Byte(1024).class_text(), "byte");
        assert_eq!(Place::Header("date".into()).class_text(), "header.date");
    }
}
