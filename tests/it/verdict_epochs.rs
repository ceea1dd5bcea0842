//! The ledger's figures by epoch: nothing is lost between two epochs, and nothing is counted twice.

use http::{Method, StatusCode};
use jiff::Timestamp;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
    time::Duration,
};
use twinread::testing::{
    admin::documents::Verdict,
    ledger::{AnsweredBy, Clock, Draw, Gauges, Ledger, LedgerSnapshot, SampleCause},
};
use twinread::{
    outcome::{Mark, Outcome, Reason, Via},
    stack::Stack,
    verdict::{
        Activity, Cause, Decision, Evidence, Figures, Limits, RequiredRoutes, Requirement, Tallies,
        judge,
    },
};

pub(crate) const MATCH: Outcome = Outcome::Match(Via::Exact);
pub(crate) const MISMATCH: Outcome = Outcome::Mismatch(Mark::Plain);

/// A ledger, and the second on its clock.
pub(crate) fn ledger() -> (Ledger, Arc<AtomicI64>) {
    let second = Arc::new(AtomicI64::new(1_000));
    let shown = second.clone();
    let clock = Clock::new(move || at(shown.load(Ordering::SeqCst)));
    (Ledger::with_clock(500, Gauges::default(), clock), second)
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn figures<'t>(tallies: &'t Tallies, route: &str) -> &'t Figures {
    let mut routes = tallies.routes.iter();
    routes.find(|figures| *figures.route == *route).unwrap()
}

#[test]
fn a_check_counts_in_the_epoch_in_which_it_was_sampled() {
    let (ledger, _) = ledger();
    let route = ledger.route("get-user");
    let early = route.sample();
    let first = ledger.epoch();
    assert_eq!(early.epoch(), &first);

    let second = ledger.begin_epoch(Some("build 812"), Cause::Asked);
    let late = route.sample();
    assert_eq!(late.epoch(), &second);
    early.finish(MISMATCH);
    late.finish(MATCH);

    let epochs = ledger.epochs();
    assert_eq!(epochs.len(), 2);
    assert_eq!(epochs[0].epoch.label.as_deref(), Some("build 812"));
    assert_eq!(epochs[0].epoch.cause, Cause::Asked);
    assert_eq!(epochs[0].routes[0].outcomes.matches(), 1);
    assert_eq!(epochs[0].routes[0].outcomes.mismatches(), 0);
    assert_eq!(epochs[1].routes[0].outcomes.mismatches(), 1);
    assert_eq!(epochs[1].epoch.cause, Cause::Start);
    // The process totals continue.
    assert_eq!(route.sampled(), 2);
    assert_eq!(route.outcomes(MATCH) + route.outcomes(MISMATCH), 2);
}

#[test]
fn ids_sort_in_the_order_of_the_epochs() {
    let (ledger, second) = ledger();
    let mut ids = vec![ledger.epoch()];
    for round in 0..20 {
        second.fetch_add(round % 2, Ordering::SeqCst);
        ids.push(ledger.begin_epoch(None, Cause::Rules));
    }
    assert!(ids.is_sorted());
    ids.dedup();
    assert_eq!(ids.len(), 21);
}

#[test]
fn routes_stand_in_order_of_appearance_in_the_epoch() {
    let (ledger, _) = ledger();
    let (one, other) = (ledger.route("one"), ledger.route("other one"));
    one.count_live_read();
    ledger.begin_epoch(None, Cause::Rules);
    assert!(ledger.tallies().routes.is_empty());

    other.count_live_read();
    one.count_live(&Method::GET, Some(StatusCode::OK), AnsweredBy::Old);

    let routes = ledger.tallies().routes;
    let names: Vec<&str> = routes.iter().map(|figures| &*figures.route).collect();
    assert_eq!(names, ["other one", "one"]);
    assert_eq!((routes[0].reads, routes[0].live), (1, 0));
    assert_eq!((routes[1].reads, routes[1].live), (0, 1));
}

/// One checked read under this name of an undeclared path, from which positions learn.
fn check(ledger: &Ledger, name: &str, outcome: Outcome) {
    let route = ledger.undeclared(name);
    route.count_live(&Method::GET, Some(StatusCode::OK), AnsweredBy::Old);
    route.count_live_read();
    ledger.learn(&route);
    route.sample().finish(outcome);
}

pub(crate) fn close(ledger: &Ledger, second: &AtomicI64) {
    second.fetch_add(1, Ordering::SeqCst);
    ledger.close_seconds();
}

