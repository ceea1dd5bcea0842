//! The clock of the ledger.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use std::{fmt, sync::Arc, time::Instant};

/// Returns the time. Clones share it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

// === impl Clock ===

impl Clock {
    /// A custom clock, for tests and replays.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time of day at the start, advanced steadily from there, so that setting the system clock changes no figures.
    pub fn system() -> Self {
        let (began, start) = (Timestamp::now(), Instant::now());
        Self::new(move || began + start.elapsed())
    }

    /// This clock, moved forward as far as it is behind `latest`.
    pub(super) fn not_before(self, latest: Timestamp) -> Self {
        let behind = latest.duration_since(self.now());
        if behind.is_positive() {
            Self::new(move || self.now() + behind)
        } else {
            self
        }
    }

    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

/// The day for rule expiry, in UTC, so that it is the same everywhere.
pub(crate) fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
