//! Exact tolerances between two numbers.
//!
//! Sums are computed digit by digit. A term too small to reach the digits of the others is replaced by its sign just
//! below them. That keeps the sign of the sum exact and its length bounded by the digits in the text.

use super::Decimal;
use std::{cmp::Ordering, fmt, str::FromStr};

/// How far apart two numbers may be and still count as equal: within `abs`, or within `rel` of the larger.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tolerance {
    /// The maximum distance.
    pub abs: Option<Amount>,
    /// The maximum distance as a share of the larger number.
    pub rel: Option<Amount>,
}

/// A number of zero or more, exactly as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Amount(String);

/// Signed digits of a sum: `Σ digits[i] × 10^(low + i)`.
#[derive(Clone, Debug)]
struct Term {
    digits: Vec<i64>,
    low: i128,
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

// === impl Decimal ===

impl Decimal<'_> {
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

    /// The exponent above the highest digit, including carries.
    fn top(&self) -> i128 {
        self.low + self.digits.len() as i128 + 20
    }
}

/// The sign of the sum, as its order relative to zero.
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
