//! Lists the parts of a request or an answer that redaction changed.
//!
//! A redacted value can look like an ordinary value, so only a comparison with the original request can detect the
//! change.

use super::{ReadRequest, ReportedAnswer, ReportedRequest};
use crate::{
    compare::{Answer, BodyCopy},
    value::coding,
};
use http::{HeaderMap, header::CONTENT_ENCODING};
use serde_json::Value;

/// A body that is longer once decoded counts as changed.
const MAX_DECODED: usize = 16 << 20;

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
    unless_same_headers(&request.headers, &reported.headers, &mut unless);
    masked.dedup();
    masked
}

/// Returns `body`, `trailers`, `header.NAME`; `headers` if redaction removed some of them. The reported body is decoded.
pub(super) fn masked_of_answer(answer: &Answer, reported: &ReportedAnswer) -> Vec<String> {
    let mut masked = Vec::new();
    let mut unless = |is_same: bool, part: &str| {
        if !is_same {
            masked.push(part.to_owned());
        }
    };
    let redacted = reported.body.as_deref().unwrap_or_default();
    let is_same_body = match &answer.body {
        BodyCopy::Whole(body) => coding::decode(&answer.headers, body, MAX_DECODED)
            .is_ok_and(|body| is_same_text(&body, redacted.as_bytes())),
        BodyCopy::Hashed(_) | BodyCopy::Cut => false,
    };
    unless(is_same_body, "body");
    let trailers = answer.trailers.iter().zip(&reported.trailers);
    let mut trailers = trailers.map(|((_, value), (_, redacted))| (value, redacted));
    unless(
        answer.trailers.len() == reported.trailers.len()
            && trailers.all(|(value, redacted)| value.as_bytes() == redacted.as_bytes()),
        "trailers",
    );
    unless_same_headers(&answer.headers, &reported.headers, &mut unless);
    masked.dedup();
    masked
}

fn unless_same_headers(
    headers: &HeaderMap,
    reported: &[(String, String)],
    unless: &mut impl FnMut(bool, &str),
) {
    unless(reported.len() == headers.len(), "headers");
    for ((name, value), (_, redacted)) in headers.iter().zip(reported) {
        let is_same = value.as_bytes() == redacted.as_bytes();
        unless(is_same, &format!("header.{name}"));
    }
}

/// JSON may differ in white space: it is still the same document.
fn is_same_body(request: &ReadRequest, redacted: Option<&str>) -> bool {
    let redacted = redacted.unwrap_or_default().as_bytes();
    redacted == request.body
        || (!request.headers.contains_key(CONTENT_ENCODING)
            && is_same_text(&request.body, redacted))
}

fn is_same_text(text: &[u8], redacted: &[u8]) -> bool {
    let json = |text| serde_json::from_slice::<Value>(text).ok();
    redacted == text || json(redacted).is_some_and(|redacted| json(text) == Some(redacted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, Method, Uri, header};

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
