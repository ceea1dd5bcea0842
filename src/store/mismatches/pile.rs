//! Groups of examples, by the outcome of the check and by what retains the example.

use crate::outcome::Outcome;

/// Stored as its number, which must never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pile {
    /// Mismatches retained by at least one of their classes.
    Classed = 0,
    /// Mismatches beyond the limit on classes. Their route retains them, like all below.
    Unclassed = 1,
    Transient = 2,
    Noise = 3,
    ShadowError = 4,
}

// === impl Pile ===

impl Pile {
    pub(super) const ALL: [Self; 5] = [
        Self::Classed,
        Self::Unclassed,
        Self::Transient,
        Self::Noise,
        Self::ShadowError,
    ];

    /// The group of a check that no class retains; `None` if it showed nothing.
    pub(super) fn of(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Mismatch(_) => Some(Self::Unclassed),
            Outcome::Transient => Some(Self::Transient),
            Outcome::Noise => Some(Self::Noise),
            Outcome::ShadowError(_) => Some(Self::ShadowError),
            Outcome::Match(_) | Outcome::NotCompared(_) => None,
        }
    }

    pub(super) fn outcome(self) -> &'static str {
        match self {
            Self::Classed | Self::Unclassed => "mismatch",
            Self::Transient => "transient",
            Self::Noise => "noise",
            Self::ShadowError => "shadow_error",
        }
    }

    pub(super) fn code(self) -> i64 {
        self as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn piles_are_named_as_outcomes_are() {
        for outcome in Outcome::ALL {
            let pile = Pile::of(outcome);
            assert_eq!(pile.is_some(), outcome.is_deviation(), "{outcome:?}");
            if let Some(pile) = pile {
                assert_eq!(pile.outcome(), outcome.name());
            }
        }
        assert_eq!(Pile::Classed.outcome(), Pile::Unclassed.outcome());
    }
}
