//! Digests: equal digests for what is equal under the rules, most likely unlike ones for the rest.

use super::{Scope, Walk};
use crate::{
    compare::{
        Numbers,
        json::{Class, Id},
        number::Decimal,
    },
    rules::{Action, Move},
    stack::Stack,
};
use foldhash::fast::FixedState;
use std::hash::{BuildHasher, Hash};

const HASHES: FixedState = FixedState::with_seed(0x7265_6164);

/// Stands for a node in the search for its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    pub hash: u64,
    /// Equal hashes do not mean equal under the rules: a tolerance has to be tried.
    pub near: bool,
}

// === impl Walk ===

impl Walk<'_, '_> {
    /// The digest of an element of the array at this place.
    pub(super) fn element_digest(&mut self, side: Stack, (index, id): (usize, Id)) -> Digest {
        let before = self.enter_one(side, index_of(side, index), id);
        let digest = self.digest(side, id);
        self.leave(before);
        digest
    }

    /// The digest of the member of that name of an element; `None` where it has none.
    pub(super) fn key_digest(
        &mut self,
        side: Stack,
        (index, id): (usize, Id),
        name: &str,
    ) -> Option<Digest> {
        let value = self.document(side).member(id, name)?;
        let before_element = self.enter_one(side, index_of(side, index), id);
        let before_value = self.enter_one(side, Move::Name(name), value);
        let digest = self.digest(side, value);
        self.leave(before_value);
        self.leave(before_element);
        Some(digest)
    }

    fn digest(&mut self, side: Stack, id: Id) -> Digest {
        let document = self.document(side);
        let class = document.class(id);
        let plain = |hash| Digest { hash, near: false };
        if self.scope.ignoring < self.ignoring.len() {
            return plain(0);
        }
        match class {
            Class::Null | Class::False | Class::True => plain(mix(1, class as u64)),
            Class::String | Class::Key => plain(mix(2, hash(&document.text(id)))),
            Class::Number if self.here(|action| matches!(action, Action::Tolerance(_))) => Digest {
                hash: 3,
                near: true,
            },
            Class::Number => {
                let raw = document.raw(id);
                let number = Decimal::parse(raw).filter(|_| self.pair.numbers == Numbers::Numeric);
                plain(mix(
                    4,
                    number.map_or_else(|| hash(raw), |number| hash(&number)),
                ))
            }
            Class::Array => self.array_digest(side, id),
            Class::Object => self.object_digest(side, id),
        }
    }

    fn array_digest(&mut self, side: Stack, array: Id) -> Digest {
        let unordered = self.here(|action| matches!(action, Action::Unordered(_)));
        let mut sum = Digest {
            hash: 5,
            near: false,
        };
        for (index, id) in self.document(side).elements(array).enumerate() {
            let before = self.enter_one(side, index_of(side, index), id);
            if self.scope.ignoring == self.ignoring.len() {
                let digest = self.digest(side, id);
                sum.near |= digest.near;
                sum.hash = if unordered {
                    sum.hash.wrapping_add(mix(6, digest.hash))
                } else {
                    mix(sum.hash, digest.hash)
                };
            }
            self.leave(before);
        }
        sum
    }

    fn object_digest(&mut self, side: Stack, object: Id) -> Digest {
        let document = self.document(side);
        let mut sum = Digest {
            hash: 7,
            near: false,
        };
        for (key, value) in document.members(object) {
            let name = document.text(key).to_str();
            let before = self.enter_one(side, Move::Name(&name), value);
            if self.scope.ignoring == self.ignoring.len() {
                let digest = self.digest(side, value);
                sum.near |= digest.near;
                let member = mix(u64::from(document.hash(key)), digest.hash);
                sum.hash = sum.hash.wrapping_add(member);
            }
            self.leave(before);
        }
        sum
    }

    fn enter_one(&mut self, side: Stack, step: Move<'_>, id: Id) -> Scope {
        match side {
            Stack::Old => self.enter(step, Some(id), None),
            Stack::New => self.enter(step, None, Some(id)),
        }
    }

    /// Whether a rule at this place does that.
    fn here(&self, does: impl Fn(&Action) -> bool) -> bool {
        let rules = self.findings.rules.rules();
        let mut here = self.rules[self.scope.rules.clone()].iter();
        here.any(|rule| does(&rules[*rule].action))
    }
}

fn index_of(side: Stack, index: usize) -> Move<'static> {
    match side {
        Stack::Old => Move::Index(Some(index), None),
        Stack::New => Move::Index(None, Some(index)),
    }
}

fn hash(what: &(impl Hash + ?Sized)) -> u64 {
    HASHES.hash_one(what)
}

/// A folded multiplication: cheap, and every bit of both counts.
fn mix(one: u64, other: u64) -> u64 {
    let product =
        u128::from(one ^ 0x9e37_79b9_7f4a_7c15) * u128::from(other ^ 0xd1b5_4a32_d192_ed03);
    (product >> 64) as u64 ^ product as u64
}
