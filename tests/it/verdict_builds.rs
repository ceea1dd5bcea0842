//! The ledger's figures by build: each check counts for the build that answered it, and no build is called safe for the
//! answers of another.

use crate::verdict_epochs::{MATCH, MISMATCH, close, figures, ledger};
use proptest::prelude::*;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use twinread::testing::ledger::{Bound, Gauges, Ledger};
use twinread::{
    outcome::{Outcome, ShadowError},
    stack::Stack,
    verdict::{Activity, Cause, Decision, Evidence, Limits, Tallies, Trials, Version, judge},
};

fn version(build: &str) -> Version {
    Version::of(build.as_bytes()).unwrap()
}

/// One check answered by `build`: sampled before the build is known, ended after. Returns whether an epoch began.
fn check(ledger: &Ledger, build: Option<&str>, outcome: Outcome) -> bool {
    let mut ticket = ledger.route("get-user").sample();
    let begins = ledger.attribute(build.map(version).as_ref(), &mut ticket);
    ticket.answered(Stack::New, Duration::from_millis(4));
    ticket.finish(outcome);
    begins
}

fn answered_by(ledger: &Ledger, build: &str) -> bool {
    check(ledger, Some(build), MATCH)
}

/// The build and the number of checks of each epoch, the present one first.
fn counted(ledger: &Ledger) -> Vec<(Option<String>, u64)> {
    let epochs = ledger.epochs().into_iter();
    epochs
        .map(|tallies| {
            let version = tallies.epoch.version;
            let sampled = tallies.routes.iter().map(|figures| {
                assert_eq!(figures.sampled, figures.outcomes.ended());
                figures.sampled
            });
            (version.map(|version| version.to_string()), sampled.sum())
        })
        .collect()
}

fn of(build: &str, checks: u64) -> (Option<String>, u64) {
    (Some(build.to_owned()), checks)
}

#[test]
fn each_check_counts_in_the_epoch_of_the_build_that_answered_it() {
    let (ledger, _) = ledger();
    assert!(!answered_by(&ledger, "a"), "it is that of the first epoch");
    assert!(answered_by(&ledger, "b"));
    for _ in 0..100 {
        assert!(!answered_by(&ledger, "a"));
        assert!(!answered_by(&ledger, "b"));
    }
    assert_eq!(counted(&ledger), [of("b", 101), of("a", 101)]);
    assert_eq!(ledger.epochs()[0].epoch.cause, Cause::Version);

    // Sampled before the new build answered, answered by it.
    let mut ticket = ledger.route("a route of its own").sample();
    ledger.route("get-user").sample().finish(MATCH);
    assert!(!ledger.attribute(Some(&version("a")), &mut ticket));
    ticket.finish(MATCH);
    assert_eq!(counted(&ledger), [of("b", 102), of("a", 102)]);
}

#[test]
fn answers_of_another_build_count_in_the_rest_of_its_epoch() {
    let (ledger, second) = ledger();
    answered_by(&ledger, "1");
    ledger.close_seconds();
    let mut ticket = ledger.route("thin").sample();
    ledger.attribute(Some(&version("2")), &mut ticket);
    ticket.finish(MISMATCH);
    close(&ledger, &second);
    let counts = |tallies: &Tallies| {
        let rest = &tallies.rest;
        (
            rest.sampled,
            rest.outcomes.ended(),
            rest.outcomes.mismatches(),
        )
    };
    let epochs = ledger.epochs();
    assert_eq!(counts(&epochs[0]), (1, 1, 1));
    assert_eq!(counts(&epochs[1]), (1, 1, 0));
}

#[test]
fn a_check_under_other_rules_counts_in_no_epoch_but_its_own() {
    let (ledger, second) = ledger();
    answered_by(&ledger, "a");
    let mut early = ledger.route("get-user").sample();
    ledger.begin_epoch(None, Cause::Rules);
    assert!(!ledger.attribute(Some(&version("a")), &mut early));
    early.finish(MATCH);
    assert_eq!(counted(&ledger), [of("a", 0), of("a", 2)]);

    let mut early = ledger.route("get-user").sample();
    second.fetch_add(100, Ordering::SeqCst);
    answered_by(&ledger, "b");
    ledger.begin_epoch(None, Cause::Compare);
    // A build whose epoch is not comparable would begin another, which is too soon here.
    assert!(!ledger.attribute(Some(&version("a")), &mut early));
    early.finish(MATCH);
    second.fetch_add(100, Ordering::SeqCst);
    assert!(answered_by(&ledger, "a"));
    let expected = [of("a", 1), of("b", 0), of("b", 1), of("a", 1), of("a", 2)];
    assert_eq!(counted(&ledger), expected);
}

