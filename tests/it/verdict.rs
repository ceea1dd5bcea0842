//! The verdict: each reason in a pair (kept, broken), impossible results, and how often it may be wrong.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use twinread::testing::admin::documents::Verdict;
use twinread::{
    outcome::{Mark, Outcome, Reason, ShadowError, Via},
    stack::Stack,
    verdict::{
        Activity, Cause, Checks, Code, Decision, Entry, Epoch, Evidence, Figures, Limits,
        Requirement, RouteEvidence, SoakClock, Tallies, Trials, Version,
        checks::Required,
        evidence::{Latency, Quantiles},
        judge,
    },
};

const MATCH: Outcome = Outcome::Match(Via::Exact);
const MISMATCH: Outcome = Outcome::Mismatch(Mark::Plain);
const TIMEOUT: Outcome = Outcome::ShadowError(ShadowError::Timeout);
const QUEUE_FULL: Outcome = Outcome::NotCompared(Reason::QueueFull);

/// Time of judgement; the checks of the evidence were made in the hour before.
const NOW: i64 = 100_000;

/// Clean checks that are more than enough for a required route at the default limits.
const ENOUGH: u64 = 6_000;

/// Clean checks that are just enough.
const NEEDED: u64 = 3_374;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A required route with these outcomes, all of them evidence.
fn route(name: &str, outcomes: &[(Outcome, u64)]) -> Figures {
    let mut figures = Figures::new(name);
    add(&mut figures, outcomes);
    figures.requirement = Requirement::Required;
    figures.evidence.required = required(2);
    figures.reads = figures.sampled * 20;
    figures.live = figures.reads;
    figures.pace = 2.0;
    let checked = (NOW - 3_600..=NOW).step_by(60).map(at);
    figures.evidence.record = checked.fold(SoakClock::default(), |mut record, at| {
        record.check(at);
        record
    });
    figures
}

/// Required since the start of the epoch.
fn required(rank: u64) -> Option<Required> {
    Some(Required {
        rank,
        before: Checks::default(),
    })
}

/// Counts checks as evidence, except in the change detector.
fn add(figures: &mut Figures, outcomes: &[(Outcome, u64)]) {
    for (outcome, count) in outcomes {
        figures.outcomes.add(*outcome, *count);
        figures.sampled += count;
    }
    let mut sums = serde_json::to_value(&figures.evidence).unwrap();
    for (outcome, count) in outcomes {
        let mut one = RouteEvidence::default();
        one.enter(&entry(*outcome), &Limits::default());
        let one = serde_json::to_value(&one).unwrap();
        for (name, is_one) in one["roles"][0].as_object().unwrap() {
            let sum = &mut sums["roles"][0][name];
            *sum = json!(sum.as_u64().unwrap() + is_one.as_u64().unwrap() * count);
        }
    }
    figures.evidence = serde_json::from_value(sums).unwrap();
}

fn entry(outcome: Outcome) -> Entry {
    Entry {
        outcome,
        primary: Stack::Old,
        key: None,
        sampled: at(NOW),
    }
}

fn evidence(routes: Vec<Figures>) -> Evidence {
    let epoch = Epoch {
        id: "e1".into(),
        label: Some("build 812".into()),
        version: Some(Version::from_stored("812")),
        cause: Cause::Start,
        since: at(NOW - 7_200),
        until: None,
    };
    Evidence {
        tallies: Tallies {
            epoch,
            mixed: None,
            routes,
            rest: Figures::new("(rest)"),
        },
        required: Vec::new(),
        expired_rules: Vec::new(),
        activity: Activity::Sampling,
        is_by_key: false,
        is_same_stack: false,
    }
}

fn judged(evidence: &Evidence, limits: &Limits) -> Verdict {
    judge(evidence, limits, at(NOW)).into()
}

fn codes(verdict: &Verdict) -> Vec<(Code, Option<&str>)> {
    let reasons = verdict.reasons.iter();
    reasons
        .map(|reason| (reason.code, reason.route.as_deref()))
        .collect()
}

