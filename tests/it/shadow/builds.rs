//! The build of the new stack that answered, and the latency of both stacks.

use super::{
    EQUAL, MATCH,
    harness::{Read, Shadow},
    recheck::{STALE, UNCONFIRMED, after, comparing},
    settings,
};
use crate::support::{Reply, Script, Stack, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use twinread::testing::shadow::Settings;
use twinread::{stack, verdict::Cause};

fn settings_with_header() -> Settings {
    Settings {
        version_header: Some("x-version".parse().unwrap()),
        ..settings()
    }
}

/// An answer by this build; `None` for an answer without the header.
fn built(build: Option<&str>) -> String {
    let named = build.map_or(String::new(), |build| format!("x-version: {build}\r\n"));
    let length = EQUAL.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{named}\r\n{EQUAL}"
    )
}

/// The build and the number of matches of each epoch, the present one first.
fn counted(shadow: &Shadow) -> Vec<(Option<String>, u64)> {
    let epochs = shadow.ledger.epochs().into_iter();
    epochs
        .map(|tallies| {
            let version = tallies.epoch.version.map(|version| version.to_string());
            let matches = tallies.routes.iter().map(|figures| {
                assert_eq!(figures.sampled, figures.outcomes.ended());
                figures.outcomes.matches()
            });
            (version, matches.sum())
        })
        .collect()
}

fn of(build: &str, matches: u64) -> (Option<String>, u64) {
    (Some(build.to_owned()), matches)
}

#[tokio::test]
async fn new_build_begins_an_epoch_and_alternating_builds_do_not() {
    let old = Stack::replying(json(EQUAL));
    let new = Stack::replying(Reply::Write(built(Some("812"))));
    let shadow = Shadow::start(&old, &new, settings_with_header()).await;
    assert_eq!(shadow.check(&Read::new()).await, MATCH);
    assert_eq!(counted(&shadow), [of("812", 1)]);

    let next = AtomicUsize::new(0);
    new.becomes(Script::answers(move |_| {
        built(Some(
            ["813", "812"][next.fetch_add(1, Ordering::SeqCst) % 2],
        ))
    }));
    for _ in 0..20 {
        assert_eq!(shadow.check(&Read::new()).await, MATCH);
    }
    assert_eq!(counted(&shadow), [of("813", 10), of("812", 11)]);
    assert_eq!(shadow.ledger.tallies().epoch.cause, Cause::Version);
    assert!(shadow.ledger.tallies().mixed.is_some());
}

#[tokio::test]
async fn answers_without_a_build_prove_nothing_of_a_build_named_later() {
    let old = Stack::replying(json(EQUAL));
    let new = Stack::replying(Reply::Write(built(None)));
    let shadow = Shadow::start(&old, &new, settings_with_header()).await;
    shadow.check(&Read::new()).await;
    new.becomes(Reply::Write(built(Some("812"))));
    shadow.check(&Read::new()).await;
    assert_eq!(counted(&shadow), [of("812", 1), (None, 1)]);

    new.becomes(Reply::Write(built(None)));
    shadow.check(&Read::new()).await;
    assert_eq!(counted(&shadow), [of("812", 1), (None, 2)]);
    assert!(shadow.ledger.tallies().mixed.is_some());
}

#[tokio::test]
async fn a_reading_that_another_build_answered_takes_no_mismatch_back() {
    let old = Stack::replying(json(EQUAL));
    let answered = AtomicUsize::new(0);
    let new = Stack::replying(Script::answers(move |_| {
        match answered.fetch_add(1, Ordering::SeqCst) {
            0 => built(Some("813")).replace(EQUAL, STALE),
            _ => built(Some("812")),
        }
    }));
    let settings = Settings {
        version_header: Some("x-version".parse().unwrap()),
        ..after(&[1, 2])
    };
    let shadow = comparing((&old, &new, None), settings).await;
    assert_eq!(shadow.check(&Read::new()).await, UNCONFIRMED);
    assert_eq!(shadow.check(&Read::new()).await, MATCH);
}

#[tokio::test]
async fn proxy_error_before_the_new_stack_is_of_no_other_build() {
    let old = Stack::replying(json(EQUAL));
    let new = Stack::replying(Reply::Write(built(Some("812"))));
    let shadow = Shadow::start(&old, &new, settings_with_header()).await;
    shadow.check(&Read::new()).await;
    new.becomes(Reply::Write(
        "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n".to_owned(),
    ));
    shadow.check(&Read::new()).await;
    assert_eq!(shadow.ledger.tallies().routes[0].sampled, 2);
    assert_eq!(shadow.ledger.tallies().mixed, None);
}

#[tokio::test]
async fn build_is_that_of_the_new_stack_in_either_role() {
    let old = Stack::replying(Reply::Write(built(Some("of old"))));
    let new = Stack::replying(json(EQUAL));
    let shadow = Shadow::start(&old, &new, settings_with_header()).await;
    let read = |build: &'static str| Read {
        primary: stack::Stack::New,
        answer_headers: vec![("x-version", build)],
        ..Read::new()
    };
    shadow.check(&read("812")).await;
    shadow.check(&read("813")).await;
    assert_eq!(counted(&shadow), [of("813", 1), of("812", 1)]);
}

#[tokio::test]
async fn without_a_version_header_in_the_settings_none_is_looked_at() {
    let old = Stack::replying(json(EQUAL));
    let new = Stack::replying(Reply::Write(built(Some("812"))));
    let shadow = Shadow::start(&old, &new, settings()).await;
    shadow.check(&Read::new()).await;
    assert_eq!(counted(&shadow), [(None, 1)]);
}

#[tokio::test]
async fn latency_excludes_answers_that_a_slow_caller_held_up() {
    let long: &'static str = Box::leak(" ".repeat(300 << 10).into_boxed_str());
    let old = Stack::replying(json(EQUAL));
    let new = Stack::replying(json(long));
    let shadow = Shadow::start(&old, &new, settings()).await;
    let read = Read {
        answer: long,
        ..Read::new()
    };
    assert_eq!(shadow.check(&read).await, MATCH);
    let latency = || shadow.ledger.tallies().routes[0].latency;
    assert!(latency().old.is_none() && latency().new.is_none());

    new.becomes(json(EQUAL));
    assert_eq!(shadow.check(&Read::new()).await, MATCH);
    assert_eq!(latency().old.unwrap().answers, 1);
    assert_eq!(latency().new.unwrap().answers, 1);
}
