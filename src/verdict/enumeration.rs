//! A bound on how many of a known number of keys differ, while they are read in random order.
//!
//! The keys are read without replacement, so the bound is exact once all are read. The null "at least `K` of `N` keys
//! differ" has, for each `u` between 0 and 1, a non-negative martingale that starts at 1. A key that differs multiplies
//! it by `u`; one that does not, by `(1 - u q)/(1 - q)`, where `q` is the share of the keys left that differ under the
//! null. The mixture of them excludes `K` when it reaches `1/alpha` (Ville's inequality), so the bound holds at every
//! moment at once. `q >= 1` excludes `K` at a key that does not differ.

use super::bounds::{UPPER, ln_sum};
use serde::{Deserialize, Serialize};

/// The keys read so far, and which of them differed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enumeration {
    /// All keys.
    keys: u64,
    /// The keys read.
    read: u64,
    /// The number of keys that differed.
    differing: u64,
    /// The turns at which keys differed, from 1 on; no longer complete past [`MAX_TURNS`].
    turns: Vec<u64>,
}

/// The turns of so many differing keys are kept. Past it, every key left may differ.
const MAX_TURNS: usize = 10_000;

// === impl Enumeration ===

impl Enumeration {
    /// Nothing is read yet of so many keys.
    pub fn new(keys: u64) -> Self {
        Self {
            keys,
            ..Self::default()
        }
    }

    /// All keys.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// The keys read.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// The number of keys that differed.
    pub fn differing(&self) -> u64 {
        self.differing
    }

    /// Reads one more key.
    pub fn enter(&mut self, differs: bool) {
        self.read += 1;
        if differs {
            self.differing += 1;
            if self.turns.len() < MAX_TURNS {
                self.turns.push(self.read);
            }
        }
    }

    /// The most keys that may differ at level `alpha`. It is the number of those that differ once all are read.
    pub fn upper(&self, alpha: f64) -> u64 {
        let unread = self.keys.saturating_sub(self.read);
        // Not excluded, and the first that is.
        let (mut most, mut excluded) = (self.differing, self.differing + unread + 1);
        if self.turns.len() as u64 != self.differing {
            return excluded - 1;
        }
        while excluded - most > 1 {
            let middle = most + (excluded - most) / 2;
            if self.excludes(middle, alpha) {
                excluded = middle;
            } else {
                most = middle;
            }
        }
        most
    }

    /// Whether fewer than `count` keys differ, at level `alpha`.
    fn excludes(&self, count: u64, alpha: f64) -> bool {
        if count <= self.differing {
            return false;
        }
        count > self.differing + (self.keys - self.read) || self.ln_mixture(count) >= -alpha.ln()
    }

    /// The logarithm of the mixture for the null "at least `count` keys differ". At most that many can.
    fn ln_mixture(&self, count: u64) -> f64 {
        let runs: Vec<_> = self.runs(count).collect();
        ln_sum(UPPER.map(|(u, weight)| {
            let of_hits = match self.differing {
                0 => 0.0,
                differing => differing as f64 * u.ln(),
            };
            let of_misses: f64 = runs.iter().map(|run| run.ln_factor(u)).sum();
            weight.ln() + of_hits + of_misses
        }))
    }

    /// The runs of keys that do not differ, before each one that does and after the last.
    fn runs(&self, count: u64) -> impl Iterator<Item = Run> {
        let ends = self.turns.iter().copied().chain([self.read + 1]);
        let mut begin = 1;
        let runs = ends.zip(0_u64..).map(move |(end, before)| {
            let run = Run {
                left: (self.keys + 1 - begin) as f64,
                length: (end - begin) as f64,
                differing: (count - before) as f64,
            };
            begin = end + 1;
            run
        });
        runs.filter(|run| run.length > 0.0)
    }
}

/// Keys in a row that do not differ.
struct Run {
    /// The keys left before the first of them.
    left: f64,
    length: f64,
    /// How many of those left differ under the null.
    differing: f64,
}

// === impl Run ===

impl Run {
    /// The logarithm of the product of `(l - u k)/(l - k)` over the keys left `l`, for each key of the run.
    fn ln_factor(&self, u: f64) -> f64 {
        let falling = |k: f64| {
            let first = self.left - k;
            if self.length <= FEW {
                let factors = (0..self.length as u32).map(|index| (first - f64::from(index)).ln());
                return factors.sum();
            }
            libm::lgamma(first + 1.0) - libm::lgamma(first + 1.0 - self.length)
        };
        falling(u * self.differing) - falling(self.differing)
    }
}