#[track_caller]
fn assert_safe(evidence: &Evidence, limits: &Limits) {
    let verdict = judged(evidence, limits);
    assert_eq!(codes(&verdict), []);
    assert_eq!(verdict.verdict, Decision::Safe);
}

#[track_caller]
fn assert_undecided(evidence: &Evidence, limits: &Limits, reasons: &[(Code, Option<&str>)]) {
    let verdict = judged(evidence, limits);
    assert_eq!(codes(&verdict), reasons);
    assert_eq!(verdict.verdict, Decision::Undecided);
}

fn latency(old: f64, new: f64) -> Latency {
    let quantiles = |p99_ms| {
        Some(Quantiles {
            answers: ENOUGH,
            p50_ms: p99_ms / 2.0,
            p99_ms,
        })
    };
    Latency {
        old: quantiles(old),
        new: quantiles(new),
    }
}

#[test]
fn enough_clean_checks_are_safe_and_too_few_are_not() {
    let limits = Limits::default();
    assert_safe(&evidence(vec![route("a", &[(MATCH, ENOUGH)])]), &limits);

    let few = evidence(vec![route("a", &[(MATCH, 1_000)])]);
    assert_undecided(&few, &limits, &[(Code::MoreChecks, Some("a"))]);
    let needed = judged(&few, &limits).reasons[0].clone();
    let checks = needed.checks_needed.unwrap();
    assert_eq!(needed.eta_seconds, Some(checks.div_ceil(2)));
    let later = |checks| evidence(vec![route("a", &[(MATCH, 1_000 + checks)])]);
    assert_safe(&later(checks), &limits);
    assert_undecided(
        &later(checks - 1),
        &limits,
        &[(Code::MoreChecks, Some("a"))],
    );
}

#[test]
fn while_another_build_answers_it_is_not_safe() {
    let mut evidence = evidence(vec![route("a", &[(MATCH, ENOUGH)])]);
    evidence.tallies.mixed = Some(Duration::from_secs(3));
    let verdict = judged(&evidence, &Limits::default());
    assert_eq!(codes(&verdict), [(Code::MixedBuilds, None)]);
    assert_eq!(verdict.verdict, Decision::Undecided);
    let detail = &verdict.reasons[0].detail;
    assert!(detail.contains("not named, answered 3 s ago"), "{detail}");
}

#[test]
fn checks_since_another_build_answered_have_to_suffice_alone() {
    let limits = Limits::default();
    let mut mixed = route("a", &[(MATCH, ENOUGH)]);
    mixed.evidence.another_answered();
    let evidence = evidence(vec![mixed.clone()]);
    let verdict = judged(&evidence, &limits);
    assert_eq!(codes(&verdict), [(Code::MixedBuilds, Some("a"))]);
    let more = verdict.reasons[0].checks_needed.unwrap();
    assert_eq!(more, Trials::default().checks_needed(1e-3, 0.05).unwrap());

    let (mut few, mut enough) = (mixed.clone(), mixed);
    (1..more).for_each(|_| few.evidence.enter(&entry(MATCH), &limits));
    (0..more).for_each(|_| enough.evidence.enter(&entry(MATCH), &limits));
    for (figures, expected) in [(few, Decision::Undecided), (enough, Decision::Safe)] {
        let evidence = self::evidence(vec![figures]);
        assert_eq!(judged(&evidence, &limits).verdict, expected);
    }
}

#[test]
fn without_a_pace_there_is_no_estimate_of_the_time() {
    let mut figures = route("a", &[(MATCH, 1_000)]);
    figures.pace = 0.0;
    let verdict = judged(&evidence(vec![figures]), &Limits::default());
    assert!(verdict.reasons[0].checks_needed.is_some());
    assert_eq!(verdict.reasons[0].eta_seconds, None);
}

