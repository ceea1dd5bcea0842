//! Lists the parts of a request that redaction changed.
//!
//! A redacted value can look like an ordinary value, so only a comparison with the original request can detect the
//! change.

use super::{ReadRequest, ReportedRequest};
use http::header::CONTENT_ENCODING;
use serde_json::Value;

/// Returns `path`, `query`, `body`, `header.NAME`; `headers` if redaction removed some of them.
pub(super) fn masked(request: &ReadRequest, reported: &ReportedRequest) -> Vec<String> {
    let mut masked = Vec::new();
    let mut unless = |is_same: bool, part: &str| {
        if !is_same {
            masked.push(part.to_owned());
        }
    };
    unless(reported.path == request.uri.path(), "path");
    unless(reported.query.as_deref() == request.uri.query(), "query");
    unless(is_same_body(request, reported.body.as_deref()), "body");
    unless(reported.headers.len() == request.headers.len(), "headers");
    for ((name, value), (_, redacted)) in request.headers.iter().zip(&reported.headers) {
        unless(
            value.as_bytes() == redacted.as_bytes(),
            &format!("header.{name}"),
        );
    }
    masked.dedup();
    masked
}

/// JSON may differ in white space: it is still the same document.
fn is_same_body(request: &ReadRequest, redacted: Option<&str>) -> bool {
    let redacted = redacted.unwrap_or_default().as_bytes();
    let json = |text| serde_json::from_slice::<Value>(text).ok();
    redacted == request.body
        || (!request.headers.contains_key(CONTENT_ENCODING)
            && json(redacted).is_some_and(|redacted| json(&request.body) == Some(redacted)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue, Method, Uri, header};

    fn parts(reported: &ReportedRequest, encoding: Option<&'static str>) -> Vec<String> {
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
        masked(&request, reported)
    }

    fn headers(cookie: &str) -> Vec<(String, String)> {
        [("accept", "a/b"), ("cookie", cookie), ("cookie", cookie)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    #[test]
    fn each_part_that_redaction_changed_is_named_once() {
        let shown = [("accept", "a/b"), ("cookie", "a"), ("cookie", "b")];
        let shown = shown.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let whole = ReportedRequest {
            path: "/users/7".to_owned(),
            query: Some("q=x".to_owned()),
            headers: shown.to_vec(),
            body: Some(r#"{"a":[1.50,"x"]}"#.to_owned()),
            ..ReportedRequest::default()
        };
        assert_eq!(parts(&whole, None), [""; 0]);
        let hidden = ReportedRequest {
            path: "/users/string(1)".to_owned(),
            query: Some("q=string(1)".to_owned()),
            headers: headers("string(1)"),
            body: Some(r#"{"a":["number(4)","string(1)"]}"#.to_owned()),
            ..ReportedRequest::default()
        };
        let all = ["path", "query", "body", "header.cookie"];
        assert_eq!(parts(&hidden, None), all);
        let cut = ReportedRequest {
            query: None,
            headers: shown[..1].to_vec(),
            body: Some(r#"{"a":[1.5"#.to_owned()),
            ..whole
        };
        assert_eq!(parts(&cut, None), ["query", "body", "headers"]);
    }

    #[test]
    fn what_was_sent_in_a_coding_cannot_be_sent_as_it_is_reported() {
        let reported = ReportedRequest {
            path: "/users/7".to_owned(),
            query: Some("q=x".to_owned()),
            headers: headers("x"),
            body: Some(r#"{"a":[1.50,"x"]}"#.to_owned()),
            ..ReportedRequest::default()
        };
        let found = parts(&reported, Some("gzip"));
        assert_eq!(found, ["body", "headers", "header.cookie"]);
    }
}
