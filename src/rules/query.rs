//! JSONPath queries (RFC 9535): what a rule's `at` selects of a document.
//!
//! The grammar is read by the crate jsonpath-rust. Its evaluation compares numbers as doubles, so a query is
//! evaluated here, on the document as it was parsed: exact, and without copying it.

mod compile;
mod evaluate;
mod fault;
mod pattern;

pub use fault::InvalidPath;

use pattern::Pattern;

use jsonpath_rust::parser::parse_json_path;
use std::num::NonZeroUsize;

/// A query that was found valid.
#[derive(Clone, Debug)]
pub struct Query {
    segments: Vec<Segment>,
}

/// One step of a query.
#[derive(Clone, Debug)]
pub struct Segment {
    pub reach: Reach,
    pub selectors: Vec<Selector>,
}

/// Which nodes the selectors of a segment are put to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The node itself.
    Children,
    /// The node and everything in it.
    Descendants,
}

/// What is selected of the members of one node.
#[derive(Clone, Debug)]
pub enum Selector {
    Name(String),
    Wildcard,
    /// Below zero: from the end.
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
    Matches { text: Operand, pattern: Pattern },
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
    /// As JSON spells it.
    Number(String),
    Text(String),
    /// The value of the one node that is selected; nothing unless it is one.
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

/// Steps of the grammar that reading one path may take. In nested filters it goes back and forth, nearly twice as often with
/// each level: without a bound, 500 characters take minutes to be refused.
const MAX_CALLS: usize = 2_000_000;

// === impl Query ===

impl Query {
    /// # Errors
    /// What is not RFC 9535, with the column where the grammar tells.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        pest::set_call_limit(NonZeroUsize::new(MAX_CALLS));
        let parsed = parse_json_path(text).map_err(|error| InvalidPath::new(text, &error))?;
        InvalidPath::check_spaces(text)?;
        let segments = compile::segments(&parsed.segments).map_err(InvalidPath::without_column)?;
        Ok(Self { segments })
    }

    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether all that is selected is members of objects, by their names.
    pub fn selects_by_name(&self) -> bool {
        let is_name = |selector: &Selector| matches!(selector, Selector::Name(_));
        let last = self.segments.last();
        last.is_some_and(|segment| segment.selectors.iter().all(is_name))
    }
}
