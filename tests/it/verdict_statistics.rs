//! How often a verdict that is judged after every check is wrong, and how many clean checks it takes.
//!
//! `cargo bench --bench verdict` shows the same and more, with ten times as many runs.

#[path = "../../benches/verdict/change.rs"]
mod change;
#[path = "../../benches/verdict/judged.rs"]
mod judged;
#[path = "../../benches/verdict/late.rs"]
mod late;
#[path = "../../benches/verdict/proof.rs"]
mod proof;
#[path = "../../benches/verdict/safe.rs"]
mod safe;
#[path = "../../benches/verdict/simulation.rs"]
mod simulation;

use change::Watch;
use jiff::{SignedDuration, Timestamp};
use rand::{SeedableRng, rngs::StdRng};
use safe::Leaving;
use simulation::{ALPHA, Bound, Run, SEED, Upper, fixed_sample_minimum, largest_share};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};
use twinread::testing::ledger::{Clock, Gauges, Ledger, Ticket};
use twinread::{
    outcome::{Mark, Outcome, Via},
    verdict::{ChangeDetector, Trials},
};

const RUNS: u32 = 1_000;

fn chance() -> StdRng {
    StdRng::seed_from_u64(SEED)
}

fn share(mut happens: impl FnMut(&mut StdRng) -> bool) -> f64 {
    let mut chance = chance();
    let count = (0..RUNS).filter(|_| happens(&mut chance)).count();
    count as f64 / f64::from(RUNS)
}

#[track_caller]
fn assert_seldom(share: f64) {
    assert!(share <= largest_share(RUNS), "{share}");
}

/// The textbook test: so few hits in so many checks are unlikely at the limit. It is correct for one look.
struct FixedSample {
    limit: f64,
}

impl Bound for FixedSample {
    fn is_within(&self, trials: Trials) -> bool {
        let (checks, odds) = (trials.total as f64, self.limit / (1.0 - self.limit));
        // The probability of at most so many hits: the sum of binomial terms.
        let mut term = (checks * (-self.limit).ln_1p()).exp();
        let mut chance = term;
        for hit in 1..=trials.hits {
            term *= (checks - hit as f64 + 1.0) / hit as f64 * odds;
            chance += term;
        }
        chance <= ALPHA
    }
}

#[test]
fn route_at_its_limit_is_seldom_called_safe() {
    for limit in [1e-2, 1e-3, 1e-4] {
        let checks = (50.0 / limit) as u64;
        let is_safe =
            |chance: &mut StdRng| Run::draw(limit, checks, chance).is_ever_safe(&Upper { limit });
        assert_seldom(share(is_safe));
    }
}

#[test]
fn fixed_sample_interval_would_be_wrong_far_more_often() {
    let limit = 1e-2;
    let is_safe =
        |chance: &mut StdRng| Run::draw(limit, 10_000, chance).is_ever_safe(&FixedSample { limit });
    let share = share(is_safe);
    assert!(share > 2.0 * largest_share(RUNS), "{share}");
}

#[test]
fn one_bad_route_among_clean_ones_is_seldom_called_safe() {
    assert_seldom(share(|chance| {
        safe::one_at_the_limit(5e-2, 10, 2_000, chance)
    }));
    assert_seldom(share(|chance| {
        safe::all_at_the_limit(1e-2, 3, 5_000, chance)
    }));
}

#[test]
fn rate_that_alternates_around_the_limit_is_seldom_called_safe() {
    for block in [200, 3_000] {
        let is_safe = |chance: &mut StdRng| safe::alternating(1e-3, block, 50_000, chance);
        assert_seldom(share(is_safe));
    }
}

#[test]
fn rest_that_routes_leave_is_seldom_called_safe() {
    for leaving in [Leaving::Any, Leaving::Clean, Leaving::Wrong] {
        let is_wrong =
            |chance: &mut StdRng| safe::rest_is_ever_wrong(5e-2, leaving, (50, 1_000), chance);
        assert_seldom(share(is_wrong));
    }
}

#[test]
fn routes_at_the_limit_are_together_seldom_called_unsafe() {
    for ranks in [2..=2, 1..=6] {
        let is_unsafe =
            |chance: &mut StdRng| proof::is_ever_unsafe(1e-2, ranks.clone(), 3_000, chance);
        assert_seldom(share(is_unsafe));
    }
}

#[test]
fn spans_between_hits_are_what_a_look_at_every_check_finds() {
    let mut chance = chance();
    for limit in [0.2, 0.05] {
        let bound = Upper { limit };
        for _ in 0..30 {
            let run = Run::draw(limit / 2.0, (30.0 / limit) as u64, &mut chance);
            let spans: Vec<_> = run.safe_spans(&bound).collect();
            for check in 0..=run.checks {
                let hits = run.hits.partition_point(|hit| *hit <= check) as u64;
                let is_within = Trials::new(check, hits).is_within(limit, ALPHA);
                let is_in_span = spans.iter().any(|span| span.contains(&check));
                assert_eq!(is_in_span, is_within, "{check} of {run:?}");
            }
        }
    }
}

