//! Detects a stack that turns bad after a long clean record.
//!
//! The bounds concern the mean since the epoch began: a million clean checks hide a rate of 1 % for 97 000 more checks.
//! An e-detector (Shin, Ramdas, Rinaldo 2022) considers the recent past alone. For each term `v` of T
//!
//! ```text
//! M_v <- max(M_v, 1) * (T's factor of the check at the limit)
//! ```
//!
//! and raises the alarm when `sum_v w_v M_v` reaches `run`. While the rate is at or below the limit, a false alarm
//! comes after `run` checks on average, or later.

use super::{
    Trials,
    bounds::{LOWER, factor},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Watches one rate of one route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeDetector {
    /// The limit that the terms were computed for.
    limit: f64,
    terms: [f64; LOWER.len()],
    alarm: Option<Alarm>,
}

/// Parameters for watching one rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watch {
    /// The accepted rate, between 0 and 1. At 1 there is no alarm.
    pub limit: f64,
    /// Average number of checks between two false alarms.
    pub run: f64,
}

/// The last alarm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// When the check that raised it was sampled.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub at: Timestamp,
    /// All checks of the epoch until then.
    pub before: Trials,
}

// === impl ChangeDetector ===

impl ChangeDetector {
    /// Records one check. `so_far` counts all checks of the epoch, including this one.
    pub fn check(&mut self, is_hit: bool, so_far: Trials, at: Timestamp, watch: Watch) {
        let Watch { limit, run } = watch;
        if limit >= 1.0 {
            return;
        }
        if self.limit != limit {
            self.limit = limit;
            self.terms = [1.0; LOWER.len()];
        }
        let mut mixture = 0.0;
        for (term, (v, weight)) in self.terms.iter_mut().zip(LOWER) {
            *term = term.max(1.0) * factor(v, limit, is_hit);
            mixture += weight * *term;
        }
        if mixture >= run {
            self.terms = [1.0; LOWER.len()];
            self.alarm = Some(Alarm { at, before: so_far });
        }
    }

    /// The last alarm, if there was one.
    pub fn alarm(&self) -> Option<Alarm> {
        self.alarm
    }

    /// Takes the later alarm of two routes that were merged. `own` and `others` return the checks of each at a given
    /// time, as far as known.
    pub fn join(
        &mut self,
        other: &Self,
        own: impl Fn(Timestamp) -> Trials,
        others: impl Fn(Timestamp) -> Trials,
    ) {
        let with = |alarm: Alarm, more: Trials| Alarm {
            before: Trials::new(
                alarm.before.total + more.total,
                alarm.before.hits + more.hits,
            ),
            ..alarm
        };
        let one = self.alarm.map(|alarm| with(alarm, others(alarm.at)));
        let other = other.alarm.map(|alarm| with(alarm, own(alarm.at)));
        let is_later = |other: &Alarm| one.is_none_or(|one| other.at > one.at);
        self.alarm = other.filter(is_later).or(one);
    }
}

impl Default for ChangeDetector {
    fn default() -> Self {
        Self {
            limit: 0.0,
            terms: [1.0; LOWER.len()],
            alarm: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: f64 = 1e-3;
    const WATCH: Watch = Watch {
        limit: LIMIT,
        run: 1e6,
    };

    /// Checks until the alarm for a stack that fails every `period`th answer; `None`: not within 200 000.
    fn until_alarm(detector: &mut ChangeDetector, period: u64) -> Option<u64> {
        detector.alarm = None;
        (1..200_000_u64).find(|check| {
            let so_far = Trials::new(*check, 0);
            detector.check(check % period == 0, so_far, Timestamp::UNIX_EPOCH, WATCH);
            detector.alarm().is_some()
        })
    }

    #[test]
    fn turn_to_ten_times_the_limit_is_seen_after_a_million_clean() {
        let mut detector = ChangeDetector::default();
        for _ in 0..1_000_000 {
            detector.check(false, Trials::default(), Timestamp::UNIX_EPOCH, WATCH);
        }
        assert_eq!(detector.alarm(), None);
        let needed = until_alarm(&mut detector, 100).unwrap();
        assert!((500..2_500).contains(&needed), "{needed}");
    }

    #[test]
    fn a_rate_of_half_the_limit_raises_no_alarm() {
        assert_eq!(until_alarm(&mut ChangeDetector::default(), 2_000), None);
    }

    #[test]
    fn an_alarm_starts_the_detector_again() {
        let mut detector = ChangeDetector::default();
        let first = until_alarm(&mut detector, 20).unwrap();
        assert_eq!(detector.alarm().unwrap().before.total, first);
        let again = until_alarm(&mut detector, 20).unwrap();
        assert_eq!(again, first);
    }

    #[test]
    fn another_limit_starts_the_detector_again() {
        let mut detector = ChangeDetector::default();
        for _ in 0..10 {
            detector.check(
                true,
                Trials::default(),
                Timestamp::UNIX_EPOCH,
                Watch {
                    limit: 0.5,
                    run: 1e9,
                },
            );
        }
        detector.check(
            false,
            Trials::default(),
            Timestamp::UNIX_EPOCH,
            Watch {
                limit: LIMIT,
                run: 2.0,
            },
        );
        assert_eq!(detector.alarm(), None);
    }
}
