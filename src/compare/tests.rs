//! Where answers differ, and what rules do about it.

mod actions;
mod bodies;
mod constructed;
mod digests;
mod format_properties;
mod formats;
mod grpc;
mod grpc_properties;
mod heads;
mod mutations;
mod only;
pub(super) mod properties;
mod rules;
mod suspects;

use super::*;
use crate::value::{Kind, Place, Step, Value};
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};

/// An answer of the given content type.
fn answer(content_type: &'static str, body: impl Into<bytes::Bytes>) -> Answer {
    Answer {
        status: StatusCode::OK,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]),
        body: BodyCopy::Whole(body.into()),
        trailers: HeaderMap::new(),
    }
}

fn json(body: impl Into<String>) -> Answer {
    answer("application/json", body.into())
}

fn with(mut answer: Answer, name: &'static str, value: &'static str) -> Answer {
    let name = HeaderName::from_static(name);
    answer.headers.append(name, HeaderValue::from_static(value));
    answer
}

/// Rules, each as `at` and `do`; their ids are `r0`, `r1` and so on.
fn ruled(rules: &[(&str, &str)]) -> CompareConfig {
    let mut text = String::from("rules:\n");
    for (index, (at, action)) in rules.iter().enumerate() {
        let at = at.replace('\'', "''");
        text.push_str(&format!(
            "- {{id: r{index}, why: w, at: '{at}', do: {action}}}\n"
        ));
    }
    if rules.is_empty() {
        text = String::from("rules: []");
    }
    let files = [("rules.yaml".into(), text)];
    let (rules, warnings) = RuleSet::compile(&files, today()).unwrap();
    assert!(warnings.is_empty());
    CompareConfig {
        rules: rules.into(),
        ..CompareConfig::default()
    }
}

fn today() -> Date {
    jiff::civil::date(2026, 11, 22)
}

fn context() -> Context<'static> {
    Context {
        route: "get-item",
        method: &Method::GET,
        today: today(),
        deadline: None,
        message_type: None,
    }
}

fn compared(old: &Answer, new: &Answer, rules: &[(&str, &str)]) -> Comparison {
    compare(old, new, &context(), &ruled(rules))
}

/// Places and kinds, `$.a value`.
fn reported(comparison: &Comparison) -> Vec<String> {
    match &comparison.result {
        Compared::Different { differences, .. } => differences
            .iter()
            .map(|difference| format!("{} {}", difference.place, difference.kind))
            .collect(),
        Compared::Equal(_) => Vec::new(),
        Compared::NotCompared(reason) => vec![reason.name().to_owned()],
    }
}

fn differences(old: &Answer, new: &Answer, rules: &[(&str, &str)]) -> Vec<String> {
    reported(&compared(old, new, rules))
}

fn json_differences(old: &str, new: &str, rules: &[(&str, &str)]) -> Vec<String> {
    differences(&json(old), &json(new), rules)
}

/// For each rule that was looked at: how often it was applied and how often it masked.
fn accounts(old: &str, new: &str, rules: &[(&str, &str)]) -> Vec<(usize, u64, u64)> {
    let comparison = compared(&json(old), &json(new), rules);
    let accounts = comparison.rules.iter();
    accounts
        .map(|account| (account.rule, account.applied, account.masked))
        .collect()
}
