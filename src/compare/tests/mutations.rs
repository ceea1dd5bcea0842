//! One mutation of a document, in arrays whose members may be equal: reported once, at its exact place.
//!
//! In a run of equal elements, it is ambiguous which one was removed or added, so any index of the run is correct.

use super::*;
use crate::{
    compare::tests::properties::{get, pick, place},
    value::tests::generated::respelled,
};
use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::{Map, Value as Json};
use std::ops::RangeInclusive;

/// Documents whose arrays often hold equal members.
fn repeating() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (0i64..4).prop_map(Json::from),
        "[ab]{0,1}".prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Json::from),
            vec(("[a-c]", inner), 0..4)
                .prop_map(|members| members.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

/// The array at a place, and an index of it.
fn element(document: &Json, steps: &[Step], at: Index) -> Option<(Vec<Json>, usize)> {
    let items = get(&mut document.clone(), steps).as_array()?.clone();
    (!items.is_empty()).then(|| {
        let at = at.index(items.len());
        (items, at)
    })
}

/// The range of equal elements around one.
fn run(items: &[Json], at: usize) -> RangeInclusive<usize> {
    let alike = |item: &&Json| **item == items[at];
    let before = items[..at].iter().rev().take_while(alike).count();
    let behind = items[at + 1..].iter().take_while(alike).count();
    at - before..=at + behind
}

/// The difference at any of several indices.
fn anywhere(steps: &[Step], indices: RangeInclusive<usize>, kind: Kind) -> Vec<String> {
    let at = |index| place(&[steps, &[Step::Index(index)]].concat());
    indices
        .map(|index| format!("{} {kind}", at(index)))
        .collect()
}

proptest! {
    #[test]
    fn whatever_replaces_a_value_is_reported_at_its_place_or_within(
        document in repeating(), index: Index, other in repeating(), seed: u64,
    ) {
        let steps = pick(&document, index);
        let mut changed = document.clone();
        let value = std::mem::replace(get(&mut changed, &steps), other.clone());
        let reported = json_differences(&document.to_string(), &respelled(&changed, &mut { seed }), &[]);
        if value == other {
            prop_assert_eq!(reported, vec![""; 0]);
            return Ok(());
        }
        prop_assert!(!reported.is_empty());
        let at = place(&steps);
        match (&value, &other) {
            (Json::Array(_), Json::Array(_)) | (Json::Object(_), Json::Object(_)) => {
                prop_assert!(reported.iter().all(|reported| reported.starts_with(&at)), "{:?}", reported);
            }
            _ => {
                let alike = std::mem::discriminant(&value) == std::mem::discriminant(&other);
                let kind = if alike { "value" } else { "type" };
                prop_assert_eq!(reported, vec![format!("{at} {kind}")]);
            }
        }
    }

    #[test]
    fn a_removed_or_added_element_is_reported_within_its_run(document in repeating(), index: Index, at: Index, seed: u64) {
        let steps = pick(&document, index);
        let Some((items, at)) = element(&document, &steps, at) else {
            return Ok(());
        };
        let mut without = document.clone();
        get(&mut without, &steps).as_array_mut().unwrap().remove(at);
        let (with, without) = (document.to_string(), respelled(&without, &mut { seed }));
        for (old, new, kind) in [(&with, &without, Kind::Missing), (&without, &with, Kind::Extra)] {
            let reported = json_differences(old, new, &[]);
            prop_assert_eq!(reported.len(), 1, "{:?}", reported);
            prop_assert!(anywhere(&steps, run(&items, at), kind).contains(&reported[0]), "{:?}", reported);
        }
    }

    #[test]
    fn a_duplicated_element_is_one_extra(document in repeating(), index: Index, at: Index, to: Index, seed: u64) {
        let steps = pick(&document, index);
        let Some((items, at)) = element(&document, &steps, at) else {
            return Ok(());
        };
        let to = to.index(items.len() + 1);
        let mut more = document.clone();
        let grown = get(&mut more, &steps).as_array_mut().unwrap();
        grown.insert(to, items[at].clone());
        let places = anywhere(&steps, run(grown, to), Kind::Extra);
        let reported = json_differences(&document.to_string(), &respelled(&more, &mut { seed }), &[]);
        prop_assert_eq!(reported.len(), 1, "{:?}", reported);
        prop_assert!(places.contains(&reported[0]), "{:?}", reported);
        // As a multiset it has one more, too.
        let unordered = [(&*place(&steps), "unordered")];
        let reported = json_differences(&document.to_string(), &respelled(&more, &mut { seed }), &unordered);
        prop_assert_eq!(reported.len(), 1, "{:?}", reported);
        prop_assert!(reported[0].ends_with("extra"), "{:?}", reported);
    }

    #[test]
    fn swapped_elements_are_one_order_unless_they_are_alike(
        document in repeating(), index: Index, one: Index, other: Index, seed: u64,
    ) {
        let steps = pick(&document, index);
        let Some((items, one)) = element(&document, &steps, one) else {
            return Ok(());
        };
        let other = other.index(items.len());
        let mut swapped = document.clone();
        get(&mut swapped, &steps).as_array_mut().unwrap().swap(one, other);
        let reported = json_differences(&document.to_string(), &respelled(&swapped, &mut { seed }), &[]);
        let expected = if items[one] == items[other] { Vec::new() } else { vec![format!("{} order", place(&steps))] };
        prop_assert_eq!(reported, expected);
    }

    #[test]
    fn a_renamed_member_is_missing_and_extra(document in repeating(), index: Index, seed: u64) {
        let steps = pick(&document, index);
        let Some((Step::Name(name), parent)) = steps.split_last() else {
            return Ok(());
        };
        let mut renamed = document.clone();
        let members = get(&mut renamed, parent).as_object_mut().unwrap();
        let value = members.shift_remove(name).unwrap();
        members.insert("z".into(), value);
        let reported = json_differences(&document.to_string(), &respelled(&renamed, &mut { seed }), &[]);
        let extra = place(&[parent, &[Step::Name("z".into())]].concat());
        prop_assert_eq!(reported, vec![format!("{} missing", place(&steps)), format!("{extra} extra")]);
    }
}