#[test]
fn proven_mismatch_rate_is_unsafe_and_few_mismatches_undecided() {
    let limits = Limits::default();
    let few = evidence(vec![route("a", &[(MATCH, 1_999), (MISMATCH, 1)])]);
    assert_undecided(&few, &limits, &[(Code::MoreChecks, Some("a"))]);
    let some = evidence(vec![route("a", &[(MATCH, 499), (MISMATCH, 1)])]);
    assert_undecided(&some, &limits, &[(Code::MismatchRate, Some("a"))]);

    let many = evidence(vec![route("a", &[(MATCH, 900), (MISMATCH, 100)])]);
    let verdict = judged(&many, &limits);
    assert_eq!(verdict.verdict, Decision::Unsafe);
    assert_eq!(codes(&verdict), [(Code::MismatchRate, Some("a"))]);
    assert_eq!(verdict.routes[0].state, Decision::Unsafe);
}

#[test]
fn marked_mismatch_proves_the_same_but_unconfirmed_ones_nothing() {
    let limits = Limits::default();
    for mark in [Mark::Auth, Mark::Unconfirmed] {
        let outcomes = [(MATCH, ENOUGH), (Outcome::Mismatch(mark), 200)];
        let verdict = judged(&evidence(vec![route("a", &outcomes)]), &limits);
        let expected = match mark {
            Mark::Unconfirmed => Decision::Undecided,
            _ => Decision::Unsafe,
        };
        assert_eq!(verdict.verdict, expected);
        assert_eq!(codes(&verdict), [(Code::MismatchRate, Some("a"))]);
    }
}

#[test]
fn lag_and_noise_are_bounded_on_their_own() {
    let limits = Limits::default();
    let with = |outcome, count| evidence(vec![route("a", &[(MATCH, 20_000), (outcome, count)])]);
    assert_safe(&with(Outcome::Transient, 4), &limits);
    let lagging = with(Outcome::Transient, 40);
    assert_undecided(&lagging, &limits, &[(Code::TransientRate, Some("a"))]);
    let tolerant = Limits {
        max_transient: Some(0.01),
        ..limits.clone()
    };
    assert_safe(&lagging, &tolerant);

    assert_safe(&with(Outcome::Noise, 800), &limits);
    let noisy = with(Outcome::Noise, 1_500);
    assert_undecided(&noisy, &limits, &[(Code::NoiseRate, Some("a"))]);
    // They are no matches either.
    let unmatched = [(Outcome::Noise, ENOUGH), (Outcome::Transient, ENOUGH)];
    let unmatched = judged(&evidence(vec![route("a", &unmatched)]), &limits);
    let expected = [Code::TransientRate, Code::NoiseRate].map(|code| (code, Some("a")));
    assert_eq!(codes(&unmatched), expected);
    assert_eq!(unmatched.routes[0].mismatch_rate.upper, 1.0);
}

#[test]
fn answers_that_cannot_be_compared_are_bounded() {
    let limits = Limits::default();
    for reason in [
        Reason::BodyTooLarge,
        Reason::Streaming,
        Reason::MemoryFull,
        Reason::Internal,
    ] {
        let with = |count| {
            let outcomes = [(MATCH, 20_000), (Outcome::NotCompared(reason), count)];
            evidence(vec![route("a", &outcomes)])
        };
        assert_safe(&with(100), &limits);
        let much = with(1_000);
        assert_undecided(&much, &limits, &[(Code::Uncompared, Some("a"))]);
    }
}

#[test]
fn a_new_stack_that_fails_too_often_is_not_safe() {
    let limits = Limits {
        min_coverage: 0.0,
        ..Limits::default()
    };
    let seldom = evidence(vec![route("a", &[(MATCH, 20_000), (TIMEOUT, 100)])]);
    assert_safe(&seldom, &limits);
    for failure in [TIMEOUT, Outcome::NotCompared(Reason::BreakerOpen)] {
        let often = evidence(vec![route("a", &[(MATCH, 20_000), (failure, 1_000)])]);
        let verdict = judged(&often, &limits);
        assert_eq!(codes(&verdict), [(Code::ErrorRate, Some("a"))]);
        assert_eq!(verdict.verdict, Decision::Unsafe);
    }
}

