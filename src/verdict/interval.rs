//! Bounds on a rate that hold at every moment at once, so that looking at them all day does not spoil them.
//!
//! The confidence sequence inverts the beta-binomial mixture martingale (Robbins 1970; DESIGN.md section 9):
//! after `k` hits in `n` trials, `p` is inside at level `alpha` while
//!
//! ```text
//! ln B(a+k, b+n-k) - ln B(a, b) - k ln p - (n-k) ln(1-p)  <  ln(1/alpha)
//! ```
//!
//! with `a = 1/2` and `b = 1/(2 limit)`, which puts the weight of the mixture about the limit that matters.

/// Both ends of an interval that holds a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub lower: f64,
    pub upper: f64,
}

/// The confidence sequence for one limit at one level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sequence {
    limit: f64,
    b: f64,
    /// ln B(a, b).
    prior: f64,
    /// ln(1/alpha).
    threshold: f64,
}

const A: f64 = 0.5;

/// Bisection ends here: the width of the bracket relative to its upper end.
const PRECISION: f64 = 1e-12;

/// More checks than this are as good as never.
const MAX_CHECKS: u64 = 1 << 50;

// === impl Sequence ===

impl Sequence {
    /// For rates about `limit` (above 0, at most 1), wrong with a probability of at most `alpha` (between 0 and 1).
    pub fn new(limit: f64, alpha: f64) -> Self {
        let b = 1.0 / (2.0 * limit);
        Self {
            limit,
            b,
            prior: ln_beta(A, b),
            threshold: -alpha.ln(),
        }
    }

    /// For the `rank`th route, from 1, of those that may together be wrong with a probability of at most `alpha`: what
    /// the shares come to is at most `alpha`, however many routes there will be.
    pub fn of_rank(limit: f64, alpha: f64, rank: u64) -> Self {
        Self::new(limit, share_of(alpha, rank))
    }

    /// The rates that `hits` in `trials` leave possible. No trials leave all of them possible.
    pub fn interval(&self, trials: u64, hits: u64) -> Interval {
        let hits = hits.min(trials);
        if trials == 0 {
            return Interval {
                lower: 0.0,
                upper: 1.0,
            };
        }
        let estimate = hits as f64 / trials as f64;
        let marginal = self.marginal(trials, hits);
        let is_outside = |p: f64| marginal - ln_likelihood(trials, hits, p) >= self.threshold;
        Interval {
            lower: match hits {
                0 => 0.0,
                _ => boundary(0.0, estimate, is_outside),
            },
            upper: match hits {
                _ if hits == trials => 1.0,
                _ => boundary(1.0, estimate, is_outside),
            },
        }
    }

    /// How many more trials without a hit bring the upper end to the limit; 0: it is there. `None`: as good as never.
    pub fn checks_needed(&self, trials: u64, hits: u64) -> Option<u64> {
        if self.is_below(trials, hits) {
            return Some(0);
        }
        let mut enough = 1;
        while !self.is_below(trials.saturating_add(enough), hits) {
            enough *= 2;
            if enough > MAX_CHECKS {
                return None;
            }
        }
        let mut short = enough / 2;
        while enough - short > 1 {
            let middle = short + (enough - short) / 2;
            match self.is_below(trials.saturating_add(middle), hits) {
                true => enough = middle,
                false => short = middle,
            }
        }
        Some(enough)
    }

    /// Whether the upper end is at or below the limit. Once true it stays true under trials without a hit:
    /// below the limit the mean of the mixture is below it too, and so each of them raises the left side.
    pub fn is_below(&self, trials: u64, hits: u64) -> bool {
        if self.limit >= 1.0 {
            return true;
        }
        let evidence = self.marginal(trials, hits) - ln_likelihood(trials, hits, self.limit);
        (hits as f64) < self.limit * trials as f64 && evidence >= self.threshold
    }

    fn marginal(&self, trials: u64, hits: u64) -> f64 {
        let misses = (trials - hits) as f64;
        ln_beta(A + hits as f64, self.b + misses) - self.prior
    }
}

/// The share of `alpha` that the `rank`th route, from 1, may be wrong by.
pub(super) fn share_of(alpha: f64, rank: u64) -> f64 {
    alpha / (rank * (rank + 1)) as f64
}

/// Where `is_outside` begins between `inside` and `outside`, to [`PRECISION`], told from the outer side.
fn boundary(mut outside: f64, mut inside: f64, is_outside: impl Fn(f64) -> bool) -> f64 {
    while (outside - inside).abs() > PRECISION * outside.max(inside) {
        let middle = outside + (inside - outside) / 2.0;
        if middle == outside || middle == inside {
            break;
        }
        match is_outside(middle) {
            true => outside = middle,
            false => inside = middle,
        }
    }
    outside
}

