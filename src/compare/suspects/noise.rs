//! The places at which readings of one stack differ from each other, with the kinds of difference.

use super::{
    repeated_places::class,
    variation::{Kinds, Variation},
};
use crate::{
    compare::Compared,
    value::{Difference, Kind, Place, Step},
};
use std::collections::{HashMap, HashSet};

/// The maximum number of reported places.
const MAX_SHOWN: usize = 100;

/// Where readings of one stack differ and in which kinds, with the indices of one of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Noise {
    /// In the order in which they were found.
    reported: Vec<Place>,
    nodes: HashMap<Vec<Step>, Kinds>,
    /// Arrays whose members come and go, so that the index of a member means nothing.
    loose: HashSet<Vec<Step>>,
    /// By the steps with every index as 0. Differences in a loose array are compared with these.
    classes: HashMap<Vec<Step>, Kinds>,
    /// Lines that are replaced in other readings.
    changed: Runs,
    /// Lines that other readings lack.
    gone: Runs,
    /// Lines before which other readings have additional ones.
    before: HashSet<usize>,
    /// The lowest offset of a first differing byte.
    byte: Option<usize>,
    others: HashMap<Place, Kinds>,
}

/// How a difference relates to the old answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Shape {
    /// At something that old has, or lacks by its name.
    At,
    /// Lines that old has and new lacks.
    Gone,
    /// Between parts of old: before a line, or at an index of new.
    Between,
}

/// Ranges of numbers, first and last, ascending; none touches the next.
#[derive(Clone, Debug, Default)]
struct Runs(Vec<[usize; 2]>);

// === impl Noise ===

impl Noise {
    pub(super) fn of(own: &Compared) -> Self {
        let mut noise = Self::default();
        noise.add(own);
        noise
    }

    pub(super) fn add(&mut self, own: &Compared) {
        let (mut changed, mut gone) = (Vec::new(), Vec::new());
        for difference in own.differences() {
            self.keep(area(difference));
            let kind = difference.kind;
            match (&difference.place, Shape::of(difference)) {
                (Place::Lines { first, .. }, Shape::Between) => {
                    self.before.insert(*first);
                }
                (Place::Lines { first, last }, Shape::Gone) => gone.push([*first, *last]),
                (Place::Lines { first, last }, Shape::At) => changed.push([*first, *last]),
                (Place::Node(steps), _) => self.add_node(steps, kind),
                (Place::Byte(at), _) => {
                    self.byte = Some(self.byte.map_or(*at, |byte| byte.min(*at)));
                }
                (place, _) => self.others.entry(place.clone()).or_default().add(kind),
            }
        }
        self.changed.add(changed);
        self.gone.add(gone);
    }

    fn add_node(&mut self, steps: &[Step], kind: Kind) {
        self.classes.entry(class(steps)).or_default().add(kind);
        if comes_and_goes(steps, kind) {
            self.loose.insert(above(steps).to_vec());
        } else {
            self.nodes.entry(steps.to_vec()).or_default().add(kind);
        }
    }

    /// Adds a place to those that a report shows.
    pub(super) fn keep(&mut self, place: Place) {
        if self.reported.len() < MAX_SHOWN && !self.reported.contains(&place) {
            self.reported.push(place);
        }
    }

    /// Whether a difference of this kind, at a place with the indices of this reading, is only noise.
    pub(super) fn covers(&self, place: &Place, stand: Shape, kind: Kind) -> bool {
        self.covers_by_name(place, kind)
            || match (place, stand) {
                (Place::Node(steps), Shape::Between) => self.is_loose(steps, kind),
                (Place::Node(steps), _) => {
                    has(&self.nodes, steps, kind) || self.is_loose(steps, kind)
                }
                (Place::Lines { first, last }, Shape::At) => self.changed.cover([*first, *last]),
                (Place::Lines { first, last }, Shape::Gone) => self.gone.cover([*first, *last]),
                (Place::Lines { first, .. }, Shape::Between) => {
                    self.before.contains(first)
                        || self.changed.cover([first.saturating_sub(1), *first])
                }
                _ => false,
            }
    }

    /// The same for a place of any reading, because lines and indices have other numbers in each.
    pub(super) fn covers_by_name(&self, place: &Place, kind: Kind) -> bool {
        match place {
            Place::Node(steps) => match steps.iter().position(is_index) {
                None => has(&self.nodes, steps, kind),
                Some(named) => {
                    self.loose.contains(&steps[..named]) && has(&self.classes, &class(steps), kind)
                }
            },
            // Only the first differing byte is known: later bytes may differ too, earlier ones do not.
            Place::Byte(at) => self.byte.is_some_and(|byte| byte <= *at),
            Place::Lines { .. } => false,
            place => self.others.get(place).is_some_and(|kinds| kinds.has(kind)),
        }
    }

