//! Separates rules that evidence supports from those that need a decision, because callers may see what they hide.

use super::{Example, found::Found, probes::Probes};
use crate::value::Kind;

/// Headers by which caches and conditional requests go.
const CACHES: [&str; 8] = [
    "age",
    "cache-control",
    "etag",
    "expires",
    "last-modified",
    "pragma",
    "surrogate-control",
    "vary",
];

/// How the names of headers begin by which browsers go.
const BROWSERS: [&str; 8] = [
    "access-control-",
    "cross-origin-",
    "origin-agent-cluster",
    "permissions-policy",
    "referrer-policy",
    "timing-allow-origin",
    "x-download-options",
    "x-permitted-cross-domain-policies",
];

/// What callers would see of the difference that a rule hides; `None` if the evidence supports the rule.
pub(super) fn of(found: &Found<'_>, examples: &[Example<'_>]) -> Option<String> {
    let kinds = found.kinds(examples);
    let rule = &found.candidate.rule;
    let action = found.candidate.action();
    if let Some(name) = rule.at.strip_prefix("header.") {
        let reader = reader(name);
        let has = |kind| kinds.contains(&kind);
        let seen = match (has(Kind::Missing), has(Kind::Extra)) {
            (true, false) => "it from old only",
            (true, true) => "it from one stack only",
            (false, true) if reader.is_some() => "it from new only",
            (false, false) if reader.is_some() && action.get("same").is_some() => {
                "another value of it"
            }
            _ => return unproved(found, examples),
        };
        let reader = reader.unwrap_or("they may read it");
        return Some(format!("callers see {seen}; {reader}"));
    }
    if action.get("parse").is_some() && kinds.contains(&Kind::Type) {
        return Some("callers see another type".to_owned());
    }
    unproved(found, examples)
}

/// What is not known of instants that differ.
fn unproved(found: &Found<'_>, examples: &[Example<'_>]) -> Option<String> {
    let is_clock = found.candidate.probe.is_some_and(Probes::is_of_clock);
    let said = "callers see another time; no readings of old show that it is a clock";
    (is_clock && found.evidence(examples).is_none()).then(|| said.to_owned())
}

/// Who goes by a header.
fn reader(name: &str) -> Option<&'static str> {
    if CACHES.contains(&name) {
        return Some("caches go by it");
    }
    let mut browsers = BROWSERS.iter();
    browsers
        .any(|start| name.starts_with(start))
        .then_some("browsers go by it")
}
