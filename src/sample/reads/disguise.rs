//! Detects requests that a stack may interpret otherwise than they look: with another method, path or header.

use super::parameters;
use crate::value::content_type::ContentType;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::percent_decode;
use regex::{Regex, bytes};
use serde_json::Value;
use std::{borrow::Cow, sync::LazyLock};

/// Headers, and the form field `_method`, by which frameworks override the method.
const METHOD_OVERRIDES: [&str; 4] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "-method",
];

/// Matches dot segments and empty ones, also as seen by servers that cut or trim a segment, backslashes, and overlong UTF-8.
static MOVING: LazyLock<bytes::Regex> = LazyLock::new(|| {
    let pattern = r"(?x)
        (^ | /) [\s\p{Cc}\p{Cf}]* \.{1,2} ([\s\p{Cc}\p{Cf};?\#/] | $)
        | / ([\s\p{Cc}\p{Cf}]* ; | [\s\p{Cc}\p{Cf}]+ (/ | $))
        | \\
        | (?-u: [\xc0\xc1][\x80-\xbf] | \xe0[\x80-\x9f] | \xf0[\x80-\x8f] | \xf8[\x80-\x87] | \xfc[\x80-\x83])";
    bytes::Regex::new(pattern).expect("the pattern must be valid")
});

/// A path that is encoded more often than this counts as a disguise.
const MAX_ENCODED: usize = 3;

/// A text without a match names no method: neither as a parameter nor as a JSON member, escapes included.
static METHOD_OR_ESCAPE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)method|%|\\u").expect("the pattern must be valid"));

/// Where a body may override the method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Override {
    /// Nowhere.
    Never,
    /// In a parameter of a form. Some frameworks assume a form without a content type.
    InForm,
    /// In a member of the JSON object.
    InJson,
    /// Unknown, because the body cannot be read here.
    Hidden,
}

/// Whether a header or the query string overrides the method.
pub(super) fn overrides_method(headers: &HeaderMap, query: Option<&str>) -> bool {
    // A header's name has nothing that `bare` takes away.
    let is_override = |name: &HeaderName| is_listed(name.as_str());
    headers.keys().any(is_override) || query.is_some_and(has_override)
}

/// Whether a stack may resolve this path to another resource than its segments name.
pub(super) fn moves(path: &str) -> bool {
    if !path.contains(['%', '\\', '.', ';']) {
        return false;
    }
    // `%u002f` is a character to some servers.
    let is_escape = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !path.split('%').skip(1).all(is_escape) {
        return true;
    }
    let mut decoded = Cow::Borrowed(path.as_bytes());
    for _ in 0..MAX_ENCODED {
        decoded = match Cow::from(percent_decode(&decoded)) {
            Cow::Borrowed(_) => break,
            Cow::Owned(decoded) => Cow::Owned(decoded),
        };
    }
    let separators = |path: &[u8]| path.iter().filter(|byte| **byte == b'/').count();
    separators(&decoded) != separators(path.as_bytes())
        || MOVING.is_match(&decoded)
        || matches!(Cow::from(percent_decode(&decoded)), Cow::Owned(_))
}

/// All values of the header, including those of names that CGI or WSGI stacks map to the same variable.
pub(super) fn values<'h>(
    headers: &'h HeaderMap,
    name: &str,
) -> impl Iterator<Item = &'h HeaderValue> {
    let named = headers
        .iter()
        .filter(move |(own, _)| is_same(own.as_str(), name));
    named.map(|(_, value)| value)
}

// === impl Override ===

impl Override {
    /// Where the body of such a request may override the method.
    pub(super) fn of(method: &Method, headers: &HeaderMap) -> Self {
        // No framework overrides a safe method.
        if method.is_safe() {
            return Self::Never;
        }
        let mut content_types = values(headers, "content-type");
        let (first, second) = (content_types.next(), content_types.next());
        let place = match first.map(|value| value.to_str()) {
            _ if second.is_some() => return Self::Hidden,
            None => Self::InForm,
            Some(Err(_)) => return Self::Hidden,
            Some(Ok(text)) if text.trim().is_empty() => Self::InForm,
            Some(Ok(text)) => match first.and_then(ContentType::parse) {
                Some(_) => Self::by_content_type(&text.to_ascii_lowercase()),
                // Frameworks differ in where they cut it: `application/json, x`.
                None => return Self::Hidden,
            },
        };
        let is_encoded = || values(headers, "content-encoding").next().is_some();
        match place {
            Self::InForm | Self::InJson if is_encoded() => Self::Hidden,
            place => place,
        }
    }

