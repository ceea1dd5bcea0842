//! The places at which readings of the old stack differ from each other.

use crate::compare::{Compared, Difference, Kind, Place, Step};
use std::collections::HashSet;

/// As many are told.
const TOLD: usize = 100;

/// Where readings of one stack differ, by the numbering of one of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Noise {
    /// In the order in which they were met.
    told: Vec<Place>,
    nodes: HashSet<Vec<Step>>,
    lines: Runs,
    /// Lines before which other readings have some more.
    before: HashSet<usize>,
    /// The least of the first bytes that differ.
    byte: Option<usize>,
    others: HashSet<Place>,
}

/// How a difference stands to what old has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// At something that old has, or lacks by its name.
    At,
    /// Between what old has: before a line, or at an index by new's numbering.
    Between,
}

/// Runs of numbers, first and last, ascending; none touches the next.
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
        let mut lines = Vec::new();
        for difference in own.differences() {
            let place = area(difference);
            if self.told.len() < TOLD && !self.told.contains(&place) {
                self.told.push(place.clone());
            }
            match (place, Stand::of(difference)) {
                (Place::Lines { first, .. }, Stand::Between) => {
                    self.before.insert(first);
                }
                (Place::Lines { first, last }, Stand::At) => lines.push([first, last]),
                (Place::Node(steps), _) => {
                    self.nodes.insert(steps);
                }
                (Place::Byte(at), _) => {
                    self.byte = Some(self.byte.map_or(at, |byte| byte.min(at)));
                }
                (place, _) => {
                    self.others.insert(place);
                }
            }
        }
        self.lines.add(lines);
    }

    /// Whether a place of the reading whose numbering this is differs by noise alone.
    pub(super) fn covers(&self, place: &Place, stand: Stand) -> bool {
        self.covers_by_name(place)
            || match (place, stand) {
                (Place::Node(steps), Stand::At) => self.is_in(steps),
                (Place::Node(steps), Stand::Between) => self.is_in(above(steps)),
                (Place::Lines { first, last }, Stand::At) => self.lines.cover([*first, *last]),
                (Place::Lines { first, .. }, Stand::Between) => {
                    self.before.contains(first)
                        || self.lines.cover([first.saturating_sub(1), *first])
                }
                _ => false,
            }
    }

    /// The same for a place of any reading: for lines and indices have other numbers in each.
    pub(super) fn covers_by_name(&self, place: &Place) -> bool {
        match place {
            Place::Status | Place::Header(_) | Place::Trailer(_) => self.others.contains(place),
            _ if self.others.contains(&Place::Body) => true,
            Place::Node(steps) => {
                let is_index = |step: &Step| matches!(step, Step::Index(_));
                let named = steps.iter().position(is_index).unwrap_or(steps.len());
                self.is_in(&steps[..named])
            }
            // Of bytes only the first that differs is known: what follows it may differ as well, what precedes it does not.
            Place::Byte(at) => self.byte.is_some_and(|byte| byte <= *at),
            Place::Lines { .. } => false,
            Place::Form(_) | Place::Body => self.others.contains(place),
        }
    }

    /// What a report tells of it.
    pub(super) fn told(&self) -> &[Place] {
        &self.told
    }

    fn is_in(&self, steps: &[Step]) -> bool {
        (0..=steps.len()).any(|length| self.nodes.contains(&steps[..length]))
    }
}

/// The place that is noisy where an answer differs from another of the same stack. An array whose members come and go is
/// noisy as a whole: which of them stand at which index says nothing.
fn area(difference: &Difference) -> Place {
    match (&difference.place, difference.kind) {
        (Place::Node(steps), Kind::Missing | Kind::Extra) if is_member(steps) => {
            Place::Node(above(steps).to_vec())
        }
        (place, _) => place.clone(),
    }
}

fn above(steps: &[Step]) -> &[Step] {
    steps.split_last().map_or(steps, |(_, above)| above)
}

fn is_member(steps: &[Step]) -> bool {
    matches!(steps.last(), Some(Step::Index(_)))
}

// === impl Stand ===

impl Stand {
    pub(super) fn of(difference: &Difference) -> Self {
        match &difference.place {
            Place::Node(steps) if difference.kind == Kind::Extra && is_member(steps) => {
                Self::Between
            }
            Place::Lines { .. } if difference.old.is_none() => Self::Between,
            _ => Self::At,
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
