//! Every possible reason of a verdict, caused from outside, and how it changes over time.

use crate::{
    ONE, OTHER,
    support::{Caller, Reply, Sidecar, Stack, eventually, json, twinread},
};
use rustix::process::Signal;
use serde_json::Value;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// Limits that a few checks decide on; the section can be extended.
const LOOSE: &str =
    "max_mismatch: 0.5, max_error: 0.5, max_noise: 0.5, max_uncompared: 0.5, confidence: 0.5";

/// Enough for these limits.
const CHECKS: u64 = 40;

fn loose(more: &str) -> String {
    format!("verdict: {{{LOOSE}{more}}}\n")
}

/// The verdict after this many reads.
fn judged(new: &Stack, config: &str, checks: u64) -> (Sidecar, Value) {
    let old = Stack::json(ONE);
    let sidecar = Sidecar::start(old.addr, new.addr, config);
    read(&sidecar, checks);
    let verdict = sidecar.ask("/v1/verdict");
    (sidecar, verdict)
}

fn read(sidecar: &Sidecar, checks: u64) {
    let mut caller = sidecar.caller();
    let before = sidecar.metric("twinread_sampled_total", "") as u64;
    (0..checks).for_each(|_| drop(caller.get("/items/17")));
    sidecar.judged(before + checks);
}

fn codes(verdict: &Value) -> Vec<&str> {
    let reasons = verdict["reasons"].as_array().unwrap().iter();
    reasons
        .map(|reason| reason["code"].as_str().unwrap())
        .collect()
}

#[track_caller]
fn assert_judged(new: &Stack, config: &str, expected: &str, reasons: &[&str]) -> Value {
    let (_, verdict) = judged(new, config, CHECKS);
    assert_eq!(codes(&verdict), reasons, "{verdict:#}");
    assert_eq!(verdict["verdict"], expected);
    verdict["reasons"][0].clone()
}

#[test]
fn without_a_reason_it_is_safe() {
    assert_judged(&Stack::json(ONE), &loose(""), "safe", &[]);
}

#[test]
fn a_shadow_that_dies_after_it_was_safe_gives_paused() {
    let dead = Arc::new(AtomicBool::new(false));
    let dies = dead.clone();
    let new = Stack::start(move |_| {
        if dies.load(Ordering::SeqCst) {
            Reply::NOTHING
        } else {
            json(ONE)
        }
    });
    let (sidecar, verdict) = judged(&new, &loose(", min_coverage: 0.5"), CHECKS);
    assert_eq!(verdict["verdict"], "safe");
    dead.store(true, Ordering::SeqCst);
    read(&sidecar, 20);
    let verdict = sidecar.ask("/v1/verdict");
    assert!(codes(&verdict).contains(&"paused"), "{verdict:#}");
    assert_eq!(verdict["verdict"], "undecided");
}

#[test]
fn mismatches_give_mismatch_rate() {
    let reason = assert_judged(
        &Stack::json(OTHER),
        &loose(""),
        "unsafe",
        &["mismatch_rate"],
    );
    assert_eq!(reason["route"], "GET /items/{}");
}