fn ln_likelihood(trials: u64, hits: u64, p: f64) -> f64 {
    let misses = (trials - hits) as f64;
    // 0 ln 0 is 0 here.
    let of_hits = if hits == 0 { 0.0 } else { hits as f64 * p.ln() };
    let of_misses = if misses == 0.0 {
        0.0
    } else {
        misses * (-p).ln_1p()
    };
    of_hits + of_misses
}

fn ln_beta(x: f64, y: f64) -> f64 {
    libm::lgamma(x) + libm::lgamma(y) - libm::lgamma(x + y)
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
        for row in REFERENCE.lines().skip(1) {
            let cells: Vec<f64> = row.split(',').map(|cell| cell.parse().unwrap()).collect();
            let [limit, alpha, trials, hits, lower, upper] = cells[..] else {
                panic!("{row}");
            };
            let interval = Sequence::new(limit, alpha).interval(trials as u64, hits as u64);
            assert_close(interval.lower, lower, row);
            assert_close(interval.upper, upper, row);
        }
    }

    #[test]
    fn nothing_seen_leaves_everything_possible() {
        let sequence = Sequence::new(1e-3, 0.05);
        let all = Interval {
            lower: 0.0,
            upper: 1.0,
        };
        assert_eq!(sequence.interval(0, 0), all);
        assert_eq!(sequence.interval(10, 0).lower, 0.0);
        assert_eq!(sequence.interval(10, 10).upper, 1.0);
    }

    #[test]
    fn a_hopeless_record_needs_more_checks_than_can_be_counted() {
        let sequence = Sequence::new(1e-9, 0.05);
        assert_eq!(sequence.checks_needed(1 << 40, 1 << 39), None);
    }

    #[test]
    fn a_clean_record_of_the_needed_length_is_enough_and_one_less_is_not() {
        for limit in [1e-2, 1e-3, 1e-4] {
            let sequence = Sequence::new(limit, 0.05);
            let needed = sequence.checks_needed(0, 0).unwrap();
            assert!(sequence.interval(needed, 0).upper <= limit * (1.0 + 1e-9));
            assert!(sequence.interval(needed - 1, 0).upper > limit);
            // The fixed-sample minimum is ln(alpha)/ln(1-limit): the price of looking all day stays below 1.6.
            let minimum = 0.05_f64.ln() / (-limit).ln_1p();
            assert!(
                (needed as f64) < 1.6 * minimum,
                "{limit}: {needed} for {minimum}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_estimate_lies_inside(trials in 1..1_000_000_u64, share in 0.0..1.0, alpha in 1e-6..0.5) {
            let hits = (trials as f64 * share * share) as u64;
            let interval = Sequence::new(1e-3, alpha).interval(trials, hits);
            let estimate = hits as f64 / trials as f64;
            prop_assert!((0.0..=estimate).contains(&interval.lower));
            prop_assert!((estimate..=1.0).contains(&interval.upper));
        }

        #[test]
        fn a_hit_raises_both_ends_and_a_miss_lowers_them(
            trials in 1..100_000_u64, hits in 0..200_u64, exponent in 1..5_i32,
        ) {
            let hits = hits.min(trials);
            let sequence = Sequence::new(10_f64.powi(-exponent), 0.05);
            let now = sequence.interval(trials, hits);
            let hit = sequence.interval(trials + 1, hits + 1);
            let miss = sequence.interval(trials + 1, hits);
            let slack = 1e-9;
            prop_assert!(hit.lower >= now.lower * (1.0 - slack));
            prop_assert!(hit.upper >= now.upper * (1.0 - slack));
            prop_assert!(miss.lower <= now.lower * (1.0 + slack));
            prop_assert!(miss.upper <= now.upper * (1.0 + slack));
        }

        #[test]
        fn a_smaller_alpha_is_a_wider_interval(trials in 1..100_000_u64, hits in 0..50_u64, alpha in 1e-6..0.4) {
            let hits = hits.min(trials);
            let wide = Sequence::new(1e-3, alpha / 2.0).interval(trials, hits);
            let narrow = Sequence::new(1e-3, alpha).interval(trials, hits);
            prop_assert!(wide.lower <= narrow.lower && narrow.upper <= wide.upper);
        }

        #[test]
        fn the_checks_needed_are_exactly_enough(trials in 0..100_000_u64, hits in 0..20_u64) {
            let hits = hits.min(trials);
            let sequence = Sequence::new(1e-3, 0.025);
            let needed = sequence.checks_needed(trials, hits).unwrap();
            prop_assert!(sequence.is_below(trials + needed, hits));
            prop_assert!(needed == 0 || !sequence.is_below(trials + needed - 1, hits));
        }

        #[test]
        fn what_is_below_the_limit_stays_there_without_a_hit(
            trials in 0..100_000_u64, hits in 0..20_u64, more in 0..100_000_u64,
        ) {
            let sequence = Sequence::new(1e-3, 0.025);
            let hits = hits.min(trials);
            prop_assert!(!sequence.is_below(trials, hits) || sequence.is_below(trials + more, hits));
        }
    }
}
