//! Compares two documents without rules and without places.

use super::{Class, Document, Id, Text};
use crate::value::{Numbers, number::Decimal};
use std::collections::HashMap;

/// Whether two documents are equal, whatever the order of members.
pub fn are_equal(one: &Document<'_>, other: &Document<'_>, numbers: Numbers) -> bool {
    nodes((one, Document::ROOT), (other, Document::ROOT), numbers)
}

fn nodes(
    (one, left): (&Document<'_>, Id),
    (other, right): (&Document<'_>, Id),
    numbers: Numbers,
) -> bool {
    if one.spelling(left) == other.spelling(right) {
        return true;
    }
    match (one.class(left), other.class(right)) {
        (Class::Object, Class::Object) => {
            let names: HashMap<Text<'_>, Id> = other
                .members(right)
                .map(|(key, value)| (other.text(key), value))
                .collect();
            one.len(left) == other.len(right)
                && one.members(left).all(|(key, value)| {
                    let found = names.get(&one.text(key));
                    found.is_some_and(|found| nodes((one, value), (other, *found), numbers))
                })
        }
        (Class::Array, Class::Array) => {
            one.len(left) == other.len(right)
                && (one.elements(left).zip(other.elements(right)))
                    .all(|(left, right)| nodes((one, left), (other, right), numbers))
        }
        (Class::String, Class::String) => one.text(left) == other.text(right),
        (Class::Number, Class::Number) if numbers == Numbers::Numeric => {
            Decimal::parse(one.raw(left))
                .is_some_and(|number| Some(number) == Decimal::parse(other.raw(right)))
        }
        _ => false,
    }
}
