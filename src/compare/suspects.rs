//! What later readings of both stacks say about the places that differed at first.
//!
//! A place where the old stack's own readings differ is noise. Where a later reading differs at none of the places outside
//! noise, it was lag; as long as it differs at some, be it at others than the reading before, it was not.
//! What still differs may be compared by no exact place, for indices and line numbers move between readings: there a
//! place stands for all of its class, and for what is above and below it.

mod noise;

use super::{Compared, Difference, Place, Step};
use noise::{Noise, Stand};

/// The places of one check that differed at first, and what has become of each.
#[derive(Clone, Debug)]
pub struct Suspects {
    /// Differed again at the last reading.
    open: Vec<Suspect>,
    /// Did not differ at the last reading. They may at the next one, as long as others differ.
    equal: Vec<Suspect>,
    /// By the numbering of the first reading.
    noise: Noise,
    /// Differences at first that were counted, but not kept.
    unseen: usize,
}

/// What the readings so far come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Some place outside noise differs still, or again.
    Open,
    /// None does, and some place is outside noise.
    Lag,
    /// All of them are noise.
    Noise,
}

/// A place that differed.
#[derive(Clone, Debug, PartialEq)]
struct Suspect {
    place: Place,
    stand: Stand,
}

/// A later reading beside the first, all as [`Compared`] under the rules.
#[derive(Clone, Copy, Debug)]
pub struct Later<'c> {
    /// The old stack's first answer against its later one, and the other way round.
    pub own: [&'c Compared; 2],
    /// The later answers of both stacks.
    pub both: &'c Compared,
}

// === impl Suspects ===

impl Suspects {
    /// The places at which the first answers differ.
    pub fn new(first: &Compared) -> Self {
        let differences = first.differences();
        Self {
            open: Suspect::all(differences),
            equal: Vec::new(),
            noise: Noise::default(),
            unseen: first.count().saturating_sub(differences.len()),
        }
    }

    /// Takes in one more reading.
    pub fn hear(&mut self, later: Later<'_>) {
        let [from_first, from_later] = later.own;
        self.noise.add(from_first);
        let noise = &self.noise;
        let is_open = |suspect: &Suspect| !noise.covers(&suspect.place, suspect.stand);
        self.open.retain(is_open);
        self.equal.retain(is_open);

        let mut again = Suspect::all(later.both.differences());
        if later.both.count() > again.len() {
            // Any place may be among those that were not kept.
            return;
        }
        let own = Noise::of(from_later);
        again.retain(|Suspect { place, stand }| {
            !noise.covers_by_name(place) && !own.covers(place, *stand)
        });
        let differs =
            |suspect: &Suspect| again.iter().any(|other| meet(&suspect.place, &other.place));
        let known = self.open.drain(..).chain(self.equal.drain(..));
        let (open, equal) = known.partition(differs);
        self.open = open;
        self.equal = equal;
        if again.is_empty() && self.unseen > 0 {
            self.unseen = 0;
            // Whatever they were, they are gone.
            self.equal.push(Suspect {
                place: Place::Body,
                stand: Stand::At,
            });
        }
    }

    pub fn standing(&self) -> Standing {
        match (self.open.is_empty() && self.unseen == 0, &*self.equal) {
            (false, _) => Standing::Open,
            (true, []) => Standing::Noise,
            (true, _) => Standing::Lag,
        }
    }

    /// What a report tells of the first differences: those that differed at the last reading, else those that were lag,
    /// else, where all are noise, all of them.
    pub fn tell(&self, first: &mut Vec<Difference>, count: &mut usize) {
        let told = match self.standing() {
            Standing::Noise => return,
            Standing::Open => &self.open,
            Standing::Lag => &self.equal,
        };
        let kept = first.len();
        let unseen = *count - kept;
        first.retain(|difference| told.contains(&Suspect::of(difference)));
        let beyond = told.len().saturating_sub(first.len());
        *count = first.len() + beyond.min(unseen).max(self.unseen);
    }

    /// Where the old stack's own readings differ, by the numbering of the first; some of it, where there is much.
    pub fn noise(&self) -> &[Place] {
        self.noise.told()
    }

    /// How many places are looked after.
    pub fn len(&self) -> usize {
        self.open.len() + self.equal.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Whether two places of different readings may be the same one.
fn meet(one: &Place, other: &Place) -> bool {
    match (one, other) {
        (Place::Node(one), Place::Node(other)) => one.iter().zip(other).all(|steps| match steps {
            (Step::Index(_), Step::Index(_)) => true,
            (one, other) => one == other,
        }),
        (Place::Form(one), Place::Form(other)) => one == other,
        (one, other) if is_of_body(one) && is_of_body(other) => true,
        (one, other) => one == other,
    }
}

fn is_of_body(place: &Place) -> bool {
    !matches!(place, Place::Status | Place::Header(_) | Place::Trailer(_))
}

// === impl Suspect ===

impl Suspect {
    fn of(difference: &Difference) -> Self {
        Self {
            place: difference.place.clone(),
            stand: Stand::of(difference),
        }
    }

    fn all(differences: &[Difference]) -> Vec<Self> {
        differences.iter().map(Self::of).collect()
    }
}
