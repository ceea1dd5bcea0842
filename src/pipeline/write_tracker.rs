//! Recently written keys: the live side records them, and the shadow queries them before a check.
//!
//! A fixed-size, set-associative cache, allocated at the first write. Recording and querying take a few atomic
//! operations on one cache line. A full set evicts its oldest mark and counts that. Reads of an evicted key are checked
//! as if nothing had been written, and a difference is read again like any other.

use crate::{
    ledger::{Bound, Gauges},
    route::Keys,
    sample::recent_keys::{Mark, Seat, Window, is_recent, seat},
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

/// 64 Ki marks in all, half a MiB.
const SETS: usize = 1 << 14;
const WAYS: usize = 4;

/// Attempts to update a set that others update at the same time.
const ATTEMPTS: usize = 4;

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
        let Seat { index, displaces } = seat(&before, key, window);
        let mark = Mark::new(key, window.now).0;
        let order = Ordering::Relaxed;
        if set[index]
            .compare_exchange(before[index].0, mark, order, order)
            .is_ok()
        {
            return !displaces;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Access, Head, Routes};
    use http::{HeaderMap, Method};

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
}
