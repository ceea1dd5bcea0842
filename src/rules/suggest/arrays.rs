//! Arrays whose elements moved and changed at once: a member by which they find each other again.

use super::{
    hints::{Hint, Hints},
    trial,
};
use crate::compare::{
    Answer, Comparing, Difference, Place, Step, coding,
    format::{Format, media_type},
    json::{Class, Document, Id},
};
use serde_json::json;
use std::collections::HashSet;

/// A body longer than this is not searched.
const MAX_BODY: usize = 256 << 10;

/// Keys that are tried for one array.
const MAX_KEYS: usize = 4;

/// Arrays that are tried in one check.
const MAX_ARRAYS: usize = 4;

/// Bytes of arrays, both sides, past which no other key is tried in a check: each try is a comparison of its own.
const MAX_TRIED: usize = 128 << 10;

/// Gives hints for differences within arrays that vanish once elements are paired by a key.
pub(super) fn keyed(differences: &[Difference], (old, new): (&Answer, &Answer), all: &mut [Hints]) {
    let arrays = suspects(differences);
    if arrays.is_empty() {
        return;
    }
    let Some([old, new]) = plain(old).zip(plain(new)).map(<[_; 2]>::from) else {
        return;
    };
    let documents = [&old, &new].map(|body| Document::parse(body, 64));
    let [Ok(old), Ok(new)] = documents else {
        return;
    };
    let mut left_to_try = MAX_TRIED;
    for array in arrays {
        let found = old.find(array).zip(new.find(array));
        let Some(ids) = found
            .filter(|ids| old.class(ids.0) == Class::Array && new.class(ids.1) == Class::Array)
        else {
            continue;
        };
        let within = |difference: &Difference| match &difference.place {
            Place::Node(steps) => steps.len() > array.len() && steps.starts_with(array),
            _ => false,
        };
        let within: Vec<usize> = (0..differences.len())
            .filter(|index| within(&differences[*index]))
            .collect();
        let size = old.raw(ids.0).len() + new.raw(ids.1).len();
        // The first is tried in any case.
        let keys = (left_to_try / size.max(1)).min(MAX_KEYS);
        let keys = keys.max(usize::from(left_to_try == MAX_TRIED));
        left_to_try = left_to_try.saturating_sub(keys * size);
        let Some((key, left)) = best_key((&old, &new), ids, (within.len(), keys)) else {
            continue;
        };
        let at = Place::Node(array.to_vec()).class_text();
        let hint = Hint::new(at, &json!({"unordered": {"key": key}}));
        for index in within {
            if !left.contains(&below(&differences[index], array)) {
                all[index].rules.push(hint.clone());
            }
        }
    }
}

/// Arrays in which at least two elements differ.
fn suspects(differences: &[Difference]) -> Vec<&[Step]> {
    let mut arrays: Vec<(&[Step], usize, bool)> = Vec::new();
    for difference in differences {
        let Place::Node(steps) = &difference.place else {
            continue;
        };
        for (depth, step) in steps.iter().enumerate() {
            let Step::Index(index) = step else { continue };
            let array = &steps[..depth];
            match arrays.iter_mut().find(|(known, ..)| *known == array) {
                Some((_, first, several)) => *several |= first != index,
                None => arrays.push((array, *index, false)),
            }
        }
    }
    let several = arrays.into_iter().filter(|(.., several)| *several);
    several.map(|(array, ..)| array).take(MAX_ARRAYS).collect()
}

fn plain(answer: &Answer) -> Option<bytes::Bytes> {
    let is_json = Format::of(media_type(&answer.headers)) == Format::Json;
    let body = is_json.then(|| coding::decode(&answer.headers, &answer.body, MAX_BODY));
    body?.ok()
}

/// The key that leaves the fewest differences in the array, fewer than half of those that were there, and the
/// places below the array where they are.
fn best_key(
    (old, new): (&Document<'_>, &Document<'_>),
    (old_array, new_array): (Id, Id),
    (before, keys): (usize, usize),
) -> Option<(String, HashSet<Vec<Step>>)> {
    let tried = shared_keys((old, old_array), (new, new_array))
        .into_iter()
        .take(keys)
        .map(|key| {
            let rule = json!({"rules": [
                {"id": "k", "why": "probe", "at": "$.v", "do": {"unordered": {"key": key}}},
            ]});
            let comparing = Comparing {
                rules: trial::compile(&rule).ok()?.into(),
                ..Comparing::default()
            };
            let [old, new] =
                [old.raw(old_array), new.raw(new_array)].map(|raw| format!("{{\"v\":{raw}}}"));
            let comparison = trial::compare_json(&old, &new, &comparing);
            let left = comparison.differences().iter();
            let left: HashSet<_> = left
                .map(|left| below(left, &[Step::Name("v".to_owned())]))
                .collect();
            Some((key, left))
        });
    let best = tried.flatten().min_by_key(|(_, left)| left.len())?;
    (best.1.len() * 2 < before).then_some(best)
}

/// The way from the array on.
fn below(difference: &Difference, array: &[Step]) -> Vec<Step> {
    match &difference.place {
        Place::Node(steps) => steps.get(array.len()..).unwrap_or_default().to_vec(),
        _ => Vec::new(),
    }
}

/// Members that every element of both arrays has, with values that are all unlike and the same in both.
fn shared_keys(
    (old, old_array): (&Document<'_>, Id),
    (new, new_array): (&Document<'_>, Id),
) -> Vec<String> {
    let Some(first) = old.elements(old_array).next() else {
        return Vec::new();
    };
    let names = old
        .members(first)
        .map(|(key, _)| old.text(key).to_str().into_owned());
    let is_key = |name: &String| {
        let values = values(old, old_array, name);
        values.is_some() && values == self::values(new, new_array, name)
    };
    names.filter(is_key).take(MAX_KEYS).collect()
}

/// The values of a member in all elements, as they are spelled; `None` where one lacks it or two are alike.
fn values<'d>(document: &'d Document<'_>, array: Id, name: &str) -> Option<HashSet<&'d str>> {
    let mut values = HashSet::new();
    for element in document.elements(array) {
        let value = document.member(element, name)?;
        let is_scalar = matches!(document.class(value), Class::String | Class::Number);
        if !is_scalar || !values.insert(document.raw(value)) {
            return None;
        }
    }
    Some(values)
}