#[test]
fn a_failing_new_stack_counts_in_either_role_and_old_never() {
    let limits = Limits::default();
    let failure = Outcome::NotCompared(Reason::PrimaryError);
    for (primary, expected) in [
        (Stack::New, vec![(Code::ErrorRate, Some("a"))]),
        (Stack::Old, vec![]),
    ] {
        let mut figures = route("a", &[(MATCH, 20_000)]);
        for _ in 0..1_000 {
            let entry = Entry {
                primary,
                ..entry(failure)
            };
            figures.evidence.enter(&entry, &limits);
        }
        figures.evidence.error_change = Default::default();
        let verdict = judged(&evidence(vec![figures]), &limits);
        assert_eq!(codes(&verdict), expected, "{primary}");
    }
}

#[test]
fn a_dead_shadow_is_never_safe() {
    let dead = evidence(vec![route("a", &[(TIMEOUT, 1_000_000)])]);
    let verdict = judged(&dead, &Limits::default());
    assert_eq!(verdict.verdict, Decision::Unsafe);
    let reasons = [Code::ErrorRate, Code::Coverage];
    assert_eq!(codes(&verdict), reasons.map(|code| (code, Some("a"))));
}

#[test]
fn a_check_that_is_open_for_too_long_counts_as_a_hit() {
    let limits = Limits::default();
    let mut figures = route("a", &[(MATCH, NEEDED)]);
    assert_safe(&evidence(vec![figures.clone()]), &limits);
    figures.overdue = 1;
    assert_undecided(
        &evidence(vec![figures]),
        &limits,
        &[(Code::MoreChecks, Some("a"))],
    );
}

#[test]
fn a_stack_that_turns_bad_has_regressed_until_it_is_clean_again() {
    let limits = Limits::default();
    let mut figures = route("a", &[(MATCH, 1_000_000)]);
    let mut check = |outcome, count| {
        for _ in 0..count {
            figures.evidence.enter(&entry(outcome), &limits);
        }
        judged(&evidence(vec![figures.clone()]), &limits)
    };
    check(MISMATCH, 3);
    let regressed = check(MISMATCH, 3);
    assert_eq!(codes(&regressed), [(Code::Regressed, Some("a"))]);
    assert_eq!(regressed.verdict, Decision::Undecided);
    assert!(
        regressed.routes[0].mismatch_rate.upper < 1e-3,
        "the mean hides it"
    );
    let needed = regressed.reasons[0].checks_needed.unwrap();
    assert_eq!(codes(&check(MATCH, needed - 1)), codes(&regressed));
    assert_eq!(codes(&check(MATCH, 1)), []);
}

#[test]
fn checks_of_one_key_do_not_certify_everyone() {
    let limits = Limits::default();
    let mut evidence = evidence(vec![route("a", &[(MATCH, ENOUGH)])]);
    evidence.is_by_key = true;
    evidence.tallies.routes[0].keys = Some(Trials::new(1, 0));
    assert_undecided(&evidence, &limits, &[(Code::MoreKeys, Some("a"))]);
    evidence.tallies.routes[0].keys = Some(Trials::new(NEEDED, 0));
    assert_safe(&evidence, &limits);
    evidence.tallies.routes[0].keys = Some(Trials::new(NEEDED, 1));
    assert_undecided(&evidence, &limits, &[(Code::MoreKeys, Some("a"))]);
}

#[test]
fn old_against_old_is_never_safe() {
    let mut evidence = evidence(vec![route("a", &[(MATCH, ENOUGH)])]);
    evidence.is_same_stack = true;
    assert_undecided(&evidence, &Limits::default(), &[(Code::SameStack, None)]);
}

#[test]
fn what_was_not_compared_lowers_the_coverage() {
    let limits = Limits::default();
    let some = evidence(vec![route("a", &[(MATCH, ENOUGH), (QUEUE_FULL, 600)])]);
    assert_safe(&some, &limits);
    let much = evidence(vec![route("a", &[(MATCH, ENOUGH), (QUEUE_FULL, 700)])]);
    assert_undecided(&much, &limits, &[(Code::Coverage, Some("a"))]);
    let detail = &judged(&much, &limits).reasons[0].detail;
    assert!(
        detail.contains("not_compared{queue_full} (700)"),
        "{detail}"
    );
}

