//! Finds what shows that old generates a new value for each answer.
//!
//! Two values of one form, such as two uuids, may be a reference that new has wrong. Their form alone may excuse them
//! only if old does not repeat its own values.

use super::{Example, classes::Class};
use regex::Regex;
use std::{collections::HashSet, fmt, sync::LazyLock};

/// Why values are taken for ones that old generates for each answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Old's own readings differ there in so many examples, and agree in none.
    Varies(usize),
    /// So many examples have values of their own on both sides, in a header that is named like the id of a request.
    Distinct(usize),
}

/// A header that names one request or its trace.
static REQUEST_ID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^((x-)?([a-z]+-)?(request|trace|span|correlation|invocation)-?id|trace(parent|response)|cf-ray|x-amz-(id-2|cf-id))$",
    )
    .expect("the pattern must be valid")
});

// === impl Evidence ===

impl Evidence {
    /// `None` if nothing shows it, or if old's own readings agree in one of the examples.
    pub(super) fn of(class: &Class<'_>, examples: &[Example<'_>]) -> Option<Self> {
        let mut varied = 0;
        for member in &class.members {
            let example = &examples[member.example];
            if example.varies_at(class.at) {
                varied += 1;
            } else if example.rechecks > 0 {
                return None;
            }
        }
        match varied {
            0 => are_distinct(class, examples).then_some(Self::Distinct(class.members.len())),
            varied => Some(Self::Varies(varied)),
        }
    }

    /// The number of examples that show it.
    pub(super) fn count(self) -> usize {
        match self {
            Self::Varies(count) | Self::Distinct(count) => count,
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Varies(count) => {
                write!(
                    f,
                    "old's own readings differ there; mismatches that show it: {count}"
                )
            }
            Self::Distinct(count) => write!(
                f,
                "named like the id of a request, and none of {count} values occurs twice"
            ),
        }
    }
}

/// Whether a class is of a header for request ids in which no value occurs twice.
fn are_distinct(class: &Class<'_>, examples: &[Example<'_>]) -> bool {
    let name = class.at.strip_prefix("header.");
    let is_named = name.is_some_and(|name| REQUEST_ID.is_match(name));
    let mut seen = [HashSet::new(), HashSet::new()];
    is_named
        && class.seen(examples).all(|difference| {
            let prints = difference.hints.prints;
            prints.is_some_and(|[old, new]| seen[0].insert(old) && seen[1].insert(new))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_headers_that_name_a_request_are_named_like_its_id() {
        for name in [
            "x-request-id",
            "request-id",
            "x-amzn-requestid",
            "x-amzn-trace-id",
            "x-correlation-id",
            "cf-ray",
        ] {
            assert!(REQUEST_ID.is_match(name), "{name}");
        }
        for name in [
            "x-user-id",
            "x-acme-request",
            "etag",
            "location",
            "x-order-request-ids",
        ] {
            assert!(!REQUEST_ID.is_match(name), "{name}");
        }
    }
}
