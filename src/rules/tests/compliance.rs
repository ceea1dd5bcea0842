//! The published JSONPath compliance cases, for evaluated queries and for the tree.

use crate::{
    rules::{Move, Query, State, Tree},
    value::json::{Class, Document, Id},
};
use serde_json::Value;

const CASES: &str = include_str!("../../../tests/data/jsonpath/cts.json");

fn cases() -> Vec<Value> {
    let suite: Value = serde_json::from_str(CASES).unwrap();
    suite["tests"].as_array().unwrap().clone()
}

/// The nodes that a query selects, as serde_json parses them.
fn values(document: &Document<'_>, nodes: &[Id]) -> Vec<Value> {
    let nodes = nodes.iter();
    nodes
        .map(|node| serde_json::from_str(document.raw(*node)).unwrap())
        .collect()
}

/// Collects every node of a document at which the tree has a rule.
fn walk(tree: &Tree, document: &Document<'_>, node: Id, states: &[State], out: &mut Vec<Id>) {
    if states.iter().any(|state| !tree.rules(*state).is_empty()) {
        out.push(node);
    }
    let mut step = |step: Move<'_>, member: Id| {
        let mut next = Vec::new();
        for state in states {
            tree.advance(*state, &step, 0, &mut next);
        }
        walk(tree, document, member, &next, out);
    };
    match document.class(node) {
        Class::Array => {
            let elements = document.elements(node).enumerate();
            elements.for_each(|(index, id)| step(Move::Index(Some(index), None), id));
        }
        Class::Object => document
            .members(node)
            .for_each(|(key, id)| step(Move::Name(&document.text(key).to_str()), id)),
        _ => {}
    }
}

#[test]
fn queries_select_what_the_suite_says() {
    let mut failed = Vec::new();
    for case in cases() {
        let selector = case["selector"].as_str().unwrap();
        let query = Query::parse(selector);
        if case["invalid_selector"] == true {
            if query.is_ok() {
                failed.push(format!("{}: {selector:?} is accepted", case["name"]));
            }
            continue;
        }
        let text = case["document"].to_string();
        let document = Document::parse(text.as_bytes(), 128).unwrap();
        let Ok(query) = query else {
            failed.push(format!("{}: {selector:?} is refused", case["name"]));
            continue;
        };
        let selected = values(&document, &query.select(&document));
        let expected = match &case["results"] {
            Value::Null => vec![case["result"].as_array().unwrap().clone()],
            several => several
                .as_array()
                .unwrap()
                .iter()
                .map(|result| result.as_array().unwrap().clone())
                .collect(),
        };
        if !expected.contains(&selected) {
            failed.push(format!(
                "{}: {selector:?} selects {selected:?}",
                case["name"]
            ));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn the_tree_selects_the_same_nodes() {
    let mut compiled = 0;
    for case in cases() {
        let selector = case["selector"].as_str().unwrap();
        let Some(query) = Query::parse(selector)
            .ok()
            .filter(|_| case["invalid_selector"] != true)
        else {
            continue;
        };
        let text = case["document"].to_string();
        let document = Document::parse(text.as_bytes(), 128).unwrap();
        let mut tree = Tree::default();
        if !tree.insert(query.segments(), 0) {
            continue;
        }
        compiled += 1;
        let mut start = Vec::new();
        tree.start(&mut start);
        let mut walked = Vec::new();
        walk(&tree, &document, Document::ROOT, &start, &mut walked);
        let mut selected = query.select(&document);
        selected.sort_unstable();
        selected.dedup();
        assert_eq!(walked, selected, "{}: {selector:?}", case["name"]);
    }
    assert!(
        compiled > 100,
        "only {compiled} of the suite's queries were compiled"
    );
}
