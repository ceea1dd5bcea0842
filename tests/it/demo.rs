//! The demo, through the binary: it finds exactly the defects that were planted.

use serde_json::Value;
use std::{
    collections::BTreeSet,
    process::{Command, Output},
};

fn demo(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_twinread"))
        .arg("demo")
        .args(arguments)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    output
}

/// The identity of classes: route, place and kind.
fn classes(document: &Value, key: &str) -> BTreeSet<[String; 3]> {
    let text = |class: &Value, key: &str| class[key].as_str().unwrap().to_owned();
    let class = |class| ["route", "place", "kind"].map(|key| text(class, key));
    document[key]
        .as_array()
        .unwrap()
        .iter()
        .map(class)
        .collect()
}

#[test]
fn exactly_the_planted_defects_are_found() {
    let output = demo(&["--seconds", "2", "--json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();

    let planted = classes(&document, "planted");
    assert!(planted.len() >= 6);
    assert_eq!(classes(&document, "classes"), planted);
    let planted = document["planted"].as_array().unwrap();
    assert!(planted.iter().all(|planted| planted["found"] == true));
    assert_eq!(document["verdict"], "unsafe");
}

#[test]
fn every_sample_has_one_outcome_and_healthy_routes_only_match() {
    let output = demo(&["--seconds", "1", "--json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();

    let defective: BTreeSet<_> = classes(&document, "planted")
        .into_iter()
        .map(|[route, ..]| route)
        .collect();
    for route in document["routes"].as_array().unwrap() {
        let name = route["route"].as_str().unwrap();
        let count = |pointer| route.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        let matched = count("/match/exact") + count("/match/rules");
        let sampled = count("/sampled");
        assert!(sampled > 0, "{name}");
        assert_eq!(matched + count("/mismatch"), sampled, "{route:#}");
        assert_eq!(
            count("/mismatch") > 0,
            defective.contains(name),
            "{route:#}"
        );
    }
}

#[test]
fn people_get_tables_without_colours_when_not_on_a_terminal() {
    let output = demo(&["--seconds", "3"]);
    let text = String::from_utf8(output.stdout).unwrap();

    assert!(
        text.contains("10 of 10 planted defects found, 0 invented"),
        "{text}"
    );
    assert!(text.contains("rounded-price"), "{text}");
    assert!(text.contains("unsafe"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}
