//! Finds positions in undeclared paths with many rare values: names and slugs, which a single segment cannot
//! distinguish from words. They become `{}` in route names: `GET /users/{}/orders`.
//!
//! A position is identified by the segments before it. It collapses for good once it has more than [`MAX_VALUES`]
//! values, most of them seen fewer than [`ENOUGH`] times. Memory is bounded by the number of names learned from, which
//! is at most the number of routes.

use std::{borrow::Cow, collections::HashMap};

/// Maximum number of values at one position before it may collapse.
const MAX_VALUES: usize = 25;

/// A value seen this often is not rare.
pub(crate) const ENOUGH: u8 = 5;

const COLLAPSED: &str = "{}";

/// Everything learned about positions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Positions {
    root: Position,
    has_collapsed: bool,
}

#[derive(Clone, Debug, Default)]
struct Position {
    /// By the segment at this position.
    segments: HashMap<Box<str>, Segment>,
    values: usize,
    rare: usize,
    is_collapsed: bool,
}

#[derive(Clone, Debug, Default)]
struct Segment {
    seen: u8,
    next: Position,
}

// === impl Positions ===

impl Positions {
    /// Learns from the name of an undeclared route. Returns whether names have changed.
    pub(crate) fn learn(&mut self, name: &str) -> bool {
        let Some((_, path)) = name.split_once(" /") else {
            return false;
        };
        let mut position = &mut self.root;
        for segment in path.split('/') {
            if position.see(segment) {
                self.has_collapsed = true;
                return true;
            }
            position = match position.segments.get_mut(position.shown(segment)) {
                Some(segment) => &mut segment.next,
                None => return false,
            };
        }
        false
    }

    /// Collapses the name by what was learned so far. A collapsed name maps to itself.
    pub(crate) fn collapse<'n>(&self, name: &'n str) -> Cow<'n, str> {
        let parts = name.split_once(" /");
        let Some((method, path)) = parts.filter(|_| self.has_collapsed) else {
            return Cow::Borrowed(name);
        };
        let mut collapsed = String::with_capacity(name.len());
        collapsed.push_str(method);
        collapsed.push(' ');
        let mut position = Some(&self.root);
        for segment in path.split('/') {
            let shown = position.map_or(segment, |position| position.shown(segment));
            collapsed.push('/');
            collapsed.push_str(shown);
            position = position.and_then(|position| Some(&position.segments.get(shown)?.next));
        }
        if collapsed == name {
            Cow::Borrowed(name)
        } else {
            Cow::Owned(collapsed)
        }
    }
}

// === impl Position ===

impl Position {
    /// Counts a segment. Returns whether that collapses the position.
    fn see(&mut self, segment: &str) -> bool {
        let shown = self.shown(segment);
        if !self.segments.contains_key(shown) {
            self.segments.insert(shown.into(), Segment::default());
            self.values += usize::from(is_value(shown));
            self.rare += usize::from(is_value(shown));
        }
        let Some(found) = self.segments.get_mut(shown).filter(|_| is_value(shown)) else {
            return false;
        };
        if found.seen < ENOUGH {
            found.seen += 1;
            self.rare -= usize::from(found.seen == ENOUGH);
        }
        if self.values <= MAX_VALUES || self.rare * 2 <= self.values {
            return false;
        }
        self.segments.retain(|segment, _| !is_value(segment));
        (self.values, self.rare, self.is_collapsed) = (0, 0, true);
        true
    }

    /// The text that stands for the segment in a name.
    fn shown<'s>(&self, segment: &'s str) -> &'s str {
        if self.is_collapsed && is_value(segment) {
            COLLAPSED
        } else {
            segment
        }
    }
}

/// Whether the segment is a value: not an already collapsed id, the end of a path, or the rest of a long one.
fn is_value(segment: &str) -> bool {
    !matches!(segment, COLLAPSED | "" | "*")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn word(number: usize) -> String {
        let letter = |digit| char::from(b'a' + (number / digit % 26) as u8);
        format!("w{}{}", letter(26), letter(1))
    }

    fn learn(
        positions: &mut Positions,
        words: usize,
        times: u8,
        name: impl Fn(&str) -> String,
    ) -> bool {
        let mut is_new = false;
        for number in 0..words {
            for _ in 0..times {
                is_new |= positions.learn(&name(&word(number)));
            }
        }
        is_new
    }

    #[test]
    fn a_position_of_many_rare_values_is_collapsed() {
        let mut positions = Positions::default();
        let name = |word: &str| format!("GET /users/{word}/orders");
        assert!(!learn(&mut positions, 25, 1, name));
        assert_eq!(
            positions.collapse("GET /users/wac/orders"),
            "GET /users/wac/orders"
        );
        assert!(learn(&mut positions, 26, 1, name));
        for (given, expected) in [
            ("GET /users/wac/orders", "GET /users/{}/orders"),
            ("HEAD /users/new", "HEAD /users/{}"),
            ("GET /users/", "GET /users/"),
            ("GET /users", "GET /users"),
            ("GET /orders/wac", "GET /orders/wac"),
            ("GET /users/{}/orders", "GET /users/{}/orders"),
            ("dynamodb GetItem", "dynamodb GetItem"),
        ] {
            assert_eq!(positions.collapse(given), expected);
        }
    }

    #[test]
    fn values_that_are_often_seen_stay() {
        let mut positions = Positions::default();
        assert!(!learn(&mut positions, 20, ENOUGH, |word| format!(
            "GET /{word}"
        )));
        let rare = |word: &str| format!("GET /x{word}");
        assert!(
            !learn(&mut positions, 20, 1, rare),
            "as many rare ones as others"
        );
        assert_eq!(positions.collapse("GET /waa"), "GET /waa");
        assert!(learn(&mut positions, 21, 1, rare), "most are rare");
        assert_eq!(positions.collapse("GET /waa"), "GET /{}");
    }

    #[test]
    fn what_follows_a_collapsed_position_is_learned_together() {
        let mut positions = Positions::default();
        learn(&mut positions, 26, 1, |word| format!("GET /users/{word}"));
        // Each of them under another user.
        learn(&mut positions, 26, 1, |word| {
            format!("GET /users/{word}/files/{word}")
        });
        assert_eq!(
            positions.collapse("GET /users/a/files/b"),
            "GET /users/{}/files/{}"
        );
        assert_eq!(
            positions.collapse("GET /users/{}/files/c"),
            "GET /users/{}/files/{}"
        );
    }

    proptest! {
        #[test]
        fn a_collapsed_name_collapses_to_itself(
            names in prop::collection::vec("GET (/[a-f]{0,2}|/[{][}]){1,4}", 1..400),
        ) {
            let mut positions = Positions::default();
            for name in &names {
                positions.learn(name);
            }
            for name in &names {
                let once = positions.collapse(name).into_owned();
                prop_assert_eq!(positions.collapse(&once), once.as_str());
            }
        }
    }
}