/// Products of so few factors are computed one by one.
const FEW: f64 = 16.0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The mixture, key by key.
    fn naive(keys: u64, read: u64, turns: &[u64], count: u64) -> f64 {
        let mut total = 0.0;
        for (u, weight) in UPPER {
            let (mut product, mut differing) = (1.0, 0_u64);
            for turn in 1..=read {
                if turns.contains(&turn) {
                    product *= u;
                    differing += 1;
                    continue;
                }
                let q = (count - differing) as f64 / (keys + 1 - turn) as f64;
                if q >= 1.0 {
                    return f64::INFINITY;
                }
                product *= (1.0 - u * q) / (1.0 - q);
            }
            total += weight * product;
        }
        total
    }

    fn enumeration(keys: u64, read: u64, turns: &[u64]) -> Enumeration {
        let mut enumeration = Enumeration::new(keys);
        (1..=read).for_each(|turn| enumeration.enter(turns.contains(&turn)));
        enumeration
    }

    #[test]
    fn bounds_are_those_of_the_reference() {
        let reference = include_str!("../../tests/data/sweep-reference.csv");
        let lines = reference.lines().skip(1);
        for line in lines {
            let fields: Vec<_> = line.split(',').collect();
            let numbers = |text: &str| -> Vec<u64> {
                let words = text.split_whitespace();
                words.map(|word| word.parse().unwrap()).collect()
            };
            let [alpha, keys, read, turns, upper] = fields[..] else {
                panic!("{line}")
            };
            let [keys, read, upper] = [keys, read, upper].map(|text| numbers(text)[0]);
            let enumeration = enumeration(keys, read, &numbers(turns));
            assert_eq!(enumeration.upper(alpha.parse().unwrap()), upper, "{line}");
        }
        assert_eq!(reference.lines().count(), 35);
    }

    proptest! {
        #[test]
        fn excluded_are_the_counts_that_the_product_over_keys_excludes(
            differs in prop::collection::vec(prop::bool::weighted(0.1), 1..120),
            share in 0.0..1.0,
        ) {
            let keys = differs.len() as u64;
            let read = (keys as f64 * share) as u64;
            let turns: Vec<_> = (1..=read).filter(|turn| differs[*turn as usize - 1]).collect();
            let enumeration = enumeration(keys, read, &turns);
            let upper = enumeration.upper(0.05);
            let unread = keys - read;
            let possible = (enumeration.differing + 1)..=(enumeration.differing + unread);
            let kept = possible.filter(|count| naive(keys, read, &turns, *count) < 20.0);
            prop_assert_eq!(kept.max().unwrap_or(enumeration.differing), upper);
        }
    }

    #[test]
    fn what_is_read_whole_is_known_exactly() {
        assert_eq!(enumeration(50, 50, &[3, 50]).upper(0.05), 2);
        assert_eq!(enumeration(0, 0, &[]).upper(0.05), 0);
    }

    #[test]
    fn past_the_turns_kept_every_key_left_may_differ() {
        let mut many = Enumeration::new(30_000);
        (0..20_000).for_each(|turn| many.enter(turn % 2 == 0));
        assert!(many.upper(0.05) < 20_000, "all turns are kept");
        (0..5_001).for_each(|_| many.enter(true));
        assert_eq!(many.upper(0.05), 30_000 - 10_000);
    }

    /// How often the bound is ever below the truth: `cargo test --release --lib -- --ignored --nocapture a_bound_that_is`.
    #[test]
    #[ignore = "takes minutes"]
    #[allow(clippy::print_stdout, reason = "the figures are what it is run for")]
    fn a_bound_that_is_stated_all_the_time_is_seldom_wrong() {
        use rand::seq::SliceRandom as _;
        const RUNS: u32 = 2_000;
        let mut chance = rand::rng();
        for (keys, differing) in [
            (1_000, 1),
            (1_000, 5),
            (1_000, 50),
            (1_000, 200),
            (4_000, 4),
            (4_000, 40),
        ] {
            let mut wrong = 0;
            for _ in 0..RUNS {
                let mut order: Vec<bool> = (0..keys).map(|key| key < differing).collect();
                order.shuffle(&mut chance);
                let mut enumeration = Enumeration::new(keys);
                // Keys that do not differ only lower the bound, so it is lowest before each one that does.
                let is_wrong = order.iter().any(|differs| {
                    let is_wrong = *differs && enumeration.excludes(differing, 0.05);
                    enumeration.enter(*differs);
                    is_wrong
                });
                wrong += u32::from(is_wrong);
            }
            let share = f64::from(wrong) / f64::from(RUNS);
            let limit = 0.05 + 3.0 * (0.05_f64 * 0.95 / f64::from(RUNS)).sqrt();
            println!(
                "{differing} of {keys} keys: wrong in {share:.4} of {RUNS} runs (at most {limit:.4})"
            );
            assert!(share <= limit);
        }
    }
}
