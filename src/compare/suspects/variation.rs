//! The kinds in which readings of one stack differ, and where, ignoring indices.

use crate::value::{Kind, Place};
use strum::VariantArray as _;

/// One way in which readings differ: the place as in a class, and the kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variation {
    place: String,
    kind: Kind,
}

/// A set of kinds. `missing` and `extra` are one kind, because only the order of the readings decides between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(u16);

// === impl Variation ===

impl Variation {
    /// A difference of that kind at that place. `missing` and `extra` are the same variation.
    pub fn of(place: &Place, kind: Kind) -> Self {
        Self {
            place: place.class_text(),
            kind: either_way(kind),
        }
    }
}

// === impl Kinds ===

impl Kinds {
    pub(super) fn of(kind: Kind) -> Self {
        Self(1 << either_way(kind) as u16)
    }

    pub(super) fn add(&mut self, kind: Kind) {
        self.0 |= Self::of(kind).0;
    }

    pub(super) fn has(self, kind: Kind) -> bool {
        self.0 & Self::of(kind).0 != 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Kind> {
        let all = Kind::VARIANTS.iter().copied();
        all.filter(move |kind| *kind == either_way(*kind) && self.has(*kind))
    }
}

fn either_way(kind: Kind) -> Kind {
    match kind {
        Kind::Extra => Kind::Missing,
        kind => kind,
    }
}
