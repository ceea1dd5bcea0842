//! Status, headers and trailers.

use super::*;

#[test]
fn statuses_are_compared() {
    let (old, mut new) = (json("1"), json("1"));
    new.status = StatusCode::NON_AUTHORITATIVE_INFORMATION;
    assert_eq!(differences(&old, &new, &[]), ["status status"]);
    let equal = [("status", "{status: {equal: [[404, 410], [200, 203]]}}")];
    assert_eq!(differences(&old, &new, &equal), [""; 0]);
    new.status = StatusCode::NOT_FOUND;
    assert_eq!(differences(&old, &new, &equal), ["status status"]);
}

#[test]
fn headers_are_compared_by_name_whatever_their_order() {
    let old = with(with(json("1"), "x-a", "1"), "x-b", "2");
    let new = with(with(json("1"), "x-b", "2"), "x-a", "1");
    assert_eq!(differences(&old, &new, &[]), [""; 0]);
    assert_eq!(
        differences(&old, &json("1"), &[]),
        ["header.x-a missing", "header.x-b missing"]
    );
    assert_eq!(
        differences(&json("1"), &old, &[]),
        ["header.x-a extra", "header.x-b extra"]
    );
    let changed = with(with(json("1"), "x-a", "1"), "x-b", "3");
    assert_eq!(differences(&old, &changed, &[]), ["header.x-b value"]);
}

#[test]
fn several_values_are_kept_apart() {
    let two = |one, other| with(with(json("1"), "set-cookie", one), "set-cookie", other);
    assert_eq!(
        differences(&two("a=1", "b=2"), &two("a=1", "b=2"), &[]),
        [""; 0]
    );
    assert_eq!(
        differences(&two("a=1", "b=2"), &two("b=2", "a=1"), &[]),
        ["header.set-cookie order"]
    );
    let unordered = [("header.set-cookie", "unordered")];
    assert_eq!(
        differences(&two("a=1", "b=2"), &two("b=2", "a=1"), &unordered),
        [""; 0]
    );
    let joined = with(json("1"), "set-cookie", "a=1, b=2");
    assert_eq!(
        differences(&two("a=1", "b=2"), &joined, &[]),
        ["header.set-cookie value"]
    );
}

#[test]
fn what_belongs_to_the_connection_never_counts() {
    let old = with(
        with(json("1"), "connection", "keep-alive, X-Trace"),
        "x-trace",
        "1",
    );
    let old = with(with(old, "content-length", "1"), "keep-alive", "timeout=5");
    let new = with(json("1"), "transfer-encoding", "chunked");
    assert_eq!(differences(&old, &new, &[]), [""; 0]);
}

#[test]
fn a_connection_speaks_for_its_own_answer_only() {
    let hop = |value| {
        let answer = with(json("1"), "connection", "x-trace");
        with(answer, "x-trace", value)
    };
    let plain = with(json("1"), "x-trace", "1");
    assert_eq!(differences(&hop("1"), &hop("2"), &[]), [""; 0]);
    assert_eq!(differences(&hop("1"), &json("1"), &[]), [""; 0]);
    assert_eq!(
        differences(&hop("1"), &plain, &[]),
        ["header.x-trace extra"]
    );
    assert_eq!(
        differences(&plain, &hop("1"), &[]),
        ["header.x-trace missing"]
    );
}

fn compared_by(method: Method, old: &Answer, new: &Answer) -> Vec<String> {
    let context = Context {
        method: &method,
        ..context()
    };
    reported(&compare(old, new, &context, &CompareConfig::default()))
}

#[test]
fn length_is_the_size_of_the_resource_where_there_is_no_body() {
    let length = |length| with(json(""), "content-length", length);
    let (old, new) = (length("100"), length("7"));
    let differs = ["header.content-length value"];
    assert_eq!(compared_by(Method::HEAD, &old, &new), differs);
    assert_eq!(compared_by(Method::HEAD, &old, &old), [""; 0]);
    assert_eq!(
        compared_by(Method::HEAD, &old, &json("")),
        ["header.content-length missing"]
    );
    assert_eq!(compared_by(Method::GET, &old, &new), [""; 0]);

    let unmodified = |mut answer: Answer| {
        answer.status = StatusCode::NOT_MODIFIED;
        answer
    };
    let (old, new) = (unmodified(old), unmodified(new));
    assert_eq!(compared_by(Method::GET, &old, &new), differs);
    let reported = compared_by(Method::GET, &old, &length("7"));
    assert_eq!(reported, ["status status"], "one of them has a body");
}

#[test]
fn sizes_under_unlike_codings_say_nothing() {
    let zipped = with(
        with(json(""), "content-length", "50"),
        "content-encoding",
        "gzip",
    );
    let plain = with(json(""), "content-length", "100");
    assert_eq!(compared_by(Method::HEAD, &plain, &zipped), [""; 0]);
    let identity = with(plain.clone(), "content-encoding", "identity");
    assert_eq!(compared_by(Method::HEAD, &plain, &identity), [""; 0]);
}

#[test]
fn the_headers_compared_can_be_listed() {
    let (old, new) = (with(json("1"), "x-a", "1"), with(json("1"), "x-b", "2"));
    let under = |headers| {
        let mut comparing = CompareConfig::default();
        comparing.options.headers = headers;
        reported(&compare(&old, &new, &context(), &comparing))
    };
    assert_eq!(
        under(HeaderScope::Listed(vec![HeaderName::from_static("x-b")])),
        ["header.x-b extra"]
    );
    assert_eq!(
        under(HeaderScope::Except(vec![HeaderName::from_static("x-b")])),
        ["header.x-a missing"]
    );
    let start = vec![HeaderName::from_static("x-*")];
    let both = ["header.x-a missing", "header.x-b extra"];
    assert_eq!(under(HeaderScope::Listed(start.clone())), both);
    assert_eq!(under(HeaderScope::Except(start)), [""; 0]);
    assert_eq!(under(HeaderScope::None), [""; 0]);
}

#[test]
fn trailers_are_compared() {
    let (old, mut new) = (json("1"), json("1"));
    new.trailers
        .insert("x-checksum", HeaderValue::from_static("1"));
    assert_eq!(differences(&old, &new, &[]), ["trailer.x-checksum extra"]);
    assert_eq!(
        differences(&old, &new, &[("trailer.x-checksum", "ignore")]),
        [""; 0]
    );
    assert_eq!(
        differences(&old, &new, &[("header.x-checksum", "ignore")]),
        ["trailer.x-checksum extra"]
    );
}
