//! Renumbered ids: which checks establish pairs in the epoch.

use super::{
    MISMATCH,
    harness::Shadow,
    not_compared,
    recheck::{UNCONFIRMED, after, comparing, pair, places, reading, under},
};
use crate::support::{Script, Stack, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use twinread::testing::shadow::Settings;
use twinread::{
    compare::{Answer, Bijections, CompareConfig, Comparison, Context, compare_within},
    outcome::{Outcome, Reason, Via},
};

const MATCH: Outcome = Outcome::Match(Via::Rules);
const OLD: &str = r#"{"id": 1, "v": 1}"#;
const NEW: &str = r#"{"id": "other", "v": 1}"#;

async fn renumbered(stacks: (&Stack, &Stack), settings: Settings) -> Shadow {
    let mut shadow = comparing((stacks.0, stacks.1, None), settings).await;
    shadow.comparing =
        under("rules: [{id: ids, why: renumbered, at: $.id, do: {bijection: epoch}}]");
    shadow
}

/// Whether the old id may still pair with another new one.
async fn is_free(shadow: &mut Shadow, (old, new): (&Stack, &Stack)) -> bool {
    while shadow.reports.try_recv().is_ok() {}
    old.becomes(json(OLD));
    new.becomes(json(NEW));
    match shadow.check(&reading(OLD)).await {
        MATCH => true,
        MISMATCH => {
            assert_eq!(places(&shadow.reports.try_recv().unwrap()), ["$.id"]);
            false
        }
        outcome => panic!("{outcome:?}"),
    }
}

#[tokio::test]
async fn id_pairs_of_a_match_and_a_lasting_mismatch_are_remembered() {
    for (version, expected) in [(1, MATCH), (2, MISMATCH)] {
        let body = format!(r#"{{"id": 7, "v": {version}}}"#);
        let (old, new) = pair(json(OLD), json(&body));
        let mut shadow = renumbered((&old, &new), after(&[1, 2])).await;
        assert_eq!(shadow.check(&reading(OLD)).await, expected);
        assert!(!is_free(&mut shadow, (&old, &new)).await, "{expected:?}");
    }
}

#[tokio::test]
async fn what_met_while_the_new_stack_lagged_is_not_remembered() {
    let ahead = [r#"{"id": 7, "v": 0}"#, r#"{"id": 8, "v": 1}"#];
    let broken = [r#"{"id": 7, "v": 0}"#, r#"{"id": 8, "v": 0}"#];
    for (bodies, expected) in [(ahead, Outcome::Transient), (broken, MISMATCH)] {
        let bodies = Box::leak(Box::new(bodies));
        let (old, new) = pair(json(OLD), Script::sequence(bodies));
        let mut shadow = renumbered((&old, &new), after(&[1])).await;
        assert_eq!(shadow.check(&reading(OLD)).await, expected);
        assert!(is_free(&mut shadow, (&old, &new)).await, "{expected:?}");
    }
}

#[tokio::test]
async fn what_met_in_a_check_that_is_unconfirmed_is_not_remembered() {
    let (old, new) = pair(json(OLD), json(r#"{"id": 7, "v": 0}"#));
    let mut few = after(&[1, 2]);
    few.recheck.max_per_second = "3/h".parse().unwrap();
    let mut shadow = renumbered((&old, &new), few).await;
    // With a second reading that differed again, and without.
    for _ in 0..2 {
        assert_eq!(shadow.check(&reading(OLD)).await, UNCONFIRMED);
    }
    assert!(is_free(&mut shadow, (&old, &new)).await);
}

#[tokio::test]
async fn ids_paired_in_noise_alone_are_not_remembered() {
    let version = AtomicUsize::new(5);
    let clock = Script::bodies(move |_| {
        let version = version.fetch_add(1, Ordering::SeqCst);
        format!(r#"{{"id": 1, "v": {version}}}"#)
    });
    let (old, new) = pair(clock, json(r#"{"id": 7, "v": 0}"#));
    let mut shadow = renumbered((&old, &new), after(&[1])).await;
    assert_eq!(shadow.check(&reading(OLD)).await, Outcome::Noise);
    assert!(is_free(&mut shadow, (&old, &new)).await);
}

#[tokio::test]
async fn what_met_in_a_comparison_that_panicked_is_not_remembered() {
    fn panicking(
        answers: (&Answer, &Answer),
        context: &Context<'_>,
        comparing: &CompareConfig,
        tables: &mut Bijections,
    ) -> Comparison {
        let comparison = compare_within(answers, context, comparing, tables);
        assert_ne!(answers.1.body.kept(), r#"{"id": 7, "v": 1}"#);
        comparison
    }
    let (old, new) = pair(json(OLD), json(r#"{"id": 7, "v": 1}"#));
    let mut shadow = Shadow::comparing(&old, &new, after(&[1]), panicking).await;
    shadow.comparing =
        under("rules: [{id: ids, why: renumbered, at: $.id, do: {bijection: epoch}}]");
    let ended = shadow.check(&reading(OLD)).await;
    assert_eq!(ended, not_compared(Reason::Internal));
    assert!(is_free(&mut shadow, (&old, &new)).await);
}
