//! Conditional requests (RFC 9110, section 13): what a caller already has, and whether a 304 is right about it.

use crate::compare::Answer;
use http::{
    HeaderMap, HeaderName, StatusCode,
    header::{
        ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
        LAST_MODIFIED,
    },
};
use std::time::SystemTime;

/// The headers that make an answer depend on what the caller has.
const CONDITIONS: [HeaderName; 5] = [
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_RANGE,
    IF_MATCH,
    IF_UNMODIFIED_SINCE,
];

pub(super) fn remove(request: &mut HeaderMap) {
    for name in &CONDITIONS {
        request.remove(name);
    }
}

pub(super) fn has_any(request: &HeaderMap) -> bool {
    CONDITIONS.iter().any(|name| request.contains_key(name))
}

/// Whether the request's conditions decided the answer, so that there is nothing in it to compare.
pub(super) fn has_decided(request: &HeaderMap, answer: &Answer) -> bool {
    matches!(
        answer.status,
        StatusCode::NOT_MODIFIED | StatusCode::PRECONDITION_FAILED
    ) && has_any(request)
}

/// Whether only the shadow sends the whole resource, because it does not know the validator that lets the primary send
/// a part.
pub(super) fn is_part_of(request: &HeaderMap, primary: &Answer, shadow: &Answer) -> bool {
    request.contains_key(IF_RANGE)
        && primary.status == StatusCode::PARTIAL_CONTENT
        && shadow.status == StatusCode::OK
}

/// Whether a stack may answer the request with 304.
pub(super) fn may_be_unmodified(request: &HeaderMap) -> bool {
    request.contains_key(IF_NONE_MATCH) || request.contains_key(IF_MODIFIED_SINCE)
}

/// Whether a stack's answer to the conditions is contradicted by its answer without them: a wrong 304, or a failure
/// where the other is none.
pub(super) fn is_broken(request: &HeaderMap, answer: &Answer, whole: &Answer) -> bool {
    if whole.status.is_server_error() {
        return false;
    }
    match answer.status {
        StatusCode::NOT_MODIFIED => !is_unmodified(request, answer, whole),
        StatusCode::PRECONDITION_FAILED => false,
        status => (status.is_client_error() || status.is_server_error()) && status != whole.status,
    }
}

/// Whether a 304 agrees with the stack's answer without conditions.
fn is_unmodified(request: &HeaderMap, answer: &Answer, whole: &Answer) -> bool {
    let is_own_tag = match (tag(&answer.headers), tag(&whole.headers)) {
        (None, _) => true,
        (Some(own), whole) => whole == Some(own),
    };
    is_own_tag && is_known(request, whole)
}

/// Whether the caller has the stack's answer without conditions, by its tag or else by its date.
fn is_known(request: &HeaderMap, whole: &Answer) -> bool {
    let known = request.get_all(IF_NONE_MATCH).iter();
    let known: Vec<_> = known.flat_map(|value| tags(value.as_bytes())).collect();
    if known == [b"*"] {
        return whole.status.is_success();
    }
    match tag(&whole.headers) {
        Some(tag) if !known.is_empty() => known.contains(&tag),
        _ => is_unchanged(request, whole),
    }
}

/// By `if-modified-since`: the stack has nothing newer. Dates that do not parse must be identical.
fn is_unchanged(request: &HeaderMap, whole: &Answer) -> bool {
    let (Some(since), Some(modified)) = (
        request.get(IF_MODIFIED_SINCE),
        whole.headers.get(LAST_MODIFIED),
    ) else {
        return false;
    };
    since == modified
        || date(modified.as_bytes())
            .zip(date(since.as_bytes()))
            .is_some_and(|(modified, since)| modified <= since)
}

fn date(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()
}

/// The answer's own tag, without the weakness prefix.
fn tag(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(ETAG).map(|value| opaque(value.as_bytes()))
}

/// The tags of a list, without weakness prefixes. A tag may contain a comma.
fn tags(list: &[u8]) -> Vec<&[u8]> {
    let mut is_quoted = false;
    let tags = list.split(|byte| {
        is_quoted ^= *byte == b'"';
        *byte == b',' && !is_quoted
    });
    tags.map(opaque).collect()
}

