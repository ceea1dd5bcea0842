//! Limits the checks that wait for a re-check, by number and by the bytes that they hold.

use super::Settings;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// What waits now. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    checks: AtomicUsize,
    bytes: AtomicUsize,
}

/// One waiting check, until dropped.
#[derive(Debug)]
#[must_use = "a check is counted as waiting only while this lives"]
pub(super) struct Waits {
    waiting: Waiting,
    bytes: usize,
}

// === impl Waiting ===

impl Waiting {
    /// Adds a check that holds `bytes`; `None` if there is no room.
    pub(super) fn enter(&self, bytes: usize, settings: &Settings) -> Option<Waits> {
        let checks = self.0.checks.fetch_add(1, Ordering::Relaxed);
        let held = self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        // Dropping it undoes the addition.
        let waits = Waits {
            waiting: self.clone(),
            bytes,
        };
        let fits = held.saturating_add(bytes) <= settings.max_waiting_bytes();
        (checks < settings.queue.max_length && fits).then_some(waits)
    }
}

// === impl Waits ===

impl Drop for Waits {
    fn drop(&mut self) {
        let inner = &self.waiting.0;
        inner.checks.fetch_sub(1, Ordering::Relaxed);
        inner.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_too_many_nor_too_large_ones_wait_and_who_leaves_makes_room() {
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
}
