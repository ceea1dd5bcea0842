//! Actions that replace a value before other rules judge it.

use super::{Parse, Subject, TextForm, listed, spelled};
use crate::{stack::Stack, value::number::Decimal};
use regex::Regex;
use std::{borrow::Cow, fmt, sync::LazyLock};

/// Replaces a value. A value to which it does not apply stays as it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Transform {
    /// Reads a text as something else.
    Parse(Parse),
    /// Replaces what a pattern matches.
    Replace(Replace),
    /// Translates values by a table.
    Map(Map),
    /// Changes how a text is spelled.
    Text(&'static TextForm),
}

/// A substitution.
#[derive(Clone, Debug, PartialEq)]
pub struct Replace {
    /// What is replaced, each time that it occurs.
    pub pattern: Pattern,
    /// `$1` and `${name}` refer to groups.
    pub with: String,
    /// The sides that change.
    pub on: On,
}

/// A translation.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Maps a text, or the spelling of a number or boolean, to its replacement.
    pub table: Vec<(String, Subject<'static>)>,
    /// The sides that change.
    pub on: On,
}

/// The sides that an action changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The old stack's values.
    Old,
    /// The new stack's values.
    New,
    /// The values of both stacks.
    Both,
}

/// A regular expression, compared by its text.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// A reference to a group in a substitution: `$name` or `${name}`; `$$` is a dollar.
static TAKEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\$(?:\$|\{([^}]*)\}|([0-9A-Za-z_]+))").expect("a pattern that a test reads")
});

// === impl Transform ===

impl Transform {
    /// The sides whose values it replaces.
    pub fn on(&self) -> On {
        match self {
            Self::Replace(replace) => replace.on,
            Self::Map(map) => map.on,
            Self::Parse(_) | Self::Text(_) => On::Both,
        }
    }

    /// Replaces a value. JSON in it is read at most `max_depth` deep.
    pub fn apply<'v>(&self, subject: Subject<'v>, max_depth: usize) -> Subject<'v> {
        match (self, subject) {
            (Self::Map(map), subject) => map.apply(subject),
            (Self::Parse(parse), Subject::Text(text)) => parse.read(text, max_depth),
            (Self::Replace(replace), Subject::Text(text)) => Subject::Text(replace.apply(text)),
            (Self::Text(form), Subject::Text(text)) => Subject::Text((form.apply)(text)),
            (_, other) => other,
        }
    }

    /// The name and the argument as in rule files.
    pub(super) fn spelling(&self) -> (&'static str, String) {
        match self {
            Self::Parse(parse) => ("parse", spelled(&Parse::NAMED, parse).to_owned()),
            Self::Replace(Replace { pattern, with, on }) => {
                let pattern = pattern.as_str();
                let argument = format!("{{regex: {pattern:?}, with: {with:?}, on: {on}}}");
                ("replace", argument)
            }
            Self::Map(Map { table, on }) => {
                let table = table.iter().map(|(from, to)| format!("{from:?}: {to}"));
                ("map", format!("{{table: {{{}}}, on: {on}}}", listed(table)))
            }
            Self::Text(form) => (form.name, form.how.to_owned()),
        }
    }
}

// === impl Replace ===

impl Replace {
    fn apply<'v>(&self, text: Cow<'v, str>) -> Cow<'v, str> {
        match self.pattern.0.replace_all(&text, self.with.as_str()) {
            Cow::Borrowed(_) => text,
            Cow::Owned(replaced) => replaced.into(),
        }
    }
}

// === impl Map ===

impl Map {
    fn apply<'v>(&self, subject: Subject<'v>) -> Subject<'v> {
        let found = self.table.iter().find(|(from, _)| match &subject {
            Subject::Text(text) => text == from,
            Subject::Number(number) => {
                Decimal::parse(number).is_some_and(|number| Some(number) == Decimal::parse(from))
            }
            Subject::Boolean(flag) => from == if *flag { "true" } else { "false" },
            _ => false,
        });
        found.map_or(subject, |(_, to)| to.clone())
    }
}

// === impl On ===

impl On {
    pub(super) const NAMED: [(&'static str, Self); 3] =
        [("old", Self::Old), ("new", Self::New), ("both", Self::Both)];

    /// Whether values of that side change.
    pub fn covers(self, side: Stack) -> bool {
        match self {
            Self::Old => side == Stack::Old,
            Self::New => side == Stack::New,
            Self::Both => true,
        }
    }
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(spelled(&Self::NAMED, self))
    }
}

// === impl Pattern ===

impl Pattern {
    /// A pattern that may match any part of a text.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        Regex::new(text).map(Self)
    }

    /// A pattern that must match the whole text.
    pub fn whole(text: &str) -> Result<Self, regex::Error> {
        // Compiled alone first, so that errors refer to the pattern as written.
        Regex::new(text)?;
        // A comment at its end, under `(?x)`, continues to the end of its line.
        Regex::new(&format!(r"\A(?:{text})\z"))
            .or_else(|_| Regex::new(&format!("\\A(?:{text}\n)\\z")))
            .map(Self)
    }

    /// Whether it matches.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// The first group in a substitution that the pattern does not have, so that it would be empty.
    pub fn unknown_group<'t>(&self, with: &'t str) -> Option<&'t str> {
        let mut taken = TAKEN.captures_iter(with).filter_map(|taken| {
            let group = taken.get(1).or_else(|| taken.get(2))?;
            Some(group.as_str())
        });
        taken.find(|group| match group.parse::<usize>() {
            Ok(index) => index >= self.0.captures_len(),
            Err(_) => !self.0.capture_names().flatten().any(|name| name == *group),
        })
    }

    /// The pattern as compiled.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}
