//! Properties over generated documents.

use super::*;
use crate::value::{
    json::Document,
    tests::generated::{documents, respelled},
};
use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::{Value as Json, json};

/// Every place of a document.
pub(super) fn places(value: &Json, at: &[Step], out: &mut Vec<Vec<Step>>) {
    out.push(at.to_vec());
    let mut below = |step: Step, value: &Json| places(value, &[at, &[step]].concat(), out);
    match value {
        Json::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(index, item)| below(Step::Index(index), item));
        }
        Json::Object(members) => {
            let members = members.iter();
            members.for_each(|(name, value)| below(Step::Name(name.clone()), value));
        }
        _ => {}
    }
}

pub(super) fn pick(value: &Json, index: Index) -> Vec<Step> {
    let mut all = Vec::new();
    places(value, &[], &mut all);
    index.get(&all).clone()
}

pub(super) fn get<'v>(value: &'v mut Json, steps: &[Step]) -> &'v mut Json {
    steps.iter().fold(value, |value, step| match step {
        Step::Name(name) => &mut value[name],
        Step::Index(index) => &mut value[index],
    })
}

pub(super) fn place(steps: &[Step]) -> String {
    Place::Node(steps.to_vec()).to_string()
}

/// Kinds and values with the sides swapped.
pub(super) fn mirrored(comparison: &Comparison) -> Vec<String> {
    let Compared::Different { differences, .. } = &comparison.result else {
        return Vec::new();
    };
    let mut mirrored: Vec<_> = differences
        .iter()
        .map(|difference| {
            let kind = match difference.kind {
                Kind::Missing => Kind::Extra,
                Kind::Extra => Kind::Missing,
                other => other,
            };
            format!("{kind} {:?} {:?}", difference.new, difference.old)
        })
        .collect();
    mirrored.sort();
    mirrored
}

pub(super) fn straight(comparison: &Comparison) -> Vec<String> {
    let Compared::Different { differences, .. } = &comparison.result else {
        return Vec::new();
    };
    let mut straight: Vec<_> = differences
        .iter()
        .map(|difference| {
            format!(
                "{} {:?} {:?}",
                difference.kind, difference.old, difference.new
            )
        })
        .collect();
    straight.sort();
    straight
}

