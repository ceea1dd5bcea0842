//! Routes with a known rate of mismatches, whose verdict is looked at after every check.
//!
//! Between two mismatches a route can only become safe, and stays it until the next: it is enough to look just before
//! each. That makes a run as cheap as the mismatches in it, and is held to a look at every check by a test.

use rand::{RngExt, rngs::StdRng};
use twinread::verdict::Sequence;

/// One route's checks: the numbers, from 1, of those that mismatch, up to a horizon.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) mismatches: Vec<u64>,
    pub(crate) checks: u64,
}

/// Tells whether a route is safe after so many checks and mismatches.
pub(crate) trait Bound {
    fn is_safe(&self, checks: u64, mismatches: u64) -> bool;
}

impl Bound for Sequence {
    fn is_safe(&self, checks: u64, mismatches: u64) -> bool {
        self.is_below(checks, mismatches)
    }
}

impl Run {
    pub(crate) fn draw(rate: f64, checks: u64, chance: &mut StdRng) -> Self {
        let mut mismatches = Vec::new();
        let mut last = 0;
        loop {
            // How many clean checks come before the next mismatch: geometric, by inversion.
            let clean = ((1.0 - chance.random::<f64>()).ln() / (-rate).ln_1p()).floor();
            last = (clean as u64).saturating_add(last + 1);
            if last > checks {
                return Self { mismatches, checks };
            }
            mismatches.push(last);
        }
    }

    /// The number of the first look at which it is safe.
    pub(crate) fn first_safe(&self, bound: &impl Bound) -> Option<u64> {
        let before = self.mismatches.iter().map(|at| at - 1);
        let mut looks = before.chain([self.checks]).zip(0..);
        looks.find_map(|(checks, mismatches)| bound.is_safe(checks, mismatches).then_some(checks))
    }
}

/// How many of `runs` routes with this true rate are ever called safe.
pub(crate) fn ever_safe(
    bound: &impl Bound,
    (rate, checks): (f64, u64),
    runs: u32,
    chance: &mut StdRng,
) -> u32 {
    let is_called = |_: &u32| Run::draw(rate, checks, chance).first_safe(bound).is_some();
    (0..runs).filter(is_called).count() as u32
}

/// The share of `hits` in `runs`, and the ends between which it lies with 99 % confidence (Wilson).
pub(crate) fn share(hits: u32, runs: u32) -> [f64; 3] {
    const Z: f64 = 2.5758;
    let (runs, share) = (f64::from(runs), f64::from(hits) / f64::from(runs));
    let middle = share + Z * Z / (2.0 * runs);
    let spread = Z * (share * (1.0 - share) / runs + Z * Z / (4.0 * runs * runs)).sqrt();
    let scale = 1.0 + Z * Z / runs;
    [share, (middle - spread) / scale, (middle + spread) / scale]
}

/// The fewest clean checks after which a single look may call a route safe.
pub(crate) fn fixed_sample_minimum(limit: f64, alpha: f64) -> f64 {
    alpha.ln() / (-limit).ln_1p()
}
