//! How often a verdict that is looked at after every check is wrong, and how many clean checks it takes.
//!
//! `cargo bench --bench verdict`: a simulation with a fixed seed, no measurement of time.

mod simulation;

use anstream::println;
use rand::{SeedableRng, rngs::StdRng};
use simulation::{Run, ever_safe, fixed_sample_minimum, share};
use twinread::verdict::Sequence;

const SEED: u64 = 20_261_122;
const LIMITS: [f64; 3] = [1e-2, 1e-3, 1e-4];
const ALPHA: f64 = 0.05;
const RUNS: u32 = 20_000;

/// A run goes on until so many mismatches are to be expected at the limit.
const EXPECTED: f64 = 200.0;

const ROUTES: u64 = 5;

fn main() {
    println!(
        "confidence {}, {RUNS} runs each, looked at after every check",
        1.0 - ALPHA
    );
    println!(
        "\none route: the share of runs in which it is ever called safe (99 % interval); at most {ALPHA}"
    );
    for limit in LIMITS {
        for above in [1.0, 1.2] {
            one_route(limit, above);
        }
    }
    println!(
        "\n{ROUTES} routes, alpha shared: the share of runs in which any is ever called safe; at most {ALPHA}"
    );
    for limit in LIMITS {
        routes(limit);
    }
    println!(
        "\nclean checks until safe, by the fixed-sample minimum ln(alpha)/ln(1 - limit) at the same alpha and at all of it"
    );
    for limit in LIMITS {
        for (rank, alpha) in [
            (None, ALPHA),
            (Some(1), ALPHA / 2.0),
            (Some(2), ALPHA / 6.0),
        ] {
            clean_checks(limit, rank, alpha);
        }
    }
}

fn one_route(limit: f64, above: f64) {
    let sequence = Sequence::new(limit, ALPHA);
    let route = (limit * above, (EXPECTED / limit) as u64);
    let wrong = ever_safe(&sequence, route, RUNS, &mut StdRng::seed_from_u64(SEED));
    tell(limit, &format!("rate {above} x limit"), wrong);
}

fn routes(limit: f64) {
    let chance = &mut StdRng::seed_from_u64(SEED);
    let checks = (EXPECTED / limit) as u64;
    let sequences: Vec<_> = (1..=ROUTES)
        .map(|rank| Sequence::of_rank(limit, ALPHA, rank))
        .collect();
    let is_wrong = |_: &u32| {
        // Each is drawn whatever became of the others.
        let called = sequences.iter().map(|sequence| {
            Run::draw(limit, checks, chance)
                .first_safe(sequence)
                .is_some()
        });
        called.fold(false, |any, is_called| any | is_called)
    };
    let wrong = (0..RUNS).filter(is_wrong).count() as u32;
    tell(limit, "each at 1.0 x limit", wrong);
}

fn tell(limit: f64, what: &str, wrong: u32) {
    let [share, lower, upper] = share(wrong, RUNS);
    println!("limit {limit:e}  {what:<20} {wrong:>5}  {share:.4} ({lower:.4} to {upper:.4})");
}

fn clean_checks(limit: f64, rank: Option<u64>, alpha: f64) {
    let sequence = match rank {
        None => Sequence::new(limit, ALPHA),
        Some(rank) => Sequence::of_rank(limit, ALPHA, rank),
    };
    let Some(needed) = sequence.checks_needed(0, 0) else {
        return println!("limit {limit:e}: never");
    };
    let who = rank.map_or("all of alpha".to_owned(), |rank| {
        format!("required route {rank}")
    });
    let minimum = fixed_sample_minimum(limit, alpha);
    println!(
        "limit {limit:e}  {who:<17} alpha {alpha:.5}  {needed:>7} by {minimum:>9.1}  ratio {:.4}, {:.4}",
        needed as f64 / minimum,
        needed as f64 / fixed_sample_minimum(limit, ALPHA)
    );
}