/// A ledger in which `/users/alice/orders` was proven wrong, and then merged with many others.
fn joined_after_proof(limits: &Limits) -> (Ledger, Arc<AtomicI64>) {
    let (ledger, second) = ledger();
    ledger.judge_by(limits, Vec::new());
    let alice = "GET /users/alice/orders";
    (0..20).for_each(|_| check(&ledger, alice, MATCH));
    close(&ledger, &second);
    (0..20).for_each(|_| check(&ledger, alice, MISMATCH));
    close(&ledger, &second);
    assert_eq!(judged(&ledger, limits).verdict, Decision::Unsafe);
    for user in 'a'..='z' {
        check(&ledger, &format!("GET /users/b{user}/orders"), MATCH);
    }
    close(&ledger, &second);
    (ledger, second)
}

fn judged(ledger: &Ledger, limits: &Limits) -> Verdict {
    let evidence = Evidence {
        tallies: ledger.tallies(),
        required: Vec::new(),
        expired_rules: Vec::new(),
        activity: Activity::Sampling,
        is_by_key: false,
        is_same_stack: false,
    };
    judge(&evidence, limits, ledger.now()).into()
}

#[test]
fn proof_of_a_route_survives_its_joining_with_others() {
    let limits = Limits::default();
    let (ledger, second) = joined_after_proof(&limits);
    (0..100_000).for_each(|_| check(&ledger, "GET /users/alice/orders", MATCH));
    close(&ledger, &second);
    let verdict = judged(&ledger, &limits);
    let route = &verdict.routes[0];
    assert_eq!(&*route.route, "GET /users/{}/orders");
    assert_eq!(route.mismatch_rate.estimate, Some(20.0 / 100_066.0));
    assert_eq!(verdict.verdict, Decision::Unsafe);
    let detail = &verdict.reasons[0].detail;
    assert!(
        detail.contains("20 of 40 checks mismatched under one of the names"),
        "{detail}"
    );
}

#[test]
fn checks_that_come_at_once_prove_what_they_show() {
    let limits = Limits::default();
    let (ledger, second) = ledger();
    ledger.judge_by(&limits, Vec::new());
    // All before anybody looked at which routes are required.
    (0..20).for_each(|_| check(&ledger, "GET /items/{}", MISMATCH));
    close(&ledger, &second);
    assert_eq!(judged(&ledger, &limits).verdict, Decision::Unsafe);
}

#[test]
fn requirement_goes_by_the_joined_name() {
    let limits = Limits {
        exempt: vec!["GET /users/{}/orders".into()],
        ..Limits::default()
    };
    let (ledger, _) = joined_after_proof(&limits);
    let joined = &ledger.tallies().routes[0];
    assert_eq!(joined.requirement, Requirement::Exempt);
    assert_ne!(judged(&ledger, &limits).verdict, Decision::Unsafe);
}

#[test]
fn a_route_that_was_required_stays_so_under_its_new_name() {
    let (ledger, second) = joined_after_proof(&Limits::default());
    // With these, its share is too small for a route that was not required.
    (0..1_000_000).for_each(|_| ledger.route("busy").count_live_read());
    close(&ledger, &second);
    let of_rest = ledger.tallies().rest.sampled;
    (0..100).for_each(|_| check(&ledger, "GET /users/alice/orders", MATCH));
    assert_eq!(ledger.tallies().rest.sampled, of_rest);
}

/// The rank of each route in the present epoch.
fn ranks(ledger: &Ledger, routes: [&str; 3]) -> [Option<u64>; 3] {
    let tallies = ledger.tallies();
    routes.map(|route| {
        let required = figures(&tallies, route).evidence.required;
        required.map(|required| required.rank)
    })
}

#[test]
fn a_route_keeps_the_rank_it_took_when_it_was_first_required() {
    let (ledger, _) = ledger();
    let limits = Limits {
        required: RequiredRoutes::Declared,
        ..Limits::default()
    };
    let routes = ["a", "b", "c"];
    for route in routes {
        ledger.route(route).sample().finish(MATCH);
    }
    let declare = |routes: &[&str]| {
        let routes = routes.iter().map(|route| Arc::from(*route));
        ledger.judge_by(&limits, routes.collect());
    };
    declare(&[]);
    assert_eq!(ranks(&ledger, routes), [None, None, None]);
    declare(&["b"]);
    declare(&["a"]);
    declare(&["c", "never seen"]);
    assert_eq!(ranks(&ledger, routes), [Some(3), Some(2), Some(4)]);

    ledger.begin_epoch(None, Cause::Asked);
    for route in routes {
        ledger.route(route).sample().finish(MATCH);
    }
    ledger.close_seconds();
    assert_eq!(ranks(&ledger, routes), [None, None, Some(2)]);
}

