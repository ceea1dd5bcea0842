//! Rates, counts and spans of time, formatted for people.

use std::fmt;

/// A rate as a percentage with two significant digits: `0.034 %`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(pub f64);

/// A count of things: `1 check`, `2 checks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted(pub u64, pub &'static str);

/// A span of time in seconds, in its two largest units: `31 min 40 s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub u64);

// === impl Percent ===

impl Percent {
    /// Without the percent sign.
    pub fn digits(self) -> String {
        let percent = self.0 * 100.0;
        // Rounds first: 9.96 has one digit before the point, 10 has two.
        let rounded = format!("{percent:.1e}");
        let exponent = rounded.split_once('e').and_then(|(_, e)| e.parse().ok());
        match exponent {
            Some(exponent) if percent > 0.0 => {
                let decimals = usize::try_from(1_i32.saturating_sub(exponent)).unwrap_or(0);
                format!("{percent:.decimals$}")
            }
            _ => "0".to_owned(),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.digits())
    }
}

// === impl Counted ===

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, what) = self;
        write!(f, "{count} {what}")?;
        match count {
            1 => Ok(()),
            _ if what.ends_with("ch") || what.ends_with("ss") => f.write_str("es"),
            _ => f.write_str("s"),
        }
    }
}

// === impl Span ===

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, hours) = (self.0 / 86_400, self.0 / 3_600 % 24);
        let (minutes, seconds) = (self.0 / 60 % 60, self.0 % 60);
        let (large, small) = match (days, hours, minutes) {
            (0, 0, 0) => return write!(f, "{seconds} s"),
            (0, 0, minutes) => ((minutes, "min"), (seconds, "s")),
            (0, hours, minutes) => ((hours, "h"), (minutes, "min")),
            (days, hours, _) => ((days, "d"), (hours, "h")),
        };
        write!(f, "{} {}", large.0, large.1)?;
        match small {
            (0, _) => Ok(()),
            (count, unit) => write!(f, " {count} {unit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_no_plural() {
        for (count, text) in [
            (Counted(0, "check"), "0 checks"),
            (Counted(1, "check"), "1 check"),
            (Counted(2, "mismatch"), "2 mismatches"),
            (Counted(2, "class"), "2 classes"),
        ] {
            assert_eq!(count.to_string(), text);
        }
    }

    #[test]
    fn a_span_is_shown_in_two_units() {
        let text = |seconds| Span(seconds).to_string();
        assert_eq!(text(0), "0 s");
        assert_eq!(text(59), "59 s");
        assert_eq!(text(60), "1 min");
        assert_eq!(text(1_900), "31 min 40 s");
        assert_eq!(text(7_200), "2 h");
        assert_eq!(text(604_800 + 3_660), "7 d 1 h");
    }

    #[test]
    fn rates_have_two_significant_digits() {
        for (rate, text) in [
            (0.0, "0 %"),
            (1e-9, "0.00000010 %"),
            (2.6e-5, "0.0026 %"),
            (0.000_338, "0.034 %"),
            (1e-3, "0.10 %"),
            (0.05, "5.0 %"),
            (0.0996, "10 %"),
            (0.927, "93 %"),
            (0.996, "100 %"),
            (1.0, "100 %"),
        ] {
            assert_eq!(Percent(rate).to_string(), text);
        }
    }
}