proptest! {
    #[test]
    fn spelling_never_matters(document in documents(), seed: u64) {
        let (mut one, mut other) = (seed, seed ^ 0xffff);
        let (old, new) = (respelled(&document, &mut one), respelled(&document, &mut other));
        let comparison = compared(&json(old), &json(new), &[]);
        prop_assert_eq!(comparison.result, Compared::Equal(Via::Exact));
    }

    #[test]
    fn swapping_the_sides_mirrors_the_differences(old in documents(), new in documents()) {
        let (old, new) = (json(old.to_string()), json(new.to_string()));
        let (there, back) = (compared(&old, &new, &[]), compared(&new, &old, &[]));
        prop_assert_eq!(straight(&there), mirrored(&back));
    }

    #[test]
    fn unequal_documents_are_never_equal(old in documents(), new in documents()) {
        let equal = compared(&json(old.to_string()), &json(new.to_string()), &[]).result == Compared::Equal(Via::Exact);
        prop_assert_eq!(equal, old == new);
    }

    #[test]
    fn a_changed_value_is_reported_at_its_place(document in documents(), index: Index, seed: u64) {
        let steps = pick(&document, index);
        let mut changed = document.clone();
        let value = get(&mut changed, &steps);
        let kind = if value.is_string() { "value" } else { "type" };
        *value = json!("another value altogether");
        let new = respelled(&changed, &mut { seed });
        let expected = format!("{} {kind}", place(&steps));
        prop_assert_eq!(json_differences(&document.to_string(), &new, &[]), vec![expected]);
    }

    #[test]
    fn a_removed_or_added_member_is_reported_at_its_place(document in documents(), index: Index, seed: u64) {
        let steps = pick(&document, index);
        if steps.is_empty() {
            return Ok(());
        }
        let mut without = document.clone();
        let (last, parent) = steps.split_last().unwrap();
        match (get(&mut without, parent), last) {
            (Json::Array(items), Step::Index(index)) => drop(items.remove(*index)),
            (Json::Object(members), Step::Name(name)) => drop(members.shift_remove(name)),
            _ => unreachable!("a step fits its parent"),
        }
        let (with, without) = (document.to_string(), respelled(&without, &mut { seed }));
        let missing = format!("{} missing", place(&steps));
        prop_assert_eq!(json_differences(&with, &without, &[]), vec![missing]);
        let extra = format!("{} extra", place(&steps));
        prop_assert_eq!(json_differences(&without, &with, &[]), vec![extra]);
    }

    #[test]
    fn swapped_elements_are_one_order(document in documents(), index: Index, seed: u64) {
        let steps = pick(&document, index);
        let mut swapped = document.clone();
        let Json::Array(items) = get(&mut swapped, &steps) else {
            return Ok(());
        };
        if items.len() < 2 {
            return Ok(());
        }
        let last = items.len() - 1;
        items.swap(0, last);
        let (old, new) = (document.to_string(), respelled(&swapped, &mut { seed }));
        prop_assert_eq!(json_differences(&old, &new, &[]), vec![format!("{} order", place(&steps))]);
        let unordered = [(&*place(&steps), "unordered")];
        let comparison = compared(&json(&*old), &json(new), &unordered);
        prop_assert_eq!(comparison.result, Compared::Equal(Via::Rules));
    }

    #[test]
    fn ignoring_a_place_masks_all_of_it_and_nothing_else(
        document in documents(), index: Index, other: Index, seed: u64,
    ) {
        let (steps, neighbours) = (pick(&document, index), pick(&document, other));
        let mut changed = document.clone();
        *get(&mut changed, &steps) = json!({"some": ["thing", "else"]});
        let at = place(&steps);
        let comparison = compared(&json(document.to_string()), &json(respelled(&changed, &mut { seed })), &[(&at, "ignore")]);
        prop_assert_eq!(comparison.result, Compared::Equal(Via::Rules));
        // One more change, outside of the rule's reach.
        if steps.starts_with(&neighbours) || neighbours.starts_with(&steps) {
            return Ok(());
        }
        *get(&mut changed, &neighbours) = json!("another value altogether");
        let reported = json_differences(&document.to_string(), &changed.to_string(), &[(&at, "ignore")]);
        prop_assert_eq!(reported.len(), 1, "{:?}", reported);
        prop_assert!(reported[0].starts_with(&place(&neighbours)), "{:?}", reported);
    }

    #[test]
    fn rounding_within_tolerance_is_equal_and_beyond_is_not(
        numbers in vec(-100_000i64..100_000, 1..20), by in -10i64..=10, at: Index,
    ) {
        let spell = |numbers: &[i64]| {
            let numbers: Vec<_> = numbers.iter().map(|number| format!("{number}e-2")).collect();
            format!("{{\"n\":[{}]}}", numbers.join(","))
        };
        let rule = [("$.n[*]", "{tolerance: {abs: 0.1}}")];
        let mut moved: Vec<_> = numbers.iter().map(|number| number + by).collect();
        prop_assert_eq!(json_differences(&spell(&numbers), &spell(&moved), &rule), vec![""; 0]);
        *at.get_mut(&mut moved) += 1_000_000;
        prop_assert!(!json_differences(&spell(&numbers), &spell(&moved), &rule).is_empty());
    }

    #[test]
    fn rules_only_ever_make_more_equal(old in documents(), new in documents(), picked in vec(any::<Index>(), 0..4)) {
        const RULES: [(&str, &str); 30] = [
            ("$", "unordered"),
            ("$[*]", "ignore"),
            ("$..a", "ignore"),
            ("$..*", "unordered"),
            ("$..*", "{tolerance: {abs: 100}}"),
            ("$[-1]", "ignore"),
            ("$[1:].*", "{unordered: {key: a}}"),
            ("$..[?@.a]", "ignore"),
            ("body", "ignore"),
            ("$..*", "optional"),
            ("$..*", "{round: -2}"),
            ("$..*", "{time: {within: 5s, formats: [unix, '%d/%m/%Y']}}"),
            ("$..*", "{same: string}"),
            ("$..a", "{same: any}"),
            ("$..[?@.a]", "{bijection: check}"),
            ("$..*", "{bijection: check}"),
            ("$..a", "{rename: {to: b}}"),
            ("$..b", "{rename: {to: c, on: old}}"),
            ("$..[?@.a].c", "{rename: {to: a, on: new}}"),
            ("$..*", "{replace: {regex: '[a-c]', with: x, on: old}}"),
            ("$..*", "{map: {table: {a: b, 1: null, true: false}, on: new}}"),
            ("$..*", "{parse: json}"),
            ("$..*", "{parse: base64}"),
            ("$..*", "{parse: number}"),
            ("$..*", "{parse: query}"),
            ("$..*", "{case: fold}"),
            ("$..*", "{space: collapse}"),
            ("$..*", "{unicode: nfkc}"),
            ("body", "{replace: {regex: '[0-9]', with: '1', on: old}}"),
            ("body", "{parse: json}"),
        ];
        let rules: Vec<_> = picked.iter().map(|index| *index.get(&RULES)).collect();
        let (old, new) = (json(old.to_string()), json(new.to_string()));
        let (bare, ruled) = (compared(&old, &new, &[]), compared(&old, &new, &rules));
        let masked: u64 = ruled.rules.iter().map(|account| account.masked).sum();
        match (&bare.result, &ruled.result) {
            (Compared::Equal(_), other) => prop_assert_eq!(other, &Compared::Equal(Via::Exact)),
            (_, Compared::Equal(via)) => {
                prop_assert_eq!(*via, Via::Rules);
                prop_assert!(masked > 0);
            }
            (_, Compared::Different { count, .. }) => prop_assert!(*count > 0),
            (_, other) => panic!("{other:?}"),
        }
        let again = compared(&old, &new, &rules);
        prop_assert_eq!(ruled, again);
        prop_assert_eq!(compared(&new, &new, &rules).result, Compared::Equal(Via::Exact));
    }

    #[test]
    fn no_bytes_make_it_panic(old in vec(any::<u8>(), 0..64), new in vec(any::<u8>(), 0..64), coding in 0..6usize) {
        let codings = ["gzip", "deflate", "br", "zstd", "identity", "gzip, br"];
        for content_type in ["application/json", "text/plain", "image/png"] {
            let old = with(answer(content_type, old.clone()), "content-encoding", codings[coding]);
            compared(&old, &answer(content_type, new.clone()), &[("$..*", "unordered"), ("$[?@>1]", "ignore")]);
        }
    }

    #[test]
    fn no_text_that_is_nearly_json_makes_it_panic(old in "[\\[\\]{}\",:0-9eE.+\\\\u \\-a-f]{0,40}", new in "[\\[\\]{}\",:0-9 ]{0,40}") {
        compared(&json(&*old), &json(&*new), &[("$..[*]", "{tolerance: {rel: 0.5}}"), ("$..*", "unordered")]);
        let accepted = serde_json::from_str::<Json>(&old).is_ok();
        let document = Document::parse(old.as_bytes(), 128);
        // serde_json accepts duplicate keys, and rejects lone surrogates.
        if accepted != document.is_ok() {
            let invalid = document.err().map(|invalid| invalid.problem);
            prop_assert!(invalid == Some("a key is given twice") || old.contains("\\u"), "{}", old);
        }
    }
}
