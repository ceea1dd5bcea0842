//! Bodies stream both ways as they arrive, and end complete or visibly broken.

use crate::support::{Conn, LivePath, Stack, until};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

const CHUNKED_OK: &str =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn chunked_bodies_pass_both_ways() {
    let stack = Stack::answering(CHUNKED_OK);
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    for method in ["POST", "GET"] {
        let request = format!(
            "{method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        );
        caller.send(request).await;
        assert!(
            caller
                .message()
                .await
                .ends_with("\r\n\r\n2\r\nok\r\n0\r\n\r\n")
        );
        let (head, body) = last(&stack);
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        assert_eq!(unchunked(&body), "abcde");
    }
    assert_eq!(stack.connections(), 1);
}

#[tokio::test]
async fn trailers_pass_both_ways_announced_or_not() {
    for announced in ["", "Trailer: X-Sum\r\n"] {
        let answer = format!(
            "HTTP/1.1 200 OK\r\n{announced}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nX-More: a\r\nContent-Length: 3\r\n\r\n"
        );
        let stack = Stack::answering(answer);
        let sidecar = LivePath::before(stack.addr).await;
        let mut caller = sidecar.caller().await;
        for _ in 0..2 {
            caller
                .send(format!("POST / HTTP/1.1\r\nHost: a\r\n{announced}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Mine: 7\r\n\r\n"))
                .await;
            let answer = caller.message().await;
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            assert_eq!(body, "2\r\nok\r\n0\r\nx-sum: 1\r\nx-more: a\r\n\r\n");
            assert_eq!(last(&stack).1, "1\r\na\r\n0\r\nx-mine: 7\r\n\r\n");
        }
        assert_eq!(stack.connections(), 1);
    }
}

#[tokio::test]
async fn body_delimited_by_close_is_chunked_for_the_caller() {
    for version in ["1.0", "1.1"] {
        let stack = Stack::script(move |mut conn, seen| async move {
            seen.message(&mut conn).await;
            conn.send(format!("HTTP/{version} 200 OK\r\n\r\nall of it"))
                .await;
        });
        let sidecar = LivePath::before(stack.addr).await;
        let mut caller = sidecar.caller().await;
        for _ in 0..2 {
            let answer = caller.send(GET).await.message().await;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
            assert_eq!(unchunked(body), "all of it");
        }
    }
}

#[tokio::test]
async fn each_chunk_passes_before_the_next_is_there() {
    let stack = Stack::script(|mut conn, seen| async move {
        let head = conn.head().await.unwrap();
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await;
        // An echo, which only returns what was passed on at once.
        for _ in 0..3 {
            let line = conn.read_to("\r\n").await;
            let data = conn.read_to("\r\n").await;
            conn.send(line + &data).await;
        }
        conn.read_to("0\r\n\r\n").await;
        conn.send("0\r\n\r\n").await;
        seen.note(&head);
    });
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    caller
        .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    caller.head().await.unwrap();
    for chunk in ["1\r\na\r\n", "2\r\nbc\r\n", "1\r\nd\r\n"] {
        caller.send(chunk).await;
        caller.read_to(chunk).await;
    }
    caller.send("0\r\n\r\n").await;
    assert_eq!(caller.read_to("0\r\n\r\n").await, "0\r\n\r\n");
}

#[tokio::test]
async fn bodies_far_larger_than_any_budget_stream_both_ways() {
    const SIZE: usize = 48 << 20;
    let stack = Stack::script(|mut conn, _| async move {
        while conn.head().await.is_some() {
            for _ in 0..SIZE >> 20 {
                assert_eq!(conn.read_bytes(1 << 20).await, vec![b'u'; 1 << 20]);
            }
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"))
                .await;
            for _ in 0..SIZE >> 20 {
                conn.send(vec![b'd'; 1 << 20]).await;
            }
        }
    });
    let sidecar = LivePath::plan(stack.addr, stack.addr)
        .sample_all()
        .budget(1 << 20)
        .start()
        .await;
    let mut caller = sidecar.caller().await;
    caller
        .send(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n"
        ))
        .await;
    for _ in 0..SIZE >> 20 {
        caller.send(vec![b'u'; 1 << 20]).await;
    }
    caller.head().await.unwrap();
    for _ in 0..SIZE >> 20 {
        assert_eq!(caller.read_bytes(1 << 20).await, vec![b'd'; 1 << 20]);
    }
    assert_eq!(sidecar.budget.held(), 0);
}

