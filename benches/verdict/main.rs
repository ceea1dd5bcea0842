//! How often a verdict that is judged after every check is wrong, and how many checks it takes.
//!
//! `cargo bench --bench verdict`: a simulation with a fixed seed, without timing. Each line shows a figure, its bound,
//! and whether the bound holds. The exit status is 1 if one does not.

mod change;
mod judged;
mod late;
mod proof;
mod report;
mod safe;
mod simulation;

use anstream::println;
use change::Watch;
use rand::{SeedableRng, rngs::StdRng};
use report::Report;
use safe::Leaving;
use simulation::{ALPHA, Run, SEED, Upper, fixed_sample_minimum};
use std::process::ExitCode;
use twinread::verdict::ChangeDetector;

const RUNS: u32 = 20_000;
const LIMITS: [f64; 3] = [1e-2, 1e-3, 1e-4];
const ROUTES: [usize; 4] = [1, 3, 10, 50];

/// A run continues until this many hits are expected at the limit.
const EXPECTED: f64 = 1_000.0;
/// The same for the sum over many routes.
const EXPECTED_OF_EACH: f64 = 100.0;

/// The change detector's threshold, the checks over which its false alarms are counted, and the number of simulated
/// turns.
const CHANGE_RUN: f64 = 1e6;
const CHECKS_AT_THE_LIMIT: u64 = 1_000_000_000;
const TURNS: u32 = 5_000;

