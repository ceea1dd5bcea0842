//! Reports of one kind, at most once in a while.

use std::{
    mem,
    time::{Duration, Instant},
};

/// The last report of a kind, and the events since then that had none.
#[derive(Debug, Default)]
pub(crate) struct Paced {
    /// `None` if there was none yet.
    at: Option<Instant>,
    suppressed: u64,
}

/// How long after a report of a kind no other one follows.
pub(crate) const PAUSE: Duration = Duration::from_secs(60);

// === impl Paced ===

impl Paced {
    /// Whether another report would follow too soon.
    pub(crate) fn is_recent(&self, now: Instant) -> bool {
        let passed = self.at.map(|at| now.saturating_duration_since(at));
        passed.is_some_and(|passed| passed < PAUSE)
    }

    /// Takes the number of events that had no report, if there are any.
    pub(crate) fn take_suppressed(&mut self) -> Option<u64> {
        (self.suppressed > 0).then(|| mem::take(&mut self.suppressed))
    }

    /// The number of events since the last report if this one may be reported; else counts it.
    pub(crate) fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.is_recent(now) {
            self.suppressed += 1;
            return None;
        }
        self.at = Some(now);
        Some(mem::take(&mut self.suppressed))
    }
}
