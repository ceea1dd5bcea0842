//! What callers may consume: each limit of the listener, and what the limits never cut.

use crate::support::{Conn, LivePath, Stack, until, within};
use std::{num::NonZeroUsize, sync::Arc, time::Duration};
use tokio::{
    io::AsyncReadExt,
    net::TcpSocket,
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use twinread::testing::ledger::Bound;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const SHORT: Duration = Duration::from_millis(150);
/// Longer than any limit in this file.
const LONG: Duration = Duration::from_millis(600);

/// Every time limit is [`SHORT`].
async fn short(stack: &Stack) -> LivePath {
    let plan = LivePath::plan(stack.addr, stack.addr).limits(|limits| {
        limits.head_timeout = SHORT;
        limits.idle_timeout = SHORT;
        limits.body_stall = SHORT;
    });
    plan.start().await
}

fn count(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

#[tokio::test]
async fn connections_without_a_whole_head_are_closed() {
    let stack = Stack::answering(OK);
    let sidecar = short(&stack).await;
    for begun in ["", "G", "GET / HTTP/1.1\r\nHos"] {
        let mut caller = sidecar.caller().await;
        caller.send(begun).await.gone().await;
    }
    assert_eq!(sidecar.gauges.bounds_reached(Bound::HeadTimeout), 3);
}

#[tokio::test]
async fn a_kept_connection_is_closed_when_no_request_comes() {
    let stack = Stack::answering(OK);
    let sidecar = short(&stack).await;
    let mut caller = sidecar.caller().await;
    for _ in 0..3 {
        caller.send(GET).await.message().await;
    }
    caller.gone().await;
    assert_eq!(sidecar.gauges.bounds_reached(Bound::IdleTimeout), 1);
}

#[tokio::test]
async fn half_a_body_is_a_408() {
    let stack = Stack::script(|mut conn, _| async move {
        conn.head().await;
        conn.rest().await;
    });
    let sidecar = short(&stack).await;
    for half in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: y",
    ] {
        let answer = sidecar.exchange(half).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("did not come in time"), "{answer}");
    }
    assert_eq!(sidecar.gauges.bounds_reached(Bound::BodyStall), 3);
}

#[tokio::test]
async fn an_expectation_and_then_nothing_is_a_408() {
    let stack = Stack::script(|mut conn, _| async move {
        conn.head().await;
        conn.send("HTTP/1.1 100 Continue\r\n\r\n").await;
        conn.rest().await;
    });
    let sidecar = short(&stack).await;
    let expect = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    let answer = sidecar.exchange(expect).await;
    let (asked, answer) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(asked, "HTTP/1.1 100 Continue");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn an_answer_that_is_not_taken_ends_for_caller_and_primary() {
    let stack = Stack::script(|mut conn, seen| async move {
        conn.head().await;
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await;
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(1 << 16));
        while conn.write(&chunk).await.is_some() {}
        seen.note("it ended");
    });
    let sidecar = short(&stack).await;
    let mut caller = sidecar.caller().await;
    caller.send(GET).await;
    until("the primary is let go", || !stack.requests().is_empty()).await;
    assert_eq!(sidecar.gauges.bounds_reached(Bound::BodyStall), 1);
    assert!(caller.ends_in_reset().await);
}

#[tokio::test]
async fn a_slow_reader_is_not_cut() {
    let body = "x".repeat(12 << 20);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let stack = Stack::answering(answer);
    let sidecar = LivePath::plan(stack.addr, stack.addr)
        .limits(|limits| limits.body_stall = Duration::from_millis(400))
        .start()
        .await;
    let socket = TcpSocket::new_v4().unwrap();
    // Every read frees some space at once, but so little that the sender's buffer stays nearly full.
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let mut stream = socket.connect(sidecar.addr).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, GET.as_bytes())
        .await
        .unwrap();
    let mut buf = vec![0; 16 << 10];
    let begun = Instant::now();
    let mut read = 0;
    while begun.elapsed() < 4 * LONG {
        let some = within("more of the answer", stream.read(&mut buf)).await;
        read += some.expect("a slow reader is served on");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(read < body.len(), "it was no slow reader: {read} bytes");
    assert_eq!(sidecar.gauges.bounds_reached(Bound::BodyStall), 0);
}

#[tokio::test]
async fn a_silent_primary_is_waited_for() {
    let stack = Stack::script(|mut conn, seen| async move {
        while seen.message(&mut conn).await.is_some() {
            sleep(LONG).await;
            conn.send(OK).await;
        }
    });
    let sidecar = short(&stack).await;
    let mut caller = sidecar.caller().await;
    for _ in 0..2 {
        assert!(caller.send(GET).await.message().await.ends_with("ok"));
    }
}

