//! The results of `judge` on whole evidence, compared with what the simulations compute from its bounds.

use super::simulation::{ALPHA, Bound, Upper};
use jiff::Timestamp;
use rand::{Rng, rngs::StdRng};
use twinread::testing::admin::documents::Verdict;
use twinread::{
    outcome::{Mark, Outcome, ShadowError, Via},
    stack::Stack,
    verdict::{
        Activity, Cause, Decision, Entry, Epoch, Evidence, Figures, Limits, Outcomes, Requirement,
        RouteEvidence, Tallies, Trials, judge,
    },
};

const MATCH: Outcome = Outcome::Match(Via::Exact);
const MISMATCH: Outcome = Outcome::Mismatch(Mark::Plain);
const ERROR: Outcome = Outcome::ShadowError(ShadowError::Timeout);

/// Clean checks of each route until `judge` says `safe`. `None` if that is another check than it announced.
pub(crate) fn clean_checks_until_safe(limit: f64, routes: u64) -> Option<u64> {
    let limits = Limits {
        max_mismatch: limit,
        ..Limits::default()
    };
    let after = |checks: u64| {
        let ranks = 2..routes + 2;
        let clean = |rank| Judged::clean(rank, checks, &limits);
        judged(ranks.map(clean).collect(), &limits)
    };
    let announced = after(1).reasons.first()?.checks_needed? + 1;
    let is_exact = after(announced).is_safe() && !after(announced - 1).is_safe();
    is_exact.then_some(announced)
}

/// Judges after every check of three routes and the rest. Returns the number of looks, and the number at which `judge`
/// differs from the bounds.
pub(crate) fn disagreements(checks: u64, chance: &mut StdRng) -> (u64, u64) {
    let limits = limits_of_two_rates();
    let rates = [0.0, 0.5, 1.0, 2.0].map(|times| times * limits.max_mismatch);
    let mut routes: Vec<_> = (1..)
        .zip(rates)
        .map(|(rank, _)| Judged::new(rank))
        .collect();
    let mut wrong = 0;
    for check in 0..checks {
        let index = (check % 4) as usize;
        let outcome = match chance.random::<f64>() / rates[index] {
            share if share < 1.0 => MISMATCH,
            share if share < 2.0 => ERROR,
            _ => MATCH,
        };
        routes[index].check(outcome, &limits);
        let verdict = judged(routes.clone(), &limits);
        wrong += u64::from(verdict.verdict != expected(&routes, &limits));
    }
    (checks, wrong)
}

/// Limits mismatches and errors alone.
fn limits_of_two_rates() -> Limits {
    Limits {
        max_mismatch: 0.05,
        max_error: 0.05,
        max_transient: Some(1.0),
        max_noise: 1.0,
        max_uncompared: 1.0,
        min_coverage: 0.0,
        change_run: 1e15,
        ..Limits::default()
    }
}

/// The decision by the bounds alone.
fn expected(routes: &[Judged], limits: &Limits) -> Decision {
    let share = |route: &Judged| {
        let [mismatch, error] = route.trials();
        let evidence =
            mismatch.evidence_above(limits.max_mismatch) + error.evidence_above(limits.max_error);
        evidence / (2 * route.rank * (route.rank + 1)) as f64
    };
    let is_within = |route: &Judged| {
        let bound = Upper {
            limit: limits.max_mismatch,
        };
        route.trials().iter().all(|trials| bound.is_within(*trials))
    };
    if routes.iter().map(share).sum::<f64>() >= 1.0 / ALPHA {
        Decision::Unsafe
    } else if routes.iter().all(is_within) {
        Decision::Safe
    } else {
        Decision::Undecided
    }
}

/// One route, or the rest (rank 1), with its counts.
#[derive(Clone)]
struct Judged {
    rank: u64,
    evidence: RouteEvidence,
    outcomes: Outcomes,
}

impl Judged {
    fn new(rank: u64) -> Self {
        let mut evidence = RouteEvidence::default();
        if rank > 1 {
            evidence.require(rank);
        }
        Self {
            rank,
            evidence,
            outcomes: Outcomes::default(),
        }
    }

    fn clean(rank: u64, checks: u64, limits: &Limits) -> Self {
        let mut route = Self::new(rank);
        for _ in 0..checks {
            route.check(MATCH, limits);
        }
        route
    }

    fn check(&mut self, outcome: Outcome, limits: &Limits) {
        let entry = Entry {
            outcome,
            primary: Stack::Old,
            key: None,
            sampled: Timestamp::UNIX_EPOCH,
        };
        self.evidence.enter(&entry, limits);
        self.outcomes.add(outcome, 1);
    }

    /// Of mismatches and of errors.
    fn trials(&self) -> [Trials; 2] {
        let checks = self.evidence.checks();
        [checks.mismatch(), checks.error()]
    }

    fn figures(&self) -> Figures {
        Figures {
            requirement: Requirement::Required,
            sampled: self.outcomes.ended(),
            outcomes: self.outcomes,
            evidence: self.evidence.clone(),
            ..Figures::new(format!("route {}", self.rank))
        }
    }
}

fn judged(routes: Vec<Judged>, limits: &Limits) -> Verdict {
    let (rest, routes): (Vec<_>, Vec<_>) = routes.iter().partition(|route| route.rank == 1);
    let tallies = Tallies {
        epoch: Epoch {
            id: "e1".into(),
            label: None,
            version: None,
            cause: Cause::Start,
            since: Timestamp::UNIX_EPOCH,
            until: None,
        },
        mixed: None,
        routes: routes.iter().map(|route| route.figures()).collect(),
        rest: rest
            .first()
            .map_or_else(|| Figures::new("(rest)"), |rest| rest.figures()),
    };
    let evidence = Evidence {
        tallies,
        required: Vec::new(),
        expired_rules: Vec::new(),
        activity: Activity::Sampling,
        is_by_key: false,
        is_same_stack: false,
    };
    judge(&evidence, limits, Timestamp::UNIX_EPOCH).into()
}
