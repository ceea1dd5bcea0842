//! Pipelines query the verdict: by `twinread gate`, and as the manifests in `deploy/` do for Argo Rollouts and Flagger.

use crate::{
    ONE, OTHER,
    support::{Answer, Caller, Sidecar, Stack, twinread},
};
use expr::Context;
use jsonpath_rust::JsonPath;
use serde_json::Value;
use std::{
    process::Output,
    sync::Arc,
    time::{Duration, Instant},
};
use twinread::testing::spanned_yaml::Node;

const ANALYSIS_TEMPLATE: &str = include_str!("../../deploy/argo/analysis-template.yaml");
const CANARY: &str = include_str!("../../deploy/flagger/canary.yaml");
const TOKEN: &str = "s3cret";

/// Limits that a few checks decide on.
const LOOSE: &str = "verdict: {max_mismatch: 0.5, max_error: 0.5, max_noise: 0.5, max_uncompared: 0.5, confidence: 0.5}\nadmin_token: s3cret\n";

/// A sidecar with each verdict.
fn sidecars() -> [(&'static str, Sidecar); 3] {
    [
        ("safe", ONE, 40),
        ("unsafe", OTHER, 40),
        ("undecided", ONE, 0),
    ]
    .map(|(verdict, body, checks)| {
        let (old, new) = (Stack::json(ONE), Stack::json(body));
        let sidecar = Sidecar::start(old.addr, new.addr, LOOSE);
        let mut caller = sidecar.caller();
        (0..checks).for_each(|_| drop(caller.get("/items/17")));
        sidecar.judged(checks);
        (verdict, sidecar)
    })
}

/// A manifest of this kind.
fn manifest(kind: &str, text: &str) -> Value {
    let manifest = Node::parse(&Arc::from(kind), text).unwrap().to_json();
    assert_eq!(manifest["kind"], kind);
    manifest
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
}

/// Requests the url from the sidecar instead of its host, with one header.
fn ask(sidecar: &Sidecar, url: &str, header: &str) -> Answer {
    let path = url.strip_prefix("http://twinread.shop:9900").expect(url);
    let request = format!("GET {path} HTTP/1.1\r\nhost: twinread.shop:9900\r\n{header}\r\n\r\n");
    Caller::connect(sidecar.admin).send(&request)
}

fn gate(sidecar: &Sidecar, more: &[&str]) -> Output {
    let admin = format!("http://{}", sidecar.admin);
    let mut gate = twinread();
    gate.args(["gate", "--admin", &admin, "--token", TOKEN])
        .args(more);
    gate.output().unwrap()
}

// === Argo Rollouts ===

/// The result of one measurement in Argo's engine (its `EvaluateResult` with both conditions).
fn measured(metric: &Value, sidecar: &Sidecar) -> &'static str {
    let web = &metric["provider"]["web"];
    let header = &web["headers"][0];
    let value = text(&header["value"]).replace("{{args.token}}", TOKEN);
    let answer = ask(
        sidecar,
        text(&web["url"]),
        &format!("{}: {value}", text(&header["key"])),
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    let path = text(&web["jsonPath"]);
    let path = path
        .strip_prefix('{')
        .and_then(|path| path.strip_suffix('}'));
    let found = document.query(path.unwrap()).unwrap();
    let holds = |condition: &str| {
        let mut context = Context::default();
        context.insert("result".to_owned(), text(found[0]));
        let held = expr::eval(text(&metric[condition]), &context).unwrap();
        held.as_bool().unwrap()
    };
    match (holds("failureCondition"), holds("successCondition")) {
        (true, _) => "Failed",
        (false, true) => "Successful",
        (false, false) => "Inconclusive",
    }
}

// === Flagger ===

/// Whether the load tester would report success for the command. Knows the shell features in use: `curl -fsS -H
/// "…" "…"`, and `grep -q '…'` after a pipe. A pipe returns the status of its last command.
fn succeeds(command: &str, sidecar: &Sidecar) -> bool {
    let words = words(&command.replace("$TWINREAD_ADMIN_TOKEN", TOKEN));
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let ["curl", "-fsS", "-H", header, url, rest @ ..] = &words[..] else {
        panic!("not what this knows: {command}");
    };
    let answer = ask(sidecar, url, header);
    let (is_answered, body) = match answer.status {
        // `-f` means no output and no success.
        400.. => (false, String::new()),
        _ => (true, String::from_utf8(answer.body).unwrap()),
    };
    match rest {
        [] => is_answered,
        ["|", "grep", "-q", pattern] => {
            assert!(
                !pattern.contains(['.', '*', '[', '^', '$', '\\']),
                "{pattern}"
            );
            body.contains(pattern)
        }
        _ => panic!("not what this knows: {rest:?}"),
    }
}

fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = command.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '"' | '\'' => rest[1..].split_once(first).expect("a quote that ends"),
            _ => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

#[test]
fn the_analysis_template_lets_go_on_takes_back_and_waits() {
    let template = manifest("AnalysisTemplate", ANALYSIS_TEMPLATE);
    let metric = &template["spec"]["metrics"][0];
    // With a count, that many inconclusive measurements would be a success.
    assert!(metric.get("count").is_none() && metric["consecutiveSuccessLimit"] == 1);
    let secret = &template["spec"]["args"][0];
    assert_eq!(secret["name"], "token");
    assert!(secret["valueFrom"]["secretKeyRef"]["key"].is_string());
    for (verdict, sidecar) in sidecars() {
        let expected = match verdict {
            "safe" => "Successful",
            "unsafe" => "Failed",
            _ => "Inconclusive",
        };
        assert_eq!(measured(metric, &sidecar), expected, "{verdict}");
    }
}

#[test]
fn the_canary_is_promoted_when_safe_and_rolled_back_when_unsafe() {
    let canary = manifest("Canary", CANARY);
    let hooks = canary["spec"]["analysis"]["webhooks"].as_array().unwrap();
    let hook = |kind: &str| {
        let mut hooks = hooks.iter().filter(|hook| hook["type"] == kind);
        let metadata = &hooks.next().expect(kind)["metadata"];
        assert_eq!(metadata["type"], "bash");
        text(&metadata["cmd"])
    };
    for (verdict, sidecar) in sidecars() {
        let promotes = succeeds(hook("confirm-promotion"), &sidecar);
        assert_eq!(promotes, verdict == "safe", "{verdict}");
        let rolls_back = succeeds(hook("rollback"), &sidecar);
        assert_eq!(rolls_back, verdict == "unsafe", "{verdict}");
    }
}

#[test]
fn the_gate_ends_with_the_verdict_at_once_where_there_is_one() {
    for (verdict, sidecar) in sidecars() {
        let (code, wait) = match verdict {
            "safe" => (0, "10m"),
            "unsafe" => (1, "10m"),
            _ => (2, "100ms"),
        };
        let begun = Instant::now();
        let gate = gate(&sidecar, &["--json", "--wait", wait]);
        assert!(begun.elapsed() < Duration::from_secs(60));
        assert_eq!(gate.status.code(), Some(code), "{verdict}");
        // Stdout holds only the document.
        let shown: Value = serde_json::from_slice(&gate.stdout).unwrap();
        assert_eq!(shown["verdict"], verdict);
        let progress = String::from_utf8(gate.stderr).unwrap();
        let expected = match verdict {
            "undecided" => "waiting: no_traffic\n",
            _ => "",
        };
        assert_eq!(progress, expected);
    }
}

#[test]
fn a_gate_that_gets_no_verdict_says_so_and_never_passes() {
    let stack = Stack::json(ONE);
    let sidecar = Sidecar::start(stack.addr, Stack::json(ONE).addr, LOOSE);
    // A wrong token, and a server that is no twinread.
    for (addr, code) in [(sidecar.admin, 64), (stack.addr, 69)] {
        let mut gate = twinread();
        gate.args([
            "gate",
            "--token",
            "other",
            "--admin",
            &format!("http://{addr}"),
        ]);
        let gate = gate.output().unwrap();
        assert_eq!(gate.status.code(), Some(code));
        assert!(gate.stdout.is_empty() && !gate.stderr.is_empty());
    }
}
