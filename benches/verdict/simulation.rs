//! Simulated checks of a route whose true rate is known.
//!
//! A hit is a check that counts against the route. Between two hits S only rises and T only falls. So it is enough to look
//! for `safe` just before each hit, and for `unsafe` just after. A test compares this with a look after every check.

use rand::{Rng, rngs::StdRng};
use std::ops::RangeInclusive;
use twinread::verdict::Trials;

/// 1 - confidence.
pub(crate) const ALPHA: f64 = 0.05;

/// The seed of every simulation.
pub(crate) const SEED: u64 = 20_261_122;

/// The checks of one route, numbered from 1.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// The numbers of the checks that are hits.
    pub(crate) hits: Vec<u64>,
    pub(crate) checks: u64,
}

/// Decides whether a rate is within its limit.
pub(crate) trait Bound {
    fn is_within(&self, trials: Trials) -> bool;
}

/// The bound that twinread uses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upper {
    pub(crate) limit: f64,
}

impl Bound for Upper {
    fn is_within(&self, trials: Trials) -> bool {
        ln_largest(trials, self.limit) >= -ALPHA.ln() && trials.is_within(self.limit, ALPHA)
    }
}

impl Upper {
    pub(crate) fn clean_checks_needed(self) -> u64 {
        let needed = Trials::default().checks_needed(self.limit, ALPHA);
        needed.expect("a limit that can be reached")
    }
}

impl Run {
    /// Every check is a hit with probability `rate`.
    pub(crate) fn draw(rate: f64, checks: u64, chance: &mut StdRng) -> Self {
        let mut hits = Vec::new();
        let mut last = 0_u64;
        loop {
            last = last.saturating_add(gap(rate, chance));
            if last > checks {
                return Self { hits, checks };
            }
            hits.push(last);
        }
    }

    /// Alternates blocks of `block` checks at `rate` and at 0, beginning at `rate`.
    pub(crate) fn draw_blocks(rate: f64, block: u64, checks: u64, chance: &mut StdRng) -> Self {
        let at_rate = Self::draw(rate, checks / 2, chance);
        let spread = |hit: &u64| {
            let (blocks_before, place) = ((hit - 1) / block, (hit - 1) % block);
            2 * block * blocks_before + place + 1
        };
        Self {
            hits: at_rate.hits.iter().map(spread).collect(),
            checks,
        }
    }

    /// The spans of checks after which the route is within the bound, in order.
    pub(crate) fn safe_spans(
        &self,
        bound: &impl Bound,
    ) -> impl Iterator<Item = RangeInclusive<u64>> {
        let ends = self.hits.iter().map(|hit| hit - 1).chain([self.checks]);
        let starts = [0].into_iter().chain(self.hits.iter().copied());
        let stretches = starts.zip(ends).zip(0..);
        stretches.filter_map(|((start, end), hits)| {
            let is_within = |checks| bound.is_within(Trials::new(checks, hits));
            is_within(end).then(|| first(start, end, is_within)..=end)
        })
    }

    pub(crate) fn is_ever_safe(&self, bound: &impl Bound) -> bool {
        self.safe_spans(bound).next().is_some()
    }
}

/// The logarithm of the largest likelihood ratio against `limit`. S and T are weighted means of such ratios, so neither
/// exceeds it. It is quicker to compute.
pub(crate) fn ln_largest(trials: Trials, limit: f64) -> f64 {
    let (checks, hits) = (trials.total as f64, trials.hits as f64);
    let of = |count: f64, expected: f64| match count {
        0.0 => 0.0,
        count => count * (count / expected).ln(),
    };
    of(hits, checks * limit) + of(checks - hits, checks * (1.0 - limit))
}

/// The number of checks up to and including the next hit.
pub(crate) fn gap(rate: f64, chance: &mut StdRng) -> u64 {
    // Geometric, by inversion.
    let clean = ((1.0 - chance.random::<f64>()).ln() / (-rate).ln_1p()).floor();
    (clean as u64).saturating_add(1)
}

/// The first number at which `is_reached` holds. It must hold at `end`, and at every number after the first.
fn first(start: u64, end: u64, is_reached: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (start, end);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_reached(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// Minimum number of clean checks with which a single look, planned beforehand, may call a route safe.
pub(crate) fn fixed_sample_minimum(limit: f64) -> f64 {
    ALPHA.ln() / (-limit).ln_1p()
}

/// The largest plausible share at a probability of at most ALPHA: three standard errors above.
pub(crate) fn largest_share(runs: u32) -> f64 {
    ALPHA + 3.0 * (ALPHA * (1.0 - ALPHA) / f64::from(runs)).sqrt()
}
