//! Rates formatted for people.

use std::fmt;

/// A rate as a percentage with two significant digits: `0.034 %`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(pub f64);

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

#[cfg(test)]
mod tests {
    use super::*;

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
