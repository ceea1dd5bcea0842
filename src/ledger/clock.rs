//! The time of day, as the ledger sees it.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use std::{fmt, sync::Arc, time::Instant};

/// Tells the time. Shared by clones.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

// === impl Clock ===

impl Clock {
    /// A clock of your own, for tests and replays.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time of day at the start, and from there on steady: a clock that is set does not
    /// lengthen a clean record.
    pub fn system() -> Self {
        let (began, start) = (Timestamp::now(), Instant::now());
        Self::new(move || began + start.elapsed())
    }

    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

/// The day by which rules expire: that of UTC, so that it is the same wherever it is asked for.
pub fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
