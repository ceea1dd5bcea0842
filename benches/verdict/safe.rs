//! Stacks that are wrong beyond the limit: are they ever called `safe`?

use super::simulation::{Bound, Run, Upper};
use rand::{Rng, rngs::StdRng};
use std::ops::RangeInclusive;
use twinread::verdict::Trials;

/// One route is at the limit, the others are clean. Each check is of a random route.
pub(crate) fn one_at_the_limit(
    limit: f64,
    routes: usize,
    checks: u64,
    chance: &mut StdRng,
) -> bool {
    let bound = Upper { limit };
    let needed = bound.clean_checks_needed();
    // The first route is the one at the limit.
    let mut counts = vec![0; routes];
    let mut not_yet_safe = routes - 1;
    while not_yet_safe > 0 {
        let route = chance.random_range(0..routes);
        counts[route] += 1;
        if route > 0 && counts[route] == needed {
            not_yet_safe -= 1;
        }
    }
    let from = counts[0];
    let run = Run::draw(limit, checks, chance);
    run.safe_spans(&bound).any(|span| *span.end() >= from)
}

/// All routes are at the limit and are checked in turn.
pub(crate) fn all_at_the_limit(
    limit: f64,
    routes: usize,
    checks: u64,
    chance: &mut StdRng,
) -> bool {
    let bound = Upper { limit };
    let mut all_safe = vec![0..=checks];
    for _ in 0..routes {
        let run = Run::draw(limit, checks, chance);
        all_safe = overlaps(&all_safe, run.safe_spans(&bound));
        if all_safe.is_empty() {
            return false;
        }
    }
    true
}

fn overlaps(
    these: &[RangeInclusive<u64>],
    those: impl Iterator<Item = RangeInclusive<u64>>,
) -> Vec<RangeInclusive<u64>> {
    let with_each = those.flat_map(|that| {
        these
            .iter()
            .map(move |this| *this.start().max(that.start())..=*this.end().min(that.end()))
    });
    with_each.filter(|both| !both.is_empty()).collect()
}

/// The rate alternates between twice the limit and 0. The high rate comes first, so the mean is never below the limit.
pub(crate) fn alternating(limit: f64, block: u64, checks: u64, chance: &mut StdRng) -> bool {
    Run::draw_blocks(2.0 * limit, block, checks, chance).is_ever_safe(&Upper { limit })
}

/// Which routes leave the `(rest)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// All routes are at the limit.
    Any,
    /// Half of the routes are at twice the limit, half are clean. The clean ones leave.
    Clean,
    /// The same, and the wrong ones leave.
    Wrong,
}

/// Routes of the `(rest)`, and how many of them become required.
const THIN_ROUTES: usize = 10;
const LEAVERS: usize = THIN_ROUTES / 2;

/// One thin route in each turn becomes required. Its earlier checks count in the rest, and stay there.
struct Rest {
    rates: [f64; THIN_ROUTES],
    routes: [Trials; THIN_ROUTES],
    required: usize,
    rest: Trials,
    /// The sum of the true rates of the checks in the rest.
    expected: f64,
}

/// Whether the verdict is ever `safe` while the mean rate of the rest, or the rate of a required route, is not below
/// the limit. A route leaves the rest every `apart` checks.
pub(crate) fn rest_is_ever_wrong(
    limit: f64,
    leaving: Leaving,
    (apart, checks): (u64, u64),
    chance: &mut StdRng,
) -> bool {
    let mut rest = Rest::new(limit, leaving);
    let bound = Upper { limit };
    for check in 1..=checks {
        let route = chance.random_range(0..THIN_ROUTES);
        let rate = rest.rates[route];
        let is_hit = rate > 0.0 && chance.random::<f64>() < rate;
        let is_due = check % apart == 0 && rest.required < LEAVERS;
        if (is_hit || is_due) && rest.is_wrongly_safe(&bound) {
            return true;
        }
        rest.check(route, is_hit);
        rest.required += usize::from(is_due);
    }
    rest.is_wrongly_safe(&bound)
}

impl Rest {
    fn new(limit: f64, leaving: Leaving) -> Self {
        let rate = |index: usize| match leaving {
            Leaving::Any => limit,
            Leaving::Clean if index < LEAVERS => 0.0,
            Leaving::Wrong if index >= LEAVERS => 0.0,
            Leaving::Clean | Leaving::Wrong => 2.0 * limit,
        };
        Self {
            rates: std::array::from_fn(rate),
            routes: [Trials::default(); THIN_ROUTES],
            required: 0,
            rest: Trials::default(),
            expected: 0.0,
        }
    }

    fn check(&mut self, route: usize, is_hit: bool) {
        let count = |trials: Trials| Trials::new(trials.total + 1, trials.hits + u64::from(is_hit));
        self.routes[route] = count(self.routes[route]);
        if route >= self.required {
            let thin = &self.rates[self.required..];
            self.rest = count(self.rest);
            self.expected += thin.iter().sum::<f64>() / thin.len() as f64;
        }
    }

    fn is_wrongly_safe(&self, bound: &Upper) -> bool {
        self.is_wrong(bound.limit) && self.is_safe(bound)
    }

    fn is_wrong(&self, limit: f64) -> bool {
        let nearly = limit * (1.0 - 1e-9);
        let rest = self.expected >= nearly * self.rest.total as f64;
        rest || self.rates[..self.required]
            .iter()
            .any(|rate| *rate >= nearly)
    }

    fn is_safe(&self, bound: &Upper) -> bool {
        let mut required = self.routes[..self.required].iter();
        bound.is_within(self.rest) && required.all(|route| bound.is_within(*route))
    }
}
