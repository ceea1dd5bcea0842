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
fn what_compare_only_leaves_out_is_counted_with_the_matches() {
    let old = answering("application/json", r#"{"id": 1, "at": 1, "n": {"x": 1}}"#);
    let new = answering(
        "application/json",
        r#"{"id": 1, "at": 2, "n": {"x": 2, "y": 1}}"#,
    );
    let sidecar = checked(&old, &new, "compare: {only: [$.id]}\n");
    let verdict = sidecar.ask("/v1/verdict");
    let matched = &verdict["routes"][0]["match"];
    assert_eq!(matched, &json!({"exact": 0, "rules": CHECKS}), "{verdict}");
    let rules = sidecar.ask("/v1/rules");
    let mut rules = rules["rules"].as_array().unwrap().iter();
    let only = rules.find(|rule| rule["id"] == "compare.only").unwrap();
    assert_eq!(only["masked"], 2 * CHECKS, "{only}");
    let masked = sidecar.metric("twinread_rule_masked_total", r#"rule="compare.only""#);
    assert_eq!(masked as u64, 2 * CHECKS);
    let warned = sidecar.logged("configuration warning");
    let warned: Vec<_> = warned
        .iter()
        .map(|line| line["warning"].to_string())
        .collect();
    assert!(
        warned[0].contains("compare.only: nothing else"),
        "{warned:?}"
    );

    // Another list begins an epoch, and what it names is a mismatch.
    let epoch = verdict["epoch"]["id"].clone();
    let path = sidecar.folder.path().join("twinread.yaml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("only: [$.id]", "only: [$.n.x]")).unwrap();
    eventually("an epoch", || {
        let epoch_now = sidecar.ask("/v1/verdict")["epoch"].clone();
        (epoch_now["id"] != epoch).then(|| assert_eq!(epoch_now["cause"], "compare"))
    });
    sidecar.caller().get("/items/17");
    let found = differences(&sidecar);
    let places: Vec<_> = found.iter().map(|found| &found["place"]).collect();
    assert_eq!(places, [&json!("$.n.x")]);
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
