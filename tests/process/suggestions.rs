//! Rules that follow from what was found, from the stored mismatch to a rule file that masks it.

use crate::{
    sidecar::{Caller, Sidecar, eventually, twinread},
    stack::{Reply, Stack, json},
};
use serde_json::Value;

/// Two stacks that differ by clock, chance, order and a name, and on one route by a real defect.
fn stacks() -> (Stack, Stack) {
    let old = Stack::start(|head| answer(head, "user_name", 0, ["a", "b", "c"], "9.50"));
    let new = Stack::start(|head| answer(head, "userName", 5, ["c", "a", "b"], "9.70"));
    (old, new)
}

/// What it answers depends on the path and the stack only.
fn answer(head: &str, name: &str, late: u32, tags: [&str; 3], price: &str) -> Reply {
    if head.contains("/prices/") {
        return json(&format!(r#"{{"price": {price}}}"#));
    }
    let path = head.split(' ').nth(1).unwrap();
    let n = path.rsplit('/').next().unwrap().parse::<u32>().unwrap() + late;
    json(&format!(
        r#"{{"served_at": "2026-11-22T10:00:{n:02}Z", "request": "6ba7b8{n:02}-9dad-11d1-80b4-00c04fd430c8",
            "tags": {tags:?}, "{name}": "anna"}}"#
    ))
}

fn check(sidecar: &Sidecar) {
    let mut caller = sidecar.caller();
    for number in 10..20 {
        for path in ["users", "prices"] {
            let answer = caller.get(&format!("/{path}/{number}"));
            assert_eq!(answer.status, 200);
        }
    }
    sidecar.quiet(20);
}

fn suggestions(sidecar: &Sidecar) -> Value {
    eventually("every mismatch is stored", || {
        let told = sidecar.ask("/v1/rules/suggestions");
        (told["mismatches"] == 20).then_some(told)
    })
}

fn preview(sidecar: &Sidecar, file: &str) -> Value {
    let request = format!(
        "POST /v1/rules/preview HTTP/1.1\r\nhost: {}\r\ncontent-type: application/yaml\r\ncontent-length: {}\r\n\r\n{file}",
        sidecar.admin,
        file.len()
    );
    let answer = Caller::connect(sidecar.admin).send(&request);
    serde_json::from_slice(&answer.body).unwrap()
}

/// Finds rules where values are masked, pastes them, and checks again.
#[test]
fn suggested_rules_mask_what_they_explain_and_leave_the_defect() {
    let (old, new) = stacks();
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    check(&sidecar);
    let told = suggestions(&sidecar);

    let mut found: Vec<_> = told["suggestions"].as_array().unwrap().iter().collect();
    found.sort_by_key(|found| found["rule"]["at"].to_string());
    let rules = found.iter().map(|found| {
        assert_eq!(
            (&found["explains"], &found["of"]),
            (&10.into(), &10.into()),
            "{found}"
        );
        assert_eq!(
            found["masks"], 0,
            "each answers for a part of the mismatches only"
        );
        format!(
            "{} {}",
            found["rule"]["at"].as_str().unwrap(),
            found["rule"]["do"]
        )
    });
    assert_eq!(
        rules.collect::<Vec<_>>(),
        [
            r#"$.request {"same":"uuid"}"#,
            r#"$.served_at {"time":{"within":"10s","formats":["rfc3339"]}}"#,
            r#"$.tags "unordered""#,
            r#"$.user_name {"rename":{"to":"userName","on":"old"}}"#,
        ]
    );
    assert_eq!(told["masked_together"], 10);
    let prices = sidecar.ask("/v1/classes").to_string();
    let unexplained = told["unexplained"].as_array().unwrap();
    assert_eq!(unexplained.len(), 1);
    assert!(prices.contains(unexplained[0].as_str().unwrap()));

    let command = twinread()
        .args(["rules", "suggest", "--admin"])
        .arg(format!("http://{}", sidecar.admin))
        .output()
        .unwrap();
    let file = String::from_utf8(command.stdout).unwrap();
    let previewed = preview(&sidecar, &file);
    assert_eq!(previewed["hidden"]["count"], 10, "{previewed}");
    assert_eq!(previewed["kept"]["count"], 10, "{previewed}");
    assert_eq!(
        sidecar
            .ask("/v1/rules")
            .to_string()
            .matches("say why")
            .count(),
        0
    );

    let folder = tempfile::tempdir().unwrap();
    let pasted = folder.path().join("suggested.yaml");
    std::fs::write(&pasted, file).unwrap();
    let rules = format!("rules: ['{}']\n", pasted.display());
    let (old, new) = stacks();
    let again = Sidecar::start(old.addr, new.addr, &rules);
    check(&again);
    let outcome =
        |name: &str| again.metric("twinread_checks_total", &format!("outcome=\"{name}\""));
    assert_eq!((outcome("match"), outcome("mismatch")), (10.0, 10.0));
    let left = again.ask("/v1/mismatches?limit=1000").to_string();
    assert_eq!(left.matches("\"place\":\"$.price\"").count(), 10, "{left}");
}

#[test]
fn a_preview_never_claims_to_know_masked_values() {
    let (old, new) = stacks();
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    check(&sidecar);
    suggestions(&sidecar);
    for (rule, hidden, kept, unknown) in [
        ("at: $.price, do: ignore", 10, 10, 0),
        ("at: $.price, do: {tolerance: {abs: 1}}", 0, 10, 10),
        ("at: $.nothing, do: ignore", 0, 20, 0),
    ] {
        let told = preview(&sidecar, &format!("rules: [{{id: r, why: w, {rule}}}]"));
        let counts = ["hidden", "kept", "cannot_be_judged"].map(|name| told[name]["count"].clone());
        assert_eq!(counts, [hidden, kept, unknown].map(Value::from), "{rule}");
    }
    let told = preview(
        &sidecar,
        "rules:\n  - {id: r, why: w, at: $.x, do: ignroe}\n",
    );
    let fault = told["faults"][0].as_str().unwrap();
    assert!(fault.starts_with("rules:2:"), "{fault}");
    assert!(fault.contains("did you mean `ignore`"), "{fault}");

    let shown = "redact: {values: shown}\n";
    let sidecar = Sidecar::start(old.addr, new.addr, shown);
    check(&sidecar);
    suggestions(&sidecar);
    let told = preview(
        &sidecar,
        "rules: [{id: r, why: w, at: $.price, do: {tolerance: {abs: 1}}}]",
    );
    assert_eq!(told["hidden"]["count"], 10, "{told}");
    assert_eq!(told["cannot_be_judged"]["count"], 0, "{told}");
}
