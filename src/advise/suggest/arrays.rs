//! Finds a member that pairs the elements of arrays whose elements both moved and changed, and members by which
//! reordered arrays are still sorted.

use super::{
    hints::{Answers, Effort, Hint, Hints},
    trial,
};
use crate::{
    compare::Answer,
    rules::Subject,
    value::{
        Difference, Kind, Place, Step, coding,
        format::{Format, media_type},
        grpc::{self, Limits, MessageType},
        json::{Class, Document, Id},
    },
};
use bytes::Bytes;
use serde_json::json;
use std::{cmp::Ordering, collections::HashSet};

/// The maximum number of keys tried for one array.
const MAX_KEYS: usize = 4;

/// The maximum number of arrays tried in one check.
const MAX_ARRAYS: usize = 4;

/// The maximum number of bytes tried in one check: both arrays, once for each key, because each try is a comparison.
const MAX_TRIED: usize = 64 << 10;

/// A longer body is not searched.
const MAX_BODY: usize = MAX_TRIED;

/// A deeper one is not searched either.
const MAX_DEPTH: usize = 64;

/// Adds hints for differences within arrays that vanish once elements are paired by a key.
pub(super) fn keyed(differences: &[Difference], answers: Answers<'_>, all: &mut [Hints]) {
    let arrays = suspects(differences);
    let are_reordered = differences.iter().any(|one| one.kind == Kind::Order);
    if arrays.is_empty() && !are_reordered || !are_documents(answers) {
        return;
    }
    let bodies = [answers.old, answers.new].map(|answer| document(answer, answers.message_type));
    let [Some(old), Some(new)] = &bodies else {
        let array = arrays.iter();
        return array.for_each(|array| leave_out(&within(differences, array), all));
    };
    let documents = [old, new].map(|body| Document::parse(body, MAX_DEPTH));
    let [Ok(old), Ok(new)] = documents else {
        return;
    };
    reordered(differences, (&old, &new), all);
    let mut left_to_try = MAX_TRIED;
    for (nth, array) in arrays.into_iter().enumerate() {
        let found = old.find(array).zip(new.find(array));
        let Some(ids) = found
            .filter(|ids| old.class(ids.0) == Class::Array && new.class(ids.1) == Class::Array)
        else {
            continue;
        };
        let within = within(differences, array);
        let size = old.raw(ids.0).len() + new.raw(ids.1).len();
        let keys = (left_to_try / size.max(1)).min(MAX_KEYS);
        if keys == 0 || nth >= MAX_ARRAYS {
            leave_out(&within, all);
            continue;
        }
        left_to_try = left_to_try.saturating_sub(keys * size);
        let Some((key, left)) = best_key((&old, &new), ids, (within.len(), keys)) else {
            continue;
        };
        let at = Place::Node(array.to_vec()).class_text();
        let hint = Hint::new(at, &json!({"unordered": {"key": key}}));
        let sorted_by = sorted_by((&old, ids.0), (&new, ids.1));
        for index in within {
            if !left.contains(&below(&differences[index], array)) {
                all[index].rules.push(hint.clone());
                all[index].sorted_by = Some(sorted_by.clone());
            }
        }
    }
}

/// Records by which members the arrays are sorted whose order alone differs.
fn reordered(
    differences: &[Difference],
    (old, new): (&Document<'_>, &Document<'_>),
    all: &mut [Hints],
) {
    for (difference, hints) in differences.iter().zip(all) {
        let (Kind::Order, Place::Node(steps)) = (difference.kind, &difference.place) else {
            continue;
        };
        if let Some((one, other)) = old.find(steps).zip(new.find(steps)) {
            hints.sorted_by = Some(sorted_by((old, one), (new, other)));
        }
    }
}

