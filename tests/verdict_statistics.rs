//! How often a verdict that is looked at after every check may be wrong, and what that costs in clean checks.
//!
//! `cargo bench --bench verdict` shows the same with more runs and at smaller limits.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../benches/verdict/simulation.rs"]
mod simulation;

use rand::{SeedableRng, rngs::StdRng};
use simulation::{Bound, Run, ever_safe, fixed_sample_minimum, share};
use twinread::verdict::Sequence;

const ALPHA: f64 = 0.05;
const RUNS: u32 = 2_000;

fn chance() -> StdRng {
    StdRng::seed_from_u64(20_261_122)
}

/// What a textbook would ask for: so few mismatches in so many checks are unlikely at the limit. Right at one look.
struct FixedSample {
    limit: f64,
}

impl Bound for FixedSample {
    fn is_safe(&self, checks: u64, mismatches: u64) -> bool {
        let (checks, odds) = (checks as f64, self.limit / (1.0 - self.limit));
        // The chance of at most so many, by adding up the binomial's terms.
        let mut term = (checks * (-self.limit).ln_1p()).exp();
        let mut chance = term;
        for hit in 1..=mismatches {
            term *= (checks - hit as f64 + 1.0) / hit as f64 * odds;
            chance += term;
        }
        chance <= ALPHA
    }
}

/// Whether it is safe at any of its checks, looked at each.
fn is_ever_safe_at_a_check(run: &Run, bound: &impl Bound) -> bool {
    let mut mismatches = 0;
    (1..=run.checks).any(|check| {
        mismatches += u64::from(run.mismatches.contains(&check));
        bound.is_safe(check, mismatches)
    })
}

#[test]
fn under_continuous_looking_a_route_above_its_limit_is_seldom_called_safe() {
    for limit in [1e-2, 1e-3, 1e-4] {
        for above in [1.0, 1.2] {
            let sequence = Sequence::new(limit, ALPHA);
            let route = (limit * above, (100.0 / limit) as u64);
            let wrong = ever_safe(&sequence, route, RUNS, &mut chance());
            let [_, lower, _] = share(wrong, RUNS);
            assert!(lower <= ALPHA, "{wrong} of {RUNS} at {above} x {limit}");
        }
    }
}

#[test]
fn a_fixed_sample_interval_would_be_wrong_far_more_often() {
    let wrong = ever_safe(
        &FixedSample { limit: 1e-2 },
        (1e-2, 10_000),
        RUNS,
        &mut chance(),
    );
    let [_, lower, _] = share(wrong, RUNS);
    assert!(lower > 2.0 * ALPHA, "{wrong} of {RUNS}");
}

#[test]
fn routes_that_share_alpha_are_together_seldom_called_safe() {
    let limit = 1e-3;
    let mut chance = chance();
    let wrong = (0..RUNS).filter(|_| {
        let is_called = |rank| {
            let run = Run::draw(limit, 100_000, &mut chance);
            run.first_safe(&Sequence::of_rank(limit, ALPHA, rank))
        };
        (1..=5).filter_map(is_called).count() > 0
    });
    let wrong = wrong.count() as u32;
    let [_, lower, _] = share(wrong, RUNS);
    assert!(lower <= ALPHA, "{wrong} of {RUNS}");
}

#[test]
fn a_look_before_each_mismatch_finds_what_a_look_at_every_check_finds() {
    let mut chance = chance();
    for limit in [0.2, 0.05, 0.01] {
        let sequence = Sequence::new(limit, 0.3);
        for _ in 0..200 {
            let run = Run::draw(limit, (20.0 / limit) as u64, &mut chance);
            let found = run.first_safe(&sequence).is_some();
            assert_eq!(found, is_ever_safe_at_a_check(&run, &sequence), "{run:?}");
        }
    }
}

#[test]
fn a_clean_route_is_safe_after_at_most_1_6_times_the_fixed_sample_minimum() {
    for limit in [1e-2, 1e-3, 1e-4] {
        let needed = Sequence::new(limit, ALPHA).checks_needed(0, 0).unwrap();
        let ratio = needed as f64 / fixed_sample_minimum(limit, ALPHA);
        assert!((1.0..=1.6).contains(&ratio), "{ratio} at {limit}");
        // And not only in so many words: a run without a mismatch.
        let clean = Run::draw(f64::MIN_POSITIVE, needed, &mut chance());
        let sequence = Sequence::new(limit, ALPHA);
        assert_eq!(clean.first_safe(&sequence), Some(needed));
        assert!(!sequence.is_below(needed - 1, 0));
    }
}
