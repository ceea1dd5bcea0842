//! The action `same`: two values need the same shape, not the same value.

use super::{Format, Pattern, Subject, spelled};
use regex::Regex;
use std::{fmt, sync::LazyLock};

/// The shape that both values need.
#[derive(Clone, Debug, PartialEq)]
pub enum Same {
    /// A UUID in any version and case.
    Uuid,
    /// An instant as RFC 3339 spells it.
    Rfc3339,
    /// A number, not the text of one.
    Number,
    /// A text.
    String,
    /// Any value, as long as there is one.
    Any,
    /// A text that the pattern matches as a whole.
    Regex {
        /// The pattern as written.
        text: String,
        /// The anchored pattern.
        pattern: Pattern,
    },
}

static UUID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        .expect("a pattern that a test reads")
});

// === impl Same ===

impl Same {
    pub(super) const NAMED: [(&'static str, Self); 5] = [
        ("uuid", Self::Uuid),
        ("rfc3339", Self::Rfc3339),
        ("number", Self::Number),
        ("string", Self::String),
        ("any", Self::Any),
    ];

    /// Whether a value has this shape.
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        match (self, subject) {
            (Self::Any, _) | (Self::Number, Subject::Number(_)) => true,
            (Self::String, Subject::Text(_) | Subject::Opaque) => true,
            (Self::Uuid, Subject::Text(text)) => UUID.is_match(text),
            (Self::Rfc3339, subject) => Format::Rfc3339.reads(subject),
            (Self::Regex { pattern, .. }, Subject::Text(text)) => pattern.is_match(text),
            _ => false,
        }
    }
}

impl fmt::Display for Same {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Regex { text, .. } => write!(f, "{{regex: {text:?}}}"),
            named => f.write_str(spelled(&Self::NAMED, named)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_distinguished() {
        let text = |text: &'static str| Subject::Text(text.into());
        let uuid = text("8C2F4A6e-0000-4000-8000-0123456789ab");
        assert!(Same::Uuid.matches(&uuid));
        assert!(!Same::Uuid.matches(&text("8c2f4a6e00004000800001234567 89ab")));
        assert!(Same::Rfc3339.matches(&text("2025-11-24T16:00:00Z")));
        assert!(!Same::Rfc3339.matches(&text("yesterday")));
        assert!(!Same::Number.matches(&text("1")));
        assert!(Same::Number.matches(&Subject::Number("1".into())));
        assert!(Same::String.matches(&uuid) && !Same::String.matches(&Subject::Null));
        assert!(Same::Any.matches(&Subject::Null));
        let digits = Same::Regex {
            text: "a|[0-9]+".to_owned(),
            pattern: Pattern::whole("a|[0-9]+").unwrap(),
        };
        assert!(digits.matches(&text("12")) && digits.matches(&text("a")));
        assert!(!digits.matches(&text("12a")) && !digits.matches(&text("12\n")));
    }
}
