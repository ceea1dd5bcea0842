//! Frequencies of events.

use crate::spanned_yaml::{Form, Setting, number};
use serde_json::json;
use std::str::FromStr;

/// Events per second: `1/s`, `30/m`, `10/h`. Finite and not negative.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Frequency(f64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a frequency such as 1/s, 30/m or 10/h")]
pub struct NotAFrequency;

// === impl Frequency ===

impl Frequency {
    pub const ZERO: Self = Self(0.0);

    /// Written as a number of events in one second.
    pub const PER_SECOND: Form<Self> = Form {
        read: |at, range| (f64::FORM.read)(at, range).map(Self),
        schema: number,
    };

    /// `None` if negative or not finite.
    pub fn per_second(events: f64) -> Option<Self> {
        (events.is_finite() && events >= 0.0).then_some(Self(events))
    }

    pub fn as_per_second(self) -> f64 {
        self.0
    }
}

impl From<u32> for Frequency {
    fn from(events: u32) -> Self {
        Self(events.into())
    }
}

impl Setting for Frequency {
    const FORM: Form<Self> = Form {
        read: |at, _| Ok(at.parse("a frequency such as 1/s, 30/m or 10/h")?),
        schema: |_| json!({"type": "string", "pattern": r"^\s*[0-9.eE+-]+\s*/\s*[smh]\s*$"}),
    };
}

impl FromStr for Frequency {
    type Err = NotAFrequency;

    fn from_str(text: &str) -> Result<Self, NotAFrequency> {
        let (number, unit) = text.split_once('/').ok_or(NotAFrequency)?;
        let seconds = match unit.trim() {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return Err(NotAFrequency),
        };
        let number: f64 = number.trim().parse().map_err(|_| NotAFrequency)?;
        Self::per_second(number / seconds).ok_or(NotAFrequency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;

    // Only these tests write frequencies.
    impl fmt::Display for Frequency {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let units = [(1.0, "s"), (60.0, "m"), (3_600.0, "h")];
            let spelled = units
                .map(|(seconds, unit)| (self.0 * seconds, unit))
                .into_iter()
                .find(|(number, _)| (number - number.round()).abs() < 1e-9);
            match spelled {
                Some((number, unit)) => write!(f, "{}/{unit}", number.round()),
                None => write!(f, "{}/s", self.0),
            }
        }
    }

    fn frequency(text: &str) -> Frequency {
        text.parse().unwrap()
    }

    #[test]
    fn frequencies_are_read_and_written() {
        for (text, events) in [("1/s", 1.0), ("30/m", 0.5), ("9/h", 0.0025), ("2.5/s", 2.5)] {
            assert_eq!(frequency(text).as_per_second(), events, "{text}");
            assert_eq!(frequency(&frequency(text).to_string()), frequency(text));
        }
        assert_eq!(frequency("30/m").to_string(), "30/m");
        assert_eq!(frequency("120/m").to_string(), "2/s");
        for text in ["1", "1/d", "-1/s", "NaN/s", "inf/s", "/s", ""] {
            assert_eq!(text.parse::<Frequency>(), Err(NotAFrequency), "{text}");
        }
    }
}
