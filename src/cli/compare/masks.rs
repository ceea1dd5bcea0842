//! Looks up what the other side holds where rules mask a difference.

use crate::{
    compare::Masked,
    stack::Stack,
    value::{Difference, Place, Step, Value},
};
use serde_json::Value as Json;
use std::collections::HashMap;

/// Masked differences, keyed by the paths to the nodes at or above them.
#[derive(Debug)]
pub(super) struct Masks<'m>(HashMap<&'m [Step], Vec<&'m Difference>>);

// === impl Masks ===

impl<'m> Masks<'m> {
    pub(super) fn of(masked: &'m [Masked]) -> Self {
        let mut ways: HashMap<&[Step], Vec<&Difference>> = HashMap::new();
        for Masked { difference, .. } in masked {
            if let Place::Node(steps) = &difference.place {
                for length in 1..=steps.len() {
                    ways.entry(&steps[..length]).or_default().push(difference);
                }
            }
        }
        Self(ways)
    }

    /// What the other side has in the place of a node. `None` means the same, as far as known; `Some(None)` means
    /// nothing. A place holds the indices of one side only, so a mask applies only if the masked value is found there.
    pub(super) fn other(&self, way: &[Step], own: &Json, side: Stack) -> Option<Option<Json>> {
        let masked = self.0.get(way)?.iter();
        let mut masks: Vec<_> = masked
            .filter_map(|difference| Change::of(difference, way, side))
            .collect();
        // Removals and insertions shift what follows, so they come last.
        masks.sort_by_key(|change| match (&change.own, &change.other) {
            (Some(_), Some(_)) => 0,
            (Some(_), None) => 1,
            (None, _) => 2,
        });
        let removed = masks.partition_point(|change| change.own.is_some());
        let replaced =
            masks.partition_point(|change| change.own.is_some() && change.other.is_some());
        masks[replaced..removed].reverse();

        let mut whole = Some(own.clone());
        let applied = masks.iter().filter(|change| change.apply(&mut whole));
        (applied.count() > 0).then_some(whole)
    }
}

/// A masked difference in a node, seen from one side.
#[derive(Debug)]
struct Change<'m> {
    /// Path from the node.
    steps: &'m [Step],
    own: Option<&'m Json>,
    other: Option<&'m Json>,
}

// === impl Change ===

impl<'m> Change<'m> {
    fn of(difference: &'m Difference, way: &[Step], side: Stack) -> Option<Self> {
        let Place::Node(steps) = &difference.place else {
            return None;
        };
        let reported = |value: &'m Option<Value>| match value {
            None => Some(None),
            Some(Value::Json(json)) => Some(Some(json)),
            Some(_) => None,
        };
        let (old, new) = (reported(&difference.old)?, reported(&difference.new)?);
        let (own, other) = match side {
            Stack::Old => (old, new),
            Stack::New => (new, old),
        };
        Some(Self {
            steps: steps.strip_prefix(way)?,
            own,
            other,
        })
    }

    /// Applies the change if the current value is the expected one.
    fn apply(&self, whole: &mut Option<Json>) -> bool {
        let Some((last, above)) = self.steps.split_last() else {
            let is_own = whole.as_ref() == self.own;
            if is_own {
                *whole = self.other.cloned();
            }
            return is_own;
        };
        let parent = above.iter().try_fold(whole.as_mut(), |node, step| {
            let node = node?;
            Some(match step {
                Step::Name(name) => node.get_mut(name),
                Step::Index(index) => node.get_mut(index),
            })
        });
        match (parent.flatten(), last) {
            (Some(Json::Object(members)), Step::Name(name)) if members.get(name) == self.own => {
                match self.other {
                    Some(other) => drop(members.insert(name.clone(), other.clone())),
                    None => drop(members.shift_remove(name)),
                }
                true
            }
            (Some(Json::Array(elements)), Step::Index(index)) => self.apply_in(elements, *index),
            _ => false,
        }
    }

    fn apply_in(&self, elements: &mut Vec<Json>, index: usize) -> bool {
        match (self.own, self.other) {
            (None, Some(other)) if index <= elements.len() => elements.insert(index, other.clone()),
            (Some(own), other) if elements.get(index) == Some(own) => match other {
                Some(other) => elements[index] = other.clone(),
                None => drop(elements.remove(index)),
            },
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Kind;
    use serde_json::json;

    fn masked(steps: &[Json], kind: Kind, [old, new]: [Option<Json>; 2]) -> Masked {
        let step = |step: &Json| match step.as_u64() {
            Some(index) => Step::Index(index as usize),
            None => Step::Name(step.as_str().unwrap().to_owned()),
        };
        Masked {
            rule: 0,
            difference: Difference {
                place: Place::Node(steps.iter().map(step).collect()),
                kind,
                old: old.map(Value::Json),
                new: new.map(Value::Json),
            },
        }
    }

    #[test]
    fn what_is_masked_is_put_back_and_the_rest_is_as_it_was() {
        let at = |index: u64| [json!("o"), json!("a"), json!(index)];
        let all = [
            masked(&at(0), Kind::Value, [Some(json!(1)), Some(json!(9))]),
            masked(&at(1), Kind::Missing, [Some(json!(2)), None]),
            masked(&at(2), Kind::Missing, [Some(json!(3)), None]),
            masked(&at(2), Kind::Extra, [None, Some(json!(7))]),
            masked(
                &[json!("o"), json!("b")],
                Kind::Extra,
                [None, Some(json!("x"))],
            ),
        ];
        let old = json!({"a": [1, 2, 3, 4], "c": 5});
        let new = json!({"a": [9, 4, 7], "c": 5, "b": "x"});
        let masks = Masks::of(&all);
        let way = ["o"].map(|name| Step::Name(name.to_owned()));
        assert_eq!(masks.other(&way, &old, Stack::Old), Some(Some(new)));
        let way = ["o", "c"].map(|name| Step::Name(name.to_owned()));
        assert_eq!(masks.other(&way, &json!(5), Stack::Old), None);
        let way = ["o", "b"].map(|name| Step::Name(name.to_owned()));
        assert_eq!(masks.other(&way, &json!("x"), Stack::New), Some(None));
        assert_eq!(
            masks.other(&way, &json!("y"), Stack::New),
            None,
            "elsewhere"
        );
    }
}
