//! Normalization rules: why two unlike values count as equal.
//!
//! Rule files are read by [`RuleSet::compile`], which reports every fault of all files at once. Compiled,
//! the rules hang on one [tree](Tree) over places, so that a comparison meets only the rules whose place it
//! comes to: what the others cost does not grow with their number. Only selectors that depend on more than
//! the way to a node (filters, counting from the end) are evaluated once for a document, by [`Query`].
//!
//! # What rules do at one place
//!
//! Rules are looked at where two values differ, and nowhere else: what is equal stays equal, whatever rules would make of it.
//!
//! 1. `rename` first, while the members of two objects find each other. What both sides have under one name belongs together as
//!    it is. Of the rest, the member at the rule's place counts, on the side `on`, as if it were named `to`, unless its object
//!    has a member of that name. Rules at the new place apply to it, and it is told there. A rename masks once for
//!    each member that it brings together with its like.
//! 2. Then the rules that make other values, in the order of their files, each on what the one before has left: `parse`,
//!    `replace`, `map`, `case`, `space`, `unicode`. What they are not made for stays as it is. The first after which the two are
//!    equal has masked the difference. Arrays and objects that were read from texts are walked, with the rules below this
//!    place; `parse` has masked a difference if none is left in there. A difference in there is told with the values that were
//!    read; any other is told with the values as they came.
//! 3. Then the rules that judge, in the order of their files, each for itself, on what has become of the values: `ignore`,
//!    `optional`, `tolerance`, `round`, `time`, `unordered`, `same`, `bijection`, `status`. The first that suffices has masked the
//!    difference, and no further rule is looked at.
//!
//! A rule that was looked at counts the difference as applied, and the one that masked it as masked. `ignore` and `{same: any}` cover
//! what is below their place too.
//!
//! * `round` takes decimals exactly, halves away from zero; places below zero are those before the point. `round` and
//!   `tolerance` are for numbers: a text needs `{parse: number}` first, and in headers, forms and XML everything is text.
//! * `time` takes instants exactly. A pattern without a zone means UTC, and without a time midnight. What several formats
//!   can read counts as equal if any two of the readings are.
//! * `bijection` takes texts and numbers for ids, and no other values. Ids that are equal as they stand have met as well: after
//!   5 has met 5, that it meets 7 is a difference. Pairs are remembered in the order in which a comparison comes to
//!   them: headers, trailers, then the body. Arrays without order whose elements differ in nothing but ids that have not met
//!   wait until the rest of the body was compared. What is in doubt even then is paired so that all its ids agree, in up to
//!   64 elements; more of them, and lists whose order counts, are paired by guess, which may tell ids as different that a
//!   better guess would not.
//! * At a header, trailer or form field, two lists of values are equal if each pair is; `unordered` compares them as multisets.
//!   What `parse` reads there is compared as a whole.
//! * At `body`, the rules that make other values do so before the body is read as its format, and what is left to
//!   differ is told of the bodies that they made, unless the bodies were equal under all other rules as they came.
//! * Selectors that have to be looked for (filters, counting from the end) select in the body alone, not in what is
//!   read from a text in it.

mod action;
#[cfg(test)]
mod compliance;
mod query;
mod read;
mod target;
#[cfg(test)]
mod tests;
mod tree;
mod when;

pub use action::{
    Action, Bijection, Form, Format, Literal, Map, Members, Near, On, Parse, Pattern, Rename,
    Replace, Same, Scope, Subject, Time, Transform, Tree as ParsedTree,
};
pub use query::{InvalidPath, Query};
pub use target::{InvalidTarget, Target};
pub use tree::{Move, State, Tree};
pub use when::{Facts, Side, When};

use crate::{
    spanned_yaml::{ConfigError, ConfigErrors},
    stack::Stack,
};
use http::HeaderName;
use jiff::civil::Date;
use std::{collections::HashMap, sync::Arc};
use xxhash_rust::xxh64::xxh64;

/// One normalization, and who answers for it.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Unique over all files.
    pub id: String,
    pub why: String,
    pub owner: Option<String>,
    /// The last day on which it applies.
    pub expires: Option<Date>,
    pub when: When,
    pub at: Target,
    pub action: Action,
}

