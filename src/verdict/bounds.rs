//! Bounds on a rate that hold at every moment at once, so that repeated looks do not invalidate them.
//!
//! After `k` hits in `n` trials two mixtures of test martingales are inverted (`docs/verdict.md`; Howard, Ramdas,
//! McAuliffe, Sekhon 2021; Waudby-Smith and Ramdas 2024; Ville's inequality):
//!
//! ```text
//! upper end: the p at which  S(n,k,p) = sum_i w_i u_i^k ((1 - u_i p)/(1 - p))^(n-k)        reaches 1/alpha   (0^0 = 1)
//! lower end: the p at which  T(n,k,p) = sum_j w_j (q_j/p)^k ((1 - q_j)/(1 - p))^(n-k),  q_j = min(v_j p, 1),  reaches 1/alpha
//! ```
//!
//! For a true rate of at least `p`, S is a non-negative supermartingale that starts at 1; for a true rate of at most `p`,
//! T is. Each end is wrong at some moment with a probability of at most `alpha`. S rises with `p` and with every trial
//! without a hit; T falls with `p`.

use serde::{Deserialize, Serialize};

/// Both bounds of a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end, between 0 and 1. It is 0 without hits.
    pub lower: f64,
    /// The upper end, between 0 and 1. It is 1 without trials.
    pub upper: f64,
}

/// Trials and the hits among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trials {
    /// All trials.
    pub total: u64,
    /// The trials that count against the rate; at most `total`.
    pub hits: u64,
}

/// `u_i` and `w_i` of S. It is quick to bound rates that are a share `u` of the limit.
pub(super) const UPPER: [(f64, f64); 10] = [
    (0.0, 0.38),
    (0.05, 0.10),
    (0.1, 0.14),
    (0.2, 0.12),
    (0.3, 0.10),
    (0.45, 0.06),
    (0.6, 0.04),
    (0.75, 0.03),
    (0.87, 0.02),
    (0.95, 0.01),
];

/// `v_j` and `w_j` of T. It is quick to prove rates of `v` times the limit.
pub(super) const LOWER: [(f64, f64); 11] = [
    (1.05, 0.05),
    (1.15, 0.07),
    (1.35, 0.10),
    (1.7, 0.12),
    (2.3, 0.12),
    (3.5, 0.12),
    (6.0, 0.12),
    (12.0, 0.10),
    (30.0, 0.08),
    (100.0, 0.06),
    (300.0, 0.06),
];

/// Width of the last bracket of a root, in the logarithm of the rate.
const PRECISION: f64 = 1e-10;

/// Smaller rates count as zero.
const SMALLEST: f64 = 1e-15;

/// More checks than this count as never.
const MAX_CHECKS: u64 = 1 << 50;

// === impl Trials ===

impl Trials {
    /// Takes `total` for `hits` if there are more of them.
    pub fn new(total: u64, hits: u64) -> Self {
        Self {
            total,
            hits: hits.min(total),
        }
    }

