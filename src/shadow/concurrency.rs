//! Slots for requests in flight. First readings and re-checks share one limit.

use crate::ledger::{Gauges, gauges::InFlight};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::Notify;

/// Counts the slots in use. Clones share the count.
#[derive(Clone, Debug)]
pub(super) struct Slots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    taken: AtomicUsize,
    freed: Notify,
    gauges: Gauges,
}

/// A slot in use until dropped.
#[derive(Debug)]
#[must_use = "a slot is taken only while it lives"]
pub(super) struct Slot {
    inner: Arc<Inner>,
    _in_flight: InFlight,
}

// === impl Slots ===

impl Slots {
    pub(super) fn new(gauges: Gauges) -> Self {
        Self(Arc::new(Inner {
            taken: AtomicUsize::new(0),
            freed: Notify::new(),
            gauges,
        }))
    }

    /// Takes a slot if fewer than `max` are in use.
    pub(super) fn try_take(&self, max: usize) -> Option<Slot> {
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
