//! Reads without a captured answer, as mirrored copies are: both stacks are read.

use super::{
    EQUAL, MATCH, MISMATCH,
    harness::Read,
    not_compared,
    races::write,
    recheck::{STALE, after, comparing, marks, pair},
};
use crate::support::{Reply, Script, answer, json, until};
use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};
use twinread::outcome::{Outcome, Reason, ShadowError};
use twinread::testing::shadow::Limits;

#[tokio::test]
async fn a_copy_is_read_once_on_each_stack_and_compared() {
    let (old, new) = pair(json(EQUAL), json(EQUAL));
    let mut shadow = comparing((&old, &new, None), after(&[1])).await;
    assert_eq!(shadow.check_copy(&Read::new()).await, MATCH);
    assert_eq!(
        (marks(&old), marks(&new)),
        (vec!["shadow".into()], vec!["shadow".into()])
    );

    new.becomes(json(STALE));
    assert_eq!(shadow.check_copy(&Read::new()).await, MISMATCH);
    let report = shadow.reports.try_recv().unwrap();
    assert_eq!(
        (
            report.old.as_ref().unwrap().status,
            report.new.as_ref().unwrap().status
        ),
        (200, 200)
    );
    assert_eq!((old.requests().len(), new.requests().len()), (3, 3));
}

#[tokio::test]
async fn the_budget_of_rechecks_is_not_for_first_readings() {
    let (old, new) = pair(json(EQUAL), json(EQUAL));
    let mut settings = after(&[1]);
    settings.recheck.max_per_second = "1/h".parse().unwrap();
    let shadow = comparing((&old, &new, None), settings).await;
    for _ in 0..5 {
        assert_eq!(shadow.check_copy(&Read::new()).await, MATCH);
    }
}

#[tokio::test]
async fn each_stack_fails_a_copy_in_its_own_name() {
    let (old, new) = pair(json(EQUAL), Reply::Close(String::new()));
    let mut settings = after(&[1]);
    let breaker = Limits {
        failures: NonZeroU32::new(2).unwrap(),
        cool_down: Duration::from_secs(3_600),
    };
    (settings.old.breaker, settings.new.breaker) = (breaker, breaker);
    let mut shadow = comparing((&old, &new, None), settings).await;
    let reset = Outcome::ShadowError(ShadowError::Reset);
    assert_eq!(shadow.check_copy(&Read::new()).await, reset);
    let report = shadow.reports.try_recv().unwrap();
    assert!(
        report.old.is_none() && report.new.is_none(),
        "no pair was read"
    );

    let failed = not_compared(Reason::PrimaryError);
    new.becomes(json(EQUAL));
    old.becomes(Reply::Close(String::new()));
    for asked in [2, 3, 3] {
        assert_eq!(shadow.check_copy(&Read::new()).await, failed, "{asked}");
        assert_eq!(old.requests().len(), asked, "its breaker opens");
    }
    assert!(!shadow.gauges.is_breaker_open(), "the new stack answers");
}

#[tokio::test]
async fn a_stack_that_is_asked_too_often_ends_a_copy_over_budget() {
    let over = not_compared(Reason::OverBudget);
    for is_old in [true, false] {
        let (old, new) = pair(json(EQUAL), json(EQUAL));
        let mut settings = after(&[1]);
        let limited = if is_old {
            &mut settings.old
        } else {
            &mut settings.new
        };
        limited.max_per_second = "1/h".parse().unwrap();
        let shadow = comparing((&old, &new, None), settings).await;
        assert_eq!(shadow.check_copy(&Read::new()).await, MATCH);
        assert_eq!(shadow.check_copy(&Read::new()).await, over);
        assert_eq!((old.requests().len(), new.requests().len()), (1, 1));
    }
}

#[tokio::test]
async fn readings_of_the_old_stack_in_flight_are_bounded() {
    let (old, new) = pair(Reply::Wait(answer("200 OK", EQUAL)), json(EQUAL));
    let mut settings = after(&[1]);
    settings.old.max_in_flight = NonZeroUsize::new(2).unwrap();
    settings.new.max_in_flight = NonZeroUsize::new(4).unwrap();
    let shadow = comparing((&old, &new, None), settings).await;
    (0..10).for_each(|_| shadow.offer_copy(&Read::new()));
    until("the bounds", || {
        old.in_flight() == 2 && shadow.gauges.queue_length.get() == 6
    })
    .await;
    assert_eq!(new.requests().len(), 2, "both are read at the same moment");
    old.becomes(json(EQUAL));
    old.release();
    shadow.settle().await;
    assert_eq!((shadow.count(MATCH), old.most_in_flight()), (10, 2));
}

#[tokio::test]
async fn a_conditional_copy_is_read_again_without_its_conditions() {
    let tagged = |body: &'static str| {
        Script::answers(move |request| {
            if request.contains("if-none-match") {
                "HTTP/1.1 304 Not Modified\r\netag: \"7\"\r\n\r\n".to_owned()
            } else {
                answer("200 OK", body).replacen("\r\n", "\r\netag: \"7\"\r\n", 1)
            }
        })
    };
    let read = Read {
        headers: vec![("host", "caller"), ("if-none-match", "\"7\"")],
        ..Read::new()
    };
    let (old, new) = pair(tagged(EQUAL), tagged(EQUAL));
    let shadow = comparing((&old, &new, None), after(&[1])).await;
    assert_eq!(shadow.check_copy(&read).await, MATCH);
    assert!(!old.requests()[1].contains("if-none-match"));

    let (old, new) = pair(tagged(EQUAL), tagged(STALE));
    let shadow = comparing((&old, &new, None), after(&[1])).await;
    assert_eq!(shadow.check_copy(&read).await, MISMATCH);
}

#[tokio::test]
async fn a_copy_of_what_was_just_written_is_read_later() {
    let (old, new) = pair(json(EQUAL), json(EQUAL));
    let shadow = comparing((&old, &new, None), after(&[1, 60_000])).await;
    write(&shadow, "/x");
    assert_eq!(shadow.check_copy(&Read::new()).await, MATCH);
    assert_eq!((old.requests().len(), new.requests().len()), (1, 1));
    assert_eq!(shadow.route().delayed(), 1);
}

#[tokio::test]
async fn an_answer_that_never_ends_is_not_waited_for() {
    let endless = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: a\n\n";
    let (old, new) = pair(
        Reply::Hang(endless.to_owned()),
        Reply::Hang(endless.to_owned()),
    );
    let mut settings = after(&[1]);
    (settings.old.timeout, settings.new.timeout) = (Duration::MAX, Duration::MAX);
    let shadow = comparing((&old, &new, None), settings).await;
    let streaming = not_compared(Reason::Streaming);
    assert_eq!(shadow.check_copy(&Read::new()).await, streaming);
}