    /// Whether a place is in an array whose members come and go, with this kind of difference.
    fn is_loose(&self, steps: &[Step], kind: Kind) -> bool {
        let mut above = (0..steps.len()).map(|length| &steps[..length]);
        above.any(|array| self.loose.contains(array)) && has(&self.classes, &class(steps), kind)
    }

    /// The places that a report shows.
    pub(super) fn reported(&self) -> &[Place] {
        &self.reported
    }

    /// The variations to remember for other checks, sorted.
    pub(super) fn variations(&self) -> Vec<Variation> {
        let nodes = self.classes.iter();
        let nodes = nodes.map(|(steps, kinds)| (Place::Node(steps.clone()), *kinds));
        let others = self.others.iter();
        let others = others.map(|(place, kinds)| (place.clone(), *kinds));
        let has_lines = !(self.changed.0.is_empty() && self.gone.0.is_empty());
        let lines = (has_lines || !self.before.is_empty())
            .then(|| (Place::Lines { first: 1, last: 1 }, Kinds::of(Kind::Text)));
        let byte = self.byte;
        let byte = byte.map(|byte| (Place::Byte(byte), Kinds::of(Kind::Bytes)));
        let all = nodes.chain(others).chain(lines).chain(byte);
        let mut all: Vec<_> = all
            .flat_map(|(place, kinds)| kinds.iter().map(move |kind| Variation::of(&place, kind)))
            .collect();
        all.sort_unstable();
        all
    }

    /// The number of places; adjacent lines count as one.
    pub(super) fn len(&self) -> usize {
        let nodes = self.nodes.len() + self.loose.len() + self.classes.len();
        let lines = self.changed.0.len() + self.gone.0.len() + self.before.len();
        nodes + lines + self.others.len()
    }
}

fn has(kinds: &HashMap<Vec<Step>, Kinds>, steps: &[Step], kind: Kind) -> bool {
    kinds.get(steps).is_some_and(|kinds| kinds.has(kind))
}

/// The noisy place where an answer differs from another of the same stack. An array whose members come and go is noisy
/// as a whole, because the index of a member means nothing.
fn area(difference: &Difference) -> Place {
    match &difference.place {
        Place::Node(steps) if comes_and_goes(steps, difference.kind) => {
            Place::Node(above(steps).to_vec())
        }
        place => place.clone(),
    }
}

/// Whether a difference is an array member that only one of the two answers has.
fn comes_and_goes(steps: &[Step], kind: Kind) -> bool {
    matches!(kind, Kind::Missing | Kind::Extra) && steps.last().is_some_and(is_index)
}

fn above(steps: &[Step]) -> &[Step] {
    steps.split_last().map_or(steps, |(_, above)| above)
}

fn is_index(step: &Step) -> bool {
    matches!(step, Step::Index(_))
}

// === impl Shape ===

impl Shape {
    pub(super) fn of(difference: &Difference) -> Self {
        match &difference.place {
            Place::Node(steps)
                if difference.kind == Kind::Extra && steps.last().is_some_and(is_index) =>
            {
                Self::Between
            }
            Place::Lines { .. } if difference.old.is_none() => Self::Between,
            Place::Lines { .. } if difference.new.is_none() => Self::Gone,
            _ => Self::At,
        }
    }

    /// How the same difference relates to the new answer.
    pub(super) fn reversed(self) -> Self {
        match self {
            Self::At => Self::At,
            Self::Gone => Self::Between,
            Self::Between => Self::Gone,
        }
    }
}

// === impl Runs ===

impl Runs {
    fn add(&mut self, runs: Vec<[usize; 2]>) {
        self.0.extend(runs);
        self.0.sort_unstable();
        self.0.dedup_by(|next, run| {
            let touches = next[0] <= run[1] + 1;
            if touches {
                run[1] = run[1].max(next[1]);
            }
            touches
        });
    }

    fn cover(&self, [first, last]: [usize; 2]) -> bool {
        let begun = self.0.partition_point(|run| run[0] <= first);
        begun
            .checked_sub(1)
            .is_some_and(|run| last <= self.0[run][1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_cover_what_they_hold_however_they_were_added(
            parts in prop::collection::vec(prop::collection::vec((0..30usize, 0..4usize), 0..5), 0..4),
            first in 0..34usize,
            length in 0..5usize,
        ) {
            let mut runs = Runs::default();
            let mut held = HashSet::new();
            for part in parts {
                held.extend(part.iter().flat_map(|(first, more)| *first..=first + more));
                runs.add(part.iter().map(|(first, more)| [*first, first + more]).collect());
            }
            let expected = (first..=first + length).all(|number| held.contains(&number));
            prop_assert_eq!(runs.cover([first, first + length]), expected);
        }
    }
}
