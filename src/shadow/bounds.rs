//! Bounds on checks: requests in flight, checks that wait for a re-check, and differences probed for rule suggestions.

use super::Settings;
use crate::{
    advise::suggest::Hints,
    budget::Bucket,
    ledger::{Gauges, gauges::InFlight},
    sample::Frequency,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};
use tokio::sync::Notify;

/// Counts the slots in use. Clones share the count.
#[derive(Clone, Debug)]
pub(super) struct Slots(Arc<InUse>);

#[derive(Debug)]
struct InUse {
    taken: AtomicUsize,
    freed: Notify,
    gauges: Gauges,
}

/// A slot in use until dropped.
#[derive(Debug)]
#[must_use = "a slot is taken only while it lives"]
pub(super) struct Slot {
    inner: Arc<InUse>,
    _in_flight: InFlight,
}

/// What waits now. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting(Arc<Waits>);

#[derive(Debug, Default)]
struct Waits {
    checks: AtomicUsize,
    bytes: AtomicUsize,
}

/// One waiting check, until dropped.
#[derive(Debug)]
#[must_use = "a check is counted as waiting only while this lives"]
pub(super) struct Wait {
    waiting: Waiting,
    bytes: usize,
}

/// Rate-limits how many differences per second are probed for rule suggestions.
#[derive(Debug, Default)]
pub(super) struct Probes(Bucket);

/// A probe takes about 10 µs, so that all together use about 2 % of a core.
const PER_SECOND: u32 = 2_000;

/// The checks that wait for a recheck may hold one in so many of all bytes. The rest is for new samples.
const WAITING_SHARE: usize = 4;

// === impl Slots ===

impl Slots {
    pub(super) fn new(gauges: Gauges) -> Self {
        Self(Arc::new(InUse {
            taken: AtomicUsize::new(0),
            freed: Notify::new(),
            gauges,
        }))
    }

    /// Takes a slot if fewer than `max` are in use.
    fn try_take(&self, max: usize) -> Option<Slot> {
        let one_more = |taken: usize| (taken < max).then_some(taken + 1);
        let taken = &self.0.taken;
        taken
            .try_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()?;
        Some(Slot {
            inner: self.0.clone(),
            _in_flight: self.0.gauges.begin_replay(),
        })
    }

    /// Waits until fewer than `max` slots are in use. Evaluates `max` again at each attempt.
    pub(super) async fn take(&self, max: impl Fn() -> usize) -> Slot {
        loop {
            if let Some(slot) = self.try_take(max()) {
                return slot;
            }
            self.0.freed.notified().await;
        }
    }
}

// === impl Slot ===

impl Drop for Slot {
    fn drop(&mut self) {
        self.inner.taken.fetch_sub(1, Ordering::Relaxed);
        self.inner.freed.notify_one();
    }
}

// === impl Waiting ===

impl Waiting {
    /// Adds a check that holds `bytes`; `None` if there is no room.
    pub(super) fn enter(&self, bytes: usize, settings: &Settings) -> Option<Wait> {
        let checks = self.0.checks.fetch_add(1, Ordering::Relaxed);
        let held = self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        // Dropping it undoes the addition.
        let waits = Wait {
            waiting: self.clone(),
            bytes,
        };
        let fits = held.saturating_add(bytes) <= settings.capture.max_total / WAITING_SHARE;
        (checks < settings.queue.max_length && fits).then_some(waits)
    }
}

// === impl Wait ===

impl Drop for Wait {
    fn drop(&mut self) {
        let inner = &self.waiting.0;
        inner.checks.fetch_sub(1, Ordering::Relaxed);
        inner.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

// === impl Probes ===

impl Probes {
    /// Takes up to `differences` probes from the budget, and returns how many.
    pub(super) fn room(&self, differences: usize, now: Instant) -> usize {
        let limit = Frequency::from(PER_SECOND);
        (0..differences.min(Hints::MAX_TRIED))
            .take_while(|_| self.0.take(now, limit))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn waiting_replays_are_bounded_by_count_and_bytes() {
        let mut settings = Settings::default();
        settings.queue.max_length = 2;
        settings.capture.max_total = 40;
        let waiting = Waiting::default();
        let first = waiting.enter(6, &settings).unwrap();
        assert!(waiting.enter(5, &settings).is_none());
        let second = waiting.enter(4, &settings).unwrap();
        assert!(waiting.enter(0, &settings).is_none());
        drop((first, second));
        assert!(waiting.enter(10, &settings).is_some());
    }

    #[test]
    fn burst_of_differing_checks_is_limited_each_second() {
        let tries = Probes::default();
        let now = Instant::now();
        let burst: Vec<_> = (0..4).map(|_| tries.room(1_000, now)).collect();
        assert_eq!(burst, [100, 100, 0, 0]);
        assert_eq!(tries.room(3, now + Duration::from_secs(1)), 3);
    }
}
