//! Classes of similar differences.

use crate::value::{Difference, Kind};
use xxhash_rust::xxh64::xxh64;

/// Differences of the same route, place (indices as `[*]`) and kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Class {
    /// The name of the route.
    pub route: String,
    /// The place, with `[*]` for every index, and without the numbers of lines and bytes.
    pub place: String,
    /// How the answers differ there.
    pub kind: Kind,
}

// === impl Class ===

impl Class {
    /// The class of a difference at a route.
    pub fn of(route: &str, difference: &Difference) -> Self {
        Self {
            route: route.to_owned(),
            place: difference.place.class_text(),
            kind: difference.kind,
        }
    }

    /// 16 hexadecimal digits, the same in every process and version: XXH64 of the three parts, each followed by a NUL.
    pub fn id(&self) -> String {
        let text = format!("{}\0{}\0{}\0", self.route, self.place, self.kind);
        format!("{:016x}", xxh64(text.as_bytes(), 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Place, Step};

    fn at(index: usize, kind: Kind) -> Class {
        let steps = vec![
            Step::Name("items".into()),
            Step::Index(index),
            Step::Name("a b".into()),
        ];
        Class::of(
            "get-user",
            &Difference {
                place: Place::Node(steps),
                kind,
                old: None,
                new: None,
            },
        )
    }

    #[test]
    fn indices_do_not_distinguish_classes() {
        assert_eq!(at(3, Kind::Value), at(99, Kind::Value));
        assert_eq!(at(3, Kind::Value).place, "$.items[*]['a b']");
        assert_ne!(at(3, Kind::Value).id(), at(3, Kind::Type).id());
    }

    #[test]
    fn ids_never_change() {
        assert_eq!(at(0, Kind::Value).id(), "1310a3416640336e");
    }
}
