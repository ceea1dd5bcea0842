//! Recently written keys: the live side records them, and the shadow queries them before a check.
//!
//! A fixed-size, set-associative cache, allocated at the first write. Recording and querying take a few atomic
//! operations on one cache line. A full set evicts its oldest mark and counts that. Reads of an evicted key are checked
//! as if nothing had been written, and a difference is read again like any other.

use crate::{
    ledger::{Bound, Gauges},
    route::Keys,
};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Clones share the marks.
#[derive(Clone, Debug)]
pub struct Writes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sets: OnceLock<Box<[Set]>>,
    /// In milliseconds; 0 turns recording off.
    window: AtomicU64,
    start: Instant,
    gauges: Gauges,
}

type Set = [AtomicU64; WAYS];

/// A key and the time of its last write; 0 if empty.
///
/// The upper bits hold the key, the lower ones the time in milliseconds, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark(u64);

/// A time window in milliseconds that ends at `now`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    /// On any clock that begins at 1 or later.
    now: u64,
    length: u64,
}

/// Where a mark goes in its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    index: usize,
    /// Whether it evicts another mark that is still recent.
    evicts: bool,
}

/// 64 Ki marks in all, half a MiB.
const SETS: usize = 1 << 14;
const WAYS: usize = 4;

/// Attempts to update a set that others update at the same time.
const ATTEMPTS: usize = 4;

/// Enough for 34 years of milliseconds.
const MOMENT: u32 = 40;
const MOMENTS: u64 = (1 << MOMENT) - 1;

// === impl Writes ===

impl Writes {
    /// Remembers writes for `window`. Zero turns recording off.
    pub fn new(window: Duration, gauges: Gauges) -> Self {
        let writes = Self(Arc::new(Inner {
            sets: OnceLock::new(),
            window: AtomicU64::new(0),
            start: Instant::now(),
            gauges,
        }));
        writes.set_window(window);
        writes
    }

    /// Takes effect at once, also for writes already recorded.
    pub fn set_window(&self, window: Duration) {
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        self.0.window.store(window, Ordering::Relaxed);
    }

    pub fn are_noted(&self) -> bool {
        self.0.window.load(Ordering::Relaxed) > 0
    }

    /// Records a write of these keys at `now`.
    pub fn note(&self, keys: &Keys, now: Instant) {
        if !self.are_noted() {
            return;
        }
        let window = self.window(now);
        let make = || {
            let sets = (0..SETS).map(|_| Set::default());
            sets.collect()
        };
        let sets = self.0.sets.get_or_init(make);
        for key in keys.iter() {
            if !put(set(sets, key), key, window) {
                self.0.gauges.bound_reached(Bound::Writes);
            }
        }
    }

    /// Whether one of these keys was written within the window that ends at `now`. `keys` is not called if nothing was
    /// ever written.
    pub fn touch(&self, keys: impl FnOnce() -> Keys, now: Instant) -> bool {
        let Some(sets) = self.0.sets.get() else {
            return false;
        };
        let window = self.window(now);
        window.length > 0
            && keys()
                .iter()
                .any(|key| is_recent(&marks(set(sets, key)), key, window))
    }

    fn window(&self, now: Instant) -> Window {
        let now = now.saturating_duration_since(self.0.start).as_millis();
        Window {
            now: u64::try_from(now).unwrap_or(u64::MAX).saturating_add(1),
            length: self.0.window.load(Ordering::Relaxed),
        }
    }
}

// === impl Mark ===

impl Mark {
    fn new(key: u64, at: u64) -> Self {
        Self((key & !MOMENTS) | (at & MOMENTS))
    }

    /// Whether the mark is for `key`. Another key matches by chance once in 16 million.
    fn is_of(self, key: u64) -> bool {
        self.0 != 0 && (self.0 ^ key) & !MOMENTS == 0
    }

    fn is_within(self, window: Window) -> bool {
        self.0 != 0 && self.at().saturating_add(window.length) >= window.now
    }

    fn at(self) -> u64 {
        self.0 & MOMENTS
    }
}

/// Whether one of the marks shows a write of the key within the window.
fn is_recent(set: &[Mark], key: u64, window: Window) -> bool {
    set.iter()
        .any(|mark| mark.is_of(key) && mark.is_within(window))
}

/// Replaces the key's own mark, else one outside the window, else the oldest.
fn slot(set: &[Mark], key: u64, window: Window) -> Slot {
    let own = set.iter().position(|mark| mark.is_of(key));
    let free = || set.iter().position(|mark| !mark.is_within(window));
    let oldest = || (0..set.len()).min_by_key(|index| set[*index].at());
    let kept = own.or_else(free);
    Slot {
        index: kept.or_else(oldest).unwrap_or_default(),
        evicts: kept.is_none(),
    }
}

fn set(sets: &[Set], key: u64) -> &Set {
    // Uses the lower bits, which marks do not contain.
    &sets[(key as usize) & (SETS - 1)]
}

