//! Conditional reads: `If-None-Match` and similar headers.

use super::{
    EQUAL, MATCH, MISMATCH,
    harness::Read,
    not_compared, races,
    recheck::{STALE, after, comparing, marks, pair, places},
};
use crate::support::{Reply, Script, answer, json};
use http::StatusCode;
use twinread::testing::shadow::{Conditional, Settings};
use twinread::{
    outcome::{Outcome, Reason, ShadowError},
    stack,
};

/// A read whose caller already had the answer.
fn unmodified() -> Read {
    Read {
        status: StatusCode::NOT_MODIFIED,
        answer: "",
        headers: vec![
            ("host", "caller"),
            ("if-none-match", "\"7\""),
            ("if-modified-since", "Sun, 22 Nov 2026 10:00:00 GMT"),
        ],
        ..Read::new()
    }
}

#[tokio::test]
async fn conditional_read_is_repeated_without_conditions_on_both() {
    let (old, new) = pair(json(EQUAL), json(EQUAL));
    let mut shadow = comparing((&old, &new, None), after(&[1])).await;
    assert_eq!(shadow.check(&unmodified()).await, MATCH);
    for stack in [&old, &new] {
        assert!(!stack.requests()[0].contains("if-"));
    }
    // The new one receives them as well.
    assert!(new.requests()[1].contains("if-none-match"));
    assert_eq!((marks(&old).len(), marks(&new).len()), (1, 2));
    new.becomes(json(STALE));
    assert_eq!(shadow.check(&unmodified()).await, MISMATCH);
    assert_eq!((old.requests().len(), new.requests().len()), (3, 6));
    let report = shadow.reports.try_recv().unwrap();
    assert_eq!(report.old.as_ref().unwrap().status, 200);

    new.becomes(Reply::Close(String::new()));
    let reset = Outcome::ShadowError(ShadowError::Reset);
    assert_eq!(shadow.check(&unmodified()).await, reset);
    old.becomes(Reply::Close(String::new()));
    let failed = not_compared(Reason::PrimaryError);
    assert_eq!(shadow.check(&unmodified()).await, failed);
}

/// A stack that tags its only content so.
fn tagged(tag: &'static str) -> Script {
    Script::answers(move |request| {
        let knows = |name: &str| request.contains(&format!("{name}: {tag}\r\n"));
        if request.contains("if-match: ") && !knows("if-match") {
            return answer("412 Precondition Failed", "");
        }
        let is_part = !request.contains("if-range: ") || knows("if-range");
        if request.contains("\r\nrange: ") && is_part {
            answer("206 Partial Content", EQUAL)
        } else {
            answer("200 OK", EQUAL)
        }
    })
}

#[tokio::test]
async fn conditions_that_the_primary_goes_by_are_left_out() {
    for (condition, tag, live) in [
        ("if-match", "new", StatusCode::PRECONDITION_FAILED),
        ("if-match", "gone", StatusCode::PRECONDITION_FAILED),
        ("if-range", "old", StatusCode::PARTIAL_CONTENT),
    ] {
        let (old, new) = pair(tagged("old"), tagged("new"));
        let shadow = comparing((&old, &new, None), after(&[1])).await;
        let read = Read {
            status: live,
            answer: if live.is_success() { EQUAL } else { "" },
            headers: vec![
                ("host", "caller"),
                (condition, tag),
                ("range", "bytes=500-"),
            ],
            ..Read::new()
        };
        assert_eq!(shadow.check(&read).await, MATCH, "{condition} {tag}");
        assert_eq!(marks(&old), ["recheck"]);
        for stack in [&old, &new] {
            let last = stack.requests().pop().unwrap();
            assert!(!last.contains(condition), "{last}");
            assert!(last.contains("\r\nrange: bytes=500-\r\n"), "{last}");
        }
    }
}

#[tokio::test]
async fn conditions_that_only_the_shadow_goes_by_are_a_mismatch() {
    for (condition, tag) in [("if-match", "old"), ("if-range", "new")] {
        let (old, new) = pair(tagged("old"), tagged("new"));
        let mut shadow = comparing((&old, &new, None), after(&[1])).await;
        let read = Read {
            headers: vec![
                ("host", "caller"),
                (condition, tag),
                ("range", "bytes=500-"),
            ],
            status: match condition {
                "if-match" => StatusCode::PARTIAL_CONTENT,
                _ => StatusCode::OK,
            },
            ..Read::new()
        };
        assert_eq!(shadow.check(&read).await, MISMATCH, "{condition} {tag}");
        let report = shadow.reports.try_recv().unwrap();
        assert_eq!(places(&report)[0], "status");
    }
}

