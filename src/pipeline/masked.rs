//! Lists the parts of a request that redaction changed.
//!
//! A redacted value can look like an ordinary value, so only a comparison with the original request can detect the
//! change.

use super::ReadRequest;
use http::header::CONTENT_ENCODING;
use serde_json::Value;

/// The redacted parts of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct ToldRequest<'t> {
    pub(super) path: &'t str,
    pub(super) query: Option<&'t str>,
    pub(super) headers: &'t [(String, String)],
    pub(super) body: Option<&'t str>,
}

/// Returns `path`, `query`, `body`, `header.NAME`; `headers` if redaction removed some of them.
pub(super) fn masked(request: &ReadRequest, told: &ToldRequest<'_>) -> Vec<String> {
    let mut masked = Vec::new();
    let mut unless = |is_told: bool, part: &str| {
        if !is_told {
            masked.push(part.to_owned());
        }
    };
    unless(told.path == request.uri.path(), "path");
    unless(told.query == request.uri.query(), "query");
    unless(is_told_body(request, told.body), "body");
    unless(told.headers.len() == request.headers.len(), "headers");
    for ((name, value), (_, told)) in request.headers.iter().zip(told.headers) {
        unless(
            value.as_bytes() == told.as_bytes(),
            &format!("header.{name}"),
        );
    }
    masked.dedup();
    masked
}

/// JSON may differ in white space: it is still the same document.
fn is_told_body(request: &ReadRequest, told: Option<&str>) -> bool {
    let told = told.unwrap_or_default().as_bytes();
    let json = |text| serde_json::from_slice::<Value>(text).ok();
    told == request.body
        || (!request.headers.contains_key(CONTENT_ENCODING)
            && json(told).is_some_and(|told| json(&request.body) == Some(told)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue, Method, Uri, header};

    fn parts(told: &ToldRequest<'_>, encoding: Option<&'static str>) -> Vec<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("a/b"));
        headers.append(header::COOKIE, HeaderValue::from_static("a"));
        headers.append(header::COOKIE, HeaderValue::from_static("b"));
        if let Some(encoding) = encoding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        let request = ReadRequest {
            method: Method::POST,
            uri: Uri::from_static("/users/7?q=x"),
            headers,
            body: br#"{"a": [1.50, "x"]}"#.as_slice().into(),
        };
        masked(&request, told)
    }

    fn headers(cookie: &str) -> Vec<(String, String)> {
        [("accept", "a/b"), ("cookie", cookie), ("cookie", cookie)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    #[test]
    fn each_part_that_is_told_otherwise_is_named_once() {
        let shown = [("accept", "a/b"), ("cookie", "a"), ("cookie", "b")];
        let shown = shown.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let whole = ToldRequest {
            path: "/users/7",
            query: Some("q=x"),
            headers: &shown,
            body: Some(r#"{"a":[1.50,"x"]}"#),
        };
        assert_eq!(parts(&whole, None), [""; 0]);
        let hidden = ToldRequest {
            path: "/users/string(1)",
            query: Some("q=string(1)"),
            headers: &headers("string(1)"),
            body: Some(r#"{"a":["number(4)","string(1)"]}"#),
        };
        let all = ["path", "query", "body", "header.cookie"];
        assert_eq!(parts(&hidden, None), all);
        let cut = ToldRequest {
            query: None,
            headers: &shown[..1],
            body: Some(r#"{"a":[1.5"#),
            ..whole
        };
        assert_eq!(parts(&cut, None), ["query", "body", "headers"]);
    }

    #[test]
    fn what_was_sent_in_a_coding_cannot_be_sent_as_it_is_told() {
        let headers = headers("x");
        let told = ToldRequest {
            path: "/users/7",
            query: Some("q=x"),
            headers: &headers,
            body: Some(r#"{"a":[1.50,"x"]}"#),
        };
        let found = parts(&told, Some("gzip"));
        assert_eq!(found, ["body", "headers", "header.cookie"]);
    }
}
