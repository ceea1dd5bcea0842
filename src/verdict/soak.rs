//! Records when checks were made and where the gaps between them are, to compute the soak time.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A route's checks over time. Keeps enough to compute, for any `max_gap`, when the last gap of that length ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct SoakClock {
    /// Times of the first and the last check.
    span: Option<(Timestamp, Timestamp)>,
    /// Each longer than all after it, oldest first. A gap followed by a longer one is never needed again.
    gaps: Vec<Gap>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Gap {
    length: SignedDuration,
    ended: Timestamp,
}

/// The stored form.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    /// The first and the last check, in milliseconds since 1970.
    span: Option<(i64, i64)>,
    /// Length in seconds, and end in milliseconds since 1970.
    gaps: Vec<(f64, i64)>,
}

/// Gaps are rounded up to whole steps, so that one over the limit never appears within it. Shorter gaps are not kept,
/// which bounds their number: `n` gaps of distinct lengths take n²/2 steps.
const STEP: Duration = Duration::from_millis(100);

// === impl SoakClock ===

impl SoakClock {
    /// Records a check that ended in a comparison.
    pub fn check(&mut self, at: Timestamp) {
        let Some((first, last)) = self.span else {
            self.span = Some((at, at));
            return;
        };
        // Checks end on several threads and may arrive in another order.
        let length = at.duration_since(last);
        self.span = Some((first, last.max(at)));
        if let Ok(length) = Duration::try_from(length)
            && length >= STEP
        {
            let length = steps_up(length);
            while self.gaps.last().is_some_and(|gap| gap.length <= length) {
                self.gaps.pop();
            }
            self.gaps.push(Gap { length, ended: at });
        }
    }

    /// When the first check was made, if any was.
    pub fn first(&self) -> Option<Timestamp> {
        self.span.map(|(first, _)| first)
    }

    /// When the last check was made, if any was.
    pub fn last(&self) -> Option<Timestamp> {
        self.span.map(|(_, last)| last)
    }

    /// How long checks have been coming without a gap over `max_gap` and without a mismatch; zero if there was none
    /// within `max_gap`. Time after the last check proves nothing and does not count.
    pub fn clean(
        &self,
        last_mismatch: Option<Timestamp>,
        max_gap: Duration,
        now: Timestamp,
    ) -> Duration {
        let Some((first, last)) = self.span else {
            return Duration::ZERO;
        };
        let is_over = |length: SignedDuration| length.unsigned_abs() > max_gap;
        if is_over(now.duration_since(last)) {
            return Duration::ZERO;
        }
        let gaps = self.gaps.iter().rev();
        let since = gaps
            .filter(|gap| is_over(gap.length))
            .map(|gap| gap.ended)
            .next()
            .unwrap_or(first);
        let since = last_mismatch.map_or(since, |mismatch| mismatch.max(since));
        last.duration_since(since).try_into().unwrap_or_default()
    }
}

fn steps_up(length: Duration) -> SignedDuration {
    let steps = length.as_nanos().div_ceil(STEP.as_nanos());
    SignedDuration::from_nanos_i128((steps * STEP.as_nanos()) as i128)
}

impl From<SoakClock> for Written {
    fn from(record: SoakClock) -> Self {
        let gaps = record.gaps.iter();
        Self {
            span: record
                .span
                .map(|(first, last)| (first.as_millisecond(), last.as_millisecond())),
            gaps: gaps
                .map(|gap| (gap.length.as_secs_f64(), gap.ended.as_millisecond()))
                .collect(),
        }
    }
}

impl TryFrom<Written> for SoakClock {
    type Error = jiff::Error;

    fn try_from(written: Written) -> Result<Self, jiff::Error> {
        let at = Timestamp::from_millisecond;
        let gap = |(length, ended)| {
            Ok::<_, jiff::Error>(Gap {
                length: SignedDuration::try_from_secs_f64(length)?,
                ended: at(ended)?,
            })
        };
        let span = written
            .span
            .map(|(first, last)| at(first).and_then(|first| Ok((first, at(last)?))));
        Ok(Self {
            span: span.transpose()?,
            gaps: written
                .gaps
                .into_iter()
                .map(gap)
                .collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn record(seconds: &[i64]) -> SoakClock {
        let mut record = SoakClock::default();
        for second in seconds {
            record.check(at(*second));
        }
        record
    }

    fn clean(seconds: &[i64], last_mismatch: Option<i64>, max_gap: u64, now: i64) -> u64 {
        record(seconds)
            .clean(last_mismatch.map(at), Duration::from_secs(max_gap), at(now))
            .as_secs()
    }

    #[test]
    fn the_clock_runs_from_the_first_check_to_the_last() {
        assert_eq!(clean(&[], None, 60, 500), 0);
        assert_eq!(clean(&[10, 50, 100], None, 60, 130), 90);
    }

    #[test]
    fn a_mismatch_starts_it_again() {
        assert_eq!(clean(&[10, 50, 100], Some(50), 60, 130), 50);
        assert_eq!(clean(&[10, 50, 100], Some(100), 60, 130), 0);
    }

    #[test]
    fn a_gap_starts_it_again_and_a_shorter_one_does_not() {
        assert_eq!(clean(&[10, 50, 150, 170], None, 100, 180), 160);
        assert_eq!(clean(&[10, 50, 150, 170], None, 99, 180), 20);
        assert_eq!(clean(&[10, 50], None, 60, 111), 0);
    }

    #[test]
    fn a_gap_over_the_limit_by_less_than_a_second_is_over_it() {
        let end = Timestamp::from_millisecond(160_400).unwrap();
        let mut record = record(&[10, 60, 100]);
        record.check(end);
        let clean = |limit| record.clean(None, Duration::from_millis(limit), end);
        assert_eq!(clean(60_300), Duration::ZERO);
        assert_eq!(clean(60_400), Duration::from_millis(150_400));
    }

    #[test]
    fn a_limit_that_changes_later_finds_the_older_gap() {
        let seconds = [0, 500, 510, 610, 620, 630];
        assert_eq!(clean(&seconds, None, 400, 630), 130);
        assert_eq!(clean(&seconds, None, 90, 630), 20);
        assert_eq!(clean(&seconds, None, 600, 630), 630);
    }

    #[test]
    fn a_check_that_arrives_late_starts_nothing_again() {
        assert_eq!(clean(&[1_000, 1_080, 1_050, 1_110], None, 90, 1_110), 110);
    }

    proptest! {
        #[test]
        fn it_is_stored_and_read_again(steps in prop::collection::vec(0..200_000_i64, 0..60)) {
            let mut record = SoakClock::default();
            let mut now = 0;
            for step in steps {
                now += step;
                record.check(Timestamp::from_millisecond(now).unwrap());
            }
            let text = serde_json::to_string(&record).unwrap();
            prop_assert_eq!(serde_json::from_str::<SoakClock>(&text).unwrap(), record);
        }

        #[test]
        fn result_is_that_of_a_full_history(steps in prop::collection::vec(0..200_i64, 1..60), max_gap in 1..200_u64) {
            let seconds: Vec<i64> = steps
                .iter()
                .scan(0, |now, step| { *now += step; Some(*now) })
                .collect();
            let last = *seconds.last().unwrap();
            let since = seconds
                .windows(2)
                .rev()
                .find(|pair| pair[1] - pair[0] > max_gap as i64)
                .map_or(seconds[0], |pair| pair[1]);
            prop_assert_eq!(clean(&seconds, None, max_gap, last), (last - since) as u64);
        }
    }
}