    /// The trials since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self::new(
            self.total.saturating_sub(earlier.total),
            self.hits.saturating_sub(earlier.hits),
        )
    }

    /// `None` without trials.
    pub fn estimate(self) -> Option<f64> {
        (self.total > 0).then(|| self.hits as f64 / self.total as f64)
    }

    fn misses(self) -> u64 {
        self.total - self.hits
    }

    /// `ln S` ([its formula](self)) at `p`, for `p` between 0 and 1.
    pub fn ln_upper(self, p: f64) -> f64 {
        let (hits, misses) = (self.hits as f64, self.misses() as f64);
        let terms = UPPER.map(|(u, weight)| {
            let of_hits = match self.hits {
                0 => 0.0,
                _ => hits * u.ln(),
            };
            weight.ln() + of_hits + misses * ((-u * p).ln_1p() - (-p).ln_1p())
        });
        ln_sum(terms)
    }

    /// `ln T` ([its formula](self)) at `p`, for `p` between 0 and 1.
    pub fn ln_lower(self, p: f64) -> f64 {
        let (hits, misses) = (self.hits as f64, self.misses() as f64);
        let terms = LOWER.map(|(v, weight)| {
            let q = (v * p).min(1.0);
            let of_misses = match self.misses() {
                0 => 0.0,
                _ => misses * ((-q).ln_1p() - (-p).ln_1p()),
            };
            weight.ln() + hits * (q / p).ln() + of_misses
        });
        ln_sum(terms)
    }

    /// The upper bound at level `alpha`, between 0 and 1.
    pub fn upper(self, alpha: f64) -> f64 {
        let threshold = -alpha.ln();
        let is_inside = |p: f64| self.ln_upper(p) < threshold;
        let mut inside = self.estimate().unwrap_or(0.0).max(SMALLEST);
        if self.misses() == 0 || inside >= 0.5 && is_inside(1.0 - 1e-12) {
            return 1.0;
        }
        let mut outside = inside;
        while is_inside(outside) {
            inside = outside;
            if outside >= 1.0 - 1e-12 {
                return 1.0;
            }
            outside = (outside * 2.0)
                .max(1.0 / self.total as f64)
                .min(1.0 - 1e-12);
        }
        root(inside, outside, |p| self.ln_upper(p) - threshold)
    }

    /// The lower bound at level `alpha`, between 0 and 1.
    pub fn lower(self, alpha: f64) -> f64 {
        let threshold = -alpha.ln();
        if self.hits == 0 {
            return 0.0;
        }
        let mut inside = (self.hits as f64 / self.total as f64).min(1.0 - 1e-12);
        let mut outside = inside;
        while self.ln_lower(outside) < threshold {
            inside = outside;
            outside /= 4.0;
            if outside < SMALLEST {
                return 0.0;
            }
        }
        root(inside, outside, |p| self.ln_lower(p) - threshold)
    }

    /// Both bounds, each at level `alpha`.
    pub fn interval(self, alpha: f64) -> Interval {
        Interval {
            lower: self.lower(alpha),
            upper: self.upper(alpha),
        }
    }

    /// Whether the upper bound is at or below `limit`.
    pub fn is_within(self, limit: f64, alpha: f64) -> bool {
        limit >= 1.0 || self.ln_upper(limit) >= -alpha.ln()
    }

    /// Trials without a hit that bring the upper bound to `limit`; 0 if it is there. `None` if there are too many.
    pub fn checks_needed(self, limit: f64, alpha: f64) -> Option<u64> {
        let with = |more: u64| Self::new(self.total.saturating_add(more), self.hits);
        let is_enough = |more: u64| with(more).is_within(limit, alpha);
        if is_enough(0) {
            return Some(0);
        }
        let mut enough = 1;
        while !is_enough(enough) {
            enough *= 2;
            if enough > MAX_CHECKS {
                return None;
            }
        }
        let mut short = enough / 2;
        while enough - short > 1 {
            let middle = short + (enough - short) / 2;
            if is_enough(middle) {
                enough = middle;
            } else {
                short = middle;
            }
        }
        Some(enough)
    }

    /// T ([its formula](self)) at `limit`: the evidence that the rate is above it. May be infinite.
    pub fn evidence_above(self, limit: f64) -> f64 {
        if limit >= 1.0 {
            return 0.0;
        }
        self.ln_lower(limit).exp()
    }
}

/// The factor by which one check changes term `v` of T at `limit`.
pub(super) fn factor(v: f64, limit: f64, is_hit: bool) -> f64 {
    let q = (v * limit).min(1.0);
    if is_hit {
        q / limit
    } else {
        (1.0 - q) / (1.0 - limit)
    }
}

/// `ln(sum(exp(terms)))`, without overflow.
pub(super) fn ln_sum<const N: usize>(terms: [f64; N]) -> f64 {
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    let sum: f64 = terms.iter().map(|term| (term - largest).exp()).sum();
    largest + sum.ln()
}