#[test]
fn late_mismatches_counted_on_arrival_would_be_called_safe() {
    let bound = Upper { limit: 1e-2 };
    let run = |chance: &mut StdRng| Run::draw(3e-2, 3_000, chance);
    let is_within = |trials| bound.is_within(trials);
    let arrived = share(|chance| late::in_order_of_arrival(&run(chance)).any(is_within));
    assert!(arrived > 0.9, "{arrived}");
    let closed = share(|chance| late::closed_by_seconds(&run(chance)).any(is_within));
    assert_seldom(closed);
    let run = |chance: &mut StdRng| Run::draw(1e-2, 5_000, chance);
    let closed = share(|chance| late::closed_by_seconds(&run(chance)).any(is_within));
    assert_seldom(closed);
}

#[test]
fn ledger_closes_seconds_as_the_simulation_does() {
    let mut chance = chance();
    for rate in [0.0001, 0.002, 0.03] {
        let run = Run::draw(rate, 3_000, &mut chance);
        let expected: Vec<_> = late::closed_by_seconds(&run).collect();
        assert_eq!(evidence_of_ledger(&run), expected, "{run:?}");
    }
}

/// The evidence of a real ledger each time that it grows.
fn evidence_of_ledger(run: &Run) -> Vec<Trials> {
    const TICK: i64 = 1_000 / late::PER_SECOND as i64;
    let now = Arc::new(AtomicI64::new(0));
    let clock = now.clone();
    let clock = Clock::new(move || {
        let since = SignedDuration::from_millis(clock.load(Ordering::Relaxed));
        Timestamp::UNIX_EPOCH + since
    });
    let ledger = Ledger::with_clock(10, Gauges::default(), clock);
    let route = ledger.route("get-user");
    let mut waiting: Vec<(i64, Ticket)> = Vec::new();
    let mut seen = Vec::new();
    let ticks = (run.checks + (late::DELAY + 1) * late::PER_SECOND) as i64;
    for tick in 0..ticks {
        now.store(tick * TICK, Ordering::Relaxed);
        let is_known = |(known, _): &mut (i64, Ticket)| *known <= tick;
        for (_, ticket) in waiting.extract_if(.., is_known) {
            ticket.finish(Outcome::Mismatch(Mark::Plain));
        }
        ledger.close_seconds();
        let of_route = ledger.tallies().routes;
        let evidence = of_route
            .first()
            .map(|route| route.evidence.checks().mismatch());
        let evidence = evidence.filter(|evidence| evidence.total > 0);
        if evidence.is_some() && evidence.as_ref() != seen.last() {
            seen.extend(evidence);
        }
        let number = tick as u64 + 1;
        if number > run.checks {
            continue;
        }
        let ticket = route.sample();
        if run.hits.contains(&number) {
            let known = tick + (late::DELAY * late::PER_SECOND) as i64;
            waiting.push((known, ticket));
        } else {
            ticket.finish(Outcome::Match(Via::Exact));
        }
    }
    seen
}

#[test]
fn clean_checks_until_safe_are_near_the_minimum_for_any_routes() {
    for limit in [1e-2, 1e-3] {
        for routes in [1, 10] {
            let needed = judged::clean_checks_until_safe(limit, routes).unwrap();
            let ratio = needed as f64 / fixed_sample_minimum(limit);
            assert!((1.0..=1.15).contains(&ratio), "{ratio} at {limit}");
        }
    }
}

#[test]
fn verdict_is_what_the_bounds_of_its_routes_say() {
    let (looks, disagreeing) = judged::disagreements(300, &mut chance());
    assert_eq!((looks, disagreeing), (300, 0));
}

#[test]
fn change_detector_sees_a_turn_and_seldom_raises_a_false_alarm() {
    let (limit, run) = (1e-2, 1e3);
    let watch = Watch { limit, run };
    let mut chance = chance();
    let mut mean = |detector: &ChangeDetector, rate: f64, runs: u64| {
        let until_alarm = |_| watch.checks_until_alarm(detector.clone(), rate, &mut chance);
        (0..runs).map(until_alarm).sum::<u64>() / runs
    };
    let clean = watch.after_clean_checks();
    let seen = mean(&clean, 10.0 * limit, 200);
    assert!((20..100).contains(&seen), "{seen}");
    let false_alarm = mean(&ChangeDetector::default(), limit, 10);
    assert!(false_alarm >= 1_000, "{false_alarm}");
}
