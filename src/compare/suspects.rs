//! Classifies the places that differed at first, given later readings of both stacks.
//!
//! A place where the old stack's own readings differ is noise, in the kinds of difference seen there. A value that
//! changes excuses another value, but never a missing member, a null or another type. If earlier checks have seen such
//! a kind at such a place, it suffices that the new stack's own readings differ there.
//!
//! If a later reading differs at none of the places outside noise, it was lag. As long as it differs at some, even at
//! other places than the reading before, it was not.

mod noise;
mod repeated_places;
mod variation;

pub use variation::Variation;

use super::Compared;
use crate::value::{Difference, Kind, Place};
use noise::{Noise, Shape};
use repeated_places::RepeatedPlaces;
use std::{collections::HashSet, fmt};

/// The places of one check that differed at first, and the state of each.
#[derive(Clone, Debug)]
pub struct RecheckState {
    /// Places that differed again at the last reading.
    open: Vec<Suspect>,
    /// Places that did not differ at the last reading. They may at the next one, as long as others differ.
    equal: Vec<Suspect>,
    /// With the indices of the first reading.
    noise: Noise,
    /// Where the new stack's own readings differ, with the indices of its first one.
    new: Noise,
    /// What earlier checks have excused.
    excused: HashSet<Variation>,
    /// The number of first differences that were counted, but not kept.
    unseen: usize,
    classification: Classification,
}

/// The classification after the readings so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classification {
    /// Some place outside noise still differs, or again.
    Open,
    /// Not all differing places were kept, and the kept ones do not decide it.
    Unclear,
    /// No place outside noise differs now, and there is at least one.
    Lag,
    /// All differing places are noise.
    Noise,
}

/// A place that differed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Suspect {
    place: Place,
    stand: Shape,
    kind: Kind,
}

/// A later reading and the first one, each pair as [`Compared`] under the rules.
#[derive(Clone, Copy, Debug)]
pub struct Later<'c> {
    /// The old stack's first answer against its later one, and the other way round.
    pub own: [&'c Compared; 2],
    /// The later answers of both stacks.
    pub both: &'c Compared,
    /// `None` if earlier checks have not seen the differing places.
    pub earlier: Option<Earlier<'c>>,
}

/// What earlier checks of the same route have seen, and how the new stack varies now.
#[derive(Clone, Copy, Debug)]
pub struct Earlier<'c> {
    /// How the old stack's own readings vary there.
    pub known: &'c dyn Excuses,
    /// The new stack's first answer against its later one.
    pub new: &'c Compared,
}

/// Decides which differences earlier checks excuse.
pub trait Excuses: fmt::Debug {
    /// Whether a difference is noise because old's own readings vary like this. A check does not ask again about an
    /// excused variation, because the number of excuses is limited.
    fn excuse(&self, variation: &Variation) -> bool;
}

// === impl RecheckState ===

impl RecheckState {
    /// Starts with the places at which the first answers differ.
    pub fn new(first: &Compared) -> Self {
        let differences = first.differences();
        Self {
            open: Suspect::all(differences),
            equal: Vec::new(),
            noise: Noise::default(),
            new: Noise::default(),
            excused: HashSet::new(),
            unseen: first.count().saturating_sub(differences.len()),
            classification: Classification::Open,
        }
    }

    /// Adds one more reading.
    pub fn observe(&mut self, later: Later<'_>) {
        let [from_first, from_later] = later.own;
        self.noise.add(from_first);
        let (noise, own) = (&self.noise, Noise::of(from_later));
        let left = later.both.differences().iter().filter(|difference| {
            let (place, kind) = (&difference.place, difference.kind);
            let stand = Shape::of(difference);
            !noise.covers_by_name(place, kind) && !own.covers(place, stand, kind)
        });
        let again = RepeatedPlaces::of(left.map(|difference| &difference.place));
        let known = self.open.drain(..).chain(self.equal.drain(..));
        let (open, equal) = known
            .filter(|suspect| !suspect.is_in(noise))
            .partition(|suspect| again.meets(&suspect.place));
        self.open = open;
        self.equal = equal;
        if let Some(earlier) = later.earlier {
            self.excuse(earlier);
        }
        self.classification = self.judge(&again, later);
    }

