//! A token bucket that threads share; callers pass in the present time.
//!
//! Its state is the moment when the bucket will be full again, so that taking a token is one compare-and-exchange. This
//! is the virtual scheduling form of the generic cell rate algorithm (ITU-T I.371).

use crate::sample::Frequency;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Admits events at up to a [`Frequency`]. After a pause, it admits a burst of a tenth of a second's events, at least
/// one.
#[derive(Debug)]
pub struct Bucket {
    since: Instant,
    /// In nanoseconds after `since`.
    full_at: AtomicU64,
}

// === impl Bucket ===

impl Bucket {
    /// Takes one token if available.
    #[must_use = "without a token the event must not happen"]
    pub fn take(&self, now: Instant, limit: Frequency) -> bool {
        if limit.as_per_second() <= 0.0 {
            return false;
        }
        let burst = (limit.as_per_second() / 10.0).max(1.0);
        // How far ahead the bucket may be booked while one token is still available.
        let ahead = ((burst - 1.0) * 1e9 / limit.as_per_second()) as u64;
        self.begin(self.nanos(now), limit, ahead).is_some()
    }

    /// Books a token and returns how long its event must wait; `None` if longer than `patience`. A bucket that is
    /// booked from admits no bursts.
    #[must_use = "what is booked is gone"]
    pub fn book(&self, now: Instant, limit: Frequency, patience: Duration) -> Option<Duration> {
        if limit.as_per_second() <= 0.0 {
            return None;
        }
        let now = self.nanos(now);
        let begin = self.begin(now, limit, nanos(patience))?;
        Some(Duration::from_nanos(begin - now))
    }

    /// When an event may begin; `None` if later than `ahead` from now.
    fn begin(&self, now: u64, limit: Frequency, ahead: u64) -> Option<u64> {
        let interval = (1e9 / limit.as_per_second()) as u64;
        let booked = |full_at: u64| {
            let begin = full_at.max(now);
            (begin - now <= ahead).then(|| begin.saturating_add(interval))
        };
        let before = self
            .full_at
            .try_update(Ordering::Relaxed, Ordering::Relaxed, booked);
        before.ok().map(|full_at| full_at.max(now))
    }

    fn nanos(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.since))
    }
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            full_at: AtomicU64::new(0),
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frequency(text: &str) -> Frequency {
        text.parse().unwrap()
    }

    /// `now` is the time since the beginning of the bucket.
    fn take(bucket: &Bucket, now: Duration, limit: Frequency) -> bool {
        bucket.take(bucket.since + now, limit)
    }

    #[test]
    fn one_a_second_is_one_each_second() {
        let bucket = Bucket::default();
        let taken: Vec<_> = (0..30)
            .filter(|tenth| {
                take(
                    &bucket,
                    Duration::from_millis(tenth * 100),
                    frequency("1/s"),
                )
            })
            .collect();
        assert_eq!(taken, [0, 10, 20]);
    }

    #[test]
    fn a_limit_of_zero_admits_nothing() {
        assert!(!take(
            &Bucket::default(),
            Duration::from_secs(9),
            Frequency::ZERO
        ));
    }

    #[test]
    fn a_lower_limit_is_in_force_at_once_and_ends_what_was_booked() {
        let bucket = Bucket::default();
        while take(&bucket, Duration::ZERO, frequency("100/s")) {}
        assert!(!take(&bucket, Duration::from_millis(50), frequency("1/s")));
        assert!(take(&bucket, Duration::from_millis(100), frequency("1/s")));
        assert!(!take(&bucket, Duration::from_millis(600), frequency("1/s")));
    }

    #[test]
    fn what_is_booked_waits_its_turn_and_no_longer_than_it_likes() {
        let bucket = Bucket::default();
        let book = |now, patience| {
            let booked = bucket.book(
                bucket.since + Duration::from_millis(now),
                frequency("10/s"),
                Duration::from_millis(patience),
            );
            booked.map(|wait| wait.as_millis())
        };
        assert_eq!(book(0, 0), Some(0));
        assert_eq!(book(0, 250), Some(100));
        assert_eq!(book(0, 250), Some(200));
        assert_eq!(book(0, 250), None);
        assert_eq!(book(0, 1_000), Some(300));
        assert_eq!(book(250, 0), None);
        assert_eq!(book(400, 0), Some(0));
    }

    proptest! {
        #[test]
        fn no_span_admits_more_than_the_burst_and_the_rate(
            rate in 0.01f64..5_000.0,
            steps in prop::collection::vec(0u64..200_000_000, 1..400),
        ) {
            let limit = Frequency::per_second(rate).unwrap();
            let bucket = Bucket::default();
            let mut now = Duration::from_secs(1_000);
            let mut admitted = Vec::new();
            for step in steps {
                now += Duration::from_nanos(step);
                if take(&bucket, now, limit) {
                    admitted.push(now);
                }
            }
            let burst = (rate / 10.0).max(1.0);
            for (first, from) in admitted.iter().enumerate() {
                for (last, to) in admitted.iter().enumerate().skip(first) {
                    let span = (*to - *from).as_secs_f64();
                    let count = (last - first + 1) as f64;
                    prop_assert!(count <= burst + span * rate * (1.0 + 1e-6) + 1.0);
                }
            }
        }

        #[test]
        fn waiting_for_one_interval_always_gives_a_token(rate in 0.01f64..5_000.0, tries in 1usize..50) {
            let limit = Frequency::per_second(rate).unwrap();
            let bucket = Bucket::default();
            let mut now = Duration::ZERO;
            for _ in 0..tries {
                while take(&bucket, now, limit) {}
                now += Duration::from_secs_f64(1.0 / rate) + Duration::from_nanos(1);
                prop_assert!(take(&bucket, now, limit));
            }
        }
    }
}