#[test]
fn a_stack_that_gives_no_answer_gives_error_rate() {
    let (old, new) = (Stack::json(ONE), Stack::start(|_| Reply::NOTHING));
    let config = loose(", min_coverage: 0");
    let sidecar = Sidecar::start(old.addr, new.addr, &config);
    // Otherwise the breaker would stop requests to the stack.
    let patched = sidecar.patch(r#"{"new": {"breaker": {"failures": 1000000}}}"#);
    assert_eq!(patched.status, 200);
    read(&sidecar, CHECKS);
    let verdict = sidecar.ask("/v1/verdict");
    assert_eq!(codes(&verdict), ["error_rate"], "{verdict:#}");
}

#[test]
fn what_cannot_be_compared_gives_coverage() {
    let config = format!("{}capture: {{max_body: 4}}\n", loose(""));
    // Too large to be kept, but equal.
    assert_judged(&Stack::json(ONE), &config, "safe", &[]);
    let (_, verdict) = judged(&Stack::json(OTHER), &config, CHECKS);
    assert!(codes(&verdict).contains(&"coverage"), "{verdict:#}");
    assert!(codes(&verdict).contains(&"uncompared"), "{verdict:#}");
    let mut reasons = verdict["reasons"].as_array().unwrap().iter();
    let coverage = reasons.find(|reason| reason["code"] == "coverage");
    let detail = coverage.unwrap()["detail"].as_str().unwrap();
    assert!(
        detail.contains("not_compared{body_too_large} (40)"),
        "{detail}"
    );
}

#[test]
fn a_slower_stack_gives_latency_and_so_do_too_few_answers() {
    // No stack answers in a thousandth of the other's time.
    let config = loose(", max_latency_ratio: 0.001");
    let (sidecar, few) = judged(&Stack::json(ONE), &config, CHECKS);
    assert_eq!(codes(&few), ["latency"], "{few:#}");
    let missing = few["reasons"][0]["checks_needed"].as_u64().unwrap();
    assert!(few["reasons"][0]["eta_seconds"].is_u64());

    read(&sidecar, missing);
    let enough = sidecar.ask("/v1/verdict");
    assert_eq!(codes(&enough), ["latency"], "{enough:#}");
    assert!(enough["reasons"][0].get("checks_needed").is_none());
    let patch = r#"{"verdict": {"max_latency_ratio": 1000000}}"#;
    assert_eq!(sidecar.patch(patch).status, 200);
    assert_eq!(sidecar.ask("/v1/verdict")["verdict"], "safe");
}

#[test]
fn a_rule_past_its_day_gives_rule_expired() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    let text = "rules: [{id: gone, why: a test, at: $.a, do: ignore, expires: 2020-01-01}]";
    std::fs::write(&rules, text).unwrap();
    let config = format!("{}rules: [{}]\n", loose(""), rules.display());
    assert_judged(&Stack::json(ONE), &config, "undecided", &["rule_expired"]);
}

