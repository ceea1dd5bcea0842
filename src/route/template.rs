//! Path templates: `/users/{id}`, `/files/{rest*}`, `/static/*`.
//!
//! A template matches a whole path, byte by byte, percent-encoded. `{name}` stands for one non-empty segment; a final
//! `{name*}` or `*` stands for everything after its slash, possibly nothing.

use crate::spanned_yaml::{ConfigError, Cursor};
use std::fmt;

/// A path with placeholders.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    pub(super) segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Segment {
    Literal(String),
    /// A placeholder for one segment, by name.
    One(String),
    /// A placeholder for the rest of the path, by name; empty for `*`.
    Rest(String),
}

// === impl Template ===

impl Template {
    /// Parses a text that begins with `/`.
    pub(super) fn read(at: &Cursor<'_>) -> Result<Self, ConfigError> {
        let text = at.text()?;
        let Some(inner) = text.strip_prefix('/') else {
            return Err(
                at.expected("a path template such as /users/{id}, or a pattern that begins with ^")
            );
        };
        if text.contains(['?', '#']) {
            return Err(at.expected("a path without query or fragment"));
        }
        let parts: Vec<_> = inner.split('/').collect();
        let mut template = Self {
            segments: Vec::with_capacity(parts.len()),
        };
        for (index, part) in parts.iter().enumerate() {
            let segment = Segment::parse(part).map_err(|message| at.fault(message))?;
            if matches!(segment, Segment::Rest(_)) && index + 1 < parts.len() {
                return Err(at.fault(format!("expected `{part}` to be the last segment")));
            }
            let name = segment.name();
            if !name.is_empty() && template.has(name) {
                return Err(at.fault(format!("`{{{name}}}` is given twice")));
            }
            template.segments.push(segment);
        }
        Ok(template)
    }

    pub(super) fn fits(&self, path: &str) -> bool {
        let Some(mut left) = path.strip_prefix('/').map(Some) else {
            return false;
        };
        for segment in &self.segments {
            let Some(text) = left else { return false };
            let (part, rest) = split(text);
            match segment {
                Segment::Literal(literal) if part != literal => return false,
                Segment::One(_) if part.is_empty() => return false,
                Segment::Rest(_) => return true,
                Segment::Literal(_) | Segment::One(_) => left = rest,
            }
        }
        left.is_none()
    }

    /// Whether `{name}` is one of the segments.
    pub(super) fn has(&self, name: &str) -> bool {
        self.segments.iter().any(|segment| segment.name() == name)
    }

    /// The names of its placeholders.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.segments.iter().map(Segment::name);
        names.filter(|name| !name.is_empty())
    }

    /// The value of `{name}` in a matching path.
    pub(super) fn value<'p>(&self, path: &'p str, name: &str) -> Option<&'p str> {
        let mut left = path.strip_prefix('/');
        for segment in &self.segments {
            let text = left?;
            let (part, rest) = split(text);
            match segment {
                Segment::One(own) if own == name => return Some(part),
                Segment::Rest(own) if own == name => return Some(text),
                _ => left = rest,
            }
        }
        None
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::One(name) => write!(f, "/{{{name}}}")?,
                Segment::Rest(name) if name.is_empty() => f.write_str("/*")?,
                Segment::Rest(name) => write!(f, "/{{{name}*}}")?,
            }
        }
        Ok(())
    }
}

// === impl Segment ===

impl Segment {
    fn parse(part: &str) -> Result<Self, String> {
        if part == "*" {
            return Ok(Self::Rest(String::new()));
        }
        let Some(inner) = part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) else {
            if part.contains(['{', '}', '*']) {
                return Err(format!(
                    "expected `{{name}}` to be a whole segment, found `{part}`"
                ));
            }
            return Ok(Self::Literal(part.to_owned()));
        };
        let name = inner.strip_suffix('*').unwrap_or(inner);
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(format!(
                "expected a name of letters, digits, `_` and `-`, found `{part}`"
            ));
        }
        let name = name.to_owned();
        Ok(if inner.ends_with('*') {
            Self::Rest(name)
        } else {
            Self::One(name)
        })
    }

    fn name(&self) -> &str {
        match self {
            Self::Literal(_) => "",
            Self::One(name) | Self::Rest(name) => name,
        }
    }
}

/// The first segment, and what follows its slash, if any.
pub(super) fn split(path: &str) -> (&str, Option<&str>) {
    match path.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    }
}