#[test]
fn a_question_changes_nothing() {
    let (ledger, second) = ledger();
    for _ in 0..20 {
        ledger.route("a").sample().finish(MATCH);
    }
    second.fetch_add(10, Ordering::SeqCst);
    let before = ledger.tallies();
    assert_eq!(figures(&before, "a").evidence.required, None);
    drop(ledger.epochs());
    drop(ledger.states(|_, _, _| false));
    assert_eq!(ledger.tallies().routes, before.routes);
    ledger.close_seconds();
    assert_eq!(figures(&ledger.tallies(), "a").waiting, 0);
}

#[test]
fn checks_become_evidence_in_the_order_of_sampling() {
    let (ledger, second) = ledger();
    let route = ledger.route("a");
    let slow = route.sample();
    for now in 1_000..1_010 {
        second.store(now, Ordering::SeqCst);
        for _ in 0..5 {
            route.sample().finish(MATCH);
        }
        ledger.close_seconds();
    }
    let waits = ledger.tallies().routes.remove(0);
    assert_eq!((waits.waiting, waits.evidence.checks().sampled()), (51, 0));
    assert_eq!(
        waits.outcomes.matches(),
        50,
        "counted and shown all the same"
    );

    slow.finish(MISMATCH);
    ledger.close_seconds();
    let closed = ledger.tallies().routes.remove(0);
    let checks = closed.evidence.checks();
    assert_eq!((checks.mismatched, checks.matched), (1, 45));
    assert_eq!(closed.waiting, 5, "those of the second that goes on");
}

#[test]
fn a_check_open_for_two_minutes_counts_as_a_hit_until_it_ends() {
    let (ledger, second) = ledger();
    let route = ledger.route("a");
    let slow = route.sample();
    route.sample().finish(MATCH);
    second.store(1_125, Ordering::SeqCst);
    ledger.close_seconds();
    let overdue = ledger.tallies().routes.remove(0);
    assert_eq!((overdue.overdue, overdue.waiting), (1, 1));
    assert_eq!(overdue.evidence.checks().matched, 1);

    slow.finish(MATCH);
    ledger.close_seconds();
    let ended = ledger.tallies().routes.remove(0);
    assert_eq!((ended.overdue, ended.waiting), (0, 0));
    assert_eq!(ended.evidence.checks().matched, 2);
}

#[test]
fn forced_checks_are_no_evidence_and_hold_nothing_up() {
    let (ledger, second) = ledger();
    let route = ledger.route("a");
    let forced = || {
        route.sample_by(Draw {
            cause: SampleCause::Forced,
            ..Draw::default()
        })
    };
    let open = forced();
    forced().finish(MATCH);
    route.sample().finish(MATCH);
    second.fetch_add(1, Ordering::SeqCst);
    ledger.close_seconds();
    let figures = ledger.tallies().routes.remove(0);
    assert_eq!((figures.sampled, figures.forced), (3, 2));
    assert_eq!(figures.evidence.checks().sampled(), 1);
    drop(open);
}

#[test]
fn a_thin_tail_is_judged_together() {
    let (ledger, second) = ledger();
    let limits = Limits::default();
    ledger.judge_by(&limits, Vec::new());
    let read = |name: &str, outcome: Outcome| {
        let route = ledger.route(name);
        route.count_live_read();
        route.sample().finish(outcome);
    };
    for _ in 0..20_000 {
        read("busy", MATCH);
    }
    for tail in 0..390 {
        read(&format!("tail {tail}"), MISMATCH);
    }
    second.fetch_add(1, Ordering::SeqCst);
    ledger.close_seconds();
    let tallies = ledger.tallies();
    assert_eq!(tallies.rest.requirement, Requirement::Required);
    assert_eq!(tallies.rest.evidence.checks().mismatched, 390);
    assert_eq!(tallies.rest.reads, 390);
    let first_of_busy = 9;
    assert_eq!(tallies.rest.sampled, 390 + first_of_busy);
}

#[test]
fn the_last_check_and_the_last_mismatch_are_noted() {
    let (ledger, second) = ledger();
    let route = ledger.route("get-user");
    route.sample().finish(MISMATCH);
    for now in [1_050, 1_100] {
        second.store(now, Ordering::SeqCst);
        route.sample().finish(MATCH);
    }
    second.store(1_200, Ordering::SeqCst);
    route
        .sample()
        .finish(Outcome::NotCompared(Reason::QueueFull));

    second.store(1_201, Ordering::SeqCst);
    ledger.close_seconds();
    let tallies = ledger.tallies();
    let figures = figures(&tallies, "get-user");
    assert_eq!(figures.evidence.last_mismatch, Some(at(1_000)));
    assert_eq!(figures.evidence.record.last(), Some(at(1_100)));
    assert!(figures.pace > 0.0);
}

