//! Decimal numbers as text, compared exactly at any size.
//!
//! A [`Decimal`] borrows its digits, so `1e999999999` costs nothing.

#[cfg(test)]
mod tests;
mod tolerance;

pub use tolerance::{Amount, Tolerance};

use crate::spanned_yaml::Choice;
use std::{
    cmp::Ordering,
    hash::{Hash, Hasher},
};

/// When two JSON numbers are equal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Numbers {
    /// `1`, `1.0` and `1e0` are equal, exactly, at any size.
    Numeric,
    /// Only the same spelling is equal.
    Lexical,
}

/// A JSON number: `0.d₁d₂… × 10^top`, without zeros at either end.
#[derive(Clone, Copy, Debug)]
pub struct Decimal<'t> {
    negative: bool,
    /// The digits before and after the point, without zeros at either end of the two.
    whole: &'t [u8],
    fraction: &'t [u8],
    /// Zero if the number is zero; both digit slices are then empty.
    top: i128,
}

/// A number after rounding: `0.d₁d₂… × 10^top`, without zeros at either end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rounded {
    negative: bool,
    digits: Vec<u8>,
    top: i128,
}

// === impl Numbers ===

impl Choice for Numbers {
    const WORDS: &'static [(&'static str, Self)] =
        &[("numeric", Self::Numeric), ("lexical", Self::Lexical)];
}

// === impl Decimal ===

impl<'t> Decimal<'t> {
    /// Parses a valid JSON number. `None` for other texts, and for exponents of more than 30 digits.
    pub fn parse(text: &'t str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (negative, bytes) = match bytes.split_first() {
            Some((b'-', rest)) => (true, rest),
            _ => (false, bytes),
        };
        let mantissa = bytes
            .iter()
            .position(|byte| matches!(byte, b'e' | b'E'))
            .unwrap_or(bytes.len());
        let exponent = match bytes.get(mantissa + 1..) {
            Some(exponent) => parse_exponent(exponent)?,
            None => 0,
        };
        let point = bytes[..mantissa].iter().position(|byte| *byte == b'.');
        let whole = &bytes[..point.unwrap_or(mantissa)];
        let fraction = point.map_or(&[][..], |point| &bytes[point + 1..mantissa]);
        let digits = whole.iter().chain(fraction);
        if whole.is_empty() || !digits.clone().all(u8::is_ascii_digit) {
            return None;
        }
        Some(Self::trimmed(negative, whole, fraction, exponent))
    }

    fn trimmed(negative: bool, whole: &'t [u8], fraction: &'t [u8], exponent: i128) -> Self {
        let leading = zeros(whole.iter());
        let trailing = zeros(fraction.iter().rev());
        let mut top = exponent + (whole.len() - leading) as i128;
        let mut whole = &whole[leading..];
        let mut fraction = &fraction[..fraction.len() - trailing];
        if whole.is_empty() {
            let leading = zeros(fraction.iter());
            top -= leading as i128;
            fraction = &fraction[leading..];
        }
        if fraction.is_empty() {
            whole = &whole[..whole.len() - zeros(whole.iter().rev())];
        }
        let zero = whole.is_empty() && fraction.is_empty();
        Self {
            negative: negative && !zero,
            whole,
            fraction,
            top: if zero { 0 } else { top },
        }
    }

    /// A text that is the same for equal numbers.
    pub fn canonical(&self) -> String {
        let digits: String = self.digits().map(char::from).collect();
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}.{digits}e{}", self.top)
    }

    /// `self × 10^places`, if that is a whole number of at most 37 digits.
    pub fn scaled(&self, places: i128) -> Option<i128> {
        let length = (self.whole.len() + self.fraction.len()) as i128;
        let zeros = self.top.checked_add(places)? - length;
        if self.is_zero() {
            return Some(0);
        }
        if zeros < 0 || length + zeros > 37 {
            return None;
        }
        let whole = self
            .digits()
            .fold(0i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
        let whole = whole * 10i128.pow(u32::try_from(zeros).ok()?);
        Some(if self.negative { -whole } else { whole })
    }

    /// The number at that many decimal places, halves away from zero; negative places are before the point.
    pub fn rounded(&self, places: i32) -> Rounded {
        let mut digits: Vec<u8> = self.digits().collect();
        let kept = self.top.saturating_add(i128::from(places));
        let mut top = self.top;
        if let Ok(kept) = usize::try_from(kept.max(0))
            && kept < digits.len()
        {
            // Below the place of the first digit, nothing reaches a half.
            let up = self.top.saturating_add(i128::from(places)) >= 0 && digits[kept] >= b'5';
            digits.truncate(kept);
            if up {
                while digits.last() == Some(&b'9') {
                    digits.pop();
                }
                match digits.last_mut() {
                    Some(digit) => *digit += 1,
                    None => {
                        digits.push(b'1');
                        top += 1;
                    }
                }
            }
        }
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        let is_zero = digits.is_empty();
        Rounded {
            negative: self.negative && !is_zero,
            top: if is_zero { 0 } else { top },
            digits,
        }
    }

    fn digits(&self) -> impl DoubleEndedIterator<Item = u8> {
        self.whole.iter().chain(self.fraction).copied()
    }

    fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.fraction.is_empty()
    }

    fn magnitude(self) -> Self {
        Self {
            negative: false,
            ..self
        }
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.negative == other.negative
            && self.top == other.top
            && self.whole.len() + self.fraction.len() == other.whole.len() + other.fraction.len()
            && self.digits().eq(other.digits())
    }
}

impl Eq for Decimal<'_> {}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.is_zero(), number.negative) {
            (true, _) => 0,
            (_, true) => -1,
            _ => 1,
        };
        let magnitudes =
            || (self.top.cmp(&other.top)).then_with(|| self.digits().cmp(other.digits()));
        sign(self).cmp(&sign(other)).then_with(|| match sign(self) {
            0 => Ordering::Equal,
            1 => magnitudes(),
            _ => magnitudes().reverse(),
        })
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Decimal<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(u8::from(self.negative));
        state.write_i64(self.top as i64);
        // One write per digit would cost more than the rest of the comparison.
        let digits = self.digits().fold(0u64, |sum, digit| {
            sum.wrapping_mul(0x0100_0000_01b3) ^ u64::from(digit)
        });
        state.write_u64(digits);
    }
}

fn zeros<'d>(digits: impl Iterator<Item = &'d u8>) -> usize {
    digits.take_while(|digit| **digit == b'0').count()
}

fn parse_exponent(text: &[u8]) -> Option<i128> {
    let (negative, digits) = match text.split_first()? {
        (b'-', digits) => (true, digits),
        (b'+', digits) => (false, digits),
        _ => (false, text),
    };
    let digits = &digits[zeros(digits.iter()).min(digits.len().saturating_sub(1))..];
    if digits.is_empty() || digits.len() > 30 {
        return None;
    }
    let magnitude: i128 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if negative { -magnitude } else { magnitude })
}
