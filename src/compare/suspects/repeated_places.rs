//! The places that differ again at a later reading.
//!
//! Indices and the numbers of lines and bytes change between readings. So a place matches its whole class, and
//! everything above and below it.

use crate::value::{Place, Step};
use std::collections::HashSet;

#[derive(Debug, Default)]
pub(super) struct RepeatedPlaces {
    /// With every index replaced by the same one.
    nodes: HashSet<Vec<Step>>,
    /// The nodes, and all nodes above them.
    above: HashSet<Vec<Step>>,
    /// Statuses, headers, trailers and form fields.
    named: HashSet<Place>,
    has_fields: bool,
    /// Whether some lines, bytes or the whole body differ.
    has_body: bool,
}

// === impl RepeatedPlaces ===

impl RepeatedPlaces {
    pub(super) fn of<'p>(places: impl Iterator<Item = &'p Place>) -> Self {
        let mut again = Self::default();
        places.for_each(|place| again.add(place));
        again
    }

    fn add(&mut self, place: &Place) {
        match place {
            Place::Node(steps) => self.add_node(class(steps)),
            Place::Lines { .. } | Place::Byte(_) | Place::Body => self.has_body = true,
            Place::Form(_) | Place::Status | Place::Header(_) | Place::Trailer(_) => {
                self.has_fields |= matches!(place, Place::Form(_));
                self.named.insert(place.clone());
            }
        }
    }

    fn add_node(&mut self, steps: Vec<Step>) {
        if self.nodes.contains(&steps) {
            return;
        }
        for length in 0..=steps.len() {
            self.above.insert(steps[..length].to_vec());
        }
        self.nodes.insert(steps);
    }

    /// Whether a place of another reading may be one of those that differ again.
    pub(super) fn meets(&self, place: &Place) -> bool {
        match place {
            Place::Status | Place::Header(_) | Place::Trailer(_) => self.named.contains(place),
            // The body has another format now.
            _ if self.has_body => true,
            Place::Node(steps) => self.has_fields || self.meets_node(&class(steps)),
            Place::Form(_) => !self.nodes.is_empty() || self.named.contains(place),
            Place::Lines { .. } | Place::Byte(_) | Place::Body => {
                self.has_fields || !self.nodes.is_empty()
            }
        }
    }

    fn meets_node(&self, steps: &[Step]) -> bool {
        let mut lengths = 0..=steps.len();
        self.above.contains(steps) || lengths.any(|length| self.nodes.contains(&steps[..length]))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.named.is_empty() && !self.has_body
    }
}

/// Replaces every index by the same one.
pub(super) fn class(steps: &[Step]) -> Vec<Step> {
    let steps = steps.iter().map(|step| match step {
        Step::Index(_) => Step::Index(0),
        step => step.clone(),
    });
    steps.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place() -> impl Strategy<Value = Place> {
        let name = prop::sample::select(vec!["a", "b"]);
        let step = prop_oneof![
            name.clone().prop_map(|name| Step::Name(name.to_owned())),
            (0..3usize).prop_map(Step::Index),
        ];
        prop_oneof![
            6 => prop::collection::vec(step, 0..4).prop_map(Place::Node),
            1 => name.clone().prop_map(|name| Place::Form(name.to_owned())),
            1 => name.prop_map(|name| Place::Header(name.to_owned())),
            1 => Just(Place::Status),
            1 => (1..4usize).prop_map(|line| Place::Lines { first: line, last: line }),
            1 => Just(Place::Body),
        ]
    }

    fn meet(one: &Place, other: &Place) -> bool {
        let is_of_body = |place: &Place| !matches!(place, Place::Status | Place::Header(_));
        match (one, other) {
            (Place::Node(one), Place::Node(other)) => {
                one.iter().zip(other).all(|steps| match steps {
                    (Step::Index(_), Step::Index(_)) => true,
                    (one, other) => one == other,
                })
            }
            (Place::Form(one), Place::Form(other)) => one == other,
            (one, other) => one == other || is_of_body(one) && is_of_body(other),
        }
    }

    proptest! {
        #[test]
        fn place_overlaps_places_above_and_below_at_any_index(
            again in prop::collection::vec(place(), 0..4),
            place in place(),
        ) {
            let expected = again.iter().any(|other| meet(&place, other));
            let again = RepeatedPlaces::of(again.iter());
            prop_assert_eq!(again.meets(&place), expected);
        }
    }
}
