//! Checks of just written records begin later, with a reading of both stacks.

use super::{
    EQUAL, MATCH, MISMATCH,
    harness::{Read, Shadow},
    not_compared,
    recheck::{STALE, after, comparing, marks, pair},
};
use crate::support::{Reply, Script, answer, json, until};
use http::{HeaderMap, Method, StatusCode};
use std::time::{Duration, Instant};
use twinread::testing::{
    ledger::Bound,
    route::{Access, Head, Routes},
    shadow::Conditional,
};
use twinread::{
    outcome::{Outcome, Reason},
    stack,
};

/// Records a `PUT` of this path.
pub(crate) fn write(shadow: &Shadow, path: &str) {
    let head = Head {
        method: &Method::PUT,
        path,
        query: None,
        headers: &HeaderMap::new(),
    };
    let keys = Routes::default().keys(&head, None, Access::Write);
    shadow.writes.note(&keys, Instant::now());
}

#[tokio::test]
async fn written_key_is_read_again_on_both_after_the_first_delay() {
    for primary in [stack::Stack::Old, stack::Stack::New] {
        let (old, new) = pair(json(EQUAL), json(EQUAL));
        let shadow = comparing((&old, &new, None), after(&[50, 60_000])).await;
        // The caller's answer was overwritten before the shadow was read.
        let read = Read {
            primary,
            answer: STALE,
            ..Read::new()
        };
        write(&shadow, "/x");
        let begun = Instant::now();

        assert_eq!(shadow.check(&read).await, MATCH);

        assert!(begun.elapsed() >= Duration::from_millis(50));
        assert_eq!(
            (marks(&old), marks(&new)),
            (vec!["recheck".into()], vec!["recheck".into()])
        );
        assert_eq!(shadow.route().delayed(), 1);
        let routes = shadow.ledger.tallies().routes;
        assert_eq!((routes[0].delayed, routes[0].sampled), (1, 1));
    }
}

#[tokio::test]
async fn what_was_not_written_is_not_delayed() {
    let (old, new) = pair(json(EQUAL), json(EQUAL));
    let shadow = comparing((&old, &new, None), after(&[60_000])).await;
    write(&shadow, "/y");
    assert_eq!(shadow.check(&Read::new()).await, MATCH);
    assert_eq!(marks(&new), ["shadow"]);
    assert_eq!(shadow.route().delayed(), 0);
}

#[tokio::test]
async fn a_defect_in_what_was_written_is_found_all_the_same() {
    let (old, new) = pair(json(EQUAL), json(STALE));
    let mut shadow = comparing((&old, &new, None), after(&[1, 2])).await;
    write(&shadow, "/x");
    assert_eq!(shadow.check(&Read::new()).await, MISMATCH);
    assert_eq!((old.requests().len(), new.requests().len()), (3, 3));
    let report = shadow.reports.try_recv().unwrap();
    assert_eq!(report.rechecked.count, 2);
}

#[tokio::test]
async fn lag_that_outlives_the_first_delay_is_transient() {
    let (old, new) = pair(json(EQUAL), Script::sequence(&[STALE, STALE, EQUAL]));
    let shadow = comparing((&old, &new, None), after(&[1, 2, 3])).await;
    write(&shadow, "/x");
    assert_eq!(shadow.check(&Read::new()).await, Outcome::Transient);
}

#[tokio::test]
async fn conditional_read_of_a_written_key_is_delayed_unconditional() {
    let (old, new) = pair(json(EQUAL), json(EQUAL));
    let shadow = comparing((&old, &new, None), after(&[1])).await;
    let read = Read {
        status: StatusCode::NOT_MODIFIED,
        answer: "",
        headers: vec![("host", "caller"), ("if-none-match", "\"7\"")],
        ..Read::new()
    };
    write(&shadow, "/x");
    assert_eq!(shadow.check(&read).await, MATCH);
    assert!(!old.requests()[0].contains("if-none-match"));

    let mut skip = after(&[1]);
    skip.conditional = Conditional::Skip;
    shadow.settings.publish(skip);
    let skipped = not_compared(Reason::Conditional);
    assert_eq!(shadow.check(&read).await, skipped);
    assert_eq!((old.requests().len(), shadow.route().delayed()), (1, 1));
}

