//! Normalization rules: which unequal values count as equal.
//!
//! [`RuleSet::compile`] reads rule files and reports every fault of all files at once. Compiled rules form one
//! [tree](Tree) over places. A comparison looks only at rules whose place it visits, so the cost of the others does not
//! grow with their number. Selectors that depend on more than the path to a node (filters, indices from the end) are
//! evaluated once for a document, by [`Query`].
//!
//! ```
//! use twinread::rules::{Action, RuleSet};
//!
//! let compile = |text: &str| {
//!     let files = [("rules.yaml".into(), text.to_owned())];
//!     RuleSet::compile(&files, jiff::civil::date(2026, 11, 22))
//! };
//! let text = "rules: [{id: date, why: each server has a clock, at: header.date, do: ignore}]";
//! let (set, warnings) = compile(text).expect("the file is valid");
//! assert!(warnings.is_empty());
//! let rules = set.at_header(&http::header::DATE);
//! assert_eq!(set.rules()[rules[0]].action, Action::Ignore);
//!
//! let faults = compile("rules: [{id: date, why: w, at: header.date, do: ignroe}]").unwrap_err();
//! assert_eq!(
//!     faults.to_string(),
//!     "rules.yaml:1:49: rules[0].do: unknown action `ignroe`, did you mean `ignore`?"
//! );
//! ```
//!
//! # What rules do at one place
//!
//! Rules are looked at only where two values differ: equal values stay equal, whatever rules would make of them.
//!
//! 1. `rename` comes first, while the members of two objects are paired. Members with one name on both sides stay a
//!    pair. Of the rest, the rule's member on the side `on` counts as if its name were `to`. It keeps its name if its
//!    object already has a member `to`. Rules at the new place apply to it, and differences are reported there. A
//!    rename masks once for each member that it pairs.
//! 2. Transforms come next, in file order, each applied to the result of the previous one: `parse`, `replace`, `map`,
//!    `case`, `space`, `unicode`. A value to which a transform does not apply stays as it is. The first transform after
//!    which both sides are equal has masked the difference. Arrays and objects parsed from texts are compared with the
//!    rules below this place; `parse` has masked a difference if none is left in them. A difference inside them is
//!    reported with the parsed values, any other difference with the original values.
//! 3. Judging rules come last, in file order, each independently, on the transformed values: `ignore`, `optional`,
//!    `tolerance`, `round`, `time`, `unordered`, `same`, `bijection`, `status`. The first that suffices has masked the
//!    difference, and no further rule is looked at.
//!
//! A rule that was looked at counts the difference as applied, and the one that masked it as masked. `ignore` and
//! `{same: any}` also cover everything below their place.
//!
//! * `round` is exact and rounds halves away from zero; negative places are those before the point. `round` and
//!   `tolerance` need numbers: a text needs `{parse: number}` first, and in headers, forms and XML everything is text.
//! * `time` is exact. A pattern without a zone means UTC, and without a time midnight. A value that several formats can
//!   read counts as equal if any two of the readings are.
//! * `bijection` takes only texts and numbers as ids. Equal ids count as a pair too: after 5 was paired with 5, pairing
//!   it with 7 is a difference. Pairs are recorded in the order of the comparison: headers, trailers, then the body. If
//!   elements of an unordered array differ only in ids without a pair, they wait until the rest of the body was
//!   compared. Up to 64 elements that are still ambiguous are paired so that all their ids agree. Larger sets, and
//!   lists whose order counts, are paired by guess, which may report ids as different that a better guess would not.
//! * At a header, trailer or form field, two lists of values are equal if each pair is; `unordered` compares them as
//!   multisets. The result of `parse` there is compared as a whole.
//! * At `body`, transforms apply before the body is read as its format. Remaining differences are reported for the
//!   transformed bodies, unless the original bodies were equal under all other rules.
//! * Selectors that need a search (filters, indices from the end) do not select in values parsed from texts in the
//!   body.

#![deny(missing_docs)]

mod action;
mod query;
mod read;
mod target;
#[cfg(test)]
mod tests;
mod tree;
mod when;

pub use action::{
    Action, Bijection, Format, Map, Members, Near, On, Parse, Pattern, Rename, Replace, Same,
    Scope, Subject, TextForm, Time, Transform, Tree as ParsedTree,
};
pub(crate) use query::Selector;
pub use query::{InvalidPath, Query};
pub use target::{InvalidTarget, Target};
pub use tree::{Move, State, Tree};
pub use when::{Facts, Side, When};

