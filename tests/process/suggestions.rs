//! Suggested rules, from the stored mismatch to a rule file that masks it.

use crate::support::{Caller, Reply, Sidecar, Stack, eventually, json, twinread};
use serde_json::Value;

/// Two stacks that differ in a clock, random values, order and a name, and on one route by a real defect.
fn stacks() -> (Stack, Stack) {
    let old = Stack::start(|head| answer(head, "user_name", 0, ["a", "b", "c"], "9.50"));
    let new = Stack::start(|head| answer(head, "userName", 5, ["c", "a", "b"], "9.70"));
    (old, new)
}

/// The answer depends on the path and the stack only.
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
        let printed = sidecar.ask("/v1/rules/suggestions");
        (printed["mismatches"] == 20).then_some(printed)
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

/// The suggested rules as `at do`; each explains its whole class and no mismatch alone.
fn suggested(printed: &Value) -> Vec<String> {
    let mut found: Vec<_> = printed["suggestions"].as_array().unwrap().iter().collect();
    found.sort_by_key(|found| found["rule"]["at"].to_string());
    let rules = found.into_iter().map(|found| {
        assert_eq!(
            (&found["explains"], &found["of"]),
            (&10.into(), &10.into()),
            "{found}"
        );
        assert_eq!(found["masks"], 0, "{found}");
        format!(
            "{} {}",
            found["rule"]["at"].as_str().unwrap(),
            found["rule"]["do"]
        )
    });
    rules.collect()
}

/// The output of `twinread rules ...`.
fn command(sidecar: &Sidecar, arguments: &[&str]) -> String {
    let output = twinread()
        .arg("rules")
        .args(arguments)
        .arg("--admin")
        .arg(format!("http://{}", sidecar.admin))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Also finds rules if values are masked.
#[test]
fn rules_are_suggested_for_what_differs_without_meaning() {
    let (old, new) = stacks();
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    check(&sidecar);
    let printed = suggestions(&sidecar);
    assert_eq!(
        suggested(&printed),
        [
            r#"$.request {"same":"uuid"}"#,
            r#"$.served_at {"time":{"within":"10s","formats":["rfc3339"]}}"#,
            r#"$.tags "unordered""#,
            r#"$.user_name {"rename":{"to":"userName","on":"old"}}"#,
        ]
    );
    assert_eq!(printed["masked_together"], 10);
    let unexplained = printed["unexplained"].as_array().unwrap();
    assert_eq!(unexplained.len(), 1);
    let class = format!("/v1/classes/{}", unexplained[0].as_str().unwrap());
    assert_eq!(sidecar.ask(&class)["place"], "$.price");
    let rules = sidecar.ask("/v1/rules").to_string();
    assert!(!rules.contains("say why"), "none is in force: {rules}");
}

#[test]
fn suggestions_pasted_into_a_rule_file_leave_the_defect() {
    let (old, new) = stacks();
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    check(&sidecar);
    suggestions(&sidecar);
    let folder = tempfile::tempdir().unwrap();
    let pasted = folder.path().join("suggested.yaml");
    std::fs::write(&pasted, command(&sidecar, &["suggest"])).unwrap();

    let said = command(&sidecar, &["preview", pasted.to_str().unwrap()]);
    assert!(said.contains("looked at 20 of 20"), "{said}");
    assert!(said.contains("hidden            10\n"), "{said}");
    assert!(said.contains("kept              10\n"), "{said}");

    let text = std::fs::read_to_string(&pasted).unwrap();
    std::fs::write(&pasted, text.replace("say why", "clocks")).unwrap();

    let rules = format!("rules: ['{}']\n", pasted.display());
    let (old, new) = stacks();
    let again = Sidecar::start(old.addr, new.addr, &rules);
    check(&again);
    let outcome =
        |name: &str| again.metric("twinread_checks_total", &format!("outcome=\"{name}\""));
    assert_eq!((outcome("match"), outcome("mismatch")), (10.0, 10.0));
    let left = eventually("every mismatch is stored", || {
        let page = again.ask("/v1/mismatches?limit=1000");
        (page["waiting"] == 0).then(|| page.to_string())
    });
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
        let printed = preview(&sidecar, &format!("rules: [{{id: r, why: w, {rule}}}]"));
        let counts =
            ["hidden", "kept", "cannot_be_judged"].map(|name| printed[name]["count"].clone());
        assert_eq!(counts, [hidden, kept, unknown].map(Value::from), "{rule}");
    }
    let printed = preview(
        &sidecar,
        "rules:\n  - {id: r, why: w, at: $.x, do: ignroe}\n",
    );
    let fault = printed["faults"][0].as_str().unwrap();
    assert!(fault.starts_with("rules:2:"), "{fault}");
    assert!(fault.contains("did you mean `ignore`"), "{fault}");

    let shown = "redact: {values: shown}\n";
    let sidecar = Sidecar::start(old.addr, new.addr, shown);
    check(&sidecar);
    suggestions(&sidecar);
    let printed = preview(
        &sidecar,
        "rules: [{id: r, why: w, at: $.price, do: {tolerance: {abs: 1}}}]",
    );
    assert_eq!(printed["hidden"]["count"], 10, "{printed}");
    assert_eq!(printed["cannot_be_judged"]["count"], 0, "{printed}");
}