#[test]
fn build_that_replaces_the_newest_has_a_new_epoch_and_label() {
    let (ledger, second) = ledger();
    answered_by(&ledger, "a");
    ledger.begin_epoch(Some("of a"), Cause::Asked);
    answered_by(&ledger, "a");
    assert!(answered_by(&ledger, "b"));
    assert_eq!(ledger.tallies().epoch.label, None);
    for _ in 0..20 {
        assert!(!answered_by(&ledger, "a"));
    }
    second.fetch_add(60, Ordering::SeqCst);
    assert!(answered_by(&ledger, "a"));
    assert_eq!(ledger.tallies().epoch.label.as_deref(), Some("of a"));
    assert_eq!(
        counted(&ledger),
        [of("a", 1), of("b", 1), of("a", 21), of("a", 1)]
    );
}

#[test]
fn under_another_version_header_no_build_is_known() {
    let (ledger, _) = ledger();
    answered_by(&ledger, "a");
    ledger.begin_comparable(Some(Arc::from("other header")), None, Cause::Version);
    assert_eq!(ledger.tallies().epoch.version, None);
    ledger.begin_epoch(None, Cause::Asked);
    assert!(!answered_by(&ledger, "a"));
    ledger.begin_epoch(None, Cause::Asked);
    assert_eq!(ledger.tallies().epoch.version, Some(version("a")));
}

#[test]
fn an_unnamed_build_has_an_epoch_of_its_own_if_it_was_the_first() {
    let (ledger, _) = ledger();
    assert!(!check(&ledger, None, MATCH));
    assert!(answered_by(&ledger, "a"));
    assert!(!check(&ledger, None, MATCH));
    assert_eq!(counted(&ledger), [of("a", 1), (None, 2)]);
}

#[test]
fn unnamed_answer_is_no_evidence_and_splits_that_of_the_newest() {
    let (ledger, second) = ledger();
    for build in [Some("a"), None, Some("a"), Some("a")] {
        check(&ledger, build, MATCH);
    }
    close(&ledger, &second);
    let tallies = ledger.tallies();
    assert_eq!(tallies.mixed, Some(Duration::from_secs(1)));
    let figures = figures(&tallies, "get-user");
    assert_eq!(figures.evidence.checks().matched, 3);
    assert_eq!(figures.outcomes.matches(), 4);
    assert_eq!(figures.evidence.alone, Some(Trials::new(2, 0)));
    assert_eq!(tallies.rest.evidence.alone, Some(Trials::new(2, 0)));
}

#[test]
fn clean_unnamed_answers_do_not_dilute_errors_of_the_newest() {
    let (ledger, second) = ledger();
    let error = Outcome::ShadowError(ShadowError::Timeout);
    for round in 0..3_400 {
        let outcome = if round % 50 == 0 { error } else { MATCH };
        check(&ledger, Some("a"), outcome);
    }
    for _ in 0..8_000 {
        check(&ledger, None, MATCH);
    }
    // A mismatch counts, whoever answered: it may be of the newest.
    check(&ledger, None, MISMATCH);
    close(&ledger, &second);
    let tallies = ledger.tallies();
    let checks = figures(&tallies, "get-user").evidence.checks();
    assert_eq!((checks.matched, checks.errors), (3_332, 68));
    assert_eq!(checks.mismatch(), Trials::new(3_333, 1));
    assert_eq!(figures(&tallies, "get-user").outcomes.matches(), 11_332);
}

#[test]
fn a_header_that_disappears_for_good_is_a_build_after_a_while() {
    let (ledger, second) = ledger();
    answered_by(&ledger, "a");
    for _ in 0..59 {
        second.fetch_add(1, Ordering::SeqCst);
        assert!(!check(&ledger, None, MATCH));
    }
    second.fetch_add(1, Ordering::SeqCst);
    assert!(check(&ledger, None, MATCH));
    assert_eq!(counted(&ledger), [(None, 1), of("a", 60)]);
}

#[test]
fn a_header_that_is_no_version_is_counted_as_a_bound() {
    let gauges = Gauges::default();
    let ledger = Ledger::new(10, gauges.clone());
    for request in 0..50 {
        answered_by(&ledger, &format!("request {request}"));
    }
    assert_eq!(gauges.bounds_reached(Bound::Versions), 48);
    assert_eq!(ledger.epochs().len(), 2);
}

/// A stack that answers through time, and the verdict about it.
struct Deployment {
    ledger: Ledger,
    second: Arc<AtomicI64>,
    limits: Limits,
    /// Answers so far, which decide which of them are wrong.
    answers: u64,
}

/// Checks that bound a clean route at [`limits`].
const ENOUGH: u64 = 66;

fn limits() -> Limits {
    Limits {
        max_mismatch: 0.05,
        max_error: 0.05,
        max_uncompared: 0.05,
        ..Limits::default()
    }
}

impl Deployment {
    fn new() -> Self {
        let (ledger, second) = ledger();
        let limits = limits();
        ledger.judge_by(&limits, vec!["get-user".into()]);
        Self {
            ledger,
            second,
            limits,
            answers: 0,
        }
    }

    fn pass(&self, seconds: i64) {
        self.second.fetch_add(seconds, Ordering::SeqCst);
        self.ledger.close_seconds();
    }

