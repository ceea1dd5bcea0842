//! The field `at` of a rule: the places that it applies to.

use super::{Action, Members, Parse, Query, Transform, query::InvalidPath};
use crate::{spanned_yaml::matches_glob, value::Place};
use http::HeaderName;
use std::fmt;

/// Where a rule applies.
#[derive(Clone, Debug)]
pub enum Target {
    /// The status.
    Status,
    /// The values of a header; `*` in its name matches any run of characters.
    Header(HeaderName),
    /// The values of a trailer, likewise.
    Trailer(HeaderName),
    /// A field of a form, by its percent-decoded name.
    Form(String),
    /// The whole body in any format.
    Body,
    /// Nodes of a document.
    Path(Query),
    /// What lies neither at nor below nor above some nodes of a document. Only `compare.only` applies here.
    Outside(Vec<Query>),
}

/// Why a text is not a valid place for a rule.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidTarget {
    /// Not the name of a header or trailer.
    #[error("`{0}` is not the name of a header")]
    Name(String),
    /// No name after `form.`.
    #[error("expected the name of a form field after `form.`")]
    Form,
    /// Not a JSONPath.
    #[error(transparent)]
    Path(#[from] InvalidPath),
    /// None of the places that there are.
    #[error(
        "expected `status`, `header.NAME`, `trailer.NAME`, `form.NAME`, `body` or a JSONPath that starts with `$`"
    )]
    Unknown,
}

// === impl Target ===

impl Target {
    /// # Errors
    /// Why the text is not a valid place for a rule.
    pub fn parse(text: &str) -> Result<Self, InvalidTarget> {
        let name = |name: &str| {
            HeaderName::try_from(name).map_err(|_| InvalidTarget::Name(name.to_owned()))
        };
        match text {
            "status" => Ok(Self::Status),
            "body" => Ok(Self::Body),
            _ if text.starts_with("header.") => name(&text["header.".len()..]).map(Self::Header),
            _ if text.starts_with("trailer.") => name(&text["trailer.".len()..]).map(Self::Trailer),
            "form." => Err(InvalidTarget::Form),
            _ if text.starts_with("form.") => Ok(Self::Form(text["form.".len()..].to_owned())),
            _ if text.starts_with('$') => Ok(Self::Path(Query::parse(text)?)),
            _ => Err(InvalidTarget::Unknown),
        }
    }

    /// Whether this is the header or trailer at a place, or a family of headers that contains it.
    pub fn names(&self, place: &Place) -> bool {
        match (self, place) {
            (Self::Header(pattern), Place::Header(name))
            | (Self::Trailer(pattern), Place::Trailer(name)) => {
                matches_glob(pattern.as_str(), name)
            }
            _ => false,
        }
    }

    /// Whether an action has a meaning here.
    ///
    /// # Errors
    /// Where it has one.
    pub fn admits(&self, action: &Action) -> Result<(), String> {
        let is_path = matches!(self, Self::Path(_));
        let is_value =
            is_path || matches!(self, Self::Header(_) | Self::Trailer(_) | Self::Form(_));
        let is_status = matches!(self, Self::Status);
        let (is_admitted, places) = match action {
            Action::Ignore => (true, "everywhere"),
            Action::Status(_) => (is_status, "at `status` only"),
            Action::Rename(_) => (
                matches!(self, Self::Path(query) if query.selects_by_name()),
                "only at a JSONPath whose last step is a name, such as $.user.user_name",
            ),
            Action::Unordered(members) => (
                is_path || is_value && *members == Members::AsSet,
                "at a JSONPath only (and without a key at a header, trailer or form field)",
            ),
            Action::Transform(Transform::Map(_)) => (
                is_value || is_status,
                "at `status`, a JSONPath, a header, a trailer or a form field, not at the whole body",
            ),
            Action::Transform(Transform::Parse(Parse::Number | Parse::Url)) => (
                is_value,
                "with `number` and `url` at a JSONPath, a header, a trailer or a form field only",
            ),
            Action::Transform(_) => (
                is_value || matches!(self, Self::Body),
                "at a JSONPath, a header, a trailer, a form field or `body` only",
            ),
            _ => (
                is_value,
                "at a JSONPath, a header, a trailer or a form field only",
            ),
        };
        if is_admitted {
            Ok(())
        } else {
            Err(format!("`{}` serves {places}", action.name()))
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("status"),
            Self::Header(name) => write!(f, "header.{name}"),
            Self::Trailer(name) => write!(f, "trailer.{name}"),
            Self::Form(name) => write!(f, "form.{name}"),
            Self::Body => f.write_str("body"),
            Self::Path(query) => query.fmt(f),
            Self::Outside(queries) => {
                let queries: Vec<_> = queries.iter().map(Query::to_string).collect();
                write!(f, "outside {}", queries.join(", "))
            }
        }
    }
}

// === impl InvalidTarget ===

impl InvalidTarget {
    /// The column of the fault in the text, if it is known.
    pub fn column(&self) -> Option<usize> {
        match self {
            Self::Path(invalid) => invalid.column,
            Self::Name(_) | Self::Form | Self::Unknown => None,
        }
    }
}
