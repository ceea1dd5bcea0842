//! How fast reads are offered: falls while the old stack is slow or a bound refuses, and rises again.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Pace {
    /// Reads per second at most, and now.
    max: f64,
    now: f64,
    next: Instant,
    /// When it last rose or fell.
    changed: Instant,
    /// A moving average of the old stack's answers, in seconds.
    latency: f64,
    max_latency: Option<Duration>,
}

/// The least pace, in reads per second.
const MIN: f64 = 1.0;

/// How often the pace changes.
const EVERY: Duration = Duration::from_millis(500);

/// Reads that are due are offered later by at most this, and not made up for past it.
const LATE: Duration = Duration::from_millis(20);

/// Weight of one answer in the average.
const WEIGHT: f64 = 0.1;

// === impl Pace ===

impl Pace {
    pub(super) fn new(max: f64, max_latency: Option<Duration>, now: Instant) -> Self {
        Self {
            max,
            now: max,
            next: now,
            changed: now,
            latency: 0.0,
            max_latency,
        }
    }

    /// When the next read is due.
    pub(super) fn due(&self) -> Instant {
        self.next
    }

    /// Reads per second.
    pub(super) fn per_second(&self) -> f64 {
        self.now
    }

    pub(super) fn offered(&mut self, now: Instant) {
        let earliest = now.checked_sub(LATE).unwrap_or(now);
        self.next = self.next.max(earliest) + Duration::from_secs_f64(1.0 / self.now);
    }

    /// The old stack took so long for an answer.
    pub(super) fn answered(&mut self, took: Duration, now: Instant) {
        self.latency += (took.as_secs_f64() - self.latency) * WEIGHT;
        if self
            .max_latency
            .is_some_and(|max| self.latency > max.as_secs_f64())
        {
            self.slow_down(now);
        } else if now.duration_since(self.changed) >= EVERY {
            self.set(self.now * 1.1, now);
        }
    }

    /// Halves the pace, at most once in a while.
    pub(super) fn slow_down(&mut self, now: Instant) {
        if now.duration_since(self.changed) >= EVERY {
            self.set(self.now / 2.0, now);
        }
    }

    fn set(&mut self, pace: f64, now: Instant) {
        self.now = pace.clamp(MIN.min(self.max), self.max);
        self.changed = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn answers(pace: &mut Pace, took: Duration, from: Instant) -> Instant {
        (1..=60).fold(from, |_, index| {
            let now = from + index * 100 * MS;
            pace.answered(took, now);
            now
        })
    }

    #[test]
    fn it_falls_while_the_old_stack_is_slow_and_rises_again() {
        let begin = Instant::now();
        let mut pace = Pace::new(100.0, Some(50 * MS), begin);
        let now = answers(&mut pace, 10 * MS, begin);
        assert_eq!(pace.per_second(), 100.0);
        let now = answers(&mut pace, 500 * MS, now);
        assert!(pace.per_second() < 2.0, "{}", pace.per_second());
        let mut now = now;
        for _ in 0..20 {
            now = answers(&mut pace, 10 * MS, now);
        }
        assert_eq!(pace.per_second(), 100.0);
        assert!(pace.due() <= now);
    }

    #[test]
    fn reads_that_were_late_are_not_made_up_for() {
        let begin = Instant::now();
        let mut pace = Pace::new(10.0, None, begin);
        pace.offered(begin + Duration::from_secs(60));
        assert!(pace.due() > begin + Duration::from_secs(60));
    }
}