#[test]
fn the_soak_time_has_to_pass_clean() {
    let clean = |last_mismatch, soak| {
        let mut figures = route("a", &[(MATCH, 100_000), (MISMATCH, 1)]);
        figures.evidence.last_mismatch = last_mismatch;
        let limits = Limits {
            soak: Duration::from_secs(soak),
            ..Limits::default()
        };
        judged(&evidence(vec![figures]), &limits)
    };
    assert_eq!(clean(None, 3_600).verdict, Decision::Safe);
    assert_eq!(codes(&clean(None, 3_601)), [(Code::Soak, Some("a"))]);
    let verdict = clean(Some(at(NOW - 600)), 3_600);
    assert_eq!(codes(&verdict), [(Code::Soak, Some("a"))]);
    assert_eq!(verdict.reasons[0].eta_seconds, Some(3_000));
    assert_eq!(verdict.reasons[0].detail, "clean for 10 min of 1 h");
    assert_eq!(
        (verdict.soak.required_seconds, verdict.soak.clean_seconds),
        (3_600, 600)
    );
    assert_eq!(clean(Some(at(NOW - 600)), 600).verdict, Decision::Safe);
}

#[test]
fn soak_without_traffic_names_no_end() {
    let limits = Limits {
        soak: Duration::from_hours(1),
        ..Limits::default()
    };
    let mut untouched = Figures::new("a");
    untouched.reads = 1;
    for routes in [vec![], vec![untouched]] {
        let verdict = judged(&evidence(routes), &limits);
        let mut reasons = verdict.reasons.iter();
        let soak = reasons.find(|reason| reason.code == Code::Soak).unwrap();
        assert_eq!(soak.detail, "clean for 0 s of 1 h");
        assert_eq!(soak.eta_seconds, None);
    }
}

#[test]
fn a_gap_starts_the_soak_clock_again() {
    let evidence = evidence(vec![route("a", &[(MATCH, ENOUGH)])]);
    let limits = |max_gap| Limits {
        soak: Duration::from_secs(60),
        max_gap: Duration::from_secs(max_gap),
        ..Limits::default()
    };
    assert_safe(&evidence, &limits(60));
    assert_undecided(&evidence, &limits(59), &[(Code::Soak, Some("a"))]);
    // No more checks.
    let later = Verdict::from(judge(&evidence, &limits(60), at(NOW + 61)));
    assert_eq!(codes(&later), [(Code::Soak, Some("a"))]);
    assert_eq!(later.soak.clean_seconds, 0);
}

#[test]
fn silent_required_route_is_not_clean_even_if_others_are_busy() {
    let limits = Limits {
        soak: Duration::from_secs(3_600),
        max_gap: Duration::from_secs(600),
        ..Limits::default()
    };
    let mut silent = route("b", &[(MATCH, 2 * ENOUGH)]);
    let routes = |silent: &Figures| evidence(vec![route("a", &[(MATCH, ENOUGH)]), silent.clone()]);
    assert_safe(&routes(&silent), &limits);

    silent.evidence.record = SoakClock::default();
    silent.evidence.record.check(at(NOW - 3_600));
    silent.evidence.record.check(at(NOW - 601));
    assert_undecided(&routes(&silent), &limits, &[(Code::Soak, Some("b"))]);
    assert_eq!(judged(&routes(&silent), &limits).soak.clean_seconds, 0);
    // A route that the verdict does not depend on may be silent.
    silent.requirement = Requirement::Rest;
    assert_safe(&routes(&silent), &limits);
}

#[test]
fn a_latency_ratio_is_held_where_one_is_set() {
    let with = |latency| {
        let mut figures = route("a", &[(MATCH, ENOUGH)]);
        figures.latency = latency;
        evidence(vec![figures])
    };
    let limits = Limits {
        max_latency_ratio: Some(1.5),
        ..Limits::default()
    };
    assert_safe(&with(latency(10.0, 15.0)), &limits);
    let slow = with(latency(10.0, 15.1));
    assert_undecided(&slow, &limits, &[(Code::Latency, Some("a"))]);
    assert_safe(&slow, &Limits::default());
}