    /// One answer by `build`, every `wrong`th of which differs; 0: none does.
    fn answer(&mut self, build: Option<&str>, wrong: u64) {
        self.answers += 1;
        let is_wrong = wrong > 0 && self.answers.is_multiple_of(wrong);
        check(&self.ledger, build, if is_wrong { MISMATCH } else { MATCH });
    }

    fn is_safe(&self) -> bool {
        let evidence = Evidence {
            tallies: self.ledger.tallies(),
            required: vec!["get-user".into()],
            expired_rules: Vec::new(),
            activity: Activity::Sampling,
            is_by_key: false,
            is_same_stack: false,
        };
        let verdict = judge(&evidence, &self.limits, self.ledger.now());
        verdict.decision == Decision::Safe
    }

    /// Answers for that many seconds, one each. Returns whether it was ever safe.
    fn runs(&mut self, build: Option<&str>, wrong: u64, seconds: u64) -> bool {
        let mut was_safe = false;
        for _ in 0..seconds {
            self.answer(build, wrong);
            self.pass(1);
            was_safe |= self.is_safe();
        }
        was_safe
    }
}

#[test]
fn a_clean_deploy_is_safe_once_the_other_build_is_gone() {
    let mut stack = Deployment::new();
    assert!(stack.runs(Some("a"), 0, 500));
    for _ in 0..250 {
        assert!(!stack.runs(Some("b"), 0, 1));
        assert!(!stack.runs(Some("a"), 0, 1));
    }
    assert!(!stack.runs(Some("b"), 0, ENOUGH - 1));
    assert!(stack.runs(Some("b"), 0, 1));
}

#[test]
fn wrong_build_that_answers_rarely_is_never_safe() {
    let mut stack = Deployment::new();
    assert!(!stack.runs(Some("a"), 1, 500));
    for _ in 0..100 {
        // Two answers in 124 s, of which one is wrong.
        assert!(!stack.runs(Some("b"), 0, 1));
        stack.pass(61);
        assert!(!stack.is_safe());
        assert!(!stack.runs(Some("a"), 1, 1));
        stack.pass(61);
        assert!(!stack.is_safe());
    }
}

#[test]
fn a_header_that_comes_and_goes_hides_no_wrong_answer() {
    for wrong in [1, 2] {
        let mut stack = Deployment::new();
        stack.runs(Some("a"), 0, 500);
        for _ in 0..20 {
            assert!(!stack.runs(None, wrong, 1));
            // For a minute, and without enough checks alone.
            assert!(!stack.runs(Some("a"), 0, ENOUGH - 6));
            stack.pass(61);
            assert!(!stack.is_safe());
        }
    }
}

#[test]
fn clean_answers_of_another_do_not_dilute_a_wrong_build() {
    let mut stack = Deployment::new();
    stack.runs(Some("b"), 0, 10);
    // An older deployment names no build.
    for _ in 0..100 {
        assert!(!stack.runs(None, 0, 9));
        assert!(!stack.runs(Some("b"), 10, 1));
    }
    assert!(!stack.runs(Some("b"), 10, 500));
}

#[test]
fn builds_in_quick_succession_do_not_vouch_for_each_other() {
    let mut stack = Deployment::new();
    stack.runs(Some("a"), 0, 20);
    stack.runs(Some("b"), 10, 1);
    // Too soon for an epoch of its own.
    for _ in 0..1_000 {
        stack.answer(Some("c"), 0);
    }
    assert!(!stack.runs(Some("b"), 10, 500));
}

#[test]
fn wrong_build_that_comes_back_is_not_safe() {
    let mut stack = Deployment::new();
    assert!(!stack.runs(Some("a"), 10, 300));
    assert!(stack.runs(Some("b"), 0, 300));
    for _ in 0..5 {
        assert!(!stack.runs(Some("a"), 10, 150));
        stack.runs(Some("b"), 0, 300);
    }
}

#[test]
fn a_header_that_differs_in_every_answer_is_never_safe() {
    let mut stack = Deployment::new();
    for request in 0..500 {
        assert!(!stack.runs(Some(&request.to_string()), 10, 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever answers when: `safe` needs enough checks in a row of one build alone, and a minute without another.
    #[test]
    fn safe_is_said_after_enough_answers_of_one_build_alone(
        parts in prop::collection::vec((0..4_usize, 1..100_u64, 0..4_i64), 1..30),
    ) {
        let mut stack = Deployment::new();
        let (mut last, mut alone, mut since) = (0, 0, 0);
        for (build, answers, pause) in parts {
            for _ in 0..answers {
                if build != last {
                    (last, alone, since) = (build, 0, stack.second.load(Ordering::SeqCst));
                }
                alone += 1;
                stack.answer([None, Some("a"), Some("b"), Some("c")][build], 0);
                stack.pass(1 + pause * pause * 10);
                let now = stack.second.load(Ordering::SeqCst);
                prop_assert!(!stack.is_safe() || alone >= ENOUGH, "{alone} alone, in {} s", now - since);
            }
        }
    }
}
