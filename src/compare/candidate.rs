//! The values of both answers at one place where they differ, as rules see them.

use super::{Options, bijection::Ids};
use crate::{
    rules::{Action, Members, Subject, Transform},
    stack::Stack,
    value::{Difference, Kind, Numbers, Place, Value, number::Decimal},
};
use serde_json::Value as Json;

/// The values of both sides: at most one each in a document, any number at a header.
#[derive(Clone, Debug)]
pub struct Candidate<'v> {
    pub(super) kind: Kind,
    pub(super) olds: Vec<Subject<'v>>,
    pub(super) news: Vec<Subject<'v>>,
    pub(super) trees: Trees,
    pub(super) reading: Reading,
}

/// How arrays and objects that rules parsed from texts are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trees {
    /// As a whole.
    Whole,
    /// Member by member, by the caller.
    Walked,
}

/// How values are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub numbers: Numbers,
    /// For JSON within a text.
    pub max_depth: usize,
}

// === impl Candidate ===

impl<'v> Candidate<'v> {
    /// The values of a reported difference; `None` if they were not reported whole.
    pub fn reported(difference: &'v Difference) -> Option<Self> {
        let is_node = matches!(difference.place, Place::Node(_));
        let subjects = |side: &'v Option<Value>| match side {
            None => Some(Vec::new()),
            Some(Value::Json(Json::Array(values))) if !is_node => {
                Some(values.iter().map(Subject::from).collect())
            }
            Some(Value::Json(json)) => Some(vec![Subject::from(json)]),
            Some(Value::Text(text)) => Some(vec![Subject::Text(text.into())]),
            Some(Value::Summary { .. } | Value::Unreadable { .. }) => None,
        };
        let (olds, news) = (subjects(&difference.old)?, subjects(&difference.new)?);
        let reading = Reading::of(&Options::default());
        Some(Self::whole(difference.kind, olds, news, reading))
    }

    /// Values that are compared as a whole.
    pub(super) fn whole(
        kind: Kind,
        olds: Vec<Subject<'v>>,
        news: Vec<Subject<'v>>,
        reading: Reading,
    ) -> Self {
        Self {
            kind,
            olds,
            news,
            trees: Trees::Whole,
            reading,
        }
    }

    /// The values of both sides, if each side has one.
    pub fn pair(&self) -> Option<[&Subject<'v>; 2]> {
        match (&self.olds[..], &self.news[..]) {
            ([old], [new]) => Some([old, new]),
            _ => None,
        }
    }

    /// Whether an action alone makes the sides equal.
    pub fn is_equal_by(&self, action: &Action) -> bool {
        match action {
            Action::Transform(transform) => {
                let mut made = self.clone();
                made.transform(transform);
                made.is_equal()
            }
            _ => self.suffices(action),
        }
    }

    /// Applies a transform to the values of the sides that it covers.
    pub(super) fn transform(&mut self, transform: &Transform) {
        let max_depth = self.reading.max_depth;
        let sides = [(Stack::Old, &mut self.olds), (Stack::New, &mut self.news)];
        for (side, values) in sides {
            if transform.on().covers(side) {
                for value in values.iter_mut() {
                    let taken = std::mem::replace(value, Subject::Null);
                    *value = transform.apply(taken, max_depth);
                }
            }
        }
    }

    /// Whether both sides are equal now.
    pub fn is_equal(&self) -> bool {
        self.all(|old, new| {
            (self.trees == Trees::Whole || old.container().is_none())
                && old.equals(new, self.reading.numbers)
        })
    }

    /// Whether both sides are now arrays or both objects, to be compared member by member.
    pub(super) fn is_walked(&self) -> bool {
        self.trees == Trees::Walked
            && self.all(|old, new| old.container().is_some() && old.container() == new.container())
    }

    /// Whether an action that needs nothing else makes the sides equal.
    pub(super) fn suffices(&self, action: &Action) -> bool {
        match action {
            Action::Ignore => true,
            Action::Optional(absent) => self.is_absent(absent),
            Action::Tolerance(tolerance) => self.numbers(|old, new| tolerance.covers(old, new)),
            Action::Round(places) => {
                self.numbers(|old, new| old.rounded(*places) == new.rounded(*places))
            }
            Action::Time(time) => self.all(|old, new| time.covers(old, new)),
            Action::Unordered(Members::AsSet) if self.kind != Kind::Order => self.is_reordered(),
            Action::Unordered(_) => self.kind == Kind::Order,
            Action::Same(same) => self.all(|old, new| same.matches(old) && same.matches(new)),
            Action::Status(groups) => groups.iter().any(|group| self.is_within(group)),
            Action::Bijection(_) | Action::Rename(_) | Action::Transform(_) => false,
        }
    }

    /// The ids that are paired here, for a bijection; `None` unless all values are paired ids.
    pub(super) fn ids(&self) -> Option<Vec<Ids>> {
        let numbers = self.reading.numbers;
        let pairs = self.olds.iter().zip(&self.news);
        let ids = pairs.map(|(old, new)| Some((old.id(numbers)?, new.id(numbers)?)));
        let is_even = self.olds.len() == self.news.len() && !self.olds.is_empty();
        ids.collect::<Option<Vec<_>>>().filter(|_| is_even)
    }

    /// Whether the condition holds for all pairs, and every value has a pair.
    fn all(&self, holds: impl Fn(&Subject<'v>, &Subject<'v>) -> bool) -> bool {
        self.olds.len() == self.news.len()
            && !self.olds.is_empty()
            && (self.olds.iter().zip(&self.news)).all(|(old, new)| holds(old, new))
    }

    fn numbers(&self, holds: impl Fn(&Decimal<'_>, &Decimal<'_>) -> bool) -> bool {
        self.all(|old, new| match (old, new) {
            (Subject::Number(old), Subject::Number(new)) => Decimal::parse(old)
                .zip(Decimal::parse(new))
                .is_some_and(|(old, new)| holds(&old, &new)),
            _ => false,
        })
    }

    fn is_absent(&self, absent: &[Subject<'static>]) -> bool {
        let present = match self.kind {
            Kind::Missing => &self.olds,
            Kind::Extra => &self.news,
            _ => return false,
        };
        present.iter().all(|value| value.is_listed(absent))
    }

    /// Whether the values of a header are the same in another order.
    fn is_reordered(&self) -> bool {
        let sorted = |values: &[Subject<'v>]| -> Option<Vec<String>> {
            let keys = values.iter().map(|value| value.key(self.reading.numbers));
            let mut keys: Vec<_> = keys.collect::<Option<_>>()?;
            keys.sort_unstable();
            Some(keys)
        };
        self.trees == Trees::Whole
            && self.olds.len() == self.news.len()
            && sorted(&self.olds).is_some_and(|olds| Some(olds) == sorted(&self.news))
    }

    fn is_within(&self, group: &[u16]) -> bool {
        let is_in = |subject: &Subject<'v>| match subject {
            Subject::Number(text) => text.parse().is_ok_and(|status| group.contains(&status)),
            _ => false,
        };
        self.all(|old, new| is_in(old) && is_in(new))
    }
}

// === impl Reading ===

impl Reading {
    pub(super) fn of(options: &Options) -> Self {
        Self {
            numbers: options.numbers,
            max_depth: options.max_depth.min(super::DEEPEST),
        }
    }
}
