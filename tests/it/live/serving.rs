//! Which stack answers: by percent and key, by route, by header, and old where new fails.

use super::capture::reads;
use crate::support::{LivePath, Reply, Stack, answer, until, within};
use http::HeaderName;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use twinread::{
    outcome::{Outcome, Reason},
    stack,
    testing::{
        ledger::LiveFailure,
        redact::Secret,
        serve::{Percent, Percents, Rescue, Serve, ServeBy},
    },
};

/// Answers with its name.
fn named(name: &'static str) -> Stack {
    Stack::start(move |_| Reply::Write(answer("200 OK", name)))
}

fn percent(percent: f64) -> Percent {
    Percent::of(percent).unwrap()
}

fn by_user(new: f64) -> Serve {
    Serve {
        new: percent(new),
        by: Some(ServeBy::header(HeaderName::from_static("x-user"))),
        ..Serve::default()
    }
}

async fn before(old: &Stack, new: &Stack, serve: Serve) -> LivePath {
    let plan = LivePath::plan(old.addr, new.addr);
    let plan = plan.live(|live| {
        live.serve = Arc::new(serve);
        live.live_token = Some(Secret::new("secret"));
    });
    plan.sample_all().start().await
}

/// The stack whose name the answer to this head has.
async fn who(sidecar: &LivePath, line: &str, headers: &str) -> String {
    let request = format!("{line} HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    let answer = sidecar.caller().await.send(request).await.message().await;
    answer.rsplit("\r\n").next().unwrap().to_owned()
}

#[tokio::test]
async fn a_key_decides_and_who_is_in_stays_in() {
    let (old, new) = (named("old"), named("new"));
    let sidecar = before(&old, &new, by_user(0.0)).await;
    let mut inside = 0;
    let mut was_in = [false; 40];
    for step in [0.0, 5.0, 25.0, 50.0, 100.0] {
        sidecar.set(|live| live.serve = Arc::new(by_user(step)));
        for (user, was_in) in was_in.iter_mut().enumerate() {
            let by = who(&sidecar, "GET /", &format!("X-User: {user}\r\n")).await;
            let is_in = by == "new";
            assert!(is_in || !*was_in, "{user} left at {step}");
            *was_in = is_in;
        }
        inside = was_in.iter().filter(|is_in| **is_in).count();
        let some = 1..40;
        assert!(
            ![25.0, 50.0].contains(&step) || some.contains(&inside),
            "{inside} at {step}"
        );
    }
    assert_eq!(inside, 40);
    assert_eq!(sidecar.gauges.served_keyless.get(), 0);
}

#[tokio::test]
async fn without_a_key_old_answers_and_it_is_counted() {
    let (old, new) = (named("old"), named("new"));
    let sidecar = before(&old, &new, by_user(99.99)).await;
    assert_eq!(who(&sidecar, "GET /", "").await, "old");
    assert_eq!(sidecar.gauges.served_keyless.get(), 1);
    sidecar.set(|live| live.serve = Arc::new(by_user(100.0)));
    assert_eq!(who(&sidecar, "GET /", "").await, "new");
    assert_eq!(sidecar.gauges.served_keyless.get(), 1);
}

#[tokio::test]
async fn a_route_has_a_percent_of_its_own() {
    let (old, new) = (named("old"), named("new"));
    let routes = BTreeMap::from([("GET /users/{}".to_owned(), percent(100.0))]);
    let serve = Serve {
        routes: Percents(routes),
        ..Serve::default()
    };
    let sidecar = before(&old, &new, serve).await;
    assert_eq!(who(&sidecar, "GET /users/7", "").await, "new");
    assert_eq!(who(&sidecar, "GET /items/7", "").await, "old");
}

#[tokio::test]
async fn what_is_no_read_goes_to_the_stack_of_writes() {
    let (old, new) = (named("old"), named("new"));
    let sidecar = before(&old, &new, by_user(100.0)).await;
    let upgrade = "Connection: upgrade\r\nUpgrade: chat\r\n";
    assert_eq!(who(&sidecar, "DELETE /users/7", "").await, "old");
    assert_eq!(who(&sidecar, "GET /chat", upgrade).await, "old");
    sidecar.set(|live| {
        let writes = stack::Stack::New;
        live.serve = Arc::new(Serve {
            writes,
            ..by_user(0.0)
        });
    });
    assert_eq!(who(&sidecar, "DELETE /users/7", "").await, "new");
    assert_eq!(who(&sidecar, "GET /chat", upgrade).await, "new");
    assert_eq!(who(&sidecar, "GET /users/7", "").await, "old");
}

#[tokio::test]
async fn a_declared_post_is_a_read_whatever_its_content_type() {
    let (old, new) = (named("old"), named("new"));
    let sidecar = before(&old, &new, by_user(100.0)).await;
    let search =
        "[{methods: [POST], path: /search}, {methods: [POST], path: /graphql, graphql: query}]";
    sidecar.set(|live| live.reads = reads(search));
    for kind in [
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain",
    ] {
        let body = format!("Content-Type: {kind}\r\nContent-Length: 2\r\n\r\n{{}}");
        let ask = async |path: &str| {
            let request = format!("POST {path} HTTP/1.1\r\nHost: a\r\n{body}");
            sidecar.caller().await.send(request).await.message().await
        };
        assert!(ask("/search").await.ends_with("new"), "{kind}");
        // Its body may have a mutation.
        assert!(ask("/graphql").await.ends_with("old"), "{kind}");
    }
    let hidden = "X-HTTP-Method-Override: DELETE\r\nContent-Length: 0\r\n";
    assert_eq!(who(&sidecar, "POST /search", hidden).await, "old");
}

#[tokio::test]
async fn a_tester_chooses_by_header_with_the_token() {
    let (old, new) = (named("old"), named("new"));
    let sidecar = before(&old, &new, by_user(0.0)).await;
    let token = "X-Twinread-Token: secret\r\n";
    for (headers, stack) in [
        ("X-Twinread-Serve: new\r\n".to_owned(), "old"),
        (format!("{token}X-Twinread-Serve: new\r\n"), "new"),
        (format!("{token}X-Twinread-Serve: old\r\n"), "old"),
        (format!("{token}X-Twinread-Serve: other\r\n"), "old"),
    ] {
        assert_eq!(who(&sidecar, "GET /", &headers).await, stack, "{headers}");
    }
    let headers = format!("{token}X-Twinread-Serve: new\r\n");
    assert_eq!(who(&sidecar, "DELETE /", &headers).await, "old");
    assert!(!new.requests()[0].to_lowercase().contains("x-twinread"));
}

#[tokio::test]
async fn every_check_has_the_right_primary_at_any_percent() {
    let (old, new) = (named("old"), named("new"));
    let mut sidecar = before(&old, &new, by_user(50.0)).await;
    let mut both = [0; 2];
    for user in 0..20 {
        let by = who(&sidecar, "GET /", &format!("X-User: {user}\r\n")).await;
        let sample = sidecar.sample().await;
        let primary = sample.meta.ticket.primary();
        assert_eq!(primary.name(), by, "{user}");
        both[primary as usize] += 1;
    }
    assert!(both[0] > 0 && both[1] > 0, "{both:?}");
}

fn rescuing() -> Serve {
    Serve {
        rescue: Rescue {
            enabled: true,
            timeout: Duration::from_millis(200),
        },
        ..by_user(100.0)
    }
}

#[tokio::test]
async fn old_answers_a_read_that_new_does_not() {
    let old = named("old");
    let failing = |reply: fn() -> Reply| Stack::start(move |_| reply());
    for (name, new) in [
        ("503", failing(|| Reply::Write(answer("503 Gone", "new")))),
        ("no head", failing(|| Reply::Hang(String::new()))),
        ("reset", failing(|| Reply::Reset(String::new()))),
        (
            "no HTTP",
            failing(|| Reply::Close("nonsense\r\n\r\n".to_owned())),
        ),
    ] {
        let sidecar = before(&old, &new, rescuing()).await;
        let path = format!("GET /{}", name.replace(' ', "-"));
        assert_eq!(within(name, who(&sidecar, &path, "")).await, "old");
        assert_eq!(sidecar.gauges.served_rescued.get(), 1, "{name}");
        // It is new's failure.
        let failed = Outcome::NotCompared(Reason::PrimaryError);
        sidecar.until_outcome(failed).await;
    }
    let sidecar =
        LivePath::plan(old.addr, Stack::nobody()).live(|live| live.serve = Arc::new(rescuing()));
    let sidecar = sidecar.start().await;
    assert_eq!(who(&sidecar, "GET /", "").await, "old");
    assert!(sidecar.stacks[1].failing().is_some(), "new has failed");
    assert_eq!(sidecar.gauges.live_failures(LiveFailure::Connect), 0);
}

#[tokio::test]
async fn what_new_answers_is_not_rescued() {
    let old = named("old");
    let new = Stack::start(|_| Reply::Write(answer("500 Broken", "new")));
    let sidecar = before(&old, &new, rescuing()).await;
    sidecar.set(|live| {
        let mut serve = rescuing();
        serve.rescue.timeout = Duration::from_secs(60);
        live.serve = Arc::new(serve);
    });
    assert_eq!(who(&sidecar, "GET /", "").await, "new");
    assert_eq!(
        (old.request_count(), sidecar.gauges.served_rescued.get()),
        (0, 0)
    );
}

#[tokio::test]
async fn a_write_is_never_sent_to_the_other_stack() {
    let old = named("old");
    let new = Stack::start(|_| Reply::Write(answer("503 Gone", "new")));
    let writes = stack::Stack::New;
    let sidecar = before(
        &old,
        &new,
        Serve {
            writes,
            ..rescuing()
        },
    )
    .await;
    assert_eq!(who(&sidecar, "DELETE /users/7", "").await, "new");
    // A declared read that has a body has been streamed to the new stack.
    let request = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
    let answer = sidecar.caller().await.send(request).await.message().await;
    assert!(answer.ends_with("new"), "{answer}");
    until("both", || new.request_count() == 2).await;
    assert_eq!(old.request_count(), 0);
}

#[tokio::test]
async fn what_new_said_reaches_the_caller_if_old_is_dead() {
    let new = Stack::start(|_| Reply::Write(answer("503 Gone", "new")));
    let sidecar = LivePath::plan(Stack::nobody(), new.addr)
        .live(|live| live.serve = Arc::new(rescuing()))
        .start()
        .await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let said = sidecar.caller().await.send(request).await.message().await;
    assert!(
        said.starts_with("HTTP/1.1 503") && said.ends_with("new"),
        "{said}"
    );
    assert_eq!(sidecar.gauges.served_rescued.get(), 0);
}

#[tokio::test]
async fn a_rescue_keeps_the_connection_to_new() {
    let old = named("old");
    let new = Stack::start(|_| Reply::Write(answer("503 Gone", "new")));
    let sidecar = before(&old, &new, rescuing()).await;
    let mut caller = sidecar.caller().await;
    for count in 1..=5 {
        caller
            .send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .message()
            .await;
        until("the rescue", || new.request_count() == count).await;
    }
    // One more where the next request came before the last answer was read out.
    assert!(new.connections() <= 2, "{}", new.connections());
}

#[tokio::test]
async fn a_rescue_survives_a_dead_connection_to_old() {
    // Old closes each connection after one answer, without a word.
    let old = Stack::start(|_| Reply::Close(answer("200 OK", "old")));
    let new = Stack::start(|_| Reply::Write(answer("503 Gone", "new")));
    let sidecar = before(&old, &new, rescuing()).await;
    for _ in 0..5 {
        assert_eq!(who(&sidecar, "GET /", "").await, "old");
    }
    assert_eq!(sidecar.gauges.served_rescued.get(), 5);
}

#[tokio::test]
async fn what_new_had_begun_is_cancelled_and_says_nothing_more() {
    let old = Stack::start(|_| Reply::Wait(answer("200 OK", "old")));
    let new = Stack::script(|mut conn, notes| async move {
        conn.message().await;
        until("the rescue", || notes.has("late")).await;
        let _ = conn
            .write("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
            .await;
        conn.gone().await;
        notes.note("cancelled");
    });
    let sidecar = before(&old, &new, rescuing()).await;
    let mut caller = sidecar.caller().await;
    caller.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    until("the rescue", || old.request_count() == 1).await;
    new.note("late");
    until("its end", || {
        new.requests().iter().any(|note| note == "cancelled")
    })
    .await;
    old.release();
    let answer = caller.message().await;
    assert!(
        answer.ends_with("old") && !answer.contains("103"),
        "{answer}"
    );
}
