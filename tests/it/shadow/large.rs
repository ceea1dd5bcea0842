//! Bodies too large to be kept are hashed; equal hashes mean equal bodies.

use super::{
    MATCH, MISMATCH,
    harness::{Read, Shadow},
    recheck::{after, comparing, pair, places, under},
};
use crate::support::{Reply, Script, Stack, answer, json};
use http::{Method, StatusCode};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use twinread::{
    compare::{BodyCopy, CompareConfig, Hashing},
    outcome::{Outcome, Reason},
    rules::RuleSet,
    stack,
};

const TOO_LARGE: Outcome = Outcome::NotCompared(Reason::BodyTooLarge);

/// Maximum size of kept bodies, in bytes.
const KEPT: usize = 1 << 10;

/// A body of 64 KiB that begins with these bytes.
fn large(first: &str) -> &'static str {
    let mut body = first.to_owned();
    body.push_str(&"x".repeat((64 << 10) - first.len()));
    body.leak()
}

fn hashed(body: &'static str) -> BodyCopy {
    BodyCopy::Hashed(Hashing::begin(body.as_bytes()).digest())
}

/// A read whose answer was too large to be kept.
fn read(body: &'static str) -> Read {
    Read {
        answer: body,
        copy: hashed,
        ..Read::new()
    }
}

async fn checking(old: &Stack, new: &Stack) -> Shadow {
    let mut settings = after(&[1, 2]);
    settings.capture.max_body = KEPT;
    settings.new.timeout = Duration::from_millis(500);
    settings.old.timeout = settings.new.timeout;
    comparing((old, new, None), settings).await
}

fn chunked(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n\
         {length:x}\r\n{body}\r\n0\r\n\r\n"
    )
}

#[tokio::test]
async fn equal_large_bodies_match_in_either_role_without_memory() {
    for primary in [stack::Stack::Old, stack::Stack::New] {
        for way in [json(large("a")), Reply::Write(chunked(large("a")))] {
            let (old, new) = pair(way.clone(), way);
            let shadow = checking(&old, &new).await;
            shadow.budget.set_limit(4 * KEPT);
            let read = Read {
                primary,
                ..read(large("a"))
            };
            assert_eq!(shadow.check(&read).await, MATCH, "{primary:?}");
        }
    }
}