#[tokio::test]
async fn whole_answer_to_a_range_request_is_a_mismatch() {
    for (condition, read_again) in [(("if-range", "old"), 2), (("x-own", "1"), 1)] {
        let (old, new) = pair(tagged("old"), json(EQUAL));
        let mut shadow = comparing((&old, &new, None), after(&[1])).await;
        let read = Read {
            status: StatusCode::PARTIAL_CONTENT,
            headers: vec![("host", "caller"), condition, ("range", "bytes=500-")],
            ..Read::new()
        };
        assert_eq!(shadow.check(&read).await, MISMATCH);
        assert_eq!(places(&shadow.reports.try_recv().unwrap()), ["status"]);
        assert_eq!(old.requests().len(), read_again);
    }
}

#[tokio::test]
async fn a_read_with_and_without_its_conditions_takes_two_of_the_rate() {
    let (old, new) = pair(json(EQUAL), json(EQUAL));
    let slow = |rate: &str| {
        let mut settings = after(&[1]);
        settings.new.max_per_second = rate.parse().unwrap();
        settings
    };
    let shadow = comparing((&old, &new, None), slow("2/s")).await;
    assert_eq!(shadow.check(&unmodified()).await, MATCH, "the second waits");
    shadow.settings.publish(slow("3/h"));
    let over = not_compared(Reason::OverBudget);
    assert_eq!(shadow.check(&unmodified()).await, over);
}

#[tokio::test]
async fn conditional_read_is_not_compared_if_skipped() {
    let (old, new) = pair(json(EQUAL), json(EQUAL));
    let skip = Settings {
        conditional: Conditional::Skip,
        ..after(&[1])
    };
    let shadow = comparing((&old, &new, None), skip).await;
    let skipped = not_compared(Reason::Conditional);
    assert_eq!(shadow.check(&unmodified()).await, skipped);
    assert!(old.requests().is_empty() && new.requests().is_empty());

    let over = not_compared(Reason::OverBudget);
    let mut few = after(&[1]);
    few.recheck.max_per_second = "3/h".parse().unwrap();
    shadow.settings.publish(few);
    assert_eq!(shadow.check(&unmodified()).await, MATCH);
    assert_eq!(shadow.check(&unmodified()).await, over);
    assert_eq!((old.requests().len(), new.requests().len()), (1, 2));
}

/// A stack with one content under these headers, which sends a 304 if `knows` accepts the request.
fn validating(validator: &'static str, body: &'static str, knows: fn(&str) -> bool) -> Script {
    Script::answers(move |request| {
        let is_known = request.contains("\r\nif-") && knows(request);
        let (status, body) = if is_known {
            ("304 Not Modified", String::new())
        } else {
            (
                "200 OK",
                format!("content-length: {}\r\n\r\n{body}", body.len()),
            )
        };
        let end = if is_known { "\r\n" } else { "" };
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{validator}\r\n{body}{end}")
    })
}

fn knows_one(request: &str) -> bool {
    request.contains("if-none-match: \"1\"")
}

/// In both roles, with the sample that its caller received and the two stacks.
async fn in_both_roles(
    old: impl Fn() -> Script,
    new: impl Fn() -> Script,
    read: Read,
    expected: Outcome,
) {
    for primary in [stack::Stack::Old, stack::Stack::New] {
        let (old, new) = pair(old(), new());
        let mut shadow = comparing((&old, &new, None), after(&[1, 2])).await;
        let read = Read {
            primary,
            ..read.clone()
        };
        assert_eq!(shadow.check(&read).await, expected, "{primary:?}");
        let Ok(report) = shadow.reports.try_recv() else {
            assert!(matches!(expected, Outcome::Match(_)));
            continue;
        };
        assert_eq!(places(&report)[0], "status");
        assert_eq!(report.rechecked.count, 2);
    }
}

/// A read that was answered 304 under this condition.
fn known_by(condition: (&'static str, &'static str)) -> Read {
    Read {
        status: StatusCode::NOT_MODIFIED,
        answer: "",
        headers: vec![("host", "caller"), condition],
        ..Read::new()
    }
}

const BY_TAG: (&str, &str) = ("if-none-match", "\"1\"");
const BY_DATE: (&str, &str) = ("if-modified-since", "Sun, 22 Nov 2026 10:00:00 GMT");

#[tokio::test]
async fn a_new_stack_that_answers_304_to_anything_is_a_mismatch() {
    let old = || validating("etag: \"1\"", EQUAL, knows_one);
    for validator in [
        "etag: \"2\"",
        "x-own: 1",
        "last-modified: Sun, 22 Nov 2026 09:00:00 GMT",
    ] {
        let new = || validating(validator, EQUAL, |_| true);
        in_both_roles(old, new, known_by(BY_TAG), MISMATCH).await;
    }
    let old = || {
        validating(
            "last-modified: Sun, 22 Nov 2026 10:00:00 GMT",
            EQUAL,
            |_| true,
        )
    };
    let new = || {
        validating(
            "last-modified: Mon, 23 Nov 2026 10:00:00 GMT",
            EQUAL,
            |_| true,
        )
    };
    in_both_roles(old, new, known_by(BY_DATE), MISMATCH).await;
}

