//! Compares two answers under rules, and reports where they differ.
//!
//! First status, headers and trailers, then bodies, which are decoded, parsed by their content type, and compared place
//! by place. Nothing here does I/O or uses time or randomness, except to check a deadline.
//!
//! # Where a difference gets its place
//!
//! | place | made in |
//! |---|---|
//! | `status`, `header.NAME`, `trailer.NAME` | `heads.rs` |
//! | `$.items[3].total`, in JSON, records, XML and gRPC | `walk/place.rs`, from the path of the walk |
//! | `form.NAME` | `form.rs` |
//! | `line 3`, `lines 3-5` | `lines.rs` |
//! | `byte 1024`, `body` | `body.rs` |
//!
//! `findings.rs` then decides whether a rule masks it.

#![deny(missing_docs)]

mod align;
pub mod answer;
mod bijection;
mod body;
mod candidate;
pub mod class;
mod findings;
mod form;
mod heads;
mod lines;
mod options;
pub mod suspects;
mod values;
mod walk;
pub mod xml;

#[cfg(test)]
mod tests;

pub use answer::{Answer, BodyCopy, Digest, Hashing};
pub use bijection::{Bijections, IdPairs, Ids};
pub use candidate::Candidate;
pub use class::Class;
pub(crate) use heads::is_never_compared;
pub use options::{Explain, HeaderScope, Only, Options};
pub use suspects::{Classification, Earlier, Excuses, Later, RecheckState, Variation};

use crate::{
    outcome::{Reason, Via},
    rules::{Facts, RuleSet, Side},
    value::{
        Difference,
        format::media_type,
        grpc::{Descriptors, MessageType},
    },
};
use findings::Findings;
use http::Method;
use jiff::civil::Date;
use std::{sync::Arc, time::Instant};

/// The rules and options of a comparison. A check uses one of these from its sampling to its end.
#[derive(Clone, Debug, Default)]
pub struct CompareConfig {
    /// The rules in force, and that of [`Options::only`].
    pub rules: Arc<RuleSet>,
    /// What is compared, and the bounds.
    pub options: Options,
    /// What the messages of gRPC are made of.
    pub descriptors: Descriptors,
}

/// What the comparison needs to know about the check.
#[derive(Clone, Debug)]
pub struct Context<'c> {
    /// The name of the route, for rules that apply to some routes.
    pub route: &'c str,
    /// The method of the read. An answer to HEAD has no body.
    pub method: &'c Method,
    /// Rules that expire before this day do not apply.
    pub today: Date,
    /// After this time, alignment becomes coarser: it may report a coarser difference, but never equality.
    pub deadline: Option<Instant>,
    /// What a gRPC answer to the read is made of; `None` if no descriptor says so. Then its messages are bytes.
    pub message_type: Option<&'c MessageType>,
}

/// The result of comparing two answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Whether the answers are equal.
    pub result: Compared,
    /// For each rule that was looked at: its index in the [`RuleSet`], and how many differences it masked.
    pub rules: Vec<RuleUse>,
    /// What rules masked, in the order of the comparison; empty unless [`Explain::Places`] requests it.
    pub masked: Vec<Masked>,
    /// Why the bodies were not compared, if so. All differences are then in status, headers and trailers.
    pub uncompared: Option<Reason>,
    /// Whether messages of gRPC had to be compared as bytes, because no descriptor says what they are made of.
    pub undescribed: bool,
}

/// A difference that would have been reported without a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Masked {
    /// The index of the rule in the [`RuleSet`].
    pub rule: usize,
    /// What would have been reported.
    pub difference: Difference,
}

/// Whether two answers are equal.
#[derive(Clone, Debug, PartialEq)]
pub enum Compared {
    /// No difference is left.
    Equal(Via),
    /// At most `max_differences` of them, in document order, and the number of all.
    Different {
        /// The kept differences.
        differences: Vec<Difference>,
        /// The number of all differences, at least 1.
        count: usize,
    },
    /// No comparison was possible.
    NotCompared(Reason),
}

/// How often one rule mattered in one comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuleUse {
    /// The index of the rule in the [`RuleSet`].
    pub rule: usize,
    /// How many differences it was looked at for.
    pub applied: u64,
    /// How many differences it masked.
    pub masked: u64,
}

