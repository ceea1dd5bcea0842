//! Suggested rules, from the stored mismatch to a rule file that masks it.

use crate::support::{Caller, Reply, Sidecar, Stack, eventually, json, twinread};
use serde_json::Value;
use std::sync::atomic::{AtomicU32, Ordering};

/// Two stacks that differ in a time, order and a name, and on one route by a real defect.
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
        r#"{{"served_at": "2026-11-22T10:00:{n:02}Z", "tags": {tags:?}, "{name}": "anna"}}"#
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

/// The rules of a list as `at do`; each explains its whole class and no mismatch alone.
fn suggested(printed: &Value, list: &str) -> Vec<String> {
    let mut found: Vec<_> = printed[list].as_array().unwrap().iter().collect();
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

/// A file of suggestions with all decisions taken.
fn decided(file: &str) -> String {
    file.replace("\n#-", "\n-").replace("\n#  ", "\n  ")
}

/// A stack that owns one order each by a uuid that depends on `id`: the path, or how often it was read.
fn orders(stack: u32, id: fn(&str, u32) -> u32) -> Stack {
    let count = AtomicU32::new(0);
    Stack::start(move |head| {
        let id = id(head, count.fetch_add(1, Ordering::Relaxed));
        json(&format!(
            r#"{{"owner": "6ba7b8{stack:02}-9dad-11d1-80b4-{id:012}"}}"#
        ))
    })
}

#[test]
fn a_reference_that_new_has_wrong_is_not_excused_by_its_form() {
    fn by_path(head: &str, _: u32) -> u32 {
        let path = head.split(' ').nth(1).unwrap();
        path.rsplit('/').next().unwrap().parse().unwrap()
    }
    fn by_read(_: &str, count: u32) -> u32 {
        count
    }
    for (id, recheck, expected) in [
        (by_path as fn(&str, u32) -> u32, "after: []", None),
        (by_path, "after: [1ms], max_per_second: 1000000", None),
        (
            by_read,
            "after: [1ms], max_per_second: 1000000",
            Some("uuid"),
        ),
    ] {
        let (old, new) = (orders(1, id), orders(2, id));
        let sidecar = Sidecar::rechecking(old.addr, new.addr, (recheck, ""));
        check(&sidecar);
        let found = suggestions(&sidecar);
        assert_eq!(found["decisions"], Value::Array(Vec::new()), "{found}");
        let rule = &found["suggestions"][0]["rule"];
        let action = rule["do"]["same"].as_str();
        assert_eq!(action, expected, "{found}");
        if expected.is_some() {
            let note = &found["suggestions"][0]["note"];
            assert!(
                note.as_str()
                    .unwrap()
                    .starts_with("old's own readings differ there"),
                "{note}"
            );
        }
    }
}

/// Also finds rules if values are masked.
#[test]
fn rules_are_suggested_for_what_differs_without_meaning() {
    let (old, new) = stacks();
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    check(&sidecar);
    let printed = suggestions(&sidecar);
    assert_eq!(
        suggested(&printed, "suggestions"),
        [
            r#"$.tags "unordered""#,
            r#"$.user_name {"rename":{"to":"userName","on":"old"}}"#,
        ]
    );
    assert_eq!(
        suggested(&printed, "decisions"),
        [r#"$.served_at {"time":{"within":"10s","formats":["rfc3339"]}}"#],
        "nothing shows that it is a clock"
    );
    let together = ["together", "with_builtin", "with_decisions"];
    let masked = together.map(|rules| printed[format!("masked_{rules}")].clone());
    assert_eq!(masked, [0, 0, 10].map(Value::from));
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
    std::fs::write(&pasted, decided(&command(&sidecar, &["suggest"]))).unwrap();

    let said = command(&sidecar, &["preview", pasted.to_str().unwrap()]);
    assert!(said.contains("looked at 20 of 20"), "{said}");
    assert!(said.contains("hidden            10\n"), "{said}");
    assert!(said.contains("kept              10\n"), "{said}");
    assert!(
        said.contains("served-at-time    hides 10 differences in 10 mismatches"),
        "{said}"
    );

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
    let path = tempfile::NamedTempFile::new().unwrap();
    let file = "rules: [{id: near, why: w, at: $.price, do: {tolerance: {abs: 1}}}]";
    std::fs::write(path.path(), file).unwrap();
    let said = command(
        &sidecar,
        &["preview", path.path().to_str().unwrap(), "builtin:http"],
    );
    assert!(
        said.contains("near                unknown: 10 examples cannot be re-checked\n"),
        "{said}"
    );
    assert!(
        said.contains("http-date           in force under this id"),
        "{said}"
    );
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

/// Two stacks with the headers of real servers: ids of requests, sums, and headers that only one of them sends.
fn real_servers() -> (Stack, Stack) {
    let old = Stack::start(numbered("O", "pragma: no-cache\r\n"));
    let cors = "access-control-allow-origin: *\r\naccess-control-allow-methods: GET\r\n";
    let new = Stack::start(numbered("N", cors));
    (old, new)
}

/// Answers each request under an id of its own.
fn numbered(stack: &'static str, headers: &'static str) -> impl Fn(&str) -> Reply {
    let count = AtomicU32::new(0);
    move |_| {
        let id = count.fetch_add(1, Ordering::Relaxed);
        let sum = stack.len() + headers.len();
        Reply::Write(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\
             x-acme-id: {stack}{id}\r\nx-amzn-requestid: {stack}R{id}\r\nx-amz-crc32: {sum}\r\n\
             {headers}\r\n{{}}"
        ))
    }
}

#[test]
fn headers_of_real_servers_need_no_rule_by_hand() {
    let (old, new) = real_servers();
    let recheck = "after: [10ms], max_per_second: 1000000";
    let sidecar = Sidecar::rechecking(old.addr, new.addr, (recheck, ""));
    check(&sidecar);
    suggestions(&sidecar);
    let suggested = command(&sidecar, &["suggest"]);
    for said in [
        "# add builtin:aws to `rules` of the configuration:\n",
        "# a decision: callers see it from new only; browsers go by it\n#- id: \"header-access-control-allow-ignore\"\n",
        "#  at: \"header.access-control-allow-*\"\n",
        "# a decision: callers see it from old only; caches go by it\n#- id: \"header-pragma-ignore\"\n",
    ] {
        assert!(suggested.contains(said), "{said}: {suggested}");
    }
    assert!(!suggested.contains("when:"), "all routes: {suggested}");

    let folder = tempfile::tempdir().unwrap();
    let pasted = folder.path().join("suggested.yaml");
    let suggested = decided(&suggested).replace("say why", "a test");
    std::fs::write(&pasted, suggested).unwrap();
    let said = command(
        &sidecar,
        &["preview", "builtin:aws", pasted.to_str().unwrap()],
    );
    assert!(said.contains("aws-request-id  "), "{said}");
    assert!(said.contains("ends noise in 20 mismatches\n"), "{said}");
    let rules = format!(
        "rules: ['builtin:http', 'builtin:aws', '{}']\n",
        pasted.display()
    );
    let again = Sidecar::rechecking(old.addr, new.addr, (recheck, &rules));
    check(&again);
    let outcome =
        |name: &str| again.metric("twinread_checks_total", &format!("outcome=\"{name}\""));
    assert_eq!((outcome("match"), outcome("noise")), (20.0, 0.0));
}

#[test]
fn a_preview_names_rules_that_can_never_apply() {
    let (old, new) = stacks();
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    check(&sidecar);
    suggestions(&sidecar);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    let warned = |rules: &str| {
        std::fs::write(&file, rules).unwrap();
        let output = twinread()
            .args(["rules", "preview", file.to_str().unwrap(), "--admin"])
            .arg(format!("http://{}", sidecar.admin))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap())
    };
    let [said, warning] = warned("# nothing yet\n");
    assert!(
        said.contains("kept              20\n") && warning.is_empty(),
        "{said}{warning}"
    );
    for (rule, warning) in [
        (
            "when: {routes: [get-user]}, at: $.price, do: ignore",
            "no route is named get-user",
        ),
        (
            "at: header.x-none, do: ignore",
            "no stored answer has header.x-none",
        ),
        (
            "at: $.prise, do: ignore",
            "no stored mismatch differs at $.prise where its conditions hold",
        ),
        (
            "at: $.price, do: {case: fold}",
            "`case` does not work on the type at $.price, number",
        ),
    ] {
        let [said, warned] = warned(&format!("rules: [{{id: r, why: w, {rule}}}]"));
        assert_eq!(
            warned,
            format!("warning: the rule `r` applies to nothing: {warning}\n")
        );
        assert!(said.ends_with("r  hides nothing\n"), "{said}");
    }
}