#[tokio::test]
async fn written_key_is_read_without_conditions_for_any_live_answer() {
    let tagged = Script::answers(|request| {
        if request.contains("if-none-match") {
            "HTTP/1.1 304 Not Modified\r\netag: \"7\"\r\n\r\n".to_owned()
        } else {
            let answer = answer("200 OK", EQUAL);
            answer.replacen("\r\n", "\r\netag: \"7\"\r\n", 1)
        }
    });
    let (old, new) = pair(json(EQUAL), tagged);
    let shadow = comparing((&old, &new, None), after(&[1])).await;
    let read = Read {
        headers: vec![("host", "caller"), ("if-none-match", "\"7\"")],
        ..Read::new()
    };
    write(&shadow, "/x");
    assert_eq!(shadow.check(&read).await, MATCH);
}

#[tokio::test]
async fn without_a_budget_for_it_what_was_written_is_not_compared() {
    let (old, new) = pair(json(EQUAL), json(EQUAL));
    let mut few = after(&[1]);
    few.recheck.max_per_second = "3/h".parse().unwrap();
    let shadow = comparing((&old, &new, None), few).await;
    write(&shadow, "/x");
    assert_eq!(shadow.check(&Read::new()).await, MATCH);
    let over = not_compared(Reason::OverBudget);
    assert_eq!(shadow.check(&Read::new()).await, over);
    assert_eq!((old.requests().len(), new.requests().len()), (1, 1));
    assert_eq!(shadow.route().delayed(), 2);
}

#[tokio::test]
async fn they_leave_room_in_the_budget_for_confirming_what_differs() {
    let differs = |request: &str| {
        if request.contains("/other") {
            STALE
        } else {
            EQUAL
        }
    };
    let new = Script::bodies(move |request| differs(request).to_owned());
    let (old, new) = pair(json(EQUAL), new);
    let mut few = after(&[1]);
    few.recheck.max_per_second = "4/s".parse().unwrap();
    let shadow = comparing((&old, &new, None), few).await;
    write(&shadow, "/x");
    for _ in 0..20 {
        shadow.offer(&Read::new());
    }
    let over = not_compared(Reason::OverBudget);
    until("the state that the test waits for", || {
        shadow.count(over) >= 10
    })
    .await;
    let other = Read {
        uri: "/other",
        ..Read::new()
    };
    shadow.offer(&other);
    shadow.settle().await;
    assert_eq!(shadow.count(MISMATCH), 1, "{:?}", shadow.outcomes());
}

#[tokio::test]
async fn a_stack_that_fails_then_counts_as_that() {
    let (old, new) = pair(Reply::Close(String::new()), json(EQUAL));
    let shadow = comparing((&old, &new, None), after(&[1])).await;
    write(&shadow, "/x");
    let failed = not_compared(Reason::PrimaryError);
    assert_eq!(shadow.check(&Read::new()).await, failed);
}

#[tokio::test]
async fn delayed_checks_are_bounded_hold_no_slot_and_end_at_shutdown() {
    let (old, new) = pair(json(EQUAL), json(EQUAL));
    let mut settings = after(&[3_600_000]);
    settings.queue.max_length = 2;
    settings.new.max_in_flight = std::num::NonZeroUsize::MIN;
    settings.drain.grace = Duration::from_secs(3_600);
    let shadow = comparing((&old, &new, None), settings).await;
    write(&shadow, "/x");
    for _ in 0..5 {
        shadow.offer(&Read::new());
    }
    let over = not_compared(Reason::OverBudget);
    until("the state that the test waits for", || {
        shadow.count(over) == 3
    })
    .await;
    assert_eq!(shadow.gauges.bounds_reached(Bound::Rechecks), 3);
    let other = Read {
        uri: "/other",
        ..Read::new()
    };
    shadow.offer(&other);
    until("the state that the test waits for", || {
        shadow.count(MATCH) == 1
    })
    .await;

    let (route, budget) = (shadow.route(), shadow.budget.clone());
    shadow.drain().await;
    let ended = not_compared(Reason::ShuttingDown);
    assert_eq!((route.outcomes(ended), route.sampled()), (2, 6));
    assert_eq!(budget.held(), 0);
}
