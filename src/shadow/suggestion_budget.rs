//! Rate-limits how many differences per second are probed for rule suggestions.

use crate::{advise::suggest::Hints, budget::Bucket, sample::Frequency};
use std::time::Instant;

#[derive(Debug)]
pub(super) struct Tries {
    bucket: Bucket,
    since: Instant,
}

/// A probe takes about 10 µs, so that all together use about 2 % of a core.
const PER_SECOND: u32 = 2_000;

// === impl Tries ===

impl Tries {
    pub(super) fn new() -> Self {
        Self {
            bucket: Bucket::default(),
            since: Instant::now(),
        }
    }

    /// Takes up to `differences` probes from the budget, and returns how many.
    pub(super) fn room(&self, differences: usize, now: Instant) -> usize {
        let now = now.saturating_duration_since(self.since);
        let limit = Frequency::from(PER_SECOND);
        (0..differences.min(Hints::MAX_TRIED))
            .take_while(|_| self.bucket.take(now, limit))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_of_checks_that_differ_finds_room_for_some_and_a_second_later_for_more() {
        let tries = Tries::new();
        let now = Instant::now();
        let burst: Vec<_> = (0..4).map(|_| tries.room(1_000, now)).collect();
        assert_eq!(burst, [100, 100, 0, 0]);
        assert_eq!(tries.room(3, now + Duration::from_secs(1)), 3);
    }
}