    /// Moves places to noise if earlier checks know them as such and the new stack shows it in this check.
    fn excuse(&mut self, earlier: Earlier<'_>) {
        self.new.add(earlier.new);
        let Self {
            noise,
            new,
            excused,
            ..
        } = self;
        for suspects in [&mut self.open, &mut self.equal] {
            suspects.retain(|suspect| {
                let variation = suspect.variation();
                let is_noise = suspect.is_in_new(new)
                    && (excused.contains(&variation) || earlier.known.excuse(&variation));
                if is_noise {
                    noise.keep(suspect.place.clone());
                    excused.insert(variation);
                }
                !is_noise
            });
        }
    }

    fn judge(&self, again: &RepeatedPlaces, later: Later<'_>) -> Classification {
        match (self.open.is_empty(), self.equal.is_empty()) {
            // Some of them may be noise that was not kept.
            (false, _) if !later.own.into_iter().all(Compared::is_whole) => Classification::Unclear,
            (false, _) => Classification::Open,
            (true, true) if self.unseen == 0 => Classification::Noise,
            (true, _) if !later.both.is_whole() => Classification::Unclear,
            (true, _) if self.unseen > 0 && !again.is_empty() => Classification::Unclear,
            (true, _) => Classification::Lag,
        }
    }

    /// The classification after the last reading.
    pub fn classification(&self) -> Classification {
        self.classification
    }

    /// The first differences to report: those that differed at the last reading, otherwise those that were lag,
    /// otherwise, if all are noise, all of them. At most `max` are kept; differences that were never kept still count.
    pub fn report(&self, first: &Compared, max: usize) -> Compared {
        let mut differences = first.differences().to_vec();
        let mut count = first.count();
        if let Some(reported) = self.reported() {
            let is_reported = |difference: &Difference| reported.contains(&Suspect::of(difference));
            // If all kept differences are noise, they are all there is to show.
            if differences.iter().any(is_reported) {
                differences.retain(is_reported);
            }
            count = differences.len().max(reported.len() + self.unseen);
        }
        differences.truncate(max);
        Compared::Different { differences, count }
    }

    /// `None` if all of them are reported.
    fn reported(&self) -> Option<HashSet<&Suspect>> {
        let (open, equal) = (&*self.open, &*self.equal);
        let reported = match self.classification {
            Classification::Noise => return None,
            Classification::Open => [open, &[]],
            Classification::Unclear => [open, equal],
            Classification::Lag => [equal, &[]],
        };
        Some(reported.into_iter().flatten().collect())
    }

    /// How the places that are not known to be noise differ.
    pub fn left(&self) -> HashSet<Variation> {
        let left = self.open.iter().chain(&self.equal);
        left.map(Suspect::variation).collect()
    }

    /// Whether some places still differ, and all of them in ways `known` of the old stack. More readings may show that
    /// they are noise.
    pub fn are_known(&self, known: &HashSet<Variation>) -> bool {
        let mut open = self.open.iter();
        self.classification == Classification::Open
            && open.all(|suspect| known.contains(&suspect.variation()))
    }

    /// How the old stack's own readings vary in this check, sorted.
    pub fn variations(&self) -> Vec<Variation> {
        self.noise.variations()
    }

    /// Where the old stack's own readings differ, with the indices of the first; capped.
    pub fn noise(&self) -> &[Place] {
        self.noise.reported()
    }

    /// The number of places in memory.
    pub fn places(&self) -> usize {
        self.open.len() + self.equal.len() + self.noise.len() + self.new.len()
    }
}

// === impl Suspect ===

impl Suspect {
    fn of(difference: &Difference) -> Self {
        Self {
            place: difference.place.clone(),
            stand: Shape::of(difference),
            kind: difference.kind,
        }
    }

    fn is_in(&self, noise: &Noise) -> bool {
        noise.covers(&self.place, self.stand, self.kind)
    }

    /// The same with the indices of new.
    fn is_in_new(&self, noise: &Noise) -> bool {
        self.is_in(noise) || noise.covers(&self.place, self.stand.reversed(), self.kind)
    }

    fn variation(&self) -> Variation {
        Variation::of(&self.place, self.kind)
    }

    fn all(differences: &[Difference]) -> Vec<Self> {
        differences.iter().map(Self::of).collect()
    }
}