#[tokio::test]
async fn unequal_bodies_are_not_compared() {
    let longer = format!("{}y", large("a"));
    let unframed = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n".to_owned();
    let hanging = answer("200 OK", &longer).replace(&longer, "");
    for way in [
        json(large("b")),
        json("a"),
        Reply::Write(chunked(&longer)),
        // For these the check does not even wait for the end.
        Reply::Hang(hanging),
        Reply::Stream(unframed, "x".repeat(1 << 10)),
    ] {
        let (old, new) = pair(json(large("a")), way);
        let shadow = checking(&old, &new).await;
        let begun = Instant::now();
        assert_eq!(shadow.check(&read(large("a"))).await, TOO_LARGE);
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert!(old.requests().is_empty());
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_too_large_and_no_error() {
    let (old, new) = pair(json(large("a")), json("{}"));
    let half = answer("200 OK", large("a"));
    new.becomes(Reply::Hang(half[..half.len() / 2].to_owned()));
    let shadow = checking(&old, &new).await;
    assert_eq!(shadow.check(&read(large("a"))).await, TOO_LARGE);
}

#[tokio::test]
async fn trailers_after_a_body_that_is_late_are_not_missed() {
    let sent = chunked(large("a")).replace("\r\n0\r\n\r\n", "\r\n0\r\nx-sum: 7\r\n\r\n");
    let half = Reply::Hang(sent[..sent.len() / 2].to_owned());
    for (way, expected) in [(Reply::Write(sent), MATCH), (half, TOO_LARGE)] {
        let (old, new) = pair(json(large("a")), way);
        let mut shadow = checking(&old, &new).await;
        shadow.comparing = whole("rules: []");
        let read = Read {
            trailers: vec![("x-sum", "7")],
            ..read(large("a"))
        };
        assert_eq!(shadow.check(&read).await, expected);
    }
}

#[tokio::test]
async fn a_status_that_differs_is_a_mismatch_whatever_the_body() {
    let failing = answer("500 Internal Server Error", large("b"));
    for way in [
        Reply::Write(failing),
        Reply::Write(answer("404 Not Found", "{}")),
    ] {
        let (old, new) = pair(json(large("a")), way);
        let mut shadow = checking(&old, &new).await;
        assert_eq!(shadow.check(&read(large("a"))).await, MISMATCH);
        let report = shadow.reports.try_recv().unwrap();
        assert_eq!(
            (places(&report), report.rechecked.count),
            (vec!["status"], 2)
        );
        let shown = report.old.as_ref().unwrap().body.as_deref();
        assert_eq!(shown, Some("json(65536 bytes)"));
    }
}

/// Answers 404 once, and then with this body.
fn late(body: &'static str) -> Script {
    let asked = AtomicUsize::new(0);
    Script::answers(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => answer("404 Not Found", "{}"),
        _ => answer("200 OK", body),
    })
}

#[tokio::test]
async fn lag_is_bodies_that_are_equal_later() {
    let (old, new) = pair(json(large("a")), late(large("a")));
    let shadow = checking(&old, &new).await;
    assert_eq!(shadow.check(&read(large("a"))).await, Outcome::Transient);

    let (old, new) = pair(json(large("a")), late(large("b")));
    let shadow = checking(&old, &new).await;
    let outcome = shadow.check(&read(large("a"))).await;
    assert!(matches!(outcome, Outcome::Mismatch(_)), "{outcome:?}");
}

/// With a header that differs in each answer.
fn stamped(body: &'static str) -> Script {
    static STAMP: AtomicUsize = AtomicUsize::new(1);
    Script::answers(move |_| {
        let stamp = STAMP.fetch_add(1, Ordering::SeqCst);
        answer("200 OK", body).replacen("\r\n", &format!("\r\nx-stamp: {stamp}\r\n"), 1)
    })
}

/// With headers compared, except `date` and similar ones.
fn whole(rules: &str) -> std::sync::Arc<CompareConfig> {
    let files = [("rules.yaml".into(), rules.to_owned())];
    let (rules, _) = RuleSet::compile(&files, jiff::civil::date(2026, 11, 22)).unwrap();
    let mut comparing = CompareConfig::clone(&under("rules: []"));
    comparing.rules = rules.into();
    comparing.options = Default::default();
    comparing.into()
}

#[tokio::test]
async fn noise_elsewhere_does_not_excuse_uncompared_bodies() {
    for (body, expected) in [("a", Outcome::Noise), ("b", TOO_LARGE)] {
        let (old, new) = pair(stamped(large("a")), stamped(large(body)));
        let mut shadow = checking(&old, &new).await;
        shadow.comparing = whole("rules: []");
        let read = Read {
            answer_headers: vec![("x-stamp", "0"), ("content-length", "65536")],
            ..read(large("a"))
        };
        assert_eq!(shadow.check(&read).await, expected, "{body}");
    }
}

#[tokio::test]
async fn bodies_that_no_primary_answer_stands_for_are_hashed_on_both() {
    let unmodified = Read {
        status: StatusCode::NOT_MODIFIED,
        answer: "",
        headers: vec![("host", "caller"), ("if-none-match", "\"1\"")],
        ..Read::new()
    };
    let unframed = "HTTP/1.1 200 OK\r\n\r\n".to_owned();
    for (way, expected) in [
        (json(large("a")), MATCH),
        (json(large("b")), TOO_LARGE),
        (Reply::Stream(unframed, "x".repeat(1 << 10)), TOO_LARGE),
    ] {
        let (old, new) = pair(json(large("a")), way);
        let shadow = checking(&old, &new).await;
        assert_eq!(shadow.check(&unmodified).await, expected);
    }
}

#[tokio::test]
async fn size_in_an_answer_to_head_is_compared() {
    for (length, expected) in [("100", MATCH), ("7", MISMATCH)] {
        let head = |length| answer("200 OK", "").replace("length: 0", &format!("length: {length}"));
        let (old, new) = pair(Reply::Write(head("100")), Reply::Write(head(length)));
        for primary in [stack::Stack::Old, stack::Stack::New] {
            let mut shadow = checking(&old, &new).await;
            shadow.comparing = whole("rules: []");
            let read = Read {
                primary,
                method: Method::HEAD,
                answer: "",
                answer_headers: vec![(
                    "content-length",
                    if primary == stack::Stack::Old {
                        "100"
                    } else {
                        length
                    },
                )],
                ..Read::new()
            };
            assert_eq!(shadow.check(&read).await, expected, "{length} {primary:?}");
        }
    }
}
