//! The drain lets answers under way end, and nothing new begin.

use crate::support::{LivePath, PANICS, Stack, until};
use std::time::Duration;
use tokio::net::TcpStream;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn answers_under_way_end_and_their_connections_with_them() {
    let stack = Stack::script(|mut conn, seen| async move {
        while seen.message(&mut conn).await.is_some() {
            // The test decides when.
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
                .await;
            until("the drain", || seen.has("draining")).await;
            conn.send("lf").await;
        }
    });
    let mut sidecar = LivePath::before(stack.addr).await;
    let mut idle = sidecar.caller().await;
    let mut busy = sidecar.caller().await;
    busy.send(GET).await.read_to("ha").await;

    let drained = sidecar.drain();
    idle.gone().await;
    until("a closed door", || sidecar.is_stopped()).await;
    assert!(TcpStream::connect(sidecar.addr).await.is_err());
    assert!(!drained.is_finished());
    stack.note("draining");
    assert_eq!(busy.rest().await, "lf");
    drained.await.unwrap();
}

#[tokio::test]
async fn a_kept_connection_closes_after_its_answer() {
    let stack = Stack::script(|mut conn, seen| async move {
        seen.message(&mut conn).await;
        until("the drain", || seen.has("draining")).await;
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await;
        conn.rest().await;
    });
    let mut sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    caller.send(GET).await;
    until("the request", || stack.requests().len() == 1).await;
    let drained = sidecar.drain();
    until("a closed door", || sidecar.is_stopped()).await;
    // One more round of the loop, so that every connection has observed it.
    tokio::task::yield_now().await;
    stack.note("draining");
    let answer = caller.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.ends_with("ok"), "{answer}");
    drained.await.unwrap();
}

#[tokio::test]
async fn a_caller_in_the_middle_of_its_request_may_end_it() {
    let stack = Stack::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let mut sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    caller
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo")
        .await;
    until("the connection", || stack.connections() == 1).await;
    let drained = sidecar.drain();
    until("a closed door", || sidecar.is_stopped()).await;
    caller.send("dy").await;
    assert!(caller.rest().await.ends_with("ok"));
    drained.await.unwrap();
}

#[tokio::test]
async fn callers_that_are_to_leave_get_one_more_answer() {
    let stack = Stack::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let plan = LivePath::plan(stack.addr, stack.addr).linger(Duration::from_secs(600));
    let mut sidecar = plan.start().await;
    let mut kept = sidecar.caller().await;
    kept.send(GET).await.read_to("ok").await;
    let (left, stopped) = sidecar.leave();
    for _ in 0..3 {
        let answer = sidecar.exchange(GET).await.to_ascii_lowercase();
        assert!(answer.contains("connection: close"), "{answer}");
    }
    assert!(!left.is_finished(), "one of before has not left");
    let answer = kept.send(GET).await.rest().await.to_ascii_lowercase();
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(answer.ends_with("ok"), "{answer}");
    left.await.unwrap();
    assert!(!sidecar.is_stopped());
    stopped.drain().await;
    until("a closed door", || sidecar.is_stopped()).await;
}

#[tokio::test]
async fn a_silent_caller_is_left_after_a_while() {
    let stack = Stack::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let plan = LivePath::plan(stack.addr, stack.addr).linger(Duration::from_millis(20));
    let mut sidecar = plan.start().await;
    let mut kept = sidecar.caller().await;
    kept.send(GET).await.read_to("ok").await;
    let mut silent = sidecar.caller().await;
    let (left, _stopped) = sidecar.leave();
    kept.gone().await;
    silent.gone().await;
    left.await.unwrap();
}

#[tokio::test]
async fn accepting_goes_on_after_a_panic() {
    let stack = Stack::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let sidecar = LivePath::before(stack.addr).await;
    PANICS.set(true);
    sidecar.caller().await.gone().await;
    let mut caller = sidecar.caller().await;
    caller.send(GET).await.read_to("ok").await;
}