#[test]
fn paused_sampling_gives_paused() {
    let (sidecar, verdict) = judged(&Stack::json(ONE), &loose(""), CHECKS);
    assert_eq!(verdict["verdict"], "safe");
    assert_eq!(sidecar.patch(r#"{"paused": true}"#).status, 200);
    assert_eq!(codes(&sidecar.ask("/v1/verdict")), ["paused"]);
}

#[test]
fn nothing_checked_gives_no_traffic() {
    let (_, verdict) = judged(&Stack::json(ONE), &loose(""), 0);
    assert_eq!(codes(&verdict), ["no_traffic"]);
}

#[test]
fn a_required_route_without_a_request_gives_route_unseen() {
    let routes =
        "routes: [{name: get-user, methods: [GET], path: '/users/{id}', required: true}]\n";
    let config = format!("{}{routes}", loose(""));
    let reason = assert_judged(&Stack::json(ONE), &config, "undecided", &["route_unseen"]);
    assert_eq!(reason["route"], "get-user");
}

#[test]
fn a_clean_record_that_is_too_short_gives_soak() {
    let config = loose(", soak: 1h");
    let reason = assert_judged(&Stack::json(ONE), &config, "undecided", &["soak"]);
    let left = reason["eta_seconds"].as_u64().unwrap();
    assert!((3_000..=3_600).contains(&left), "{left}");
}

#[test]
fn too_few_checks_give_more_checks_with_their_number_and_time() {
    let (_, verdict) = judged(&Stack::json(ONE), "", CHECKS);
    assert_eq!(codes(&verdict), ["more_checks"], "{verdict:#}");
    let reason = &verdict["reasons"][0];
    assert!(reason["checks_needed"].as_u64().unwrap() > 1_000);
    assert!(reason["eta_seconds"].is_u64());
}

#[test]
fn history_has_each_change_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("twinread.db");
    let config = format!("{}store: {{path: {}}}\n", loose(""), store.display());
    let (mut sidecar, _) = judged(&Stack::json(ONE), &config, CHECKS);
    let changes = |sidecar: &Sidecar, count: usize| {
        eventually("the changes are noted", || {
            let history = sidecar.ask("/v1/verdict/history");
            let changes = history["changes"].as_array()?.clone();
            (changes.len() >= count).then_some(changes)
        })
    };
    let printed = changes(&sidecar, 2);
    let to = |change: &Value| change["to"].as_str().unwrap().to_owned();
    assert_eq!(
        (to(&printed[1]), to(&printed[0])),
        ("undecided".into(), "safe".into())
    );
    assert_eq!(printed[0]["from"], "undecided");
    // A reason of the previous look. Looks are a second apart, and the checks may take longer.
    let gone = printed[0]["gone"][0]["code"].as_str().unwrap();
    assert!(
        ["no_traffic", "more_checks", "coverage"].contains(&gone),
        "{gone}"
    );

    let length = 2;
    let epoch = format!(
        "POST /v1/epoch HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{{}}"
    );
    assert_eq!(Caller::connect(sidecar.admin).send(&epoch).status, 201);
    let printed = changes(&sidecar, 3);
    assert_eq!(
        (to(&printed[0]), &printed[0]["epoch_began"]),
        ("undecided".into(), &Value::from("asked"))
    );
    let page = sidecar.ask("/v1/verdict/history?limit=2");
    let next = page["next"].as_str().unwrap();
    let rest = sidecar.ask(&format!("/v1/verdict/history?cursor={next}"));
    assert_eq!(rest["changes"].as_array().unwrap().len(), 1);

    sidecar.signal(Signal::TERM);
    assert!(sidecar.exited().success());
    let (sidecar, _) = judged(&Stack::json(OTHER), &config, CHECKS);
    let printed = changes(&sidecar, 4);
    assert_eq!(
        (&printed[0]["from"], to(&printed[0])),
        (&Value::from("undecided"), "unsafe".into())
    );
}

#[test]
fn another_version_of_the_new_stack_begins_an_epoch() {
    let build = Arc::new(AtomicUsize::new(812));
    let shown = build.clone();
    let new = Stack::start(move |_| {
        let Reply::Write(answer) = json(ONE) else {
            return Reply::NOTHING;
        };
        let named = format!("\r\nx-version: {}\r\n\r\n", shown.load(Ordering::SeqCst));
        Reply::Write(answer.replacen("\r\n\r\n", &named, 1))
    });
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    let text = "rules: [{id: version, why: it names the build, at: header.x-version, do: ignore}]";
    std::fs::write(&rules, text).unwrap();
    let config = format!(
        "{}epoch: {{version_header: X-Version}}\nrules: ['builtin:http', '{}']\n",
        loose(""),
        rules.display()
    );
    let (sidecar, first) = judged(&new, &config, CHECKS);
    assert_eq!(
        (&first["verdict"], &first["epoch"]["version"]),
        (&"safe".into(), &"812".into())
    );

    build.store(813, Ordering::SeqCst);
    read(&sidecar, 1);
    let mut gate = twinread();
    gate.args(["gate", "--admin", &format!("http://{}", sidecar.admin)]);
    let printed = String::from_utf8(gate.output().unwrap().stdout).unwrap();
    assert!(printed.contains(" of version 813"), "{printed}");
    let second = sidecar.ask("/v1/verdict");
    assert_eq!(second["epoch"]["version"], "813");
    assert_eq!(second["epoch"]["cause"], "version");
    assert_eq!(second["verdict"], "undecided");
    let epochs = sidecar.ask("/v1/epochs");
    let sampled = |epoch: usize| epochs["epochs"][epoch]["routes"][0]["sampled"].clone();
    assert_eq!((sampled(0), sampled(1)), (1.into(), CHECKS.into()));
}