use crate::{
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, matches_glob},
    stack::Stack,
};
use http::HeaderName;
use jiff::civil::Date;
use std::{borrow::Cow, collections::HashMap, sync::Arc};
use xxhash_rust::xxh64::xxh64;

/// One normalization, and who is responsible for it.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Unique across all files.
    pub id: String,
    /// The reason, for people.
    pub why: String,
    /// Who is responsible.
    pub owner: Option<String>,
    /// The last day on which it applies.
    pub expires: Option<Date>,
    /// The checks in which it applies.
    pub when: When,
    /// The places where it applies.
    pub at: Target,
    /// What counts as equal there.
    pub action: Action,
}

/// The rules of all files, compiled into one tree over places. Rules are identified by index.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    /// Each rule as it stands in its file; empty if the set was made from another one.
    written: Vec<read::Written>,
    status: Vec<usize>,
    headers: ByName,
    trailers: ByName,
    forms: HashMap<String, Vec<usize>>,
    body: Vec<usize>,
    tree: Tree,
    queries: Vec<(usize, Query)>,
    /// The rule of `compare.only`.
    only: Option<usize>,
    /// Computed once, because the fast path needs it in every check.
    remembers: bool,
}

/// Rules by the name of a header or trailer.
#[derive(Debug, Default)]
struct ByName {
    exact: HashMap<HeaderName, Vec<usize>>,
    /// Names that contain `*`.
    patterns: Vec<(HeaderName, usize)>,
}

// === impl RuleSet ===

impl RuleSet {
    /// Built-in rule files, each with its name and text.
    pub const BUILTIN: [(&str, &str); 6] = [
        ("http", include_str!("../rules/http.yaml")),
        ("json-api", include_str!("../rules/json-api.yaml")),
        ("aws", include_str!("../rules/aws.yaml")),
        ("graphql", include_str!("../rules/graphql.yaml")),
        ("grpc", include_str!("../rules/grpc.yaml")),
        ("demo", include_str!("../rules/demo.yaml")),
    ];

    /// The id of the rule that counts what `compare.only` leaves out. No rule of a file can have it.
    pub const ONLY: &str = "compare.only";

    /// Compiles rule files, given by name and text, in order. Also returns warnings about rules that have expired by
    /// `today` and so do not apply.
    ///
    /// # Errors
    /// Everything that is wrong with any of the files.
    pub fn compile(
        files: &[(Arc<str>, String)],
        today: Date,
    ) -> Result<(Self, Vec<ConfigError>), ConfigErrors> {
        let (rules, warnings) = read::files(files, today)?;
        let (rules, written) = rules.into_iter().unzip();
        let set = Self {
            written,
            ..Self::new(rules)
        };
        Ok((set, warnings))
    }

    fn new(rules: Vec<Rule>) -> Self {
        let mut set = Self::default();
        for (index, rule) in rules.iter().enumerate() {
            match &rule.at {
                Target::Status => set.status.push(index),
                Target::Header(name) => set.headers.insert(name, index),
                Target::Trailer(name) => set.trailers.insert(name, index),
                Target::Form(name) => set.forms.entry(name.clone()).or_default().push(index),
                Target::Body => set.body.push(index),
                Target::Path(query) => set.insert(query, index),
                Target::Outside(queries) => {
                    queries.iter().for_each(|query| set.insert(query, index));
                    set.only = Some(index);
                }
            }
        }
        set.tree.seal(&rules);
        set.remembers = rules.iter().any(|rule| remembers(&rule.action));
        set.rules = rules;
        set
    }

    fn insert(&mut self, query: &Query, rule: usize) {
        if !self.tree.insert(query.segments(), rule) {
            self.queries.push((rule, query.clone()));
        }
    }

    /// The same rules, and one with the id [`RuleSet::ONLY`]: it ignores what lies outside some places of a document.
    #[must_use]
    pub fn confined_to(&self, places: &[Query]) -> Self {
        let only = Rule {
            id: Self::ONLY.to_owned(),
            why: "compare.only names other places".to_owned(),
            owner: None,
            expires: None,
            when: When::default(),
            at: Target::Outside(places.to_vec()),
            action: Action::Ignore,
        };
        Self {
            written: self.written.clone(),
            ..Self::new(self.rules.iter().cloned().chain([only]).collect())
        }
    }