/// Compares two answers.
///
/// ```
/// # use twinread::compare::{Answer, Compared, CompareConfig, Context, compare};
/// # use http::{HeaderMap, Method, StatusCode, header::{CONTENT_TYPE, HeaderValue}};
/// let answer = |body: &'static str| Answer {
///     status: StatusCode::OK,
///     headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]),
///     body: body.into(),
///     trailers: HeaderMap::new(),
/// };
/// let context = Context {
///     route: "get-item",
///     method: &Method::GET,
///     today: jiff::civil::date(2026, 11, 22),
///     deadline: None,
///     message_type: None,
/// };
/// let old = answer(r#"{"id": 7, "price": 1.50}"#);
/// let new = answer(r#"{"price": 1.5, "id": 8}"#);
/// let comparison = compare(&old, &new, &context, &CompareConfig::default());
/// let Compared::Different { differences, .. } = comparison.result else {
///     panic!("the ids differ");
/// };
/// assert_eq!(differences[0].place.to_string(), "$.id");
/// ```
pub fn compare(
    old: &Answer,
    new: &Answer,
    context: &Context<'_>,
    comparing: &CompareConfig,
) -> Comparison {
    let mut epoch = Bijections::default();
    compare_within((old, new), context, comparing, &mut epoch)
}

/// Compares two answers, given the pairs of ids from earlier in the epoch. New pairs are added to them, to be
/// [kept](Bijections::keep) or [rolled back](Bijections::rollback).
pub fn compare_within(
    (old, new): (&Answer, &Answer),
    context: &Context<'_>,
    comparing: &CompareConfig,
    epoch: &mut Bijections,
) -> Comparison {
    if is_same(old, new) && !comparing.rules.remembers() {
        return Comparison {
            result: Compared::Equal(Via::Exact),
            rules: Vec::new(),
            masked: Vec::new(),
            uncompared: None,
            undescribed: false,
        };
    }
    let facts = Facts {
        route: context.route,
        method: context.method,
        sides: [old, new].map(|answer| Side {
            status: answer.status,
            media_type: media_type(&answer.headers),
        }),
    };
    let mut findings = Findings::new(comparing, facts, context.today, epoch);
    let pair = Pair {
        old,
        new,
        context,
        comparing,
    };
    let types = heads::compare(pair, &mut findings);
    let bodies = body::compare(pair, types, &mut findings);
    findings.close(bodies)
}

/// Two answers, and how they are compared.
#[derive(Clone, Copy, Debug)]
struct Pair<'c> {
    old: &'c Answer,
    new: &'c Answer,
    context: &'c Context<'c>,
    comparing: &'c CompareConfig,
}

/// The hard limit for the depth of JSON, whatever the options say, because each level uses stack.
const DEEPEST: usize = 1024;

/// Whether two answers are equal in every compared byte.
fn is_same(old: &Answer, new: &Answer) -> bool {
    old.status == new.status
        && old.body == new.body
        && old.headers == new.headers
        && old.trailers == new.trailers
}

// === impl CompareConfig ===

impl CompareConfig {
    /// Compares under these rules, and no more of bodies than the options say.
    pub fn new(rules: Arc<RuleSet>, options: Options) -> Self {
        let rules = match &options.only {
            Some(only) => Arc::new(rules.confined_to(only.places())),
            None => rules,
        };
        Self {
            rules,
            options,
            descriptors: Descriptors::default(),
        }
    }
}

// === impl Context ===

impl Context<'static> {
    /// A comparison outside of any check. Rules for some routes do not apply.
    pub(crate) fn without_route(today: Date, deadline: Option<Instant>) -> Self {
        Self {
            route: "",
            method: &Method::GET,
            today,
            deadline,
            message_type: None,
        }
    }
}

// === impl Comparison ===

impl Comparison {
    /// The kept differences.
    pub fn differences(&self) -> &[Difference] {
        self.result.differences()
    }

    /// The ids of the rules that masked something, with the number of differences.
    pub fn masked_counts<'r>(&self, rules: &'r RuleSet) -> Vec<(&'r str, u64)> {
        let masking = self.rules.iter().filter(|used| used.masked > 0);
        let counts = masking.map(|used| (rules.rules()[used.rule].id.as_str(), used.masked));
        counts.collect()
    }
}

// === impl Compared ===

impl Compared {
    /// The kept differences.
    pub fn differences(&self) -> &[Difference] {
        match self {
            Self::Different { differences, .. } => differences,
            Self::Equal(_) | Self::NotCompared(_) => &[],
        }
    }

    /// The number of all differences.
    pub fn count(&self) -> usize {
        match self {
            Self::Different { count, .. } => *count,
            Self::Equal(_) | Self::NotCompared(_) => 0,
        }
    }

    /// Whether every difference was kept.
    pub fn is_whole(&self) -> bool {
        self.count() == self.differences().len()
    }
}
