//! Looking at what differs: examples on the command line, values shown from then on, and classes of past epochs.

use crate::support::{Caller, Sidecar, Stack, eventually, twinread};
use serde_json::{Value, json};
use std::process::Output;

const OLD: &str = r#"{"id": 1, "price": 9.5, "currency": "EUR"}"#;
const NEW: &str = r#"{"id": 1, "price": 9.7, "currency": "EUR"}"#;

/// A sidecar on which one read of this path has mismatched.
fn sidecar(path: &str, more: &str) -> Sidecar {
    let (old, new) = (Stack::json(OLD), Stack::json(NEW));
    let sidecar = Sidecar::start(old.addr, new.addr, more);
    check(&sidecar, path, 1);
    sidecar
}

/// Sends a read, and waits until so many examples are stored. Returns the newest.
fn check(sidecar: &Sidecar, path: &str, count: usize) -> Value {
    sidecar.caller().get(path);
    eventually("the example is stored", || {
        let page = sidecar.ask("/v1/mismatches");
        let is_stored = page["mismatches"].as_array().unwrap().len() == count;
        is_stored.then(|| page["mismatches"][0].clone())
    })
}

fn run(sidecar: &Sidecar, arguments: &[&str]) -> Output {
    let mut command = twinread();
    command.args(arguments);
    command.arg(format!("--admin=http://{}", sidecar.admin));
    command.output().unwrap()
}