/// The members by which both arrays are sorted in the same direction. A member with one value in all elements sorts
/// nothing.
fn sorted_by(
    (old, old_array): (&Document<'_>, Id),
    (new, new_array): (&Document<'_>, Id),
) -> Vec<String> {
    let first = old.elements(old_array).next();
    let names = first.into_iter().flat_map(|first| old.members(first));
    let names = names.map(|(key, _)| old.text(key).to_str().into_owned());
    let is_sorted = |name: &String| {
        let old = direction(old, old_array, name);
        old.is_some() && old == direction(new, new_array, name)
    };
    names.filter(is_sorted).take(MAX_KEYS).collect()
}

/// Whether the elements rise or fall by a member; `None` if neither, or if all are equal.
fn direction(document: &Document<'_>, array: Id, name: &str) -> Option<Ordering> {
    let mut found = None;
    let mut last = None;
    for element in document.elements(array) {
        let value = Subject::of(document, document.member(element, name)?);
        if let Some(last) = last.replace(value.clone()) {
            match compared(&last, &value)? {
                Ordering::Equal => {}
                step if found.is_none_or(|found| found == step) => found = Some(step),
                _ => return None,
            }
        }
    }
    found
}

/// The order of two numbers or two texts.
fn compared(one: &Subject<'_>, other: &Subject<'_>) -> Option<Ordering> {
    match (one, other) {
        (Subject::Number(one), Subject::Number(other)) => {
            let [one, other] = [one, other].map(|number| number.parse::<f64>());
            one.ok()?.partial_cmp(&other.ok()?)
        }
        (Subject::Text(one), Subject::Text(other)) => Some(one.cmp(other)),
        _ => None,
    }
}

/// The indices of the differences in an array.
fn within(differences: &[Difference], array: &[Step]) -> Vec<usize> {
    let is_within = |difference: &Difference| match &difference.place {
        Place::Node(steps) => steps.len() > array.len() && steps.starts_with(array),
        _ => false,
    };
    let indices = 0..differences.len();
    indices
        .filter(|index| is_within(&differences[*index]))
        .collect()
}

fn leave_out(differences: &[usize], all: &mut [Hints]) {
    let left_out = differences.iter();
    left_out.for_each(|index| all[*index].effort = Effort::NotTried);
}

/// Whether both bodies are JSON, or messages of a known type.
fn are_documents(answers: Answers<'_>) -> bool {
    let mut both = [answers.old, answers.new].into_iter();
    both.all(|answer| match Format::of(media_type(&answer.headers)) {
        Format::Json => true,
        Format::Grpc => answers.message_type.is_some(),
        _ => false,
    })
}

/// A body as JSON text; `None` if it is too large or cannot be read.
fn document(answer: &Answer, message_type: Option<&MessageType>) -> Option<Bytes> {
    let body = coding::decode(&answer.headers, answer.body.kept(), MAX_BODY).ok()?;
    match message_type.filter(|_| Format::of(media_type(&answer.headers)) == Format::Grpc) {
        Some(of) => {
            let limits = Limits {
                max_text: MAX_BODY,
                max_depth: MAX_DEPTH,
            };
            grpc::legible(&answer.headers, &body, of, limits).map(Bytes::from)
        }
        None => Some(body),
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
    several.map(|(array, ..)| array).collect()
}

/// The key that leaves the fewest differences in the array, and their places below it. A key that leaves half as many
/// as before, or more, does not count.
fn best_key(
    (old, new): (&Document<'_>, &Document<'_>),
    (old_array, new_array): (Id, Id),
    (before, keys): (usize, usize),
) -> Option<(String, HashSet<Vec<Step>>)> {
    let mut keys: Vec<_> = shared_keys((old, old_array), (new, new_array))
        .take(keys)
        .collect();
    // One comparison tries all keys: the arrays appear once under a name for each key.
    let places: Vec<_> = (0..keys.len()).map(|n| format!("$.k{n}")).collect();
    let actions: Vec<_> = keys
        .iter()
        .map(|key| json!({"unordered": {"key": key}}))
        .collect();
    let rules = places.iter().map(String::as_str).zip(&actions);
    let rules = trial::compile(rules).ok()?;
    let [old, new] = [old.raw(old_array), new.raw(new_array)].map(|raw| {
        let arrays = (0..keys.len()).map(|n| format!("\"k{n}\":{raw}"));
        format!("{{{}}}", arrays.collect::<Vec<_>>().join(","))
    });
    let comparison = trial::compare_json(&old, &new, rules);
    let mut left = vec![HashSet::new(); keys.len()];
    for difference in comparison.differences() {
        let under = |n: &usize| Step::Name(format!("k{n}"));
        let n = (0..keys.len())
            .find(|n| matches!(&difference.place, Place::Node(steps) if steps[0] == under(n)))?;
        left[n].insert(below(difference, &[under(&n)]));
    }
    let best = (0..keys.len()).min_by_key(|n| left[*n].len())?;
    (left[best].len() * 2 < before).then(|| (keys.swap_remove(best), left.swap_remove(best)))
}

/// The steps below the array.
fn below(difference: &Difference, array: &[Step]) -> Vec<Step> {
    match &difference.place {
        Place::Node(steps) => steps.get(array.len()..).unwrap_or_default().to_vec(),
        _ => Vec::new(),
    }
}

/// Members that every element of both arrays has, with distinct values that are the same in both arrays.
fn shared_keys(
    (old, old_array): (&Document<'_>, Id),
    (new, new_array): (&Document<'_>, Id),
) -> impl Iterator<Item = String> {
    let first = old.elements(old_array).next();
    let names = first.into_iter().flat_map(|first| old.members(first));
    let names = names.map(|(key, _)| old.text(key).to_str().into_owned());
    names.filter(move |name| {
        let values = values(old, old_array, name);
        values.is_some() && values == self::values(new, new_array, name)
    })
}

/// The raw values of a member in all elements; `None` if one lacks it or two are equal.
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
