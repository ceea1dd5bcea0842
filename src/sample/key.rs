//! The key that a read may be sampled by, so that every sidecar decides alike.

use crate::{
    spanned_yaml::{Form, Setting},
    trace_context::TraceContext,
};
use http::{HeaderMap, HeaderName, header::COOKIE};
use serde_json::json;
use std::str::FromStr;

/// What decides whether a read is sampled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum By {
    #[default]
    Chance,
    /// The first value of a header.
    Header(HeaderName),
    /// The value of a cookie.
    Cookie(String),
    /// The trace id of `traceparent`, as its 32 hex digits.
    Trace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of null, header:NAME, cookie:NAME, trace")]
pub struct NotAKey;

// === impl By ===

impl By {
    /// The key's bytes; `None` if sampled by chance, or if the request has none.
    pub(crate) fn key<'h>(&self, headers: &'h HeaderMap) -> Option<&'h [u8]> {
        let key = match self {
            Self::Chance => None,
            Self::Header(name) => headers.get(name).map(|value| value.as_bytes()),
            Self::Cookie(name) => cookie(headers, name),
            Self::Trace => trace_id(headers),
        };
        key.filter(|key| !key.is_empty())
    }
}

impl FromStr for By {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        match text.split_once(':') {
            None if text == "trace" => Ok(Self::Trace),
            Some(("header", name)) => name.parse().map(Self::Header).map_err(|_| NotAKey),
            Some(("cookie", name)) if is_token(name) => Ok(Self::Cookie(name.to_owned())),
            _ => Err(NotAKey),
        }
    }
}

impl Setting for By {
    const FORM: Form<Self> = Form {
        read: |at, _| {
            if at.node.is_null() {
                return Ok(Self::Chance);
            }
            Ok(at.parse("null, header:NAME, cookie:NAME or trace")?)
        },
        schema: |_| json!({"type": "string", "pattern": r"^(trace|(header|cookie):\S+)$"}),
    };
}

fn is_token(name: &str) -> bool {
    let is_token = |c: char| c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={}".contains(c);
    !name.is_empty() && name.chars().all(is_token)
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let pairs = headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    pairs
        .filter_map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=')?;
            Some((pair[..at].trim_ascii(), pair[at + 1..].trim_ascii()))
        })
        .find(|(own, _)| *own == name.as_bytes())
        .map(|(_, value)| value)
}

fn trace_id(headers: &HeaderMap) -> Option<&[u8]> {
    let text = headers.get("traceparent")?.to_str().ok()?.trim();
    TraceContext::parse(text)?;
    text.as_bytes().get(3..35)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        pairs.collect()
    }

    #[test]
    fn keys_are_found_where_they_are_named() {
        let headers = headers(&[
            ("x-user", "jo"),
            ("x-none", ""),
            ("cookie", "a=1; session = s=7 ; b=2"),
            (
                "traceparent",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            ),
        ]);
        for (by, key) in [
            ("header:X-User", Some("jo")),
            ("header:x-none", None),
            ("header:x-other", None),
            ("cookie:session", Some("s=7")),
            ("cookie:sess", None),
            ("trace", Some("4bf92f3577b34da6a3ce929d0e0e4736")),
        ] {
            let found = by.parse::<By>().unwrap().key(&headers);
            assert_eq!(found, key.map(str::as_bytes), "{by}");
        }
        assert_eq!(By::Chance.key(&headers), None);
    }

    #[test]
    fn other_keys_are_refused() {
        for text in [
            "",
            "header",
            "header:",
            "header:a b",
            "cookie:",
            "cookie:a=b",
            "Trace",
        ] {
            assert_eq!(text.parse::<By>(), Err(NotAKey), "{text}");
        }
    }
}
