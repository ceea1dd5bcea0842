//! A keyed permutation of the numbers below `N`, so that any part of the order is a uniform sample without replacement,
//! and the place in the order is one number.
//!
//! A Feistel network permutes the numbers of an even number of bits. Those that are not below `N` are permuted again
//! until they are (cycle walking; Black and Rogaway 2002), less than four times on average.

use xxhash_rust::xxh3::xxh3_64_with_seed;

#[derive(Clone, Copy, Debug)]
pub(super) struct Permutation {
    count: u64,
    /// Bits of each half.
    half: u32,
    seed: u64,
}

const ROUNDS: u8 = 6;

// === impl Permutation ===

impl Permutation {
    pub(super) fn new(count: u64, seed: u64) -> Self {
        let bits = u64::BITS - count.saturating_sub(1).leading_zeros();
        Self {
            count,
            half: bits.div_ceil(2).max(1),
            seed,
        }
    }

    /// The number at a place in the order, which is below the count.
    pub(super) fn at(&self, place: u64) -> u64 {
        let mut number = self.permuted(place);
        while number >= self.count {
            number = self.permuted(number);
        }
        number
    }

    fn permuted(&self, number: u64) -> u64 {
        let mask = (1 << self.half) - 1;
        let (mut left, mut right) = (number >> self.half, number & mask);
        for round in 0..ROUNDS {
            let mut input = [round; 9];
            input[1..].copy_from_slice(&right.to_le_bytes());
            let mixed = xxh3_64_with_seed(&input, self.seed) & mask;
            (left, right) = (right, left ^ mixed);
        }
        left << self.half | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_comes_once(count in 1_u64..3_000, seed: u64) {
            let permutation = Permutation::new(count, seed);
            let mut numbers: Vec<_> = (0..count).map(|place| permutation.at(place)).collect();
            numbers.sort_unstable();
            prop_assert!(numbers.into_iter().eq(0..count));
        }
    }

    #[test]
    fn large_counts_fit() {
        let permutation = Permutation::new(u64::MAX, 1);
        assert_ne!(permutation.at(0), permutation.at(1));
    }

    /// The mean of the first tenth of an order is close to that of all: 30 orders, each within four standard errors.
    #[test]
    fn a_part_of_the_order_is_a_sample() {
        for seed in 0..30 {
            let permutation = Permutation::new(10_000, seed);
            let sum: u64 = (0..1_000).map(|place| permutation.at(place)).sum();
            let (mean, error) = (
                sum as f64 / 1_000.0,
                10_000.0 / 12_f64.sqrt() / 1_000_f64.sqrt(),
            );
            assert!((mean - 5_000.0).abs() < 4.0 * error, "{seed}: {mean}");
        }
    }
}