/// Rules of all files, compiled into one tree over places. Rules are known by their index.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    status: Vec<usize>,
    headers: HashMap<HeaderName, Vec<usize>>,
    trailers: HashMap<HeaderName, Vec<usize>>,
    forms: HashMap<String, Vec<usize>>,
    body: Vec<usize>,
    tree: Tree,
    queries: Vec<(usize, Query)>,
    /// Found out once: the fast path asks for it in every check.
    remembers: bool,
}

// === impl RuleSet ===

impl RuleSet {
    /// Rule files that are compiled in, each by its name and its text.
    pub const BUILTIN: [(&str, &str); 5] = [
        ("http", include_str!("../rules/http.yaml")),
        ("json-api", include_str!("../rules/json-api.yaml")),
        ("aws", include_str!("../rules/aws.yaml")),
        ("graphql", include_str!("../rules/graphql.yaml")),
        ("demo", include_str!("../rules/demo.yaml")),
    ];

    /// Reads rule files, each by its name and its text, in order. What comes back beside the rules are
    /// warnings: rules that have expired by `today` and so do not apply.
    ///
    /// # Errors
    /// Everything that is wrong with any of the files.
    pub fn compile(
        files: &[(Arc<str>, String)],
        today: Date,
    ) -> Result<(Self, Vec<ConfigError>), ConfigErrors> {
        let (rules, warnings) = read::files(files, today)?;
        Ok((Self::new(rules), warnings))
    }

    fn new(rules: Vec<Rule>) -> Self {
        let mut set = Self::default();
        for (index, rule) in rules.iter().enumerate() {
            match &rule.at {
                Target::Status => set.status.push(index),
                Target::Header(name) => set.headers.entry(name.clone()).or_default().push(index),
                Target::Trailer(name) => set.trailers.entry(name.clone()).or_default().push(index),
                Target::Form(name) => set.forms.entry(name.clone()).or_default().push(index),
                Target::Body => set.body.push(index),
                Target::Path { query, .. } => {
                    if !set.tree.insert(query.segments(), index) {
                        set.queries.push((index, query.clone()));
                    }
                }
            }
        }
        set.tree.seal(&rules);
        set.remembers = rules.iter().any(|rule| remembers(&rule.action));
        set.rules = rules;
        set
    }

    /// The rules as they judge two answers of one stack: what is made of its values is made of both, what is made of the
    /// other's of neither, and no ids are renumbered.
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

    /// The text of a rule file that is compiled in: `http` for `builtin:http`.
    pub fn builtin(name: &str) -> Option<&'static str> {
        let mut builtin = Self::BUILTIN.into_iter();
        builtin.find_map(|(own, text)| (own == name).then_some(text))
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether ids that met in one check are remembered in those that follow.
    pub fn remembers(&self) -> bool {
        self.remembers
    }

    /// The rules at `status`.
    pub fn at_status(&self) -> &[usize] {
        &self.status
    }

    /// The rules at a header.
    pub fn at_header(&self, name: &HeaderName) -> &[usize] {
        self.headers.get(name).map_or(&[], Vec::as_slice)
    }

    /// The rules at a trailer.
    pub fn at_trailer(&self, name: &HeaderName) -> &[usize] {
        self.trailers.get(name).map_or(&[], Vec::as_slice)
    }

    /// The rules at a field of a form.
    pub fn at_form(&self, name: &str) -> &[usize] {
        self.forms.get(name).map_or(&[], Vec::as_slice)
    }

    /// The rules at the whole body.
    pub fn at_body(&self) -> &[usize] {
        &self.body
    }

    /// The rules at places in a document that the way to a node decides.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The rules at places in a document that have to be looked for.
    pub fn queries(&self) -> &[(usize, Query)] {
        &self.queries
    }

    /// 16 hexadecimal digits that change whenever what the rules do changes, in any version of this program alike.
    pub fn fingerprint(&self) -> String {
        let mut text = String::new();
        for rule in &self.rules {
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

impl PartialEq for RuleSet {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint() == other.fingerprint()
    }
}

fn remembers(action: &Action) -> bool {
    matches!(action, Action::Bijection(bijection) if bijection.scope == Scope::Epoch)
}
