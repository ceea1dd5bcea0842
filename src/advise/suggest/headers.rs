//! Finds rules for headers that only one stack sends, or that differ at every read, and joins those of one family.
//!
//! Such a rule explains its classes whole, whatever the values are. It is the only one that may ignore a place.

use super::{
    Candidate, Example, FEWEST,
    builtin::Builtins,
    classes::Class,
    decision,
    found::{Basis, Found},
};
use crate::value::Kind;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// Headers that say what the caller got or has to do, or that protect it. If a stack does not send one, that is a
/// defect.
const NEVER: [&str; 19] = [
    "allow",
    "clear-site-data",
    "content-disposition",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-security-policy",
    "content-type",
    "link",
    "location",
    "proxy-authenticate",
    "refresh",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "www-authenticate",
    "x-content-type-options",
    "x-frame-options",
];

/// A rule lists at most this many values of a header.
const MAX_VALUES: usize = 4;

/// The rule for a header that only one stack sends, or that differs at every read.
pub(super) fn candidate(class: &Class<'_>, examples: &[Example<'_>]) -> Option<Candidate> {
    let name = class.at.strip_prefix("header.")?;
    if class.members.len() < FEWEST || NEVER.contains(&name) {
        return None;
    }
    let action = match class.kind {
        Kind::Missing | Kind::Extra if is_of_one_stack(name, examples) => {
            absence(values(class, examples))
        }
        Kind::Value if class.is_generated(examples) => json!({"same": "any"}),
        _ => return None,
    };
    Some(Candidate::new(class.at, &action)).filter(Candidate::is_valid)
}

/// Rules for headers that vary between readings of the old stack, with their routes. Such a header is no difference of a
/// mismatch, but without a rule the check would be noise.
pub(super) fn varying<'e>(
    examples: &[Example<'e>],
    chosen: Builtins,
) -> Vec<(Candidate, BTreeSet<&'e str>)> {
    let mut found: BTreeMap<&str, (usize, BTreeSet<&str>)> = BTreeMap::new();
    for example in examples {
        let headers = example.varying_headers();
        let uncovered = headers.filter(|(_, name)| !chosen.cover(name) && !NEVER.contains(name));
        for (place, _) in uncovered {
            let (count, routes) = found.entry(place).or_default();
            *count += 1;
            routes.insert(example.route);
        }
    }
    let found = found.into_iter().filter(|(_, (count, _))| *count >= FEWEST);
    let rules =
        found.map(|(at, (_, routes))| (Candidate::new(at, &json!({"same": "any"})), routes));
    rules.collect()
}

/// Whether a candidate was found here.
pub(super) fn is_whole(candidate: &Candidate) -> bool {
    let action = candidate.action();
    let is_of_values = action["same"] == "any" || action["optional"].is_array();
    candidate.rule.at.starts_with("header.") && (action == "ignore" || is_of_values)
}

/// Joins the rules for headers whose names begin alike.
pub(super) fn families<'f>(found: Vec<Found<'f>>, examples: &[Example<'_>]) -> Vec<Found<'f>> {
    let (whole, mut joined): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|found| matches!(found.basis, Basis::Classes));
    let all: BTreeSet<_> = whole.iter().map(|found| name(found).to_owned()).collect();
    let mut families: BTreeMap<(String, bool, bool), Vec<Found<'f>>> = BTreeMap::new();
    for found in whole {
        let is_absence = found.candidate.action().get("same").is_none();
        let is_decision = decision::of(&found, examples).is_some();
        let family = (beginning(name(&found)).to_owned(), is_absence, is_decision);
        families.entry(family).or_default().push(found);
    }
    for ((_, is_absence, _), members) in families {
        match family(&members, is_absence, (&all, examples)) {
            Some(family) => joined.push(family),
            None => joined.extend(members),
        }
    }
    joined
}

/// The name of the header.
fn name<'x>(found: &'x Found<'_>) -> &'x str {
    found.candidate.rule.at.trim_start_matches("header.")
}

