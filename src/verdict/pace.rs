//! How fast something happens now: a rate that forgets.

use jiff::Timestamp;

/// Events per second, of which those about a minute ago weigh a third. Time is an argument.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    began: Timestamp,
    last: Timestamp,
    /// Events, each faded by its age at `last`.
    faded: f64,
}

/// An event of this age weighs 1/e of a fresh one.
const MEMORY_SECONDS: f64 = 60.0;

// === impl Pace ===

impl Pace {
    pub fn new(began: Timestamp) -> Self {
        Self {
            began,
            last: began,
            faded: 0.0,
        }
    }

    pub fn count(&mut self, at: Timestamp) {
        self.faded = self.faded * fade(self.last, at) + 1.0;
        self.last = self.last.max(at);
    }

    /// Events per second. Before a minute has passed, of the time that has.
    pub fn per_second(&self, now: Timestamp) -> f64 {
        let remembered = MEMORY_SECONDS * (1.0 - fade(self.began, now));
        match remembered {
            0.0 => 0.0,
            _ => self.faded * fade(self.last, now) / remembered,
        }
    }
}

fn fade(from: Timestamp, to: Timestamp) -> f64 {
    let seconds = to.duration_since(from).as_secs_f64().max(0.0);
    (-seconds / MEMORY_SECONDS).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    #[test]
    fn a_steady_pace_is_told_from_the_start_and_after_an_hour() {
        let mut pace = Pace::new(at(0));
        for tenth in 1..=36_000 {
            pace.count(at(tenth * 100));
            if tenth == 50 || tenth == 36_000 {
                let per_second = pace.per_second(at(tenth * 100));
                assert!((9.0..11.0).contains(&per_second), "{per_second}");
            }
        }
    }

    #[test]
    fn a_pace_that_stops_is_forgotten() {
        let mut pace = Pace::new(at(0));
        for second in 1..=100 {
            pace.count(at(second * 1_000));
        }
        assert!(pace.per_second(at(1_000_000)) < 1e-3);
    }

    #[test]
    fn nothing_counted_is_no_pace() {
        assert_eq!(Pace::new(at(0)).per_second(at(0)), 0.0);
        assert_eq!(Pace::new(at(0)).per_second(at(9_000)), 0.0);
    }
}
