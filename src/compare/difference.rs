//! Where and how two answers differ.

use std::fmt;

/// One place where two answers differ under the rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub place: Place,
    pub kind: Kind,
    /// What old has there; `None` where it has nothing.
    pub old: Option<Value>,
    /// What new has there; `None` where it has nothing.
    pub new: Option<Value>,
}

/// A place in an answer, as DESIGN.md section 6 spells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    Status,
    Header(String),
    Trailer(String),
    /// A node of a JSON, NDJSON or XML document.
    Node(Vec<Step>),
    Form(String),
    /// Lines of a text, numbered from 1 in old; `first == last` for one line.
    Lines {
        first: usize,
        last: usize,
    },
    /// Offset of the first byte that differs, from 0.
    Byte(usize),
    /// The whole body.
    Body,
}

/// One step from a node to a member of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Name(String),
    Index(usize),
}

/// How a place differs: a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Status,
    /// Old has it, new does not.
    Missing,
    /// New has it, old does not.
    Extra,
    Type,
    Value,
    /// The same members in another order.
    Order,
    /// The bodies are of two formats.
    Format,
    /// A body cannot be read as its format or encoding, on one side only.
    Undecodable,
    Text,
    Bytes,
}

/// What one side has at a place, before redaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A JSON value, numbers exact.
    Json(serde_json::Value),
    Text(String),
    /// Too large to carry along, or not text: what it is (`object`, `array`, `string`, `bytes`, ...) and its length in bytes.
    Summary {
        class: &'static str,
        length: usize,
    },
}

// === impl Kind ===

impl Kind {
    pub const ALL: [Self; 10] = [
        Self::Status,
        Self::Missing,
        Self::Extra,
        Self::Type,
        Self::Value,
        Self::Order,
        Self::Format,
        Self::Undecodable,
        Self::Text,
        Self::Bytes,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Type => "type",
            Self::Value => "value",
            Self::Order => "order",
            Self::Format => "format",
            Self::Undecodable => "undecodable",
            Self::Text => "text",
            Self::Bytes => "bytes",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
