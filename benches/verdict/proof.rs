//! Routes exactly at their limits: is the verdict ever `unsafe`?

use super::simulation::{ALPHA, gap, ln_largest};
use rand::{Rng, rngs::StdRng};
use std::ops::RangeInclusive;
use twinread::verdict::Trials;

/// The weights sum to at most 1, so values of T below this stay far below 1/alpha together.
const NEGLIGIBLE: f64 = 3.0;

/// The weighted sum over all routes of T for mismatches and T for errors.
struct Sum {
    limit: f64,
    routes: Vec<Route>,
    /// An upper bound of the sum.
    ceiling: f64,
}

#[derive(Clone)]
struct Route {
    weight: f64,
    mismatches: u64,
    errors: u64,
    /// Upper bounds of T for mismatches and T for errors, after the last hit of each. Until the next hit they only
    /// fall.
    ceilings: [f64; 2],
}

/// A check that is a hit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hit {
    check: u64,
    route: usize,
    is_error: bool,
}

/// Checks the routes in turn. Each route mismatches and fails with a probability of `limit`.
pub(crate) fn is_ever_unsafe(
    limit: f64,
    ranks: RangeInclusive<u64>,
    checks: u64,
    chance: &mut StdRng,
) -> bool {
    let mut sum = Sum::new(limit, ranks);
    let mut hits = Vec::new();
    for route in 0..sum.routes.len() {
        draw(limit, route, checks, chance, &mut hits);
    }
    hits.sort_unstable();
    hits.into_iter().any(|hit| sum.has_reached(hit))
}

/// Draws the hits of a route. A check that is an error is no trial for the mismatch rate.
fn draw(limit: f64, route: usize, checks: u64, chance: &mut StdRng, hits: &mut Vec<Hit>) {
    let either = limit + (1.0 - limit) * limit;
    let mut check = gap(either, chance);
    while check <= checks {
        let is_error = chance.random::<f64>() * either < limit;
        hits.push(Hit {
            check,
            route,
            is_error,
        });
        check += gap(either, chance);
    }
}

/// An upper bound of T, which is exact where it matters.
fn ceiling(trials: Trials, limit: f64) -> f64 {
    if trials.hits as f64 <= limit * trials.total as f64 {
        return 1.0;
    }
    let largest = ln_largest(trials, limit).exp();
    if largest <= NEGLIGIBLE {
        return largest;
    }
    trials.evidence_above(limit)
}

impl Sum {
    fn new(limit: f64, ranks: RangeInclusive<u64>) -> Self {
        let routes: Vec<_> = ranks.map(Route::new).collect();
        Self {
            limit,
            ceiling: routes.iter().map(|route| 2.0 * route.weight).sum(),
            routes,
        }
    }

    /// Records the next hit. Returns whether the sum then proves that some route is above a limit.
    fn has_reached(&mut self, hit: Hit) -> bool {
        let limit = self.limit;
        let route = &mut self.routes[hit.route];
        let kind = usize::from(hit.is_error);
        let before = route.ceilings[kind];
        if hit.is_error {
            route.errors += 1;
        } else {
            route.mismatches += 1;
        }
        route.ceilings[kind] = ceiling(route.at(hit.check)[kind], limit);
        self.ceiling += route.weight * (route.ceilings[kind] - before);
        self.ceiling >= 1.0 / ALPHA && self.at(hit.check) >= 1.0 / ALPHA
    }

    /// The sum after `checks` checks of each route.
    fn at(&self, checks: u64) -> f64 {
        let share = |route: &Route| {
            let evidence = route
                .at(checks)
                .map(|trials| trials.evidence_above(self.limit));
            route.weight * evidence.iter().sum::<f64>()
        };
        self.routes.iter().map(share).sum()
    }
}

impl Route {
    fn new(rank: u64) -> Self {
        Self {
            weight: 1.0 / (2 * rank * (rank + 1)) as f64,
            mismatches: 0,
            errors: 0,
            ceilings: [1.0; 2],
        }
    }

    /// The trials of both rates after `checks` checks.
    fn at(&self, checks: u64) -> [Trials; 2] {
        [
            Trials::new(checks - self.errors, self.mismatches),
            Trials::new(checks, self.errors),
        ]
    }
}
