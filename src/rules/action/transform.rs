//! Actions that replace a value before other rules judge it.

use super::{Literal, Subject, parse::Parse};
use crate::{stack::Stack, value::number::Decimal};
use regex::Regex;
use std::{borrow::Cow, fmt, sync::LazyLock};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfkc_quick};

/// Replaces a value. A value to which it does not apply stays as it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Transform {
    Parse(Parse),
    Replace(Replace),
    Map(Map),
    /// Unicode case folding, independent of language.
    CaseFold,
    /// Collapses each run of white space to one space, and removes it at the ends.
    SpaceCollapse,
    Unicode(Form),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Replace {
    pub pattern: Pattern,
    /// `$1` and `${name}` refer to groups.
    pub with: String,
    pub on: On,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Maps a text, or the spelling of a number or boolean, to its replacement.
    pub table: Vec<(String, Literal)>,
    pub on: On,
}

/// The sides that an action changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Old,
    New,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Nfc,
    Nfkc,
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
    pub fn on(&self) -> On {
        match self {
            Self::Replace(replace) => replace.on,
            Self::Map(map) => map.on,
            _ => On::Both,
        }
    }

    /// Replaces a value. JSON in it is read at most `max_depth` deep.
    pub fn apply<'v>(&self, subject: Subject<'v>, max_depth: usize) -> Subject<'v> {
        let text = match (self, subject) {
            (Self::Map(map), subject) => return map.apply(subject),
            (_, Subject::Text(text)) => text,
            (_, other) => return other,
        };
        match self {
            Self::Parse(parse) => parse.read(text, max_depth),
            Self::Map(_) => Subject::Text(text),
            _ => Subject::Text(self.text(text)),
        }
    }

    /// Replaces a text, for transforms that return a text.
    pub fn text<'v>(&self, text: Cow<'v, str>) -> Cow<'v, str> {
        match self {
            Self::Replace(replace) => {
                match replace.pattern.0.replace_all(&text, replace.with.as_str()) {
                    Cow::Borrowed(_) => text,
                    Cow::Owned(replaced) => replaced.into(),
                }
            }
            Self::CaseFold => caseless::default_case_fold_str(&text).into(),
            Self::SpaceCollapse => text.split_whitespace().collect::<Vec<_>>().join(" ").into(),
            Self::Unicode(Form::Nfc) if is_nfc_quick(text.chars()) != IsNormalized::Yes => {
                text.nfc().collect::<String>().into()
            }
            Self::Unicode(Form::Nfkc) if is_nfkc_quick(text.chars()) != IsNormalized::Yes => {
                text.nfkc().collect::<String>().into()
            }
            Self::Unicode(_) | Self::Parse(_) | Self::Map(_) => text,
        }
    }
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(parse) => write!(f, "{{parse: {}}}", parse.name()),
            Self::Replace(Replace { pattern, with, on }) => {
                let (pattern, on) = (pattern.as_str(), on.name());
                write!(
                    f,
                    "{{replace: {{regex: {pattern:?}, with: {with:?}, on: {on}}}}}"
                )
            }
            Self::Map(Map { table, on }) => {
                let table: Vec<_> = table
                    .iter()
                    .map(|(from, to)| format!("{from:?}: {to}"))
                    .collect();
                let (table, on) = (table.join(", "), on.name());
                write!(f, "{{map: {{table: {{{table}}}, on: {on}}}}}")
            }
            Self::CaseFold => f.write_str("{case: fold}"),
            Self::SpaceCollapse => f.write_str("{space: collapse}"),
            Self::Unicode(Form::Nfc) => f.write_str("{unicode: nfc}"),
            Self::Unicode(Form::Nfkc) => f.write_str("{unicode: nfkc}"),
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
        found.map_or(subject, |(_, to)| to.subject())
    }
}

// === impl On ===

impl On {
    pub fn covers(self, side: Stack) -> bool {
        match self {
            Self::Old => side == Stack::Old,
            Self::New => side == Stack::New,
            Self::Both => true,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
            Self::Both => "both",
        }
    }
}

// === impl Pattern ===

impl Pattern {
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

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}