    /// In lower case. Some frameworks look for `/json` anywhere in it.
    fn by_content_type(text: &str) -> Self {
        let is_form = text.contains("x-www-form-urlencoded");
        let is_json = text.contains("/json") || text.contains("+json");
        match (is_form, is_json) {
            _ if text.contains("multipart/") => Self::Hidden,
            (true, true) => Self::Hidden,
            (true, false) => Self::InForm,
            (false, true) => Self::InJson,
            (false, false) => Self::Never,
        }
    }

    /// Whether the body overrides the method.
    pub(super) fn is_in<'b>(self, body: &[u8], json: impl FnOnce() -> Option<&'b Value>) -> bool {
        let text = String::from_utf8_lossy(body);
        match self {
            Self::Never => false,
            Self::Hidden => true,
            Self::InForm => has_override(&text),
            Self::InJson if !METHOD_OR_ESCAPE.is_match(&text) => false,
            Self::InJson => match json() {
                Some(Value::Object(members)) => members.keys().any(|name| is_override(name)),
                Some(_) => false,
                // A stack may parse what is no JSON here.
                None => true,
            },
        }
    }
}

/// Whether one of the parameters overrides the method.
fn has_override(text: &str) -> bool {
    METHOD_OR_ESCAPE.is_match(text) && parameters::of(text).any(|(name, _)| is_override(&name))
}

/// Whether frameworks treat the name as a method override.
pub(super) fn is_override(name: &str) -> bool {
    is_listed(parameters::bare(name))
}

fn is_listed(name: &str) -> bool {
    METHOD_OVERRIDES.iter().any(|own| is_same(name, own))
}

/// Ignores case, and accepts any punctuation in place of a hyphen.
fn is_same(name: &str, own: &str) -> bool {
    let is_like = |(byte, own): (u8, u8)| match own {
        b'-' => !byte.is_ascii_alphanumeric(),
        _ => byte.eq_ignore_ascii_case(&own),
    };
    name.len() == own.len() && name.bytes().zip(own.bytes()).all(is_like)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn paths_with_dot_segments_or_encoded_separators_move() {
        for path in [
            "/search/..",
            "/search/../admin",
            "/search/%2e%2E",
            "/search/.%2e/x",
            "/search/..%2fadmin",
            "/search/%5c..",
            "/search/..;/admin",
            "/search/..;a=1/admin",
            "/search/.;x/a",
            "/search/./a",
            "/search/%252e%252e/a",
            "/search/a%252fb",
            "/search\\..\\admin",
            "/search/..%3b/admin",
            "/search/..%00",
            "/search/..%00x",
            "/search/..%20",
            "/search/%2e%2e%09",
            "/search/%00..",
            "/search/.%0d.",
            "/search/..%c2%a0",
            "/search/..%3f",
            "/search/..%23x",
            "/search/%c0%ae%c0%ae",
            "/search/%e0%80%ae./x",
            "/search%c0%afx",
            "/search/%25%32%65.",
            "/search/%25252525",
            "/search/..%u002fadmin",
            "/search/;x",
            "/search/%20",
            "/search/%00/",
            "/a/%",
            "..",
        ] {
            assert!(moves(path), "{path}");
        }
        for path in [
            "/",
            "/search/x",
            "/search/...",
            "/search/a..b",
            "/.well-known/x",
            "/v1.2/x",
            "/a;v=1/b",
            "/caf%C3%A9",
            "/caf%E9",
            "/m%FCller",
            "/%C0%20la",
            "/%C1rbol",
            "/%F0%9F%98%80",
            "/what%3f",
            "/c%23",
            "/50%25%20off",
            "/a%20b",
            "/x.html",
            "/100%25",
        ] {
            assert!(!moves(path), "{path}");
        }
    }

    #[test]
    fn method_overrides_are_known_in_any_spelling() {
        for name in [
            "X-HTTP-Method-Override",
            "x_http_method_override",
            "X_Http-Method",
            "x-method_override",
            "_method",
            "_METHOD",
            ".method",
            " _method",
            "_method[]",
            "_method[0][a]",
            "[_method]",
            "_method\0",
            "_method\0x",
            "x-http-method-override [a]",
        ] {
            assert!(is_override(name), "{name}");
        }
        for name in [
            "method",
            "x-http-methods",
            "payment_method",
            "_methods",
            "x-http2-method",
            "filter[_method]",
        ] {
            assert!(!is_override(name), "{name}");
        }
    }
}
