//! What represents a value when elements are paired, according to one action.

use super::hashes::hash;
use crate::{
    rules::{Action, Near, Subject},
    value::number::Decimal,
};

/// What represents all values that one action treats as equal to this one.
pub(super) enum MatchKey {
    /// The action does not apply to such values.
    Itself,
    For(u64),
    /// Nothing can represent them; near values have a rank close to this.
    Near(f64),
}

// === impl MatchKey ===

impl MatchKey {
    pub(super) fn rank(&self) -> f64 {
        match self {
            Self::Near(rank) => *rank,
            Self::Itself | Self::For(_) => 0.0,
        }
    }

    pub(super) fn by(action: &Action, subject: &Subject<'_>) -> Self {
        let text = match subject {
            Subject::Number(text) | Subject::Text(text) => &**text,
            _ => "",
        };
        let number = || match subject {
            Subject::Number(text) => Decimal::parse(text),
            _ => None,
        };
        match action {
            Action::Tolerance(_) if number().is_some() => Self::Near(text.parse().unwrap_or(0.0)),
            Action::Bijection(_) if matches!(subject, Subject::Number(_) | Subject::Text(_)) => {
                Self::Near(0.0)
            }
            Action::Round(places) => number().map_or(Self::Itself, |number| {
                Self::For(hash(&number.rounded(*places)))
            }),
            Action::Time(time) => match time.canonical(subject) {
                Ok(Some(instant)) => Self::For(hash(&instant)),
                Ok(None) => Self::Itself,
                Err(Near(instant)) => Self::Near(instant as f64),
            },
            Action::Same(same) if same.matches(subject) => Self::For(11),
            _ => Self::Itself,
        }
    }
}
