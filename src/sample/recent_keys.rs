//! A fixed-size, set-associative cache of recently written keys.

/// A key and the time of its last write; 0 if empty.
///
/// The upper bits hold the key, the lower ones the time in milliseconds, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(pub u64);

/// A time window in milliseconds that ends at `now`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// On any clock that begins at 1 or later.
    pub now: u64,
    pub length: u64,
}

/// Where a mark goes in its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    pub index: usize,
    /// Whether it evicts another mark that is still recent.
    pub displaces: bool,
}

/// Enough for 34 years of milliseconds.
const MOMENT: u32 = 40;
const MOMENTS: u64 = (1 << MOMENT) - 1;

// === impl Mark ===

impl Mark {
    pub fn new(key: u64, at: u64) -> Self {
        Self((key & !MOMENTS) | (at & MOMENTS))
    }

    /// Whether the mark is for `key`. Another key matches by chance once in 16 million.
    pub fn is_of(self, key: u64) -> bool {
        self.0 != 0 && (self.0 ^ key) & !MOMENTS == 0
    }

    pub fn is_within(self, window: Window) -> bool {
        self.0 != 0 && self.at().saturating_add(window.length) >= window.now
    }

    fn at(self) -> u64 {
        self.0 & MOMENTS
    }
}

/// Whether one of the marks shows a write of the key within the window.
pub fn is_recent(set: &[Mark], key: u64, window: Window) -> bool {
    set.iter()
        .any(|mark| mark.is_of(key) && mark.is_within(window))
}

/// Replaces the key's own mark, else one outside the window, else the oldest.
pub fn seat(set: &[Mark], key: u64, window: Window) -> Seat {
    let own = set.iter().position(|mark| mark.is_of(key));
    let free = || set.iter().position(|mark| !mark.is_within(window));
    match own.or_else(free) {
        Some(index) => Seat {
            index,
            displaces: false,
        },
        None => Seat {
            index: (0..set.len())
                .min_by_key(|index| set[*index].at())
                .unwrap_or_default(),
            displaces: true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    const A: u64 = 1 << 60;
    const B: u64 = 2 << 60;

    fn window(now: u64) -> Window {
        Window { now, length: 10 }
    }

    #[test]
    fn a_key_counts_to_the_end_of_the_window_and_no_longer() {
        let set = [Mark(0), Mark::new(A, 100)];
        assert!(is_recent(&set, A, window(100)));
        assert!(is_recent(&set, A, window(110)));
        assert!(!is_recent(&set, A, window(111)));
        assert!(!is_recent(&set, B, window(100)));
        // A write may be recorded while another thread queries an earlier time.
        assert!(is_recent(&set, A, window(99)));
        assert!(!is_recent(&[Mark(0)], 0, window(1)));
    }

    #[test]
    fn the_oldest_goes_where_all_still_count() {
        let set = [Mark::new(A, 105), Mark::new(B, 103)];
        let at = |key, now| seat(&set, key, window(now));
        let free = |index| Seat {
            index,
            displaces: false,
        };
        assert_eq!(at(B, 110), free(1));
        assert_eq!(at(3 << 60, 114), free(1));
        let oldest = Seat {
            index: 1,
            displaces: true,
        };
        assert_eq!(at(3 << 60, 110), oldest);
    }

    proptest! {
        /// Checks against a map of every key to its last write: no key too many, and a key too few only if it was
        /// evicted.
        #[test]
        fn marks_say_what_a_map_would(writes in prop::collection::vec((0..6u64, 0..6u64), 1..60)) {
            let mut set = [Mark(0); 4];
            let (mut last, mut now, mut displaced) = (HashMap::new(), 1, 0);
            for (key, pause) in writes {
                now += pause;
                let seat = seat(&set, key << 50, window(now));
                displaced += u64::from(seat.displaces);
                set[seat.index] = Mark::new(key << 50, now);
                last.insert(key, now);
                let missing = (0..6).filter(|key| {
                    let expected = last.get(key).is_some_and(|at| at + 10 >= now);
                    let found = is_recent(&set, key << 50, window(now));
                    assert!(expected || !found);
                    expected != found
                });
                prop_assert!(missing.count() as u64 <= displaced);
            }
        }
    }
}