    /// The rules for comparing two answers of one stack. A rule for its side applies to both answers, and a rule for
    /// the other side to neither. Bijections are dropped, because one stack does not renumber ids.
    pub fn between_readings_of(&self, stack: Stack) -> Self {
        let rules = self.rules.iter().filter_map(|rule| {
            let action = rule.action.between_readings_of(stack)?;
            Some(Rule {
                action,
                ..rule.clone()
            })
        });
        Self::new(rules.collect())
    }

    /// The text of a built-in rule file: `http` for `builtin:http`.
    pub fn builtin(name: &str) -> Option<&'static str> {
        let mut builtin = Self::BUILTIN.into_iter();
        builtin.find_map(|(own, text)| (own == name).then_some(text))
    }

    /// All rules in file order, then that of `compare.only`. Other functions identify them by the index in this list.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rules, each with the place in its file.
    pub(crate) fn written(&self) -> impl Iterator<Item = (&Rule, Cursor<'_>)> {
        let places = self.written.iter().map(read::Written::at);
        self.rules.iter().zip(places)
    }

    /// Whether pairs of ids from one check are remembered for later checks.
    pub fn remembers(&self) -> bool {
        self.remembers
    }

    /// The rules at `status`.
    pub fn at_status(&self) -> &[usize] {
        &self.status
    }

    /// The rules at a header.
    pub fn at_header(&self, name: &HeaderName) -> Cow<'_, [usize]> {
        self.headers.at(name)
    }

    /// The rules at a trailer.
    pub fn at_trailer(&self, name: &HeaderName) -> Cow<'_, [usize]> {
        self.trailers.at(name)
    }

    /// The rules at a field of a form.
    pub fn at_form(&self, name: &str) -> &[usize] {
        self.forms.get(name).map_or(&[], Vec::as_slice)
    }

    /// The rules at the whole body.
    pub fn at_body(&self) -> &[usize] {
        &self.body
    }

    /// The rules at places in a document that the path to a node decides.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The rules at places in a document that need a search.
    pub fn queries(&self) -> &[(usize, Query)] {
        &self.queries
    }

    /// The rule of `compare.only`: it applies outside the places where the tree and the queries have it.
    pub fn only(&self) -> Option<usize> {
        self.only
    }

    /// The rules that read texts in a document as documents.
    pub(crate) fn parsing(&self) -> impl Iterator<Item = usize> {
        let reads = |rule: &Rule| {
            let is_inside = matches!(rule.at, Target::Body | Target::Path(_));
            let is_text = |parse: &Parse| *parse != Parse::Number;
            is_inside
                && matches!(&rule.action, Action::Transform(Transform::Parse(parse)) if is_text(parse))
        };
        (0..self.rules.len()).filter(move |rule| reads(&self.rules[*rule]))
    }

    /// A hash in 16 hexadecimal digits that changes whenever the effect of the rules of files changes. It is the same
    /// in every version of this program.
    pub fn fingerprint(&self) -> String {
        let mut text = String::new();
        let of_files = |rule: &&Rule| !matches!(rule.at, Target::Outside(_));
        for rule in self.rules.iter().filter(of_files) {
            let expires = rule.expires.map(|day| day.to_string()).unwrap_or_default();
            for part in [
                &rule.id,
                &rule.at.to_string(),
                &rule.action.to_string(),
                &rule.when.to_string(),
                &expires,
            ] {
                text.push_str(part);
                text.push('\0');
            }
        }
        format!("{:016x}", xxh64(text.as_bytes(), 0))
    }
}

// === impl ByName ===

impl ByName {
    fn insert(&mut self, name: &HeaderName, rule: usize) {
        if name.as_str().contains('*') {
            self.patterns.push((name.clone(), rule));
        } else {
            self.exact.entry(name.clone()).or_default().push(rule);
        }
    }

    /// In file order.
    fn at(&self, name: &HeaderName) -> Cow<'_, [usize]> {
        let exact = self.exact.get(name).map_or(&[][..], Vec::as_slice);
        let is_at =
            |(pattern, _): &&(HeaderName, usize)| matches_glob(pattern.as_str(), name.as_str());
        let mut matching = self.patterns.iter().filter(is_at).peekable();
        if matching.peek().is_none() {
            return Cow::Borrowed(exact);
        }
        let mut all = exact.to_vec();
        all.extend(matching.map(|(_, rule)| *rule));
        all.sort_unstable();
        Cow::Owned(all)
    }
}

impl PartialEq for RuleSet {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint() == other.fingerprint()
    }
}

fn remembers(action: &Action) -> bool {
    matches!(action, Action::Bijection(bijection) if bijection.scope == Scope::Epoch)
}
