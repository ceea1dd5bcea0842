//! Connections that leave HTTP pass byte for byte, but only if the primary agrees.

use crate::support::{LivePath, Stack, until};

const ASK: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, x-mine\r\nX-Mine: 1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";
const GRANT: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn an_upgrade_is_tunnelled_both_ways_until_either_side_ends() {
    let stack = Stack::script(|mut conn, seen| async move {
        seen.message(&mut conn).await;
        // The first bytes of the other protocol arrive with the head.
        conn.send(format!("{GRANT}\x01\n\x02")).await;
        for _ in 0..3 {
            let bytes = conn.read_bytes(4).await;
            conn.send(bytes).await;
        }
        seen.note(&conn.rest().await);
    });
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    let head = caller.send(ASK).await.head().await.unwrap();
    let lower = head.to_lowercase();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(lower.contains("upgrade: websocket\r\n"), "{head}");
    assert!(lower.contains("connection: upgrade\r\n"), "{head}");
    assert!(lower.contains("sec-websocket-accept: s\r\n"), "{head}");
    assert_eq!(caller.read_bytes(3).await, b"\x01\n\x02");
    for bytes in ["\n\r\n ", "GET ", "\0\x7f\n\n"] {
        caller.send(bytes).await;
        assert_eq!(caller.read_bytes(4).await, bytes.as_bytes());
    }
    caller.send("end").await.end().await;
    until("the end", || stack.requests().len() == 2).await;
    assert_eq!(stack.requests()[1], "end");
    caller.gone().await;

    let request = stack.requests()[0].to_lowercase();
    assert!(request.contains("upgrade: websocket\r\n"), "{request}");
    assert!(request.contains("connection: upgrade\r\n"), "{request}");
    assert!(!request.contains("x-mine"), "{request}");
}

#[tokio::test]
async fn bytes_sent_before_the_grant_are_tunnelled_unseen() {
    let stack = Stack::script(|mut conn, seen| async move {
        seen.message(&mut conn).await;
        conn.send(GRANT).await;
        seen.note(&conn.read_to("end").await);
    });
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    caller.send(format!("{ASK}\n\0\nbefore")).await;
    caller.head().await;
    caller.send("end").await;
    until("the bytes", || stack.requests().len() == 2).await;
    assert_eq!(stack.requests()[1], "\n\0\nbeforeend");
}

#[tokio::test]
async fn after_a_refused_upgrade_requests_go_on_guarded() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    for _ in 0..2 {
        caller.send(format!("{ASK}{GET}")).await;
        caller.message().await;
        caller.message().await;
    }
    let smuggled =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    caller.send(format!("{ASK}{smuggled}")).await;
    assert!(caller.message().await.starts_with("HTTP/1.1 200 "));
    assert!(caller.rest().await.starts_with("HTTP/1.1 400 "));
    assert_eq!(stack.requests().len(), 5);
}

#[tokio::test]
async fn http_2_is_not_tunnelled() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    for _ in 0..2 {
        caller
            .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
            .await;
        assert!(caller.message().await.ends_with("ok"));
        let request = stack.requests().pop().unwrap().to_lowercase();
        assert!(
            !request.contains("h2c") && !request.contains("settings"),
            "{request}"
        );
    }
}

#[tokio::test]
async fn an_upgrade_with_a_body_is_an_ordinary_request() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    for _ in 0..2 {
        caller
            .send("POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc")
            .await;
        assert!(caller.message().await.ends_with("ok"));
        assert!(
            !stack
                .requests()
                .pop()
                .unwrap()
                .to_lowercase()
                .contains("upgrade")
        );
    }
}