fn opaque(tag: &[u8]) -> &[u8] {
    let tag = tag.trim_ascii();
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().cloned();
        pairs
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .collect()
    }

    fn answer(status: u16, pairs: &[(HeaderName, &'static str)]) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers(pairs),
            body: "".into(),
            trailers: HeaderMap::new(),
        }
    }

    const SUNDAY: &str = "Sun, 22 Nov 2026 10:00:00 GMT";
    const MONDAY: &str = "Mon, 23 Nov 2026 10:00:00 GMT";

    #[test]
    fn unmodified_is_right_where_the_own_validator_is_the_callers() {
        for (request, whole, is_right) in [
            ((IF_NONE_MATCH, "\"a\""), (ETAG, "\"a\""), true),
            ((IF_NONE_MATCH, "W/\"a\""), (ETAG, "\"a\""), true),
            ((IF_NONE_MATCH, "\"a\""), (ETAG, "W/\"a\""), true),
            (
                (IF_NONE_MATCH, "\"x\", \"a,b\" ,W/\"c\""),
                (ETAG, "\"a,b\""),
                true,
            ),
            ((IF_NONE_MATCH, "\"x\", \"a,b\""), (ETAG, "\"b\""), false),
            ((IF_NONE_MATCH, "*"), (ETAG, "\"a\""), true),
            ((IF_NONE_MATCH, "*"), (LAST_MODIFIED, SUNDAY), true),
            ((IF_NONE_MATCH, "\"a\""), (ETAG, "\"b\""), false),
            ((IF_NONE_MATCH, "\"a\""), (LAST_MODIFIED, SUNDAY), false),
            ((IF_MODIFIED_SINCE, SUNDAY), (LAST_MODIFIED, SUNDAY), true),
            ((IF_MODIFIED_SINCE, MONDAY), (LAST_MODIFIED, SUNDAY), true),
            ((IF_MODIFIED_SINCE, SUNDAY), (LAST_MODIFIED, MONDAY), false),
            ((IF_MODIFIED_SINCE, SUNDAY), (ETAG, "\"a\""), false),
            ((IF_MODIFIED_SINCE, "then"), (LAST_MODIFIED, "then"), true),
            ((IF_MODIFIED_SINCE, "then"), (LAST_MODIFIED, SUNDAY), false),
            ((IF_RANGE, "\"a\""), (ETAG, "\"a\""), false),
        ] {
            let case = format!("{request:?} {whole:?}");
            let (request, whole) = (headers(&[request]), answer(200, &[whole]));
            let unmodified = answer(304, &[]);
            assert_eq!(
                !is_broken(&request, &unmodified, &whole),
                is_right,
                "{case}"
            );
        }
    }

    #[test]
    fn date_counts_only_where_the_stack_gives_itself_no_tag() {
        let request = headers(&[(IF_NONE_MATCH, "\"a\""), (IF_MODIFIED_SINCE, SUNDAY)]);
        let unmodified = answer(304, &[]);
        let dated = answer(200, &[(LAST_MODIFIED, SUNDAY)]);
        assert!(!is_broken(&request, &unmodified, &dated));
        let tagged = answer(200, &[(LAST_MODIFIED, SUNDAY), (ETAG, "\"b\"")]);
        assert!(is_broken(&request, &unmodified, &tagged));
    }

    #[test]
    fn tag_of_the_304_itself_has_to_be_the_own_one() {
        let request = headers(&[(IF_NONE_MATCH, "\"a\"")]);
        let whole = answer(200, &[(ETAG, "\"a\"")]);
        let with = |tag| answer(304, &[(ETAG, tag)]);
        assert!(!is_broken(&request, &with("W/\"a\""), &whole));
        assert!(is_broken(&request, &with("\"b\""), &whole));
        assert!(is_broken(&request, &with("\"a\""), &answer(404, &[])));
        assert!(
            !is_broken(&request, &with("\"a\""), &answer(503, &[])),
            "it fails anyway"
        );
    }

    #[test]
    fn failure_with_conditions_alone_is_one() {
        let request = headers(&[(IF_NONE_MATCH, "\"a\"")]);
        let broken = |status, whole| is_broken(&request, &answer(status, &[]), &answer(whole, &[]));
        assert!(broken(500, 200));
        assert!(broken(400, 200));
        assert!(!broken(404, 404));
        assert!(!broken(200, 200));
        assert!(!broken(412, 200), "by its own tags");
        assert!(!broken(206, 200));
    }
}
