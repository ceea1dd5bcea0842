//! Hashes of values, and how they are mixed.

use crate::value::json::{Class, Text};
use foldhash::fast::FixedState;
use std::hash::{BuildHasher, Hash};

const HASHES: FixedState = FixedState::with_seed(0x7265_6164);

pub(super) fn text_hash(text: Text<'_>) -> u64 {
    mix(2, hash(&text))
}

pub(super) fn constant_hash(class: Class) -> u64 {
    mix(1, class as u64)
}

pub(super) fn hash(what: &(impl Hash + ?Sized)) -> u64 {
    HASHES.hash_one(what)
}

/// A folded multiplication: cheap, and every bit of both arguments matters.
pub(super) fn mix(one: u64, other: u64) -> u64 {
    let product =
        u128::from(one ^ 0x9e37_79b9_7f4a_7c15) * u128::from(other ^ 0xd1b5_4a32_d192_ed03);
    (product >> 64) as u64 ^ product as u64
}