#[test]
fn p99_of_too_few_answers_is_undecided_and_names_how_many_miss() {
    let limits = Limits {
        max_latency_ratio: Some(1.5),
        ..Limits::default()
    };
    let with = |answers| {
        let mut figures = route("a", &[(MATCH, ENOUGH)]);
        figures.latency = latency(10.0, 10.0);
        figures.latency.new.as_mut().unwrap().answers = answers;
        evidence(vec![figures])
    };
    let few = judged(&with(100), &limits).reasons.remove(0);
    assert_eq!(few.code, Code::Latency);
    let missing = few.checks_needed.unwrap();
    // Two per second.
    assert_eq!(few.eta_seconds, Some(missing.div_ceil(2)));
    assert_safe(&with(100 + missing), &limits);
    assert_undecided(
        &with(100 + missing - 1),
        &limits,
        &[(Code::Latency, Some("a"))],
    );

    let unknown = evidence(vec![route("a", &[(MATCH, ENOUGH)])]);
    assert_undecided(&unknown, &limits, &[(Code::Latency, Some("a"))]);
}

#[test]
fn an_expired_rule_keeps_it_undecided() {
    let mut evidence = evidence(vec![route("a", &[(MATCH, ENOUGH)])]);
    assert_safe(&evidence, &Limits::default());
    evidence.expired_rules.push("http-date".into());
    assert_undecided(&evidence, &Limits::default(), &[(Code::RuleExpired, None)]);
}

#[test]
fn paused_sampling_keeps_it_undecided() {
    let mut evidence = evidence(vec![route("a", &[(MATCH, ENOUGH)])]);
    evidence.activity = Activity::Paused;
    assert_undecided(&evidence, &Limits::default(), &[(Code::Paused, None)]);
}

#[test]
fn idle_shadow_is_undecided_whatever_it_has_proven() {
    let mut evidence = evidence(vec![route("a", &[(MATCH, ENOUGH)])]);
    evidence.activity = Activity::BreakerOpen;
    assert_undecided(&evidence, &Limits::default(), &[(Code::Paused, None)]);
}

#[test]
fn unconfirmed_mismatches_are_counted_in_the_verdict() {
    let unconfirmed = Outcome::Mismatch(Mark::Unconfirmed);
    let routes = vec![route("a", &[(MATCH, 10), (MISMATCH, 5), (unconfirmed, 35)])];
    let verdict = judged(&evidence(routes), &Limits::default());
    let detail = &verdict.reasons[0].detail;
    let shown = "40 of 50 checks mismatched (35 of them not confirmed by reading again); at least";
    assert!(detail.starts_with(shown), "{detail}");
}

#[test]
fn nothing_checked_is_never_success() {
    let limits = Limits::default();
    assert_undecided(&evidence(Vec::new()), &limits, &[(Code::NoTraffic, None)]);
    let mut written = Figures::new("a");
    written.live = 1_000;
    let written = evidence(vec![written]);
    assert_undecided(&written, &limits, &[(Code::NoTraffic, None)]);
    // Nor are checks of routes that the verdict does not depend on.
    let mut exempt = route("a", &[(MATCH, ENOUGH)]);
    exempt.requirement = Requirement::Exempt;
    let nobody = evidence(vec![exempt]);
    assert_undecided(&nobody, &limits, &[(Code::NoTraffic, None)]);
    assert!(judged(&nobody, &limits).routes[0].exempt);
}

#[test]
fn a_required_route_has_to_be_seen() {
    let limits = Limits::default();
    let mut evidence = evidence(vec![route("dynamodb GetItem", &[(MATCH, ENOUGH)])]);
    evidence.required = vec![Arc::from("dynamodb {op}")];
    assert_safe(&evidence, &limits);
    evidence.required.push(Arc::from("get-user"));
    let unseen = [(Code::RouteUnseen, Some("get-user"))];
    assert_undecided(&evidence, &limits, &unseen);
}

