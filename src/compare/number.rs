//! Decimal numbers as they are spelled, compared exactly at any size.
//!
//! A [`Decimal`] borrows its digits, so `1e999999999` costs nothing. Sums are made digit by digit; a term
//! too small to reach the digits of the others is represented by its sign just below them, which keeps the
//! sign of the sum exact and its length bounded by the digits that were spelled.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

/// A number as JSON spells it: `0.d₁d₂… × 10^top`, without zeros at either end.
#[derive(Clone, Copy, Debug)]
pub struct Decimal<'t> {
    negative: bool,
    /// The digits before and behind the point, zeros at either end of the two cut off.
    whole: &'t [u8],
    fraction: &'t [u8],
    /// Zero, like both digits, for zero.
    top: i128,
}

/// A number after rounding: `0.d₁d₂… × 10^top`, without zeros at either end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rounded {
    negative: bool,
    digits: Vec<u8>,
    top: i128,
}

/// How far two numbers may lie apart and still count as equal: within `abs`, or within `rel` of the larger.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tolerance {
    pub abs: Option<Amount>,
    pub rel: Option<Amount>,
}

/// A number of zero or more, exactly as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Amount(String);

/// Digits with a sign for a sum: `Σ digits[i] × 10^(low + i)`.
#[derive(Clone, Debug)]
struct Term {
    digits: Vec<i64>,
    low: i128,
}

// === impl Decimal ===

impl<'t> Decimal<'t> {
    /// Reads a number that is valid JSON. `None` for what is not, and for exponents of more than 30 digits.
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

