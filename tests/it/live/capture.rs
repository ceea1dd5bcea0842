//! Sampled reads are copied while they stream. A failed copy is counted and never affects the caller.

use crate::support::{LivePath, Reply, Stack, until};
use http::Method;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use twinread::testing::{
    ledger::Bound,
    live::Checks,
    route::Routes,
    sample::Reads,
    spanned_yaml::{Cursor, Node},
};
use twinread::{
    compare::{BodyCopy, Hashing},
    outcome::{Outcome, Reason},
    stack,
};

const OK: &str = "HTTP/1.1 200 OK\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET /users/7?x=%20 HTTP/1.1\r\nHost: a\r\nX-Kept: 1\r\nConnection: x-mine\r\nX-Mine: 1\r\n\r\n";

const JSON: &str = "Content-Type: application/json";

fn not_compared(reason: Reason) -> Outcome {
    Outcome::NotCompared(reason)
}

pub(super) fn reads(text: &str) -> Arc<Reads> {
    let file = Arc::from("f");
    let node = Node::parse(&file, text).unwrap();
    Arc::new(Reads::read(&Cursor::root(&file, &node)).unwrap())
}

fn routes(text: &str) -> Arc<Routes> {
    let file = Arc::from("f");
    let node = Node::parse(&file, text).unwrap();
    Arc::new(Routes::read(&Cursor::root(&file, &node)).unwrap())
}

#[tokio::test]
async fn a_sample_is_the_request_as_it_came_and_the_answer_as_it_went() {
    let stack = Stack::answering(OK);
    let mut sidecar = LivePath::sampling(stack.addr).await;
    let mut caller = sidecar.caller().await;

    caller.send(GET).await.message().await;
    let sample = sidecar.sample().await;

    assert_eq!(&**sample.meta.ticket.route().name(), "GET /users/{}");
    assert_eq!(sample.request.method, Method::GET);
    assert_eq!(sample.request.uri, "/users/7?x=%20");
    let names: Vec<_> = sample
        .request
        .headers
        .keys()
        .map(|name| name.as_str())
        .collect();
    assert_eq!(names, ["host", "x-kept"]);
    assert_eq!(sample.request.headers["host"], "a");
    assert_eq!(
        (
            sample.primary.as_ref().unwrap().answer.status.as_u16(),
            &sample.primary.as_ref().unwrap().answer.body.kept()[..]
        ),
        (200, &b"ok"[..])
    );
    assert_eq!(
        sample.primary.as_ref().unwrap().answer.headers["x-kept"],
        "1"
    );
    assert_eq!(sample.meta.ticket.primary(), stack::Stack::Old);
    assert_eq!((sidecar.sampled(), stack.requests().len()), (1, 1));
    let held = sidecar.budget.held();
    assert_eq!(held, sample.meta.held.bytes());
    drop(sample);
    assert_eq!(sidecar.budget.held(), 0);
}

#[tokio::test]
async fn chunked_answers_are_copied_with_their_trailers() {
    let stack = Stack::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\nX-Sum: 1\r\n\r\n",
    );
    let mut sidecar = LivePath::sampling(stack.addr).await;
    sidecar.caller().await.send(GET).await.message().await;
    let sample = sidecar.sample().await;
    assert_eq!(
        &sample.primary.as_ref().unwrap().answer.body.kept()[..],
        b"abcde"
    );
    assert_eq!(
        sample.primary.as_ref().unwrap().answer.trailers["x-sum"],
        "1"
    );
}

#[tokio::test]
async fn answers_without_a_body_are_samples() {
    for (method, answer) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        ),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ] {
        let stack = Stack::answering(answer);
        let mut sidecar = LivePath::sampling(stack.addr).await;
        let mut caller = sidecar.caller().await;
        caller
            .send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        caller.head().await;
        let sample = sidecar.sample().await;
        assert_eq!(
            &sample.primary.as_ref().unwrap().answer.body.kept()[..],
            b"",
            "{answer}"
        );
    }
}

