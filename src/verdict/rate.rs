//! The current rate of events, whether a thousand per second or two per day.

use jiff::{SignedDuration, Timestamp};
use std::collections::VecDeque;

/// Counts events and remembers when the last of them were. Time is an argument.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventRate {
    /// Times with the event counts until then, oldest first. Begins with the first event, because before it there is no
    /// rate.
    marks: VecDeque<(Timestamp, u64)>,
    events: u64,
}

/// Number of remembered times. The rate of frequent events covers about the last minute, that of rare ones the last
/// sixteen events.
const MARKS: usize = 16;
const APART: SignedDuration = SignedDuration::from_secs(4);

// === impl EventRate ===

impl EventRate {
    /// Counts one event.
    pub fn count(&mut self, at: Timestamp) {
        self.events += 1;
        let is_due = |(last, _): &(Timestamp, u64)| at.duration_since(*last) >= APART;
        if self.marks.back().is_none_or(is_due) {
            if self.marks.len() == MARKS {
                self.marks.pop_front();
            }
            self.marks.push_back((at, self.events));
        }
    }

    /// Events per second since the oldest mark. The rate decays when events stop.
    pub fn per_second(&self, now: Timestamp) -> f64 {
        let Some((since, before)) = self.marks.front() else {
            return 0.0;
        };
        let seconds = now.duration_since(*since).as_secs_f64();
        match self.events - before {
            0 => 0.0,
            _ if seconds <= 0.0 => 0.0,
            events => events as f64 / seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    #[test]
    fn steady_rate_is_reported_from_the_start_and_after_an_hour() {
        let mut pace = EventRate::default();
        for tenth in 1..=36_000 {
            pace.count(at(tenth * 100));
            if tenth == 50 || tenth == 36_000 {
                let per_second = pace.per_second(at(tenth * 100));
                assert!((9.0..11.0).contains(&per_second), "{per_second}");
            }
        }
    }

    #[test]
    fn what_begins_late_has_the_pace_of_what_has_begun() {
        let mut pace = EventRate::default();
        for tenth in 36_000..36_050 {
            pace.count(at(tenth * 100));
        }
        let per_second = pace.per_second(at(36_050 * 100));
        assert!((9.0..11.0).contains(&per_second), "{per_second}");
    }

    #[test]
    fn a_pace_that_stops_is_forgotten() {
        let mut pace = EventRate::default();
        for second in 1..=100 {
            pace.count(at(second * 1_000));
        }
        assert!(pace.per_second(at(1_000_000)) < 0.1);
    }

    #[test]
    fn rate_of_twice_a_day_is_reported() {
        let mut pace = EventRate::default();
        let half_a_day = 43_200;
        for day in 1..=40 {
            pace.count(at(day * half_a_day * 1_000));
        }
        let between = at((40 * half_a_day + half_a_day / 2) * 1_000);
        let seconds = 1.0 / pace.per_second(between);
        assert!((40_000.0..47_000.0).contains(&seconds), "{seconds}");
    }

    #[test]
    fn nothing_counted_is_no_pace() {
        assert_eq!(EventRate::default().per_second(at(0)), 0.0);
        assert_eq!(EventRate::default().per_second(at(9_000)), 0.0);
    }
}