#[test]
fn every_required_route_is_judged_at_the_whole_confidence() {
    let limits = Limits::default();
    for count in [1, 10, 50] {
        let routes = |checks| {
            let routes = (0..count).map(|index| {
                let mut figures = route(&format!("r{index}"), &[(MATCH, checks)]);
                figures.evidence.required = required(index + 2);
                figures
            });
            evidence(routes.collect())
        };
        assert_safe(&routes(NEEDED), &limits);
        let short = judged(&routes(NEEDED - 1), &limits);
        assert_eq!(short.reasons.len(), count as usize);
    }
}

#[test]
fn a_later_route_needs_more_proof_to_be_unsafe() {
    let limits = Limits::default();
    let proven = |rank: u64| {
        (1..500_u64)
            .find(|mismatches| {
                let mut figures = route("a", &[(MATCH, 1_000)]);
                figures.evidence.required = required(rank);
                let before = figures.evidence.checks();
                figures.evidence.required.as_mut().unwrap().before = before;
                // Only checks since it became required count.
                add(&mut figures, &[(MATCH, 1_000), (MISMATCH, *mismatches)]);
                judged(&evidence(vec![figures]), &limits).verdict == Decision::Unsafe
            })
            .unwrap()
    };
    let needed = [1, 2, 10, 50].map(proven);
    assert!(needed.is_sorted(), "{needed:?}");
    assert!(needed[0] < needed[3] && needed[3] < 20, "{needed:?}");
}

#[test]
fn routes_without_a_rank_prove_nothing_together() {
    let provisional = |name: usize| Figures {
        requirement: Requirement::Provisional,
        reads: 1,
        ..Figures::new(format!("r{name}"))
    };
    let verdict = judged(
        &evidence((0..500).map(provisional).collect()),
        &Limits::default(),
    );
    assert_eq!(verdict.verdict, Decision::Undecided);
}

#[test]
fn the_rest_is_judged_together_once_it_has_its_share() {
    let limits = Limits::default();
    let mut all = evidence(vec![route("a", &[(MATCH, ENOUGH)])]);
    all.tallies.rest = route("(rest)", &[(MATCH, 200), (MISMATCH, 190)]);
    let verdict = judged(&all, &limits);
    assert_eq!(verdict.verdict, Decision::Unsafe);
    assert_eq!(codes(&verdict), [(Code::MismatchRate, Some("(rest)"))]);

    all.tallies.rest.requirement = Requirement::Rest;
    let verdict = judged(&all, &limits);
    assert_eq!(verdict.verdict, Decision::Safe);
    assert_eq!(&*verdict.routes[1].route, "(rest)");
    assert!(!verdict.routes[1].required);
}

#[test]
fn the_document_has_every_figure_under_its_name() {
    let outcomes = [
        (MATCH, 3_800),
        (Outcome::Match(Via::Rules), 255),
        (Outcome::Mismatch(Mark::Unconfirmed), 1),
        (Outcome::Transient, 2),
        (TIMEOUT, 1),
        (QUEUE_FULL, 1),
    ];
    let mut figures = route("get-user", &outcomes);
    (figures.live, figures.reads) = (81_200, 81_200);
    figures.latency = latency(18.0, 11.0);
    let document =
        serde_json::to_value(judged(&evidence(vec![figures]), &Limits::default())).unwrap();

    assert_eq!(document["verdict"], "undecided");
    assert_eq!(
        document["epoch"],
        json!({"id": "e1", "label": "build 812", "version": "812", "cause": "start", "since": "1970-01-02T01:46:40Z", "until": null})
    );
    assert_eq!(document["confidence"], 0.95);
    assert_eq!(
        document["soak"],
        json!({"required_seconds": 0, "clean_seconds": 3_600})
    );
    let reason = &document["reasons"][0];
    assert_eq!(
        (&reason["code"], &reason["route"]),
        (&json!("more_checks"), &json!("get-user"))
    );
    assert!(reason["checks_needed"].is_u64() && reason["eta_seconds"].is_u64());
    let mut route = document["routes"][0].clone();
    let rate = route["mismatch_rate"].take();
    assert_eq!(rate["limit"], 0.001);
    assert_eq!(rate["estimate"], 1.0 / 4_056.0);
    assert!(rate["lower"].as_f64().unwrap() < rate["upper"].as_f64().unwrap());
    for rate in [
        "error_rate",
        "transient_rate",
        "noise_rate",
        "uncompared_rate",
    ] {
        assert!(
            route[rate]["upper"].is_f64() && route[rate]["limit"].is_f64(),
            "{rate}"
        );
    }
    let expected = json!({
        "required": true, "exempt": false, "state": "undecided", "live": 81_200, "reads": 81_200, "sampled": 4_060,
        "waiting": 0, "forced": 0, "distinct_keys": null,
        "match": {"exact": 3_800, "rules": 255}, "mismatch": 1, "marked": {"unconfirmed": 1},
        "transient": 2, "noise": 0, "shadow_error": {"timeout": 1}, "not_compared": {"queue_full": 1},
        "latency": {
            "old": {"answers": 6_000, "p50_ms": 9.0, "p99_ms": 18.0},
            "new": {"answers": 6_000, "p50_ms": 5.5, "p99_ms": 11.0},
        },
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&route[name], value, "{name}");
    }
    assert_ne!(route["error_rate"]["upper"], Value::Null);
}