    /// A spelling that equal numbers have in common.
    pub fn canonical(&self) -> String {
        let digits: String = self.digits().map(char::from).collect();
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}.{digits}e{}", self.top)
    }

    /// `self × 10^places`, where that is a whole number of at most 37 digits.
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

    /// The number at that many decimal places, halves away from zero; below zero, places before the point.
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

    fn term(&self) -> Term {
        let sign = if self.negative { -1 } else { 1 };
        let digits: Vec<i64> = self
            .digits()
            .rev()
            .map(|digit| sign * i64::from(digit - b'0'))
            .collect();
        Term {
            low: self.top - digits.len() as i128,
            digits,
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

// === impl Tolerance ===

impl Tolerance {
    /// Whether `|old - new| ≤ abs` or `|old - new| ≤ rel · max(|old|, |new|)`, exactly.
    pub fn covers(&self, old: &Decimal<'_>, new: &Decimal<'_>) -> bool {
        let (low, high) = if old < new { (old, new) } else { (new, old) };
        let mut minus_low = *low;
        minus_low.negative = !low.negative && !low.is_zero();
        let reaches = |reach: Term| {
            // high - low - reach ≤ 0
            sign_of_sum(vec![high.term(), minus_low.term(), reach.negated()]) != Ordering::Greater
        };
        let larger = old.magnitude().max(new.magnitude());
        let within_abs = self.abs.as_ref().is_some_and(|abs| reaches(abs.term()));
        within_abs
            || self
                .rel
                .as_ref()
                .is_some_and(|rel| reaches(rel.term().times(&larger.term())))
    }
}

// === impl Amount ===

impl Amount {
    fn term(&self) -> Term {
        Decimal::parse(&self.0)
            .expect("an amount is checked when it is read")
            .term()
    }
}

impl FromStr for Amount {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match Decimal::parse(text) {
            Some(decimal) if !decimal.negative => Ok(Self(text.to_owned())),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Term ===

impl Term {
    fn negated(mut self) -> Self {
        self.digits.iter_mut().for_each(|digit| *digit = -*digit);
        self
    }

    fn times(&self, other: &Self) -> Self {
        let length = self.digits.len() + other.digits.len();
        let mut digits = vec![0; length];
        for (i, x) in self.digits.iter().enumerate() {
            for (j, y) in other.digits.iter().enumerate() {
                digits[i + j] += x * y;
            }
        }
        Self {
            digits,
            low: self.low + other.low,
        }
    }

    /// The exponent above the highest digit, carries included.
    fn top(&self) -> i128 {
        self.low + self.digits.len() as i128 + 20
    }
}

/// The sign of the sum, as its order against zero.
fn sign_of_sum(mut terms: Vec<Term>) -> Ordering {
    terms.retain(|term| term.digits.iter().any(|digit| *digit != 0));
    terms.sort_by_key(|term| std::cmp::Reverse(term.top()));
    let Some(first) = terms.first() else {
        return Ordering::Equal;
    };
    let (mut low, high) = (first.low, first.top());
    for term in &mut terms[1..] {
        if term.top() < low - 1 {
            // Too small to matter unless the others cancel out: only its sign counts.
            let sign = term.digits.iter().rev().find(|digit| **digit != 0);
            term.digits = vec![sign.map_or(0, |digit| digit.signum())];
            term.low = low - 2;
        }
        low = low.min(term.low);
    }
    let mut sum = vec![0i64; usize::try_from(high - low).unwrap_or(0)];
    for term in &terms {
        let shift = usize::try_from(term.low - low).unwrap_or(0);
        for (place, digit) in sum[shift..].iter_mut().zip(&term.digits) {
            *place += digit;
        }
    }
    sign_of_digits(&sum)
}

/// The sign of `Σ digits[i] × 10^i`, for digits of any size.
fn sign_of_digits(digits: &[i64]) -> Ordering {
    let mut carry = 0i64;
    let mut rest = false;
    for digit in digits {
        let sum = digit + carry;
        carry = sum.div_euclid(10);
        rest |= sum.rem_euclid(10) != 0;
    }
    match carry.cmp(&0) {
        Ordering::Equal if rest => Ordering::Greater,
        order => order,
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal<'_> {
        Decimal::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    fn tolerance(abs: &str, rel: &str) -> Tolerance {
        Tolerance {
            abs: abs.parse().ok(),
            rel: rel.parse().ok(),
        }
    }

    #[test]
    fn equal_numbers_are_equal_however_they_are_spelled() {
        for (one, other) in [
            ("1", "1.0"),
            ("1", "1e0"),
            ("10", "1e1"),
            ("100", "0.001E+5"),
            ("-0", "0"),
            ("0.0", "-0e99999999999999999999"),
            ("0.00120", "12e-4"),
            ("1e400", "10e399"),
            ("1e999999999", "0.1e1000000000"),
        ] {
            assert_eq!(decimal(one), decimal(other), "{one} {other}");
            assert_eq!(decimal(one).cmp(&decimal(other)), Ordering::Equal);
        }
        let long = format!("{}.{}", "7".repeat(10_000), "0".repeat(10_000));
        assert_eq!(decimal(&long), decimal(&"7".repeat(10_000)));
    }

    #[test]
    fn unlike_numbers_are_ordered() {
        for (low, high) in [
            ("9007199254740992", "9007199254740993"),
            ("-1", "1"),
            ("0", "1e-400"),
            ("-1e-400", "0"),
            ("1e399", "1e400"),
            ("-1e400", "-1e399"),
            ("0.1", "0.10000000000000000000000000001"),
            ("12", "123"),
        ] {
            assert_ne!(decimal(low), decimal(high), "{low} {high}");
            assert!(decimal(low) < decimal(high), "{low} {high}");
        }
    }

    #[test]
    fn tolerances_are_exact_at_their_edge() {
        for (abs, rel, old, new, covered) in [
            ("0.01", "", "1.00", "1.01", true),
            ("0.01", "", "1.00", "1.0100000000000000000000000001", false),
            ("0.1", "", "0.3", "0.2", true),
            ("0", "", "1", "1.0", true),
            ("0.5", "", "-0.25", "0.25", true),
            ("0.5", "", "-0.25", "0.26", false),
            ("", "0.1", "100", "90", true),
            ("", "0.1", "100", "89.9", false),
            ("", "0.1", "0", "1e-9", false),
            ("1", "1e-9", "1e999999999", "1e999999999", true),
            ("1", "", "1e999999999", "2e999999999", false),
            ("1", "", "1e-999999999", "0", true),
            ("1", "", "1e-999999999", "1", true),
            ("1", "", "-1e-999999999", "1", false),
            ("1e-999999999", "", "1", "1.0", true),
            ("1e-999999999", "", "1", "1.1", false),
            ("", "1", "1e999999999", "1e-999999999", true),
        ] {
            let (old, new) = (decimal(old), decimal(new));
            assert_eq!(
                tolerance(abs, rel).covers(&old, &new),
                covered,
                "{old:?} {new:?}"
            );
            assert_eq!(
                tolerance(abs, rel).covers(&new, &old),
                covered,
                "{new:?} {old:?}"
            );
        }
    }

    #[test]
    fn halves_are_rounded_away_from_zero() {
        for (number, places, rounded) in [
            ("2.345", 2, "2.35"),
            ("2.344999999999999999999", 2, "2.34"),
            ("-2.345", 2, "-2.35"),
            ("-0.4", 0, "0"),
            ("0.5", 0, "1"),
            ("0.05", 0, "0"),
            ("9.995", 2, "10"),
            ("99.95", 1, "100"),
            ("1250", -2, "1300"),
            ("49", -2, "0"),
            ("50", -2, "100"),
            ("5", -2, "0"),
            ("1e400", 2, "1e400"),
            ("1e-400", 2, "0"),
            ("1.50", 5, "1.5"),
            ("0", 2, "0"),
        ] {
            let (number, expected) = (decimal(number), decimal(rounded));
            assert_eq!(number.rounded(places), expected.rounded(1000), "{number:?}");
        }
    }

    #[test]
    fn whole_numbers_are_scaled_exactly() {
        for (number, places, scaled) in [
            ("1.5", 1, Some(15)),
            ("1.5", 0, None),
            ("-12e3", 2, Some(-1_200_000)),
            ("0", 9, Some(0)),
            ("1e40", 0, None),
            ("1e-5", 9, Some(10_000)),
        ] {
            assert_eq!(decimal(number).scaled(places), scaled, "{number}");
        }
    }

    proptest! {
        #[test]
        fn small_numbers_compare_like_integers(
            one in -2000i64..2000, other in -2000i64..2000, reach in 0i64..500, shift in 0u32..6,
        ) {
            let spell = |number: i64| format!("{}e-{shift}", number * 10i64.pow(shift));
            let (x, y, reach_text) = (spell(one), other.to_string(), spell(reach));
            prop_assert_eq!(decimal(&x).cmp(&decimal(&y)), one.cmp(&other));
            let near = tolerance(&reach_text, "").covers(&decimal(&x), &decimal(&y));
            prop_assert_eq!(near, (one - other).abs() <= reach);
        }
    }
}