#[tokio::test]
async fn only_reads_are_sampled() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::sampling(stack.addr).await;
    let mut caller = sidecar.caller().await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        caller.send(request).await.message().await;
    }
    assert_eq!(sidecar.sampled(), 0);
}

#[tokio::test]
async fn reads_count_towards_their_route_sampled_or_not() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::plan(stack.addr, stack.addr)
        .live(|live| {
            live.reads = reads("[{methods: [GET]}, {methods: [POST], json: {$.q: '^get'}}]")
        })
        .start()
        .await;
    let mut caller = sidecar.caller().await;
    let reads = || {
        let routes = sidecar.ledger.routes();
        routes.iter().map(|route| route.reads()).sum::<u64>()
    };
    let posted = |body: &str| {
        let length = body.len();
        format!("POST / HTTP/1.1\r\nHost: a\r\n{JSON}\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    caller.send(GET).await.message().await;
    for body in [r#"{"q":"get"}"#, r#"{"q":"put"}"#] {
        caller.send(posted(body)).await.message().await;
    }
    until("shown by the body, too", || reads() == 2).await;
    assert_eq!(sidecar.sampled(), 0, "nothing is sampled");
    sidecar.set(|live| live.checks = Checks::Paused);
    caller.send(GET).await.message().await;
    assert_eq!((reads(), sidecar.sampled()), (3, 0), "paused");
    sidecar.set(|live| {
        live.checks = Checks::Running;
        live.sampling.rate = 1.0;
    });
    caller.send(GET).await.message().await;
    caller.send(posted(r#"{"q":"get"}"#)).await.message().await;
    caller.send(posted(r#"{"q":"put"}"#)).await.message().await;
    caller.send(GET).await.message().await;
    until("all reads", || (reads(), sidecar.sampled()) == (6, 3)).await;
}

#[tokio::test]
async fn read_recognised_by_its_body_is_sampled_with_it() {
    let stack = Stack::answering(OK);
    let mut sidecar = LivePath::plan(stack.addr, stack.addr)
        .sample_all()
        .live(|live| {
            live.reads = reads(r"[{methods: [POST], path: /graphql, json: {$.query: '^query'}}]");
            live.routes =
                routes(r"[{name: 'op {op}', path: /graphql, json: {$.op: '^(?<op>\w+)$'}}]");
        })
        .start()
        .await;
    let mut caller = sidecar.caller().await;
    for (body, name) in [
        (r#"{"query":"query q","op":"Cart"}"#, "op Cart"),
        (r#"{"query":"query q"}"#, "POST /graphql"),
    ] {
        let length = body.len();
        caller
            .send(format!(
                "POST /graphql HTTP/1.1\r\nHost: a\r\n{JSON}\r\nContent-Length: {length}\r\n\r\n{body}"
            ))
            .await
            .message()
            .await;
        let sample = sidecar.sample().await;
        assert_eq!(&**sample.meta.ticket.route().name(), name);
        assert_eq!(sample.request.body, body);
    }
    let size = r#"{"query":"mutation m","op":"Buy"}"#;
    let chunked = format!("{:x}\r\n{size}\r\n0\r\n\r\n", size.len());
    caller
        .send(format!(
            "POST /graphql HTTP/1.1\r\nHost: a\r\n{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"
        ))
        .await
        .message()
        .await;
    assert_eq!(sidecar.sampled(), 2);
    let names: Vec<_> = sidecar
        .ledger
        .routes()
        .iter()
        .map(|route| route.name().to_string())
        .collect();
    assert_eq!(names, ["POST /graphql", "op Buy", "op Cart"]);
    assert_eq!(stack.requests().len(), 3);
}

#[tokio::test]
async fn slow_request_body_is_no_delay_of_the_stack() {
    let stack = Stack::answering(OK);
    let mut sidecar = LivePath::plan(stack.addr, stack.addr)
        .sample_all()
        .live(|live| live.reads = reads("[{methods: [POST]}]"))
        .start()
        .await;
    let mut caller = sidecar.caller().await;
    let head = "POST /search HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
    caller.send(head).await;
    let begun = Instant::now();
    until("time has passed", || {
        begun.elapsed() > Duration::from_millis(300)
    })
    .await;

    let sent = Instant::now();
    caller.send("{}").await.message().await;
    let sample = sidecar.sample().await;
    assert_eq!(&sample.request.body[..], b"{}");
    assert!(
        sample.primary.as_ref().unwrap().took <= sent.elapsed(),
        "{:?}",
        sample.primary.as_ref().unwrap().took
    );
}

#[tokio::test]
async fn a_change_of_the_rate_is_in_force_for_the_next_request() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::sampling(stack.addr).await;
    let mut caller = sidecar.caller().await;
    let mut expected = 0;
    for round in 0..30 {
        let (rate, checks) = match round % 3 {
            0 => (1.0, Checks::Running),
            1 => (0.0, Checks::Running),
            _ => (1.0, Checks::Paused),
        };
        sidecar.set(|live| {
            live.sampling.rate = rate;
            live.checks = checks;
        });
        caller.send(GET).await.message().await;
        expected += u64::from(round % 3 == 0);
        assert_eq!(sidecar.sampled(), expected);
    }
    assert_eq!(stack.connections(), 1);
}

#[tokio::test]
async fn the_cap_holds_and_is_counted() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::plan(stack.addr, stack.addr)
        .sample_all()
        .live(|live| live.sampling.max_per_second = 1.into())
        .start()
        .await;
    let mut caller = sidecar.caller().await;
    for _ in 0..50 {
        caller.send(GET).await.message().await;
    }
    let capped = sidecar.gauges.bounds_reached(Bound::SamplesPerSecond);
    assert_eq!(sidecar.sampled() + capped, 50);
    assert!(capped > 0);
}

#[tokio::test]
async fn a_rare_route_is_sampled_up_to_its_floor() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::plan(stack.addr, stack.addr)
        .live(|live| live.sampling.rate = 1e-12)
        .start()
        .await;
    let mut caller = sidecar.caller().await;
    for path in ["/a", "/b"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        caller.send(request).await.message().await;
    }
    let routes = sidecar.ledger.routes();
    let sampled: Vec<_> = routes.iter().map(|route| route.sampled()).collect();
    assert_eq!(sampled, [1, 1]);
}

#[tokio::test]
async fn a_body_past_the_limit_passes_and_is_hashed() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnine byte".to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nnine \r\n4\r\nbyte\r\n0\r\n\r\n"
            .to_owned(),
    ] {
        let stack = Stack::answering(answer.clone());
        let mut sidecar = LivePath::plan(stack.addr, stack.addr)
            .sample_all()
            .live(|live| live.capture.max_body = 8)
            .start()
            .await;
        let got = sidecar.caller().await.send(GET).await.message().await;
        assert_eq!(got.to_lowercase(), answer.to_lowercase());
        let sample = sidecar.sample().await;
        let expected = Hashing::begin(b"nine byte").digest();
        assert_eq!(
            sample.primary.as_ref().unwrap().answer.body,
            BodyCopy::Hashed(expected)
        );
        assert_eq!(sidecar.budget.held(), sample.meta.held.bytes());
        drop(sample);
        assert_eq!(sidecar.budget.held(), 0);
    }
}

#[tokio::test]
async fn a_long_body_takes_no_memory_while_it_is_hashed() {
    const LENGTH: usize = 8 << 20;
    let stack = Stack::script(|mut conn, _| async move {
        conn.head().await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
        conn.send(head + &"x".repeat(LENGTH)).await;
        conn.rest().await;
    });
    let mut sidecar = LivePath::plan(stack.addr, stack.addr)
        .sample_all()
        .budget(4 << 10)
        .live(|live| live.capture.max_body = 1 << 10)
        .start()
        .await;
    sidecar.caller().await.send(GET).await.message().await;
    let sample = sidecar.sample().await;
    let expected = Hashing::begin("x".repeat(LENGTH).as_bytes()).digest();
    assert_eq!(
        sample.primary.as_ref().unwrap().answer.body,
        BodyCopy::Hashed(expected)
    );
}

#[tokio::test]
async fn a_request_body_past_the_limit_passes_and_is_not_compared() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::plan(stack.addr, stack.addr)
        .sample_all()
        .live(|live| live.capture.max_body = 8)
        .start()
        .await;
    let mut caller = sidecar.caller().await;
    caller
        .send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nnine byte")
        .await
        .message()
        .await;
    assert!(stack.requests()[0].ends_with("nine byte"));
    sidecar
        .until_outcome(not_compared(Reason::BodyTooLarge))
        .await;
}

#[tokio::test]
async fn a_budget_that_is_used_up_is_counted() {
    for budget in [10, 400] {
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{}",
            "x".repeat(500)
        );
        let stack = Stack::answering(answer.clone());
        let sidecar = LivePath::plan(stack.addr, stack.addr)
            .sample_all()
            .budget(budget)
            .start()
            .await;
        let got = sidecar.caller().await.send(GET).await.message().await;
        assert_eq!(got.to_lowercase(), answer.to_lowercase());
        sidecar
            .until_outcome(not_compared(Reason::MemoryFull))
            .await;
        assert_eq!(sidecar.budget.held(), 0);
    }
}

