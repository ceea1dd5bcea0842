//! The whole comparison, with and without rules: any two bodies, in each format.
#![no_main]

use http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use libfuzzer_sys::fuzz_target;
use std::{cell::RefCell, collections::HashMap, sync::Arc};
use twinread::{compare::{Answer, CompareConfig, Compared, Comparison, Context, compare}, outcome::Via, rules::RuleSet};

const TYPES: [&str; 8] = [
    "application/json",
    "text/plain; charset=utf-16le",
    "application/octet-stream",
    "application/x-ndjson",
    "application/json-seq",
    "application/xml",
    "application/x-www-form-urlencoded",
    "text/plain",
];

/// Each may be in force: one bit of the input's second to fifth byte.
const RULES: [(&str, &str); 28] = [
    ("$", "unordered"),
    ("$..*", "unordered"),
    ("$..a", "{unordered: {key: b}}"),
    ("$[*]", "{unordered: {key: a}}"),
    ("$..*", "{tolerance: {abs: 0.5}}"),
    ("$..[*]", "{tolerance: {rel: 0.1}}"),
    ("$.a", "ignore"),
    ("$..b", "ignore"),
    ("$[?@.a > 1]", "ignore"),
    ("$[-1]", "ignore"),
    ("$..[1:3]", "ignore"),
    ("body", "ignore"),
    ("$..*", "optional"),
    ("$..*", "{round: 0}"),
    ("$..a", "{time: {within: 2s, formats: [rfc3339, unix_ms]}}"),
    ("$..*", "{same: number}"),
    ("$..a", "{same: any}"),
    ("$..*", "{bijection: check}"),
    ("$..*", "{replace: {regex: '[0-9]', with: x, on: new}}"),
    ("$..*", "{map: {table: {a: b}, on: old}}"),
    ("$..a", "{rename: {to: b, on: old}}"),
    ("$..*", "{parse: json}"),
    ("$..a", "{parse: number}"),
    ("$..b", "{parse: base64}"),
    ("$..*", "{parse: query}"),
    ("$..*", "{case: fold}"),
    ("body", "{space: collapse}"),
    ("form.a", "{unicode: nfc}"),
];

thread_local! {
    static COMPARING: RefCell<HashMap<u32, CompareConfig>> = RefCell::default();
}

fuzz_target!(|input: &[u8]| {
    let Some((kind, bits)) = input.split_first() else {
        return;
    };
    let Some((bits, bodies)) = bits.split_first_chunk() else {
        return;
    };
    let content_type = TYPES[usize::from(*kind) % TYPES.len()];
    let mask = u32::from_le_bytes(*bits) & ((1 << RULES.len()) - 1);
    let at = bodies
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bodies.len() / 2);
    let (old, new) = bodies.split_at(at);
    let new = new.strip_prefix(&[0]).unwrap_or(new);
    check(&answer(content_type, old), &answer(content_type, new), mask);
});

fn check(old: &Answer, new: &Answer, mask: u32) {
    let bare = compared(old, new, 0);
    let mirrored = compared(new, old, 0);
    assert_eq!(
        count(&bare),
        count(&mirrored),
        "not the same both ways round"
    );
    assert_eq!(bare, compared(old, new, 0), "not the same twice");
    let ruled = compared(old, new, mask);
    if let Compared::Equal(_) = bare.result {
        assert_eq!(
            ruled.result,
            Compared::Equal(Via::Exact),
            "rules made it unequal"
        );
    } else if let Compared::Equal(via) = ruled.result {
        assert_eq!(via, Via::Rules, "equal for no reason");
    }
    for answer in [old, new] {
        let same = compared(answer, answer, mask);
        assert_eq!(same.result, Compared::Equal(Via::Exact));
    }
}

fn count(comparison: &Comparison) -> Option<usize> {
    match &comparison.result {
        Compared::Equal(_) => Some(0),
        Compared::Different { count, .. } => Some(*count),
        Compared::NotCompared(_) => None,
    }
}

fn compared(old: &Answer, new: &Answer, mask: u32) -> Comparison {
    let context = Context {
        route: "fuzz",
        method: &Method::GET,
        today: jiff::civil::date(2026, 11, 22),
        deadline: None,
        message_type: None,
    };
    COMPARING.with_borrow_mut(|known| {
        // An entry for each of 2^28 choices of rules would fill the memory.
        if known.len() > 1000 {
            known.clear();
        }
        let comparing = known.entry(mask).or_insert_with(|| ruled(mask));
        compare(old, new, &context, comparing)
    })
}

fn ruled(mask: u32) -> CompareConfig {
    let rules = RULES
        .iter()
        .enumerate()
        .filter(|(bit, _)| mask >> bit & 1 == 1);
    let rules: String = rules
        .map(|(bit, (at, action))| format!("- {{id: r{bit}, why: w, at: '{at}', do: {action}}}\n"))
        .collect();
    let text = if rules.is_empty() {
        "rules: []".to_owned()
    } else {
        format!("rules:\n{rules}")
    };
    let files = [("fuzz.yaml".into(), text)];
    let (rules, _) =
        RuleSet::compile(&files, jiff::civil::date(2026, 11, 22)).expect("the rules are valid");
    CompareConfig {
        rules: Arc::new(rules),
        ..CompareConfig::default()
    }
}

fn answer(content_type: &'static str, body: &[u8]) -> Answer {
    Answer {
        status: StatusCode::OK,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]),
        body: body.to_vec().into(),
        trailers: HeaderMap::new(),
    }
}