fn marks(set: &Set) -> [Mark; WAYS] {
    std::array::from_fn(|index| Mark(set[index].load(Ordering::Relaxed)))
}

/// Returns `false` if a mark that still counts is lost.
fn put(set: &Set, key: u64, window: Window) -> bool {
    for _ in 0..ATTEMPTS {
        let before = marks(set);
        let Slot { index, evicts } = slot(&before, key, window);
        let mark = Mark::new(key, window.now).0;
        let order = Ordering::Relaxed;
        if set[index]
            .compare_exchange(before[index].0, mark, order, order)
            .is_ok()
        {
            return !evicts;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Access, Head, Routes};
    use http::{HeaderMap, Method};
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn keys(path: &str) -> Keys {
        let head = Head {
            method: &Method::GET,
            path,
            query: None,
            headers: &HeaderMap::new(),
        };
        Routes::default().keys(&head, None, Access::Read)
    }

    const WINDOW: Duration = Duration::from_secs(10);

    #[test]
    fn a_write_is_known_for_as_long_as_the_window() {
        let writes = Writes::new(WINDOW, Gauges::default());
        let begin = Instant::now();
        assert!(!writes.touch(|| unreachable!("nothing was written"), begin));
        writes.note(&keys("/a"), begin);
        assert!(writes.touch(|| keys("/a"), begin + WINDOW));
        assert!(!writes.touch(|| keys("/b"), begin));
        assert!(!writes.touch(|| keys("/a"), begin + WINDOW + Duration::from_millis(2)));
        writes.note(&keys("/a"), begin + WINDOW);
        assert!(writes.touch(|| keys("/a"), begin + 2 * WINDOW));
    }

    #[test]
    fn without_a_window_nothing_is_noted() {
        let writes = Writes::new(Duration::ZERO, Gauges::default());
        writes.note(&keys("/a"), Instant::now());
        assert!(writes.0.sets.get().is_none());
        writes.set_window(WINDOW);
        writes.note(&keys("/a"), Instant::now());
        writes.set_window(Duration::ZERO);
        assert!(!writes.touch(|| keys("/a"), Instant::now()));
    }

    #[test]
    fn past_the_bound_the_oldest_are_forgotten_and_counted() {
        let gauges = Gauges::default();
        let writes = Writes::new(WINDOW, gauges.clone());
        let now = Instant::now();
        let all: Vec<_> = (0..SETS * WAYS * 2)
            .map(|n| keys(&format!("/users/{n}")))
            .collect();
        all.iter().for_each(|keys| writes.note(keys, now));
        let lost = all
            .iter()
            .filter(|keys| !writes.touch(|| **keys, now))
            .count();
        assert!(lost >= SETS * WAYS, "{lost}");
        assert_eq!(gauges.bounds_reached(Bound::Writes), lost as u64);
        assert!(writes.touch(|| all[all.len() - 1], now));
    }

    #[test]
    fn what_many_note_at_once_is_known() {
        let writes = Writes::new(WINDOW, Gauges::default());
        let now = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let writes = &writes;
                scope.spawn(move || {
                    for n in 0..2_000 {
                        writes.note(&keys(&format!("/{}", n * 4 + thread)), now);
                    }
                });
            }
        });
        let known = (0..8_000).filter(|n| writes.touch(|| keys(&format!("/{n}")), now));
        let bound = writes.0.gauges.bounds_reached(Bound::Writes) as usize;
        assert!(known.count() + bound >= 8_000);
        assert!(bound < 80, "{bound}");
    }

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
        let at = |key, now| slot(&set, key, window(now));
        let free = |index| Slot {
            index,
            evicts: false,
        };
        assert_eq!(at(B, 110), free(1));
        assert_eq!(at(3 << 60, 114), free(1));
        let oldest = Slot {
            index: 1,
            evicts: true,
        };
        assert_eq!(at(3 << 60, 110), oldest);
    }

    proptest! {
        /// Checks against a map of every key to its last write: no key too many, and a key too few only if it was
        /// evicted.
        #[test]
        fn marks_say_what_a_map_would(writes in prop::collection::vec((0..6u64, 0..6u64), 1..60)) {
            let mut set = [Mark(0); 4];
            let (mut last, mut now, mut evicted) = (HashMap::new(), 1, 0);
            for (key, pause) in writes {
                now += pause;
                let slot = slot(&set, key << 50, window(now));
                evicted += u64::from(slot.evicts);
                set[slot.index] = Mark::new(key << 50, now);
                last.insert(key, now);
                let missing = (0..6).filter(|key| {
                    let expected = last.get(key).is_some_and(|at| at + 10 >= now);
                    let found = is_recent(&set, key << 50, window(now));
                    assert!(expected || !found);
                    expected != found
                });
                prop_assert!(missing.count() as u64 <= evicted);
            }
        }
    }
}
