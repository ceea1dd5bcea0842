//! The field `at` of a rule: the places that it applies to.

use super::{Action, Members, Parse, Query, Transform, query::InvalidPath};
use http::HeaderName;
use std::fmt;

/// Where a rule applies.
#[derive(Clone, Debug)]
pub enum Target {
    Status,
    Header(HeaderName),
    Trailer(HeaderName),
    /// A field of a form, by its percent-decoded name.
    Form(String),
    /// The whole body in any format.
    Body,
    /// Nodes of a document.
    Path {
        query: Query,
        /// As written.
        text: String,
    },
}

/// Why a text is not a valid place for a rule.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidTarget {
    #[error("`{0}` is not the name of a header")]
    Name(String),
    #[error("expected the name of a form field after `form.`")]
    Form,
    #[error(transparent)]
    Path(#[from] InvalidPath),
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
            _ if text.starts_with('$') => Ok(Self::Path {
                query: Query::parse(text)?,
                text: text.to_owned(),
            }),
            _ => Err(InvalidTarget::Unknown),
        }
    }

    /// Whether an action has a meaning here; if not, where it has one.
    pub fn admits(&self, action: &Action) -> Result<(), String> {
        let admitted = match self {
            Self::Status => matches!(
                action,
                Action::Ignore | Action::Status(_) | Action::Transform(Transform::Map(_))
            ),
            Self::Header(_) | Self::Trailer(_) | Self::Form(_) => !matches!(
                action,
                Action::Status(_) | Action::Rename(_) | Action::Unordered(Members::ByKey(_))
            ),
            Self::Body => match action {
                Action::Ignore => true,
                Action::Transform(Transform::Parse(parse)) => {
                    !matches!(parse, Parse::Number | Parse::Url)
                }
                Action::Transform(transform) => !matches!(transform, Transform::Map(_)),
                _ => false,
            },
            Self::Path { query, .. } => match action {
                Action::Status(_) => false,
                Action::Rename(_) => query.selects_by_name(),
                _ => true,
            },
        };
        if admitted {
            Ok(())
        } else {
            Err(format!("`{}` serves {}", action.name(), serves(action)))
        }
    }
}

/// Where an action has a meaning.
fn serves(action: &Action) -> &'static str {
    match action {
        Action::Ignore => "everywhere",
        Action::Status(_) => "at `status` only",
        Action::Rename(_) => {
            "only at a JSONPath whose last step is a name, such as $.user.user_name"
        }
        Action::Unordered(_) => {
            "at a JSONPath only (and without a key at a header, trailer or form field)"
        }
        Action::Transform(Transform::Map(_)) => {
            "at `status`, a JSONPath, a header, a trailer or a form field, not at the whole body"
        }
        Action::Transform(Transform::Parse(Parse::Number | Parse::Url)) => {
            "with `number` and `url` at a JSONPath, a header, a trailer or a form field only"
        }
        Action::Transform(_) => "at a JSONPath, a header, a trailer, a form field or `body` only",
        _ => "at a JSONPath, a header, a trailer or a form field only",
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
            Self::Path { text, .. } => f.write_str(text),
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
