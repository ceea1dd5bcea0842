//! Compares two answers under rules, and tells where they differ.

pub mod answer;
pub mod difference;

pub use answer::Answer;
pub use difference::{Difference, Kind, Place, Step, Value};

use crate::{
    rules::RuleSet,
    verdict::{Reason, Via},
};
use http::Method;
use jiff::civil::Date;
use std::{sync::Arc, time::Instant};

/// What a check is compared under. A check uses one of these from its sampling to its end.
#[derive(Clone, Debug, Default)]
pub struct Comparing {
    pub rules: Arc<RuleSet>,
    pub options: Options,
}

/// The section `compare` of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub headers: HeaderScope,
    pub numbers: Numbers,
    /// Kept per check; the count goes on.
    pub max_differences: usize,
    pub max_depth: usize,
    /// Bytes of one body after decompression.
    pub max_decoded: usize,
}

/// Which headers and trailers are compared.
#[derive(Clone, Debug, PartialEq)]
pub enum HeaderScope {
    All,
    Listed(Vec<http::HeaderName>),
    None,
}

/// When two JSON numbers are equal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Numbers {
    /// `1`, `1.0` and `1e0` are equal, exactly, at any size.
    Numeric,
    /// Only the same spelling is equal.
    Lexical,
}

/// What the comparison has to know of the check.
#[derive(Clone, Debug)]
pub struct Context<'c> {
    pub route: &'c str,
    pub method: &'c Method,
    /// Rules that expire before this day do not apply.
    pub today: Date,
    /// When alignment has to give up and report a coarser difference; never equality.
    pub deadline: Option<Instant>,
}

/// What came of comparing two answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub result: Compared,
    /// For each rule that was looked at: its index in the [`RuleSet`], and the differences it masked.
    pub rules: Vec<RuleUse>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Compared {
    Equal(Via),
    /// At most `max_differences` of them, in document order, and how many there were.
    Different {
        differences: Vec<Difference>,
        count: usize,
    },
    /// No comparison could be made.
    NotCompared(Reason),
}

/// How often one rule mattered in one comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuleUse {
    pub rule: usize,
    pub applied: u64,
    pub masked: u64,
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            headers: HeaderScope::All,
            numbers: Numbers::Numeric,
            max_differences: 100,
            max_depth: 128,
            max_decoded: 16 << 20,
        }
    }
}