#[tokio::test]
async fn a_304_by_the_own_validator_is_compared_by_its_content() {
    for (condition, validator) in [
        (BY_TAG, "etag: \"1\""),
        (BY_TAG, "etag: W/\"1\""),
        (BY_DATE, "last-modified: Sun, 22 Nov 2026 09:00:00 GMT"),
    ] {
        let stack = || validating(validator, EQUAL, |_| true);
        in_both_roles(stack, stack, known_by(condition), MATCH).await;
    }
    // Each stack may use its own tag for the content.
    let other = || validating("etag: \"2\"", EQUAL, |request| request.contains("\"2\""));
    let own = || validating("etag: \"1\"", EQUAL, knows_one);
    for primary in [stack::Stack::Old, stack::Stack::New] {
        let (old, new) = match primary {
            stack::Stack::Old => pair(own(), other()),
            stack::Stack::New => pair(other(), own()),
        };
        let shadow = comparing((&old, &new, None), after(&[1])).await;
        let read = Read {
            primary,
            ..known_by(BY_TAG)
        };
        assert_eq!(shadow.check(&read).await, MATCH, "{primary:?}");
    }
}

#[tokio::test]
async fn shadow_304_against_primary_content_is_a_mismatch() {
    let stale = || validating("etag: \"1\"", EQUAL, knows_one);
    let moved = || validating("etag: \"2\"", EQUAL, |_| false);
    for primary in [stack::Stack::Old, stack::Stack::New] {
        let (old, new) = match primary {
            stack::Stack::Old => pair(moved(), stale()),
            stack::Stack::New => pair(stale(), moved()),
        };
        let mut shadow = comparing((&old, &new, None), after(&[1, 2])).await;
        let read = Read {
            primary,
            headers: vec![("host", "caller"), BY_TAG],
            ..Read::new()
        };
        assert_eq!(shadow.check(&read).await, MISMATCH, "{primary:?}");
        let report = shadow.reports.try_recv().unwrap();
        assert_eq!(places(&report)[0], "status");
        assert_eq!(report.rechecked.count, 2, "and it was read again");
    }
}

#[tokio::test]
async fn a_304_that_was_overtaken_by_a_write_is_no_mismatch() {
    // By the time that both are read the version has changed on both stacks.
    let written = || validating("etag: \"2\"", EQUAL, |_| false);
    let (old, new) = pair(written(), written());
    let shadow = comparing((&old, &new, None), after(&[1, 2])).await;
    let read = Read {
        primary: stack::Stack::New,
        ..known_by(BY_TAG)
    };
    assert_eq!(shadow.check(&read).await, Outcome::Transient);
    let read = Read {
        primary: stack::Stack::Old,
        ..known_by(BY_TAG)
    };
    assert_eq!(shadow.check(&read).await, MATCH);
}

#[tokio::test]
async fn a_new_stack_that_fails_on_conditions_alone_is_a_mismatch() {
    let failing = Script::answers(|request| {
        if request.contains("if-none-match") {
            answer("500 Internal Server Error", "{}")
        } else {
            answer("200 OK", EQUAL)
        }
    });
    let (old, new) = pair(validating("etag: \"1\"", EQUAL, knows_one), failing);
    let mut shadow = comparing((&old, &new, None), after(&[1, 2])).await;
    assert_eq!(shadow.check(&known_by(BY_TAG)).await, MISMATCH);
    let report = shadow.reports.try_recv().unwrap();
    let statuses = [&report.old, &report.new].map(|shown| shown.as_ref().unwrap().status);
    assert_eq!(statuses, [200, 500]);
    assert!(report.rechecked.is_conditional);
    let mut names = report.request.headers.iter().map(|(name, _)| name.as_str());
    assert!(
        names.any(|name| name == "if-none-match"),
        "as its caller sent it"
    );
}

#[tokio::test]
async fn what_was_written_is_asked_for_with_its_conditions_too() {
    let own = || validating("etag: \"2\"", EQUAL, |_| false);
    let anything = || validating("etag: \"2\"", EQUAL, |_| true);
    for (new, expected) in [(own(), MATCH), (anything(), MISMATCH)] {
        let (old, new) = pair(own(), new);
        let shadow = comparing((&old, &new, None), after(&[1, 2])).await;
        races::write(&shadow, "/x");
        assert_eq!(shadow.check(&known_by(BY_TAG)).await, expected);
    }
}
