//! The field `when` of a rule: the checks in which it applies.

use crate::spanned_yaml::{ConfigErrors, Cursor, Fields, matches_glob};
use http::{Method, StatusCode};
use std::fmt;

/// Conditions that must all hold; an absent condition holds.
///
/// Conditions on an answer must hold for both answers, because a rule for one shape must not excuse the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct When {
    /// Names of routes; `*` matches any run of characters.
    pub routes: Option<Vec<String>>,
    /// The methods of the read.
    pub methods: Option<Vec<Method>>,
    /// Both answers have one of these statuses.
    pub status: Option<Vec<StatusCode>>,
    /// Media types without parameters; `*` matches any run of characters.
    pub content_type: Option<String>,
}

/// What conditions are evaluated on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'c> {
    /// The name of the route.
    pub route: &'c str,
    /// The method of the read.
    pub method: &'c Method,
    /// Old, then new.
    pub sides: [Side<'c>; 2],
}

/// One of the answers.
#[derive(Clone, Copy, Debug)]
pub struct Side<'c> {
    /// The status of the answer.
    pub status: StatusCode,
    /// The media type without parameters; empty if the answer has none.
    pub media_type: &'c str,
}

// === impl When ===

impl When {
    /// # Errors
    /// Unknown conditions, and values that are not methods, statuses or lists of them.
    pub fn read(at: &Cursor<'_>) -> Result<Self, ConfigErrors> {
        let mut fields = Fields::of(at.clone());
        let routes = fields.optional("routes", |at| {
            some(at, |route| Ok(route.text()?.to_owned()))
        });
        let methods = fields.optional("methods", |at| some(at, |method| Ok(method.method()?)));
        let status = fields.optional("status", |at| {
            some(at, |status| {
                let code = status.integer_within(100, 599)? as u16;
                Ok(StatusCode::from_u16(code).expect("100 to 599 are statuses"))
            })
        });
        let content_type = fields.optional("content_type", |at| {
            let text = at.text()?.to_ascii_lowercase();
            if text.contains('/') && !text.contains(';') {
                Ok(text)
            } else {
                Err(at.expected("a media type without parameters, such as application/json"))
            }
        });
        fields.finish().into_result(Self {
            routes,
            methods,
            status,
            content_type,
        })
    }

    /// Whether all conditions hold.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        let any = |list: &Option<Vec<String>>, text: &str| {
            list.as_ref()
                .is_none_or(|list| list.iter().any(|pattern| matches_glob(pattern, text)))
        };
        let methods = self.methods.as_ref();
        any(&self.routes, facts.route)
            && methods.is_none_or(|methods| methods.contains(facts.method))
            && facts.sides.iter().all(|side| self.holds_for(side))
    }

    /// Whether one of these routes meets the condition on routes.
    pub fn admits_any<'r>(&self, mut routes: impl Iterator<Item = &'r str>) -> bool {
        self.routes.as_ref().is_none_or(|patterns| {
            routes.any(|route| patterns.iter().any(|pattern| matches_glob(pattern, route)))
        })
    }

    fn holds_for(&self, side: &Side<'_>) -> bool {
        let status = self.status.as_ref();
        let content_type = self.content_type.as_ref();
        status.is_none_or(|status| status.contains(&side.status))
            && content_type
                .is_none_or(|pattern| matches_glob(pattern, &side.media_type.to_ascii_lowercase()))
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            routes,
            methods,
            status,
            content_type,
        } = self;
        write!(f, "{routes:?} {methods:?} {status:?} {content_type:?}")
    }
}

/// A list with at least one entry: a rule whose condition never holds would never apply.
fn some<'n, T>(
    at: &Cursor<'n>,
    read: impl Fn(&Cursor<'n>) -> Result<T, ConfigErrors>,
) -> Result<Vec<T>, ConfigErrors> {
    let list = at.each(read)?;
    if list.is_empty() {
        Err(at.expected("at least one").into())
    } else {
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run() {
        for (pattern, text, matched) in [
            ("get-*", "get-user", true),
            ("get-*", "put-user", false),
            ("*", "", true),
            ("", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "ac", false),
            ("*user*", "get-user-by-id", true),
            ("ab*ab", "ab", false),
            ("GET /users/{id}", "GET /users/{id}", true),
            ("application/*json", "application/problem+json", true),
        ] {
            assert_eq!(matches_glob(pattern, text), matched, "{pattern} {text}");
        }
    }

    #[test]
    fn conditions_on_an_answer_must_hold_for_both() {
        let when = When {
            status: Some(vec![StatusCode::OK]),
            ..When::default()
        };
        let side = |status| Side {
            status,
            media_type: "",
        };
        let holds = |old, new| {
            when.holds(&Facts {
                route: "r",
                method: &Method::GET,
                sides: [side(old), side(new)],
            })
        };
        assert!(holds(StatusCode::OK, StatusCode::OK));
        assert!(!holds(StatusCode::OK, StatusCode::NOT_FOUND));
        assert!(!holds(StatusCode::NOT_FOUND, StatusCode::OK));
    }
}