/// One rule for all members; `None` if it would cover other headers that both stacks send, or `all` those for which
/// there is a rule of its own.
fn family<'f>(
    members: &[Found<'f>],
    is_absence: bool,
    (all, examples): (&BTreeSet<String>, &[Example<'_>]),
) -> Option<Found<'f>> {
    let names: BTreeSet<_> = members.iter().map(name).collect();
    let start = common_start(&names).filter(|_| names.len() > 1)?;
    let is_other = |name: &str| name.starts_with(start) && !names.contains(name);
    let covers_others = all.iter().any(|name| is_other(name))
        || examples
            .iter()
            .any(|example| example.sends(is_other) == [true; 2]);
    if covers_others || NEVER.iter().any(|name| name.starts_with(start)) {
        return None;
    }
    let actions = members.iter().map(|found| found.candidate.action());
    let action = if is_absence {
        let values = actions.map(|action| action["optional"].as_array().cloned());
        let values: Option<Vec<_>> = values.collect();
        absence(values.map(|values| values.into_iter().flatten().collect()))
    } else {
        json!({"same": "any"})
    };
    let candidate = Candidate::new(&format!("header.{start}*"), &action);
    let mut family = Found::new(candidate, Basis::Classes);
    for found in members {
        family.routes.extend(&found.routes);
        family.classes.extend(&found.classes);
    }
    Some(family).filter(|family| family.candidate.is_valid())
}

/// The action for a header with these values that one stack does not send; values that are unknown or many are not
/// listed.
fn absence(values: Option<Vec<Json>>) -> Json {
    let mut values = values.unwrap_or_default();
    values.sort_by_key(Json::to_string);
    values.dedup();
    match values.len() {
        1..=MAX_VALUES => json!({"optional": values}),
        _ => json!("ignore"),
    }
}

/// The values of the header, if all are shown.
fn values(class: &Class<'_>, examples: &[Example<'_>]) -> Option<Vec<Json>> {
    let mut values: Vec<Json> = Vec::new();
    for seen in class.seen(examples) {
        let shown = seen.shown?.iter().flatten();
        for value in shown {
            match value {
                Json::Array(all) => values.extend(all.iter().cloned()),
                value => values.push(value.clone()),
            }
        }
    }
    Some(values)
}

fn is_of_one_stack(name: &str, examples: &[Example<'_>]) -> bool {
    let is_named = |other: &str| other == name;
    examples
        .iter()
        .all(|example| example.sends(is_named) != [true; 2])
}

/// What the names of a family have in common: the first word, or the first two after an `x-`.
fn beginning(name: &str) -> &str {
    let words = if name.starts_with("x-") { 2 } else { 1 };
    let end = name.match_indices('-').nth(words - 1);
    end.map_or(name, |(end, _)| &name[..end])
}

/// The longest common start that ends with a hyphen.
fn common_start<'n>(names: &BTreeSet<&'n str>) -> Option<&'n str> {
    let (first, last) = (names.first()?, names.last()?);
    let mut letters = first.bytes().zip(last.bytes());
    let length = letters.position(|(one, other)| one != other);
    let start = &first[..length.unwrap_or(first.len().min(last.len()))];
    start.rfind('-').map(|hyphen| &first[..=hyphen])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_named_by_its_first_words() {
        for (name, expected) in [
            ("access-control-allow-origin", "access"),
            ("x-amzn-requestid", "x-amzn"),
            ("x-runtime", "x-runtime"),
            ("pragma", "pragma"),
        ] {
            assert_eq!(beginning(name), expected);
        }
        let common = |names: &[&'static str]| common_start(&names.iter().copied().collect());
        let names = [
            "access-control-allow-origin",
            "access-control-allow-methods",
        ];
        assert_eq!(common(&names), Some("access-control-allow-"));
        assert_eq!(common(&["x-amz-id-2", "x-amz-request-id"]), Some("x-amz-"));
        assert_eq!(common(&["a", "b"]), None);
    }
}