/// The point at which `above` turns from negative at `inside` to positive at `outside`, rounded to the outside. Uses
/// regula falsi in the logarithm of the rate (Illinois; Dowell and Jarratt 1971), and bisection if that is slow.
fn root(inside: f64, outside: f64, above: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (inside.ln(), outside.ln());
    let (mut at_low, mut at_high) = (above(inside), above(outside));
    let mut step = 0;
    while (high - low).abs() > PRECISION {
        step += 1;
        let secant = (low * at_high - high * at_low) / (at_high - at_low);
        let is_between = secant > low.min(high) && secant < low.max(high);
        let middle = if is_between && step % 3 != 0 {
            secant
        } else {
            low + (high - low) / 2.0
        };
        if middle == low || middle == high {
            break;
        }
        let at_middle = above(middle.exp());
        if at_middle < 0.0 {
            (low, at_low) = (middle, at_middle);
            at_high /= 2.0;
        } else {
            (high, at_high) = (middle, at_middle);
            at_low /= 2.0;
        }
    }
    high.exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REFERENCE: &str = include_str!("../../tests/data/verdict-reference.csv");

    fn assert_close(actual: f64, expected: f64, row: &str) {
        let error = (actual - expected).abs();
        assert!(error <= 1e-6 * expected, "{row}: {actual} for {expected}");
    }

    #[test]
    fn the_reference_is_reproduced() {
        let rows = REFERENCE.lines().skip(1);
        assert!(rows.clone().count() > 60);
        for row in rows {
            let cells: Vec<f64> = row.split(',').map(|cell| cell.parse().unwrap()).collect();
            let [alpha, trials, hits, lower, upper] = cells[..] else {
                panic!("{row}");
            };
            let interval = Trials::new(trials as u64, hits as u64).interval(alpha);
            assert_close(interval.lower, lower, row);
            assert_close(interval.upper, upper, row);
        }
    }

    #[test]
    fn nothing_seen_leaves_everything_possible() {
        let all = Interval {
            lower: 0.0,
            upper: 1.0,
        };
        assert_eq!(Trials::default().interval(0.05), all);
        assert_eq!(Trials::new(10, 0).lower(0.05), 0.0);
        assert_eq!(Trials::new(10, 10).upper(0.05), 1.0);
        assert!(Trials::new(5, 0).is_within(1.0, 0.05));
        assert_eq!(Trials::new(5, 5).evidence_above(1.0), 0.0);
    }

    #[test]
    fn a_hopeless_record_needs_more_checks_than_can_be_counted() {
        let trials = Trials::new(1 << 40, 1 << 39);
        assert_eq!(trials.checks_needed(1e-9, 0.05), None);
    }

    #[test]
    fn clean_checks_until_safe_are_near_the_minimum() {
        for (limit, expected) in [(1e-2, None), (1e-3, Some(3_374)), (1e-4, None)] {
            let needed = Trials::default().checks_needed(limit, 0.05).unwrap();
            if let Some(expected) = expected {
                assert_eq!(needed, expected);
            }
            let minimum = 0.05_f64.ln() / (-limit).ln_1p();
            assert!((needed as f64) <= 1.15 * minimum, "{limit}: {needed}");
            assert!(Trials::new(needed, 0).upper(0.05) <= limit * (1.0 + 1e-9));
            assert!(Trials::new(needed - 1, 0).upper(0.05) > limit);
        }
    }

    proptest! {
        #[test]
        fn the_estimate_lies_inside(trials in 1..1_000_000_u64, share in 0.0..1.0, alpha in 1e-6..0.5) {
            let trials = Trials::new(trials, (trials as f64 * share * share) as u64);
            let interval = trials.interval(alpha);
            let estimate = trials.estimate().unwrap();
            prop_assert!((0.0..=estimate).contains(&interval.lower));
            prop_assert!((estimate..=1.0).contains(&interval.upper));
        }

        #[test]
        fn a_hit_raises_both_ends_and_a_miss_lowers_them(
            trials in 1..100_000_u64, hits in 0..200_u64,
        ) {
            let hits = hits.min(trials);
            let now = Trials::new(trials, hits).interval(0.05);
            let hit = Trials::new(trials + 1, hits + 1).interval(0.05);
            let miss = Trials::new(trials + 1, hits).interval(0.05);
            let slack = 1e-8;
            prop_assert!(hit.lower >= now.lower * (1.0 - slack));
            prop_assert!(hit.upper >= now.upper * (1.0 - slack));
            prop_assert!(miss.lower <= now.lower * (1.0 + slack));
            prop_assert!(miss.upper <= now.upper * (1.0 + slack));
        }

        #[test]
        fn a_smaller_alpha_is_a_wider_interval(trials in 1..100_000_u64, hits in 0..50_u64, alpha in 1e-6..0.4) {
            let trials = Trials::new(trials, hits);
            let (wide, narrow) = (trials.interval(alpha / 2.0), trials.interval(alpha));
            prop_assert!(wide.lower <= narrow.lower && narrow.upper <= wide.upper);
        }

        #[test]
        fn the_checks_needed_are_exactly_enough(trials in 0..100_000_u64, hits in 0..20_u64) {
            let hits = hits.min(trials);
            let needed = Trials::new(trials, hits).checks_needed(1e-3, 0.025).unwrap();
            prop_assert!(Trials::new(trials + needed, hits).is_within(1e-3, 0.025));
            prop_assert!(needed == 0 || !Trials::new(trials + needed - 1, hits).is_within(1e-3, 0.025));
        }

        #[test]
        fn an_end_at_the_limit_is_where_it_is_within(trials in 1..1_000_000_u64, hits in 0..300_u64, alpha in 1e-6..0.4) {
            let trials = Trials::new(trials, hits);
            let upper = trials.upper(alpha);
            prop_assert!(upper >= 1.0 - 1e-9 || trials.is_within(upper * (1.0 + 1e-6), alpha));
            prop_assert!(upper >= 1.0 - 1e-9 || !trials.is_within(upper * (1.0 - 1e-6), alpha));
        }
    }
}