fn any_route() -> impl Strategy<Value = Figures> {
    let counts = (0..8_000_u64, 0..20_u64, 0..60_u64, 0..400_u64);
    ("[a-c]", counts, any::<bool>()).prop_map(
        |(name, (matches, mismatches, errors, lost), long)| {
            let matches = if long { matches * 100 } else { matches };
            let outcomes = [
                (MATCH, matches),
                (MISMATCH, mismatches),
                (TIMEOUT, errors),
                (QUEUE_FULL, lost),
            ];
            route(&name, &outcomes)
        },
    )
}

fn any_evidence() -> impl Strategy<Value = Evidence> {
    prop::collection::vec(any_route(), 0..4).prop_map(|mut routes| {
        routes.sort_by(|a, b| a.route.cmp(&b.route));
        // The ledger has one route of a name.
        routes.dedup_by(|a, b| a.route == b.route);
        evidence(routes)
    })
}

proptest! {
    #[test]
    fn a_further_mismatch_never_makes_it_safer(evidence in any_evidence(), index in any::<prop::sample::Index>()) {
        let before = judged(&evidence, &Limits::default()).verdict;
        let mut after = evidence;
        if !after.tallies.routes.is_empty() {
            let routes = &mut after.tallies.routes;
            let figures = index.get_mut(routes);
            add(figures, &[(MISMATCH, 1)]);
        }
        let after = judged(&after, &Limits::default()).verdict;
        if before == Decision::Unsafe {
            prop_assert_eq!(after, Decision::Unsafe);
        }
        prop_assert!(before == Decision::Safe || after != Decision::Safe);
    }

    #[test]
    fn safe_means_no_reason_and_every_required_route_safe(evidence in any_evidence()) {
        let verdict = judged(&evidence, &Limits::default());
        prop_assert_eq!(verdict.verdict == Decision::Safe, verdict.reasons.is_empty());
        let required = verdict.routes.iter().filter(|route| route.required);
        let states: Vec<Decision> = required.map(|route| route.state).collect();
        if verdict.verdict == Decision::Safe {
            prop_assert!(!states.is_empty());
            prop_assert!(states.iter().all(|state| *state == Decision::Safe));
        }
        // All together may prove what none does alone.
        let is_unsafe = states.contains(&Decision::Unsafe);
        prop_assert!(!is_unsafe || verdict.verdict == Decision::Unsafe);
    }

    #[test]
    fn the_checks_that_are_asked_for_are_enough(evidence in any_evidence()) {
        let mut evidence = evidence;
        let limits = Limits { min_coverage: 0.0, ..Limits::default() };
        let verdict = judged(&evidence, &limits);
        for reason in &verdict.reasons {
            let Some(needed) = reason.checks_needed else { continue };
            let name = reason.route.clone().unwrap();
            for figures in &mut evidence.tallies.routes {
                if figures.route == name {
                    add(figures, &[(MATCH, needed)]);
                }
            }
        }
        let later = judged(&evidence, &limits);
        prop_assert!(later.reasons.iter().all(|reason| reason.checks_needed.is_none()), "{:?}", later.reasons);
    }
}
