//! Requests that two parsers could read differently are rejected.

use crate::support::{LivePath, Stack};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

const HEADS: &[&str] = &[
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\nabcdef",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nabcde",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nabcde",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n X: a\r\n\r\n",
    "GET / HTTP/1.1\nHost: a\n\n",
    "GET / HTTP/1.1\r\nHost: a\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\n",
    "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
    "GET / HTTP/1.1\rHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
];

const CHUNKS: &[&str] = &[
    "zz\r\nab\r\n0\r\n\r\n",
    "\r\n0\r\n\r\n",
    "-1\r\na\r\n0\r\n\r\n",
    "0x1\r\na\r\n0\r\n\r\n",
    "1\na\r\n0\r\n\r\n",
    "1;a\nb\r\na\r\n0\r\n\r\n",
    "1\r\na\n0\r\n\r\n",
    "1\r\nab\r\n0\r\n\r\n",
    "ffffffffffffffffff\r\na\r\n0\r\n\r\n",
    "0\r\nX: a\nY: b\r\n\r\n",
    "0\r\nX: a\r\n folded\r\n\r\n",
    "0\r\nX : a\r\n\r\n",
];

#[tokio::test]
async fn smuggling_heads_are_refused_and_the_connection_closed() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    for head in HEADS {
        let answer = sidecar.exchange(format!("{head}{GET}")).await;
        assert!(
            answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.0 400 "),
            "{head:?} {answer:?}"
        );
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{head:?} {answer:?}");
    }
    assert_eq!(stack.connections(), 0);
}

#[tokio::test]
async fn they_are_refused_byte_by_byte_too() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    for head in HEADS.iter().step_by(3) {
        let mut caller = sidecar.caller().await;
        for byte in head.bytes() {
            if !caller.try_send([byte]).await {
                break;
            }
        }
        let answer = caller.rest().await;
        assert!(
            answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.0 400 "),
            "{head:?} {answer:?}"
        );
    }
    assert_eq!(stack.connections(), 0);
}

#[tokio::test]
async fn after_good_requests_they_are_refused_in_their_turn() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    for head in HEADS {
        let answer = sidecar.exchange(format!("{GET}{GET}{head}{GET}")).await;
        assert_eq!(answer.matches("200 OK").count(), 2, "{head:?} {answer:?}");
        assert_eq!(answer.matches(" 400 ").count(), 1, "{head:?} {answer:?}");
        assert!(!answer.ends_with("ok"), "{head:?} {answer:?}");
    }
    assert_eq!(stack.requests().len(), 2 * HEADS.len());
}

#[tokio::test]
async fn bad_chunks_are_refused_and_never_make_a_whole_request() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    for chunks in CHUNKS {
        let answer = sidecar
            .exchange(format!(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}{GET}"
            ))
            .await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{chunks:?} {answer:?}");
        assert!(
            answer.to_lowercase().contains("connection: close"),
            "{answer}"
        );
        assert_eq!(
            answer.matches("HTTP/1.").count(),
            1,
            "{chunks:?} {answer:?}"
        );
    }
    assert_eq!(stack.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn good_requests_of_odd_shapes_pass() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    for request in [
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\na\nb",
        "POST / HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING:   Chunked  \r\n\r\n001 ;a=\"b\"\r\n\n\r\n0\r\n\r\n",
    ] {
        let mut caller = sidecar.caller().await;
        caller.send(request.repeat(3)).await;
        for _ in 0..3 {
            assert!(caller.message().await.ends_with("ok"), "{request:?}");
        }
    }
    // The name of a coding has no case, but a stack may mind it.
    let seen = stack.requests().concat();
    let is_named = |coding| seen.contains(&format!("transfer-encoding: {coding}\r\n"));
    assert!(is_named("chunked") && !is_named("Chunked"), "{seen}");
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    for (begin, more) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n", "X-More: x\r\n"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: ", "xxxxxxxxxxxxxxxxxxxx"),
        ("GET /", "xxxxxxxxxxxxxxxxxxxx"),
    ] {
        let mut caller = sidecar.caller().await;
        caller.send(begin).await;
        let more = more.repeat(100);
        while caller.try_send(&more).await {}
        let answer = caller.rest().await;
        assert!(!answer.contains("200"), "{answer}");
    }
    assert_eq!(stack.connections(), 0);
}
