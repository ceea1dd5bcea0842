//! JSONPath queries (RFC 9535): what a rule's `at` selects in a document.
//!
//! The crate jsonpath-rust parses the grammar. Its evaluation compares numbers as doubles. So queries are evaluated
//! here, on the parsed document: exactly, and without copying it.

mod compile;
mod evaluate;
mod fault;
mod pattern;

pub use fault::InvalidPath;

use pattern::FilterPattern;

use jsonpath_rust::parser::parse_json_path;
use std::{fmt, num::NonZeroUsize};

/// A valid query.
#[derive(Clone, Debug)]
pub struct Query {
    /// As written.
    text: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug)]
pub struct Segment {
    pub reach: Reach,
    pub selectors: Vec<Selector>,
}

/// The nodes to which the selectors of a segment apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The node itself.
    Children,
    /// The node and all its descendants.
    Descendants,
}

/// What is selected from the members of one node.
#[derive(Clone, Debug)]
pub enum Selector {
    Name(String),
    Wildcard,
    /// Negative: from the end.
    Index(i64),
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: i64,
    },
    Filter(Filter),
}

/// A condition on a member.
#[derive(Clone, Debug)]
pub enum Filter {
    Any(Vec<Filter>),
    All(Vec<Filter>),
    Not(Box<Filter>),
    Exists(Path),
    Compare(Operand, Operator, Operand),
    Matches {
        text: Operand,
        pattern: FilterPattern,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
}

/// A value in a filter, or nothing.
#[derive(Clone, Debug)]
pub enum Operand {
    Null,
    Boolean(bool),
    /// As spelled in JSON.
    Number(String),
    Text(String),
    /// The value of the only selected node; nothing if there is not exactly one.
    Value(Path),
    Length(Box<Operand>),
    Count(Path),
}

/// A query within a filter.
#[derive(Clone, Debug)]
pub struct Path {
    pub from: From,
    pub segments: Vec<Segment>,
}

/// Where a query within a filter begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Root,
    Current,
}

/// The maximum number of grammar steps for one path. Nested filters backtrack, nearly twice as often with each level:
/// without a limit, rejecting 500 characters takes minutes.
const MAX_CALLS: usize = 2_000_000;

// === impl Query ===

impl Query {
    /// # Errors
    /// The text is not RFC 9535; includes the column if the grammar reports it.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        pest::set_call_limit(NonZeroUsize::new(MAX_CALLS));
        let parsed = parse_json_path(text).map_err(|error| InvalidPath::new(text, &error))?;
        InvalidPath::check_spaces(text)?;
        let segments = compile::segments(&parsed.segments).map_err(InvalidPath::without_column)?;
        let text = text.to_owned();
        Ok(Self { text, segments })
    }

    /// The steps of the query in order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether the query selects only members of objects, by name.
    pub fn selects_by_name(&self) -> bool {
        let is_name = |selector: &Selector| matches!(selector, Selector::Name(_));
        let last = self.segments.last();
        last.is_some_and(|segment| segment.selectors.iter().all(is_name))
    }
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
