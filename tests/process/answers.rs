//! Comparison and display of answers, from the caller to the admin API.

use crate::support::{Reply, Sidecar, Stack, eventually};
use serde_json::{Value, json};

const CHECKS: u64 = 20;

fn answering(kind: &'static str, body: &'static str) -> Stack {
    Stack::start(move |_| {
        let length = body.len();
        Reply::Write(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    })
}

fn checked(old: &Stack, new: &Stack, config: &str) -> Sidecar {
    let sidecar = Sidecar::start(old.addr, new.addr, config);
    let mut caller = sidecar.caller();
    (0..CHECKS).for_each(|_| drop(caller.get("/items/17")));
    sidecar.quiet(CHECKS);
    sidecar
}

/// The differences of a mismatch.
fn differences(sidecar: &Sidecar) -> Vec<Value> {
    eventually("a mismatch", || {
        let page = sidecar.ask("/v1/mismatches?limit=1");
        let differences = page["mismatches"].get(0)?["differences"].as_array();
        differences.cloned()
    })
}

#[test]
fn values_of_unlike_types_are_shown_as_json_text() {
    let old = answering("application/json", r#"{"a": 1}"#);
    let new = answering("application/json", r#"{"a": "1"}"#);
    for (values, shown) in [
        ("shown", ["1", "\"1\""]),
        ("masked", ["number(1)", "string(1)"]),
    ] {
        let config = format!("redact: {{values: {values}}}\n");
        let found = differences(&checked(&old, &new, &config));
        assert_eq!(found[0]["kind"], "type");
        assert_eq!([&found[0]["old"], &found[0]["new"]], shown, "{values}");
    }
}

#[test]
fn equal_bytes_under_unlike_types_differ_in_the_header_alone() {
    let old = answering("text/plain", r#"{"a": 1}"#);
    let new = answering("application/json", r#"{"a": 1}"#);
    let found = differences(&checked(&old, &new, ""));
    let places: Vec<_> = found.iter().map(|found| &found["place"]).collect();
    assert_eq!(places, [&json!("header.content-type")]);

    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    let rule = "rules: [{id: kind, why: a test, at: header.content-type, do: ignore}]";
    std::fs::write(&rules, rule).unwrap();
    // The rest is parsed as JSON, as the new stack declares it.
    let spaced = answering("application/json", r#"{"a":1.0}"#);
    let config = format!("rules: [{}]\n", rules.display());
    let sidecar = checked(&old, &spaced, &config);

    let matches = sidecar.metric("twinread_checks_total", "outcome=\"match\"");
    assert_eq!(matches as u64, CHECKS);
}

#[test]
fn head_is_compared_by_its_content_length() {
    let sized = |length: usize| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        Stack::start(move |_| Reply::Write(head.clone()))
    };
    let (old, new) = (sized(100), sized(7));
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    let mut caller = sidecar.caller();
    caller.write("HEAD /items/17 HTTP/1.1\r\nhost: a\r\n\r\n");
    sidecar.quiet(1);
    let found = differences(&sidecar);
    assert_eq!(found[0]["place"], "header.content-length");
}