#[tokio::test]
async fn a_caller_that_does_not_read_holds_the_stack_back() {
    let sent = Arc::<AtomicUsize>::default();
    let count = sent.clone();
    let stack = Stack::script(move |mut conn, _| {
        let count = count.clone();
        async move {
            conn.head().await;
            conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await;
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            while conn.write(&chunk).await.is_some() {
                count.fetch_add(0x10000, Ordering::SeqCst);
            }
        }
    });
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    caller.send(GET).await;
    caller.read_to("\r\n\r\n").await;
    // Socket buffers hold some megabytes; an unbounded reader would never stop.
    let at_rest = at_rest(&sent).await;
    assert!(at_rest < 64 << 20, "{at_rest}");
    caller.read_bytes(32 << 20).await;
    until("more", || sent.load(Ordering::SeqCst) > at_rest).await;
}

#[tokio::test]
async fn a_stack_that_does_not_read_holds_the_caller_back() {
    let stack = Stack::script(|mut conn, seen| async move {
        conn.head().await;
        seen.note("head");
        std::future::pending().await
    });
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    caller
        .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let sent = Arc::<AtomicUsize>::default();
    let count = sent.clone();
    let sending = tokio::spawn(async move {
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while caller.write(&chunk).await.is_some() {
            count.fetch_add(0x10000, Ordering::SeqCst);
        }
    });
    let at_rest = at_rest(&sent).await;
    assert!(at_rest < 64 << 20, "{at_rest}");
    sending.abort();
}

#[tokio::test]
async fn a_primary_that_breaks_off_leaves_a_broken_body() {
    for (answer, sent) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
            "hello",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "5\r\nhello\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nbad\r\n",
            "5\r\nhello\r\n",
        ),
    ] {
        let stack = Stack::script(move |mut conn, seen| async move {
            seen.message(&mut conn).await;
            conn.send(answer).await;
        });
        let sidecar = LivePath::before(stack.addr).await;
        let answer = sidecar.exchange(GET).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert_eq!(body, sent);
    }
}

#[tokio::test]
async fn an_http_1_0_caller_sees_a_broken_body_as_a_reset() {
    let stack = Stack::script(move |mut conn, seen| async move {
        seen.message(&mut conn).await;
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            .await;
    });
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    caller.send("GET / HTTP/1.0\r\n\r\n").await;
    assert!(caller.ends_in_reset().await, "a clean end");
}

#[tokio::test]
async fn a_caller_that_goes_takes_its_request_along() {
    for request in [
        GET,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
    ] {
        let stack = Stack::script(|mut conn, seen| async move {
            conn.head().await;
            seen.note("head");
            conn.rest().await;
            seen.note("gone");
        });
        let sidecar = LivePath::before(stack.addr).await;
        let mut caller = sidecar.caller().await;
        caller.send(request).await;
        until("the request", || stack.requests() == ["head"]).await;
        drop(caller);
        until("the end", || stack.requests() == ["head", "gone"]).await;
        until("the count", || sidecar.ledger.routes()[0].live_total() == 1).await;
    }
}

#[tokio::test]
async fn a_caller_that_goes_midway_frees_the_primary() {
    let stack = Stack::script(|mut conn, seen| async move {
        conn.head().await;
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await;
        while conn.try_send("1\r\nx\r\n").await {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        seen.note("gone");
    });
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    caller.send(GET).await;
    caller.read_to("1\r\nx\r\n").await;
    drop(caller);
    until("the end", || stack.requests() == ["gone"]).await;
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_is_whole() {
    let stack = Stack::script(|mut conn, _| async move {
        conn.head().await;
        conn.send(
            "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
        )
        .await;
        conn.rest().await;
    });
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller: Conn = sidecar.caller().await;
    caller
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        .await;
    caller.send(vec![b'x'; 1000]).await;
    let answer = caller.message().await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nno"), "{answer}");
}

/// The count once it stops changing.
async fn at_rest(count: &AtomicUsize) -> usize {
    let mut before = usize::MAX;
    let mut same = 0;
    while same < 20 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let now = count.load(Ordering::SeqCst);
        same = if now == before && now > 0 {
            same + 1
        } else {
            0
        };
        before = now;
    }
    before
}

fn last(stack: &Stack) -> (String, String) {
    let request = stack.requests().pop().unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

fn unchunked(body: &str) -> String {
    let mut whole = String::new();
    let mut rest = body;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        whole += &after[..size];
        rest = &after[size + 2..];
    }
    whole
}