#[tokio::test]
async fn a_full_queue_sheds_and_counts() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::plan(stack.addr, stack.addr)
        .sample_all()
        .queue(3)
        .start()
        .await;
    let mut caller = sidecar.caller().await;
    for _ in 0..10 {
        caller.send(GET).await.message().await;
    }
    assert_eq!(sidecar.outcomes(not_compared(Reason::QueueFull)), 7);
    assert_eq!(
        (sidecar.sampled(), sidecar.gauges.queue_length.get()),
        (10, 3)
    );
}

#[tokio::test]
async fn what_streams_without_end_is_not_compared() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\n\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ] {
        let stack = Stack::answering(answer);
        let sidecar = LivePath::sampling(stack.addr).await;
        let mut caller = sidecar.caller().await;
        caller
            .send("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
            .await
            .head()
            .await;
        sidecar.until_outcome(not_compared(Reason::Streaming)).await;
    }
}

#[tokio::test]
async fn a_primary_that_fails_is_counted() {
    for stack in [
        Stack::replying(Reply::Reset(String::new())),
        Stack::replying(Reply::Reset(
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".into(),
        )),
        Stack::replying(Reply::Reset("garbage\r\n\r\n".into())),
    ] {
        let sidecar = LivePath::sampling(stack.addr).await;
        sidecar.exchange(GET.replace("x-mine", "close")).await;
        sidecar
            .until_outcome(not_compared(Reason::PrimaryError))
            .await;
        assert_eq!(sidecar.budget.held(), 0);
    }
    let sidecar = LivePath::sampling(Stack::nobody()).await;
    sidecar.caller().await.send(GET).await.message().await;
    sidecar
        .until_outcome(not_compared(Reason::PrimaryError))
        .await;
}