fn main() -> ExitCode {
    println!(
        "confidence {}, {RUNS} runs each, looked at after every check",
        1.0 - ALPHA
    );
    let mut report = Report::default();
    at_the_limit(&mut report);
    alternating(&mut report);
    rest(&mut report);
    late(&mut report);
    above_a_limit(&mut report);
    change(&mut report);
    clean_checks(&mut report);
    mean_checks(&mut report);
    judge(&mut report);
    if report.finish() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn chance() -> StdRng {
    StdRng::seed_from_u64(SEED)
}

/// The number of runs in which it happens.
fn count(mut happens: impl FnMut(&mut StdRng) -> bool) -> u32 {
    let mut chance = chance();
    (0..RUNS).filter(|_| happens(&mut chance)).count() as u32
}

/// Checks until `expected` hits are expected at the limit.
fn checks(expected: f64, limit: f64) -> u64 {
    (expected / limit) as u64
}

fn at_the_limit(report: &mut Report) {
    report.section("ever safe: one route is exactly at the limit, the others are clean");
    for limit in LIMITS {
        let wrong = count(|chance| {
            Run::draw(limit, checks(EXPECTED, limit), chance).is_ever_safe(&Upper { limit })
        });
        report.share(&format!("limit {limit:e}, one route"), wrong, RUNS);
    }
    let limit = 1e-2;
    for routes in ROUTES {
        let checks = checks(EXPECTED, limit);
        let wrong = count(|chance| safe::one_at_the_limit(limit, routes, checks, chance));
        report.share(&format!("limit {limit:e}, routes: {routes}"), wrong, RUNS);
    }
    report.section("ever safe: all routes are exactly at the limit");
    let limit = 1e-3;
    for routes in ROUTES {
        let checks = checks(EXPECTED, limit);
        let wrong = count(|chance| safe::all_at_the_limit(limit, routes, checks, chance));
        report.share(&format!("limit {limit:e}, routes: {routes}"), wrong, RUNS);
    }
}

fn alternating(report: &mut Report) {
    report.section(
        "ever safe: the rate alternates between twice the limit and 0, beginning with the high one",
    );
    println!(
        "  (the upper end bounds the mean rate so far, and here that is never below the limit: each `safe` is wrong)"
    );
    let limit = 1e-3;
    for block in [200, 1_000, 3_000] {
        let wrong =
            count(|chance| safe::alternating(limit, block, checks(EXPECTED, limit), chance));
        report.share(
            &format!("limit {limit:e}, blocks of {block} checks"),
            wrong,
            RUNS,
        );
    }
}

fn rest(report: &mut Report) {
    report.section(
        "ever safe: the (rest) of 10 thin routes, of which 5 become required one after another",
    );
    println!(
        "  (wrong while the mean rate of the rest so far, or the rate of a required route, is not below the limit)"
    );
    let limit = 1e-2;
    for (leaving, what) in [
        (Leaving::Any, "all are at the limit"),
        (
            Leaving::Clean,
            "5 at twice the limit, 5 clean; the clean leave",
        ),
        (
            Leaving::Wrong,
            "5 at twice the limit, 5 clean; the wrong leave",
        ),
    ] {
        for apart in [100, 1_000] {
            let span = (apart, checks(200.0, limit));
            let wrong = count(|chance| safe::rest_is_ever_wrong(limit, leaving, span, chance));
            let what = format!("limit {limit:e}, {what}, every {apart} checks");
            report.share(&what, wrong, RUNS);
        }
    }
}

fn late(report: &mut Report) {
    report.section(&format!(
        "ever safe: mismatches are known after {} s, at {} checks a second",
        late::DELAY,
        late::PER_SECOND
    ));
    for (limit, rate) in [(1e-2, 1e-2), (1e-3, 1e-3), (1e-2, 0.03)] {
        let bound = Upper { limit };
        let is_within = |trials| simulation::Bound::is_within(&bound, trials);
        let run = |chance: &mut StdRng| Run::draw(rate, checks(EXPECTED, limit), chance);
        let closed = count(|chance| late::closed_by_seconds(&run(chance)).any(is_within));
        let arrived = count(|chance| late::in_order_of_arrival(&run(chance)).any(is_within));
        let what = format!("limit {limit:e}, rate {rate:e}, closed by seconds");
        report.share(&what, closed, RUNS);
        let what = format!("limit {limit:e}, rate {rate:e}, if counted as they arrive");
        let share = f64::from(arrived) / f64::from(RUNS);
        report.note(&what, &format!("{share:.5}"));
    }
}

fn above_a_limit(report: &mut Report) {
    report.section("ever unsafe: mismatches and errors of every route are exactly at the limit");
    let limit = 1e-2;
    for (first, what) in [(2, ""), (1, ", and the (rest)")] {
        for routes in [1, 10, 50] {
            let checks = checks(EXPECTED_OF_EACH, limit);
            let ranks = first..=routes + 1;
            let wrong = count(|chance| proof::is_ever_unsafe(limit, ranks.clone(), checks, chance));
            report.share(
                &format!("limit {limit:e}, routes: {routes}{what}"),
                wrong,
                RUNS,
            );
        }
    }
}

fn change(report: &mut Report) {
    let (limit, run) = (1e-3, CHANGE_RUN);
    let watch = Watch { limit, run };
    report.section(&format!(
        "the change detector: limit {limit:e}, threshold {run:e}"
    ));
    let mut chance = chance();
    let (mut checks, mut alarms) = (0, 0.0);
    while checks < CHECKS_AT_THE_LIMIT {
        checks += watch.checks_until_alarm(ChangeDetector::default(), limit, &mut chance);
        alarms += 1.0;
    }
    let mean = checks as f64 / (alarms + 3.0 * f64::sqrt(alarms));
    let what = format!(
        "checks between false alarms at the limit ({alarms} alarms), less 3 standard errors"
    );
    report.at_least(&what, mean, run);
    let clean = watch.after_clean_checks();
    for (times, bound) in [(2.0, 42_000.0), (10.0, 1_300.0), (100.0, 55.0)] {
        let turn = |_| watch.checks_until_alarm(clean.clone(), times * limit, &mut chance);
        let mean = (0..TURNS).map(turn).sum::<u64>() as f64 / f64::from(TURNS);
        let what =
            format!("mean checks until a turn from clean to {times} times the limit is seen");
        report.at_most(&what, mean, bound);
    }
}

fn clean_checks(report: &mut Report) {
    report.section("clean checks of each route until `judge` says safe, by the minimum of a single look at a fixed time");
    for limit in LIMITS {
        let minimum = fixed_sample_minimum(limit);
        for routes in ROUTES {
            let what = format!("limit {limit:e}, routes: {routes}");
            match judged::clean_checks_until_safe(limit, routes as u64) {
                Some(needed) => {
                    let what = format!("{what}: {needed} by {minimum:.1}");
                    report.at_most(&what, needed as f64 / minimum, 1.15);
                }
                None => report.line(&what, "not as announced", "at most 1.15", false),
            }
        }
    }
}

fn mean_checks(report: &mut Report) {
    report.section("mean number of checks until safe, by the same minimum");
    for limit in LIMITS {
        let minimum = fixed_sample_minimum(limit);
        for (share, bound) in [(10.0, 1.65), (3.0, 4.1)] {
            let mut chance = chance();
            let first = |_| {
                let run = Run::draw(limit / share, checks(EXPECTED, limit), &mut chance);
                let first = run.safe_spans(&Upper { limit }).next();
                first.map_or(f64::INFINITY, |span| *span.start() as f64)
            };
            let mean = (0..RUNS).map(first).sum::<f64>() / f64::from(RUNS);
            let what =
                format!("limit {limit:e}, true rate limit/{share}: {mean:.0} by {minimum:.1}");
            report.at_most(&what, mean / minimum, bound);
        }
    }
}

fn judge(report: &mut Report) {
    report.section("`judge` on whole evidence against the bounds alone: three routes and the (rest), looked at after every check");
    let (mut looks, mut wrong) = (0, 0);
    let mut chance = chance();
    for _ in 0..20 {
        let (more, disagreeing) = judged::disagreements(2_000, &mut chance);
        looks += more;
        wrong += disagreeing;
    }
    report.at_most(
        &format!("looks at which they disagree, of {looks}"),
        wrong as f64,
        0.0,
    );
}
