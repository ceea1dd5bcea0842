//! Messages before the answer: `100 Continue` end to end, and other informational answers.

use crate::support::{LivePath, Stack, until, within};
use twinread::testing::ledger::Bound;

const EXPECT: &str =
    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const EARLY: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn the_caller_sends_its_body_when_the_primary_agrees() {
    let stack = Stack::script(|mut conn, seen| async move {
        while let Some(head) = conn.head().await {
            assert!(head.to_lowercase().contains("expect: 100-continue"));
            conn.send(CONTINUE).await;
            seen.note(&conn.body_of(&head).await);
            conn.send(OK).await;
        }
    });
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    for _ in 0..2 {
        caller.send(EXPECT).await;
        assert_eq!(caller.head().await.unwrap(), CONTINUE);
        assert!(caller.send("body").await.message().await.ends_with("ok"));
    }
    assert_eq!(stack.requests(), ["body", "body"]);
    assert_eq!(stack.connections(), 1);
}

#[tokio::test]
async fn the_caller_is_not_asked_for_a_body_that_the_primary_refuses() {
    let stack = Stack::script(|mut conn, seen| async move {
        conn.head().await;
        conn.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno")
            .await;
        seen.note(&conn.rest().await);
    });
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    let answer = caller.send(EXPECT).await.message().await;
    assert!(answer.starts_with("HTTP/1.1 417 "), "{answer}");
    assert!(
        answer.to_lowercase().contains("connection: close"),
        "{answer}"
    );
    caller.gone().await;
    // The connection that still waits for the body is not reused, and the next request succeeds.
    let answer = sidecar.caller().await.send(EXPECT).await.message().await;
    assert!(answer.starts_with("HTTP/1.1 417 "), "{answer}");
    assert_eq!(stack.connections(), 2);
}

#[tokio::test]
async fn a_primary_that_says_nothing_gets_the_body_in_the_end() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    caller.send(EXPECT).await;
    assert_eq!(caller.head().await.unwrap(), CONTINUE);
    assert!(caller.send("body").await.message().await.ends_with("ok"));
}

#[tokio::test]
async fn a_body_sent_without_waiting_is_welcome() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    caller.send(format!("{EXPECT}body")).await;
    let answer = caller.read_to("ok").await;
    assert!(answer.contains("HTTP/1.1 200 OK"), "{answer}");
    assert!(stack.requests()[0].ends_with("body"));
}

#[tokio::test]
async fn informational_answers_come_before_the_answer_in_order() {
    let informational = "HTTP/1.1 102 Processing\r\n\r\n".to_owned() + EARLY + EARLY;
    let expected = informational.to_lowercase() + &OK.to_lowercase();
    let stack = Stack::answering(informational + OK);
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    for _ in 0..10 {
        let answer = caller.send(GET).await.read_to("ok").await;
        assert_eq!(answer.to_lowercase(), expected);
    }
    assert_eq!(stack.connections(), 1);
}

#[tokio::test]
async fn an_informational_answer_is_passed_on_at_once() {
    let stack = Stack::script(|mut conn, _| async move {
        conn.head().await;
        conn.send(EARLY).await;
        // Only a caller that has received the hints sends this.
        conn.read_to("0\r\n\r\n").await;
        conn.send(OK).await;
    });
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    caller
        .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    assert_eq!(caller.head().await.unwrap(), EARLY);
    caller.send("0\r\n\r\n").await;
    assert!(caller.message().await.ends_with("ok"));
}

#[tokio::test]
async fn pipelined_answers_and_informational_ones_do_not_mix() {
    let stack = Stack::script(|mut conn, seen| async move {
        while seen.message(&mut conn).await.is_some() {
            let body = "x".repeat(300_000);
            conn.send(EARLY).await;
            conn.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n{body}"
            ))
            .await;
        }
    });
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    caller.send(GET.repeat(20)).await;
    for _ in 0..20 {
        assert_eq!(caller.head().await.unwrap(), EARLY);
        let answer = caller.message().await;
        assert_eq!(
            answer.split_once("\r\n\r\n").unwrap().1,
            "x".repeat(300_000)
        );
    }
}

#[tokio::test]
async fn an_http_1_0_caller_gets_no_informational_answer() {
    let stack = Stack::answering(EARLY.to_owned() + OK);
    let sidecar = LivePath::before(stack.addr).await;
    let answer = sidecar.exchange("GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
}

#[tokio::test]
async fn a_flood_of_informational_answers_is_dropped_and_counted() {
    let flood = format!(
        "HTTP/1.1 103 Early Hints\r\nlink: <{}>\r\n\r\n",
        "a".repeat(10_000)
    );
    let stack = Stack::script(move |mut conn, seen| {
        let flood = flood.clone();
        async move {
            conn.head().await;
            for _ in 0..6_400 {
                conn.send(&flood).await;
            }
            conn.send(OK).await;
            seen.note("sent");
            conn.rest().await;
        }
    });
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    caller.send(GET).await;
    // Meanwhile the caller reads nothing.
    until("64 MB are sent", || !stack.requests().is_empty()).await;
    let answer = within("the answer", caller.read_to("\r\n\r\nok")).await;
    let hints = answer.matches("103 Early Hints").count();
    assert!(hints < 3_200, "{hints} of 6400 were kept");
    assert!(sidecar.gauges.bounds_reached(Bound::Informational) > 0);
}

#[tokio::test]
async fn informational_answers_lose_what_is_for_one_connection() {
    let early = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nconnection: x-hop\r\nx-hop: 1\r\n\
        keep-alive: timeout=5\r\nupgrade: h2c\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n";
    let stack = Stack::answering(early.to_owned() + OK);
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    assert_eq!(caller.send(GET).await.head().await.unwrap(), EARLY);
    assert!(caller.message().await.ends_with("ok"));
}