#[tokio::test]
async fn a_caller_that_goes_is_counted() {
    let silent = Stack::replying(Reply::Hang(String::new()));
    let sidecar = LivePath::sampling(silent.addr).await;
    let mut caller = sidecar.caller().await;
    caller.send(GET).await;
    until("the request", || silent.requests().len() == 1).await;
    drop(caller);
    sidecar
        .until_outcome(not_compared(Reason::ClientGone))
        .await;

    let endless = Stack::script(|mut conn, _| async move {
        conn.head().await;
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            .await;
        conn.rest().await;
    });
    let sidecar = LivePath::sampling(endless.addr).await;
    let mut caller = sidecar.caller().await;
    caller.send(GET).await.head().await;
    drop(caller);
    sidecar
        .until_outcome(not_compared(Reason::ClientGone))
        .await;
    assert_eq!(sidecar.budget.held(), 0);
}

#[tokio::test]
async fn errors_of_the_primary_are_answers_too() {
    let stack = Stack::answering("HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno");
    let mut sidecar = LivePath::sampling(stack.addr).await;
    sidecar.caller().await.send(GET).await.message().await;
    assert_eq!(
        sidecar
            .sample()
            .await
            .primary
            .as_ref()
            .unwrap()
            .answer
            .status
            .as_u16(),
        500
    );
}
