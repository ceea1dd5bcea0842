//! Conditional reads, from the caller to the verdict.

use crate::{
    ONE,
    support::{Reply, Sidecar, Stack, eventually, twinread},
};
use serde_json::Value;

const CHECKS: u64 = 40;

/// A stack that tags its content so, and sends a 304 if `knows` accepts the request.
fn tagged(tag: &'static str, knows: fn(&str) -> bool) -> Stack {
    Stack::start(move |request| {
        let is_known = request.to_lowercase().contains("if-none-match") && knows(request);
        let (status, body) = if is_known {
            ("304 Not Modified", "")
        } else {
            ("200 OK", ONE)
        };
        Reply::Write(format!(
            "HTTP/1.1 {status}\r\netag: \"{tag}\"\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        ))
    })
}

/// The verdict after reads by callers that have the content tagged `1`. Stacks may use any tags.
fn judged(old: &Stack, new: &Stack, percent: u8) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    let rule = "rules: [{id: tags, why: a stack's own, at: header.etag, do: ignore}]";
    std::fs::write(&rules, rule).unwrap();
    let config = format!(
        "serve: {{new: {percent}}}\nrules: [{}]\n\
         verdict: {{max_mismatch: 0.5, max_error: 0.5, max_noise: 0.5, max_uncompared: 0.5, confidence: 0.5}}\n",
        rules.display()
    );
    let recheck = "after: [1ms], max_per_second: 1000000";
    let sidecar = Sidecar::rechecking(old.addr, new.addr, (recheck, &config));
    let mut caller = sidecar.caller();
    for _ in 0..CHECKS {
        caller.send("GET /items/17 HTTP/1.1\r\nhost: a\r\nif-none-match: \"1\"\r\n\r\n");
    }
    sidecar.judged(CHECKS);
    eventually("a verdict", || {
        let verdict = sidecar.ask("/v1/verdict");
        (verdict["verdict"] != "undecided").then_some(verdict)
    })
}

#[test]
fn new_stack_that_answers_304_to_anything_is_unsafe() {
    let old = tagged("1", |request| request.contains("\"1\""));
    for percent in [0, 100] {
        let verdict = judged(&old, &tagged("2", |_| true), percent);
        assert_eq!(verdict["verdict"], "unsafe", "{verdict:#}");
        assert_eq!(verdict["reasons"][0]["code"], "mismatch_rate");
    }
}

#[test]
fn new_stack_that_answers_304_to_its_own_tag_is_safe() {
    let own = || tagged("1", |request| request.contains("\"1\""));
    for percent in [0, 100] {
        let verdict = judged(&own(), &own(), percent);
        assert_eq!(verdict["verdict"], "safe", "{verdict:#}");
    }
    let other = tagged("2", |request| request.contains("\"2\""));
    let verdict = judged(&own(), &other, 0);
    assert_eq!(verdict["verdict"], "safe", "{verdict:#}");
}

#[test]
fn an_example_says_that_it_was_read_without_conditions() {
    let body = |price: u32| format!(r#"{{"price": {price}}}"#);
    let stack = |price: u32| {
        let body = body(price);
        Stack::start(move |request| {
            let is_known = request.to_lowercase().contains("if-none-match");
            let (status, body) = if is_known {
                ("304 Not Modified", "")
            } else {
                ("200 OK", body.as_str())
            };
            Reply::Write(format!(
                "HTTP/1.1 {status}\r\netag: \"1\"\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            ))
        })
    };
    let (old, new) = (stack(9), stack(8));
    let recheck = "after: [1ms], max_per_second: 1000000";
    let sidecar = Sidecar::rechecking(old.addr, new.addr, (recheck, ""));
    for (conditions, is_conditional) in [("if-none-match: \"1\"\r\n", true), ("", false)] {
        let mut caller = sidecar.caller();
        caller.send(&format!(
            "GET /items/17 HTTP/1.1\r\nhost: a\r\n{conditions}\r\n"
        ));
        let id = eventually("the mismatch is kept", || {
            let page = sidecar.ask("/v1/mismatches");
            let newest = page["mismatches"][0].clone();
            let conditional = newest["conditional"] == true;
            (conditional == is_conditional && newest["outcome"] == "mismatch")
                .then(|| newest["id"].as_str().unwrap().to_owned())
        });
        let output = twinread()
            .args(["show", &id, "--admin", &format!("http://{}", sidecar.admin)])
            .output()
            .unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            shown.contains("\n  conditions left out"),
            is_conditional,
            "{shown}"
        );
    }
}