#[test]
fn latencies_outlive_their_epoch_as_quantiles() {
    let (ledger, _) = ledger();
    let ticket = ledger.route("get-user").sample();
    ticket.answered(Stack::Old, Duration::from_millis(4));
    ticket.answered(Stack::New, Duration::from_millis(8));
    ticket.finish(MATCH);
    let before = ledger.tallies().routes[0].latency;

    ledger.begin_epoch(None, Cause::Stacks);

    let after = ledger.epochs()[1].routes[0].latency;
    assert_eq!(after, before);
    assert!((3.9..4.1).contains(&after.old.unwrap().p99_ms));
    assert!((7.9..8.2).contains(&after.new.unwrap().p99_ms));
}

#[test]
fn epoch_of_another_process_names_the_routes_it_depended_on() {
    let limits = Limits {
        exempt: vec!["ws".into()],
        ..Limits::default()
    };
    let (first, second) = ledger();
    first.judge_by(&limits, Vec::new());
    for (route, reads) in [("busy", 100_000), ("ws", 1_000), ("few", 300), ("thin", 9)] {
        (0..reads).for_each(|_| first.route(route).count_live_read());
    }
    (0..99).for_each(|route| first.route(&format!("tail {route}")).count_live_read());
    close(&first, &second);
    first.begin_epoch(None, Cause::Asked);
    let past = first.states(|_, _, _| false);
    let (gauges, clock) = (Gauges::default(), Clock::system());
    let again = Ledger::open(500, gauges, clock, LedgerSnapshot::GoesOn(past));
    again.judge_by(&limits, Vec::new());
    let shown = |ledger: &Ledger| {
        let past = ledger.epochs().pop().unwrap();
        let routes = past.routes.iter().chain([&past.rest]);
        let shown = routes.map(|figures| (figures.requirement, figures.evidence.required));
        shown.collect::<Vec<_>>()
    };
    assert_eq!(shown(&first)[1].0, Requirement::Exempt);
    assert_eq!(shown(&first).last().unwrap().0, Requirement::Required);
    assert_eq!(shown(&again), shown(&first));
}

#[test]
fn a_dropped_ticket_counts_in_its_epoch_too() {
    let (ledger, _) = ledger();
    drop(ledger.route("get-user").sample());
    let figures = ledger.tallies().routes.remove(0);
    assert_eq!(
        figures.outcomes.get(Outcome::NotCompared(Reason::Internal)),
        1
    );
}

#[test]
fn old_epochs_are_forgotten_and_the_present_one_is_not() {
    let (ledger, _) = ledger();
    let mut last = ledger.epoch();
    for _ in 0..300 {
        last = ledger.begin_epoch(None, Cause::Rules);
    }
    let epochs = ledger.epochs();
    assert_eq!(epochs.len(), 100);
    assert_eq!(epochs[0].epoch.id, last);
    assert_eq!(epochs[0].epoch.until, None);
    assert!(epochs[1].epoch.until.is_some());
}

#[test]
fn samples_and_outcomes_agree_in_every_epoch() {
    let (ledger, _) = ledger();
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let ledger = ledger.clone();
            thread::spawn(move || {
                for check in 0..5_000 {
                    let route = ledger.route(["one", "two", "three"][(worker + check) % 3]);
                    route.count_live(&Method::GET, Some(StatusCode::OK), AnsweredBy::Old);
                    route.count_live_read();
                    let ticket = route.sample();
                    match check % 3 {
                        0 => ticket.finish(MATCH),
                        1 => ticket.finish(MISMATCH),
                        _ => drop(ticket),
                    }
                }
            })
        })
        .collect();
    for _ in 0..50 {
        ledger.begin_epoch(None, Cause::Rules);
        thread::yield_now();
    }
    for worker in workers {
        worker.join().unwrap();
    }

    let routes: Vec<Figures> = ledger
        .epochs()
        .into_iter()
        .flat_map(|tallies| tallies.routes)
        .collect();
    for figures in &routes {
        assert_eq!(figures.sampled, figures.outcomes.ended());
    }
    let sum = |count: fn(&Figures) -> u64| routes.iter().map(count).sum::<u64>();
    assert_eq!(sum(|figures| figures.sampled), 20_000);
    assert_eq!(sum(|figures| figures.reads), 20_000);
    assert_eq!(sum(|figures| figures.live), 20_000);
}
