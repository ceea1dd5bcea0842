//! Counts distinct keys of a route's checks if reads are sampled by key, because checks of one key are not independent.

use super::Trials;

/// Two bitmaps of key hashes: keys that were checked, and keys whose first check mismatched. Two keys in one bucket
/// count as one, so the count is a lower bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistinctKeys {
    seen: Box<[u64]>,
    hit: Box<[u64]>,
}

/// Buckets of each bitmap.
const BUCKETS: usize = 1 << 17;
const WORDS: usize = BUCKETS / 64;

// === impl DistinctKeys ===

impl DistinctKeys {
    /// Maximum number of distinguishable keys. They cannot bound a rate below what as many clean checks do.
    pub const MAX: u64 = BUCKETS as u64;

    /// Records one check; only the first of a key counts.
    pub fn check(&mut self, key: u64, is_hit: bool) {
        let bucket = key as usize % BUCKETS;
        let (word, bit) = (bucket / 64, 1_u64 << (bucket % 64));
        if self.seen[word] & bit == 0 {
            self.seen[word] |= bit;
            if is_hit {
                self.hit[word] |= bit;
            }
        }
    }

    /// The first check of each key.
    pub fn trials(&self) -> Trials {
        let ones = |words: &[u64]| words.iter().map(|word| u64::from(word.count_ones())).sum();
        Trials::new(ones(&self.seen), ones(&self.hit))
    }

    /// Both bitmaps, for the store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let words = self.seen.iter().chain(&self.hit);
        words.flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Parses the output of [`DistinctKeys::to_bytes`]; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != 2 * WORDS * 8 {
            return None;
        }
        let (words, _) = bytes.as_chunks::<8>();
        let words: Vec<_> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let (seen, hit) = words.split_at(WORDS);
        Some(Self {
            seen: seen.into(),
            hit: hit.into(),
        })
    }
}

impl Default for DistinctKeys {
    fn default() -> Self {
        let empty = || vec![0; WORDS].into_boxed_slice();
        Self {
            seen: empty(),
            hit: empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_counts_once_whatever_its_later_checks_show() {
        let mut keys = DistinctKeys::default();
        for check in 0..1_000 {
            keys.check(7, check > 0);
        }
        assert_eq!(keys.trials(), Trials::new(1, 0));
        keys.check(8, true);
        assert_eq!(keys.trials(), Trials::new(2, 1));
    }

    #[test]
    fn keys_survive_the_store() {
        let mut keys = DistinctKeys::default();
        for key in 0..5_000_u64 {
            keys.check(key.wrapping_mul(0x9e37_79b9_7f4a_7c15), key % 7 == 0);
        }
        assert_eq!(DistinctKeys::from_bytes(&keys.to_bytes()), Some(keys));
        assert_eq!(DistinctKeys::from_bytes(&[0; 9]), None);
    }
}