fn printed(sidecar: &Sidecar, arguments: &[&str]) -> String {
    let output = run(sidecar, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_example_is_found_and_shown_from_the_command_line() {
    let more = "redact: {values: shown}\nroutes: [{name: get item, path: '/items/{id}'}]\n\
        telemetry: {trace_url: 'https://traces.example/{trace_id}'}";
    let sidecar = sidecar("/items/17?lang=en", more);
    let stored = check(&sidecar, "/other", 2);
    let [other, id] = [0, 1].map(|index| {
        let page = sidecar.ask("/v1/mismatches");
        page["mismatches"][index]["id"].as_str().unwrap().to_owned()
    });
    assert_eq!(stored["id"], other.as_str());
    let all = printed(&sidecar, &["mismatches"]);
    assert!(all.contains(&id) && all.contains(&other), "{all}");
    assert!(all.contains("GET /items/17"), "{all}");
    let of_route = printed(&sidecar, &["mismatches", "--route=get item"]);
    assert!(
        of_route.contains(&id) && !of_route.contains(&other),
        "{of_route}"
    );
    let class = sidecar.ask(&format!("/v1/mismatches/{id}"))["differences"][0]["class"].clone();
    let class = class.as_str().unwrap();
    let of_class = printed(&sidecar, &["mismatches", "--class", class]);
    assert!(
        of_class.contains(&id) && !of_class.contains(&other),
        "{of_class}"
    );
    let document = printed(&sidecar, &["mismatches", "--limit=1", "--json"]);
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["mismatches"][0]["id"], other.as_str());
    assert!(document["next"].is_string(), "{document}");

    let shown = printed(&sidecar, &["show", &id]);
    let trace = sidecar.ask(&format!("/v1/mismatches/{id}"))["trace_id"].clone();
    let trace = trace.as_str().unwrap();
    for expected in [
        "mismatch  get item  ",
        "  GET /items/17?lang=en\n",
        "  old        200 in ",
        "  read again never\n",
        &format!("  at         https://traces.example/{trace}\n"),
        &format!("  class      {class}\n"),
        "$.price  value\n    \"id\": 1\n  - \"price\": 9.5\n  + \"price\": 9.7\n    \"currency\": \"EUR\"\n1 difference\n",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    let document = printed(&sidecar, &["show", &id, "--json"]);
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document, sidecar.ask(&format!("/v1/mismatches/{id}")));
}

#[test]
fn what_is_not_there_has_an_exit_code() {
    let sidecar = sidecar("/items/17", "");
    let unknown = run(&sidecar, &["show", "0000000000000009"]);
    assert_eq!(unknown.status.code(), Some(64), "{unknown:?}");
    let stderr = String::from_utf8(unknown.stderr).unwrap();
    assert!(stderr.contains("no stored mismatch"), "{stderr}");
    let none = printed(&sidecar, &["mismatches", "--class=0000000000000009"]);
    assert!(none.contains("--epoch all"), "{none}");
    let nobody = format!("--admin=http://{}", Stack::nobody());
    for arguments in [&["mismatches"][..], &["show", "0000000000000009"]] {
        let output = twinread().args(arguments).arg(&nobody).output().unwrap();
        assert_eq!(output.status.code(), Some(69), "{output:?}");
    }
}

#[test]
fn values_are_shown_from_the_change_on_and_it_is_recorded() {
    let sidecar = sidecar("/items/17", "");
    let first = sidecar.ask("/v1/mismatches")["mismatches"][0]["id"].clone();
    let first = first.as_str().unwrap();
    let masked = printed(&sidecar, &["show", first]);
    assert!(
        masked.contains("  - \"price\": \"number(3)\"\n"),
        "{masked}"
    );
    assert!(
        masked.contains("twinread set redact.values=shown"),
        "{masked}"
    );

    let changed = printed(&sidecar, &["set", "redact.values=shown"]);
    assert_eq!(changed, "redact.values = shown (api)\n");
    let second = check(&sidecar, "/items/18", 2);
    let shown = printed(&sidecar, &["show", second["id"].as_str().unwrap()]);
    assert!(
        shown.contains("  - \"price\": 9.5\n  + \"price\": 9.7\n"),
        "{shown}"
    );
    assert!(!shown.contains("masked"), "{shown}");
    let still = printed(&sidecar, &["show", first]);
    assert!(
        still.contains("number(3)") && !still.contains("9.5"),
        "{still}"
    );

    let history = sidecar.ask("/v1/settings/history");
    let change = &history["changes"][0];
    assert_eq!(change["setting"], "redact.values");
    assert_eq!(
        (&change["from"], &change["to"]),
        (&json!("masked"), &json!("shown"))
    );
    let refused = sidecar.patch(r#"{"redact": {"values": "all", "fields": []}}"#);
    let refused = String::from_utf8(refused.body).unwrap();
    assert!(
        refused.contains("redact.values: expected shown"),
        "{refused}"
    );
    assert!(
        refused.contains("redact.fields: change the file"),
        "{refused}"
    );
}

#[test]
fn run_shows_values_if_a_flag_asks_for_it() {
    let (old, new) = (Stack::json(OLD), Stack::json(NEW));
    let sidecar = Sidecar::flagged(old.addr, new.addr, &["--show-values"]);
    let setting = sidecar.ask("/v1/settings")["settings"]["redact.values"].clone();
    assert_eq!(setting, json!({"value": "shown", "source": "flag"}));
    let example = check(&sidecar, "/items/17", 1);
    assert_eq!(example["differences"][0]["old"], "9.5");
}

#[test]
fn classes_of_past_epochs_are_shown_only_if_asked_for() {
    let sidecar = sidecar("/items/17", "");
    let begin = format!(
        "POST /v1/epoch HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}",
        sidecar.admin
    );
    let past = sidecar.ask("/v1/verdict")["epoch"]["id"].clone();
    let past = past.as_str().unwrap();
    assert_eq!(Caller::connect(sidecar.admin).send(&begin).status, 201);
    let total = |query: &str| sidecar.ask(&format!("/v1/classes?{query}"))["total"].clone();
    assert_eq!(total(""), 0);
    assert_eq!(total("epoch=all"), 1);
    assert_eq!(total(&format!("epoch={past}")), 1);
    assert_eq!(total("epoch=none"), 0);
    let looked =
        |query: &str| sidecar.ask(&format!("/v1/rules/suggestions?{query}"))["mismatches"].clone();
    assert_eq!((looked(""), looked("epoch=all")), (json!(0), json!(1)));
    let examples = |query: &str| {
        let page = sidecar.ask(&format!("/v1/mismatches?{query}"));
        page["mismatches"].as_array().unwrap().len()
    };
    assert_eq!((examples(""), examples("epoch=present")), (1, 0));

    let shows = |arguments: &[&str]| {
        let text = printed(&sidecar, arguments);
        text.contains("$.price")
    };
    assert!(!shows(&["status", "--once"]));
    assert!(shows(&["status", "--once", "--epoch=all"]));
    assert!(shows(&["status", "--once", "--epoch", past]));
    assert!(!shows(&["mismatches"]) && shows(&["mismatches", "--epoch=all"]));
    let file = sidecar.folder.path().join("empty.yaml");
    std::fs::write(&file, "rules: [{id: a, why: w, at: $.price, do: ignore}]").unwrap();
    let preview = |more: &[&str]| {
        let mut arguments = vec!["rules", "preview", file.to_str().unwrap(), "--json"];
        arguments.extend(more);
        let document: Value = serde_json::from_str(&printed(&sidecar, &arguments)).unwrap();
        document["mismatches"].clone()
    };
    assert_eq!(
        (preview(&[]), preview(&["--epoch=all"])),
        (json!(0), json!(1))
    );
}