#[tokio::test]
async fn slow_events_are_waited_for() {
    let stack = Stack::script(|mut conn, _| async move {
        conn.head().await;
        conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await;
        for _ in 0..2 {
            sleep(LONG).await;
            conn.send("9\r\ndata: 1\n\n\r\n").await;
        }
        conn.send("0\r\n\r\n").await;
        conn.rest().await;
    });
    let sidecar = short(&stack).await;
    let mut caller = sidecar.caller().await;
    let answer = caller.send(GET).await.message().await;
    assert_eq!(answer.matches("data: 1").count(), 2, "{answer}");
}

#[tokio::test]
async fn a_silent_tunnel_stays_open() {
    let stack = Stack::script(|mut conn, _| async move {
        conn.head().await;
        conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
            .await;
        let asked = conn.read_to("?").await;
        sleep(LONG).await;
        conn.send(format!("{asked}!")).await;
        conn.rest().await;
    });
    let sidecar = short(&stack).await;
    let mut caller = sidecar.caller().await;
    let ask = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let head = caller.send(ask).await.head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    sleep(LONG).await;
    assert_eq!(caller.send("well?").await.read_to("!").await, "well?!");
}

#[tokio::test]
async fn callers_past_the_limit_wait_until_one_leaves() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::plan(stack.addr, stack.addr)
        .limits(|limits| limits.connections = count(2))
        .start()
        .await;
    let mut first = sidecar.caller().await;
    let mut second = sidecar.caller().await;
    first.send(GET).await.message().await;
    second.send(GET).await.message().await;
    let mut third = sidecar.caller().await;
    third.send(GET).await;
    until("the limit is counted", || {
        sidecar.gauges.bounds_reached(Bound::Connections) == 1
    })
    .await;
    assert!(timeout(SHORT, third.message()).await.is_err(), "it waits");
    first.send(GET).await.message().await;
    drop(first);
    assert!(third.message().await.ends_with("ok"));
}

#[tokio::test]
async fn a_head_past_the_limits_is_a_431() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::plan(stack.addr, stack.addr)
        .limits(|limits| {
            limits.header_bytes = 2_000;
            limits.headers = count(150);
        })
        .start()
        .await;
    let head = |lines: usize, length: usize| {
        let line = format!("x: {}\r\n", "y".repeat(length));
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{}\r\n",
            line.repeat(lines)
        )
    };
    for good in [head(148, 1), head(1, 1_900)] {
        let answer = sidecar.exchange(good).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    for bad in [head(149, 1), head(1, 2_000)] {
        let answer = sidecar.exchange(bad).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    assert_eq!(sidecar.gauges.bounds_reached(Bound::Headers), 2);
    assert_eq!(stack.requests().len(), 2);
}

/// Ends once no connection is left.
async fn nothing_is_left(mut sidecar: LivePath) {
    within("every connection ends", sidecar.drain())
        .await
        .unwrap();
}

#[tokio::test]
async fn refused_requests_for_an_upgrade_leave_nothing_behind() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    for target in ["*", "ftp://t/", "t:80"] {
        let ask = format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        );
        for _ in 0..20 {
            let mut caller = sidecar.caller().await;
            let answer = caller.send(&ask).await.message().await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        }
        let mut caller = sidecar.caller().await;
        caller.send(format!("{ask}{GET}")).await.message().await;
        assert!(caller.message().await.ends_with("ok"), "requests go on");
    }
    nothing_is_left(sidecar).await;
}

#[tokio::test]
async fn callers_that_leave_before_an_upgrade_leave_nothing_behind() {
    let gone = Arc::new(Notify::new());
    let ended = gone.clone();
    let stack = Stack::script(move |mut conn, seen| {
        let ended = ended.clone();
        async move {
            conn.head().await;
            seen.note("asked");
            conn.rest().await;
            ended.notify_one();
        }
    });
    let sidecar = LivePath::before(stack.addr).await;
    let ask = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    for (index, early) in ["", "early"].iter().enumerate() {
        let mut caller: Conn = sidecar.caller().await;
        caller.send(format!("{ask}{early}")).await;
        until("the primary is asked", || {
            stack.requests().len() == index + 1
        })
        .await;
        drop(caller);
        within("the primary is let go", gone.notified()).await;
    }
    nothing_is_left(sidecar).await;
}
