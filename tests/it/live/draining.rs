//! The drain lets answers under way end, and nothing new begin.

use crate::support::{LivePath, Stack, until};
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
