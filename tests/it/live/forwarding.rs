//! Requests and answers pass unchanged, except for hop-by-hop parts.

use crate::support::{LivePath, Stack, serving_new, until};
use http::{HeaderName, HeaderValue};
use twinread::testing::{
    http_client::HostPolicy,
    ledger::{AnsweredBy, LiveCount},
    live::Forwarded,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn a_request_and_its_answer_pass_byte_for_byte() {
    let answer = "HTTP/1.1 200 Quite OK\r\nServer: x/1\r\nX-Odd:  a  b \r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-Forwarded-For: y\r\nContent-Length: 5\r\n\r\nh\0i\x7f\n";
    let stack = Stack::answering(answer);
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    let request = "POST /a%2Fb/../c?x=%20&y=+ HTTP/1.1\r\nHost: caller.example:8080\r\nX-Forwarded-For: 10.0.0.1\r\nVia: 1.1 other\r\nX-CaSe: KePt\r\nContent-Length: 4\r\n\r\n\x01b\nc";

    caller.send(request).await;
    let answered = caller.message().await;

    assert_eq!(sorted(&stack.requests()[0]), sorted(request));
    assert_eq!(
        sorted(&answered),
        sorted(&answer.replace(":  a  b ", ": a  b"))
    );
}

#[tokio::test]
async fn headers_for_one_connection_stay_on_it() {
    let stack = Stack::answering(
        "HTTP/1.1 200 OK\r\nConnection: x-theirs, close\r\nX-Theirs: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nUpgrade: h2\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n",
    );
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;

    caller
        .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, x-mine, host, content-length\r\nX-Mine: 1\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\nTE: gzip, trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nX-Kept: 1\r\n\r\n")
        .await;
    let answer = caller.message().await;

    let request = stack.requests().remove(0);
    assert_eq!(
        sorted(&request),
        sorted("GET / HTTP/1.1\r\nHost: a\r\nX-Kept: 1\r\nTE: trailers\r\n\r\n")
    );
    assert_eq!(
        sorted(&answer),
        sorted("HTTP/1.1 200 OK\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n")
    );
    caller.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    caller.message().await;
}

#[tokio::test]
async fn answers_without_a_body_keep_their_headers() {
    for (method, answer) in [
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nETag: x\r\n\r\n",
        ),
        ("HEAD", "HTTP/1.1 200 OK\r\nETag: x\r\n\r\n"),
        (
            "HEAD",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
        ),
        ("GET", "HTTP/1.1 204 No Content\r\nETag: x\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n",
        ),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("DELETE", "HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n"),
    ] {
        let stack = Stack::answering(answer);
        let sidecar = LivePath::before(stack.addr).await;
        let mut caller = sidecar.caller().await;
        for _ in 0..2 {
            caller
                .send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"))
                .await;
            let answered = caller.head().await.unwrap();
            assert_eq!(sorted(&answered), sorted(answer), "{method} {answer:?}");
        }
        assert_eq!(stack.connections(), 1);
    }
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    for _ in 0..10 {
        caller.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(caller.message().await.to_lowercase(), OK.to_lowercase());
    }
    assert_eq!((stack.requests().len(), stack.connections()), (10, 1));
}

#[tokio::test]
async fn a_caller_that_closes_gets_its_answer_first() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
    ] {
        let answer = sidecar.exchange(request).await;
        assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    }
    // The connection to the stack outlives both of them.
    assert_eq!(stack.connections(), 1);
}

#[tokio::test]
async fn an_http_1_0_caller_gets_no_chunks() {
    let stack = Stack::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    );
    let sidecar = LivePath::before(stack.addr).await;
    let answer = sidecar.exchange("GET / HTTP/1.0\r\n\r\n").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
    assert_eq!(body, "ok");
    let request = stack.requests().remove(0).to_lowercase();
    let host = format!("host: {}", stack.addr);
    assert!(request.starts_with("get / http/1.1\r\n"), "{request}");
    assert!(request.contains(&host), "{request}");
}

#[tokio::test]
async fn an_http_1_0_caller_may_keep_its_connection() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    for _ in 0..2 {
        caller
            .send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            .await;
        assert!(caller.message().await.ends_with("\r\n\r\nok"));
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_turn() {
    let stack = Stack::script(|mut conn, seen| async move {
        while let Some(request) = seen.message(&mut conn).await {
            let path = request.split(' ').nth(1).unwrap();
            let length = path.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{path}");
            conn.send(answer).await;
        }
    });
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    let requests: String = (0..20)
        .map(|index| match index % 2 {
            0 => format!("GET /{index} HTTP/1.1\r\nHost: a\r\n\r\n"),
            _ => format!("POST /{index} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n\n\n\n"),
        })
        .collect();
    caller.send(requests).await;
    for index in 0..20 {
        let answer = caller.message().await;
        assert!(answer.ends_with(&format!("\r\n\r\n/{index}")), "{answer}");
    }
}

#[tokio::test]
async fn request_targets_of_every_form() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    for (sent, line, host) in [
        (
            "GET http://uri.example/x?y HTTP/1.1\r\nHost: other",
            "GET /x?y HTTP/1.1",
            "uri.example",
        ),
        (
            "GET http://uri.example HTTP/1.1\r\nHost: other",
            "GET / HTTP/1.1",
            "uri.example",
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: a", "OPTIONS * HTTP/1.1", "a"),
        (
            "GET //x//?? HTTP/1.1\r\nHost: a",
            "GET //x//?? HTTP/1.1",
            "a",
        ),
        ("PURGE /x HTTP/1.1\r\nHost: a", "PURGE /x HTTP/1.1", "a"),
    ] {
        let mut caller = sidecar.caller().await;
        caller.send(format!("{sent}\r\n\r\n")).await;
        caller.message().await;
        let request = stack.requests().pop().unwrap();
        assert!(request.starts_with(&format!("{line}\r\n")), "{request}");
        let host = format!("\r\nhost: {host}\r\n");
        assert!(request.to_lowercase().contains(&host), "{request}");
    }
}

#[tokio::test]
async fn connect_and_targets_without_a_path_are_refused() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    caller
        .send("CONNECT other.example:443 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    let answer = caller.rest().await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    for target in ["x", "*", "ftp://a/x"] {
        let mut caller = sidecar.caller().await;
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = caller.send(request).await.head().await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{target} {answer}");
    }
    assert_eq!(stack.connections(), 0);
}

#[tokio::test]
async fn a_request_is_fitted_to_the_stack_that_serves() {
    let old = Stack::answering(OK);
    let new = Stack::answering(OK);
    let sidecar = LivePath::plan(old.addr, new.addr)
        .with_old(|old| {
            old.base_path = "/base".to_owned();
            old.host = HostPolicy::Stack;
            old.remove = vec![HeaderName::from_static("x-secret")];
        })
        .with_new(|new| {
            let key = HeaderValue::from_static("new");
            new.host = HostPolicy::Literal(HeaderValue::from_static("new.example"));
            new.set = vec![(HeaderName::from_static("x-secret"), key)];
        })
        .start()
        .await;
    let mut caller = sidecar.caller().await;
    let request = "GET /x HTTP/1.1\r\nHost: a\r\nX-Secret: s\r\n\r\n";

    caller.send(request).await.message().await;
    sidecar.set(|live| live.serve = serving_new());
    caller.send(request).await.message().await;

    let host = format!("GET /base/x HTTP/1.1\r\nHost: {}\r\n\r\n", old.addr);
    assert_eq!(sorted(&old.requests()[0]), sorted(&host));
    let expected = "GET /x HTTP/1.1\r\nHost: new.example\r\nX-Secret: new\r\n\r\n";
    assert_eq!(sorted(&new.requests()[0]), sorted(expected));
    assert_eq!((old.requests().len(), new.requests().len()), (1, 1));
}

#[tokio::test]
async fn live_requests_are_counted_by_route_method_and_status() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    for path in ["/users/7", "/users/8"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        caller.send(request).await.message().await;
    }
    let expected = LiveCount {
        method: "GET",
        status_class: "2xx",
        answered_by: AnsweredBy::Old,
        count: 2,
    };
    until("both counted", || {
        let routes = sidecar.ledger.routes();
        routes.len() == 1
            && &**routes[0].name() == "GET /users/{}"
            && routes[0].live_total() == 2
            && routes[0].live_counts() == [expected]
    })
    .await;
}

/// The parts of a message. Header names ignore case, and the order of different ones is irrelevant.
fn sorted(message: &str) -> (String, Vec<String>, String) {
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap().to_owned();
    let mut lines: Vec<_> = lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            format!("{}:{value}", name.to_lowercase())
        })
        .collect();
    // Several values of one name keep their order.
    lines.sort_by_key(|line| line.split(':').next().unwrap().to_owned());
    (first, lines, body.to_owned())
}

#[tokio::test]
async fn forwarded_headers_are_the_same_live_and_in_the_replay() {
    let came = "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n";
    for (mode, sent, expected) in [
        (Forwarded::Keep, "", ""),
        (
            Forwarded::Keep,
            came,
            "x-forwarded-for: 10.0.0.1\nx-forwarded-proto: https",
        ),
        (
            Forwarded::Append,
            came,
            "x-forwarded-for: 10.0.0.1, 127.0.0.1\nx-forwarded-host: shop:80\nx-forwarded-proto: https",
        ),
        (
            Forwarded::Append,
            "Connection: x-forwarded-for\r\nX-Forwarded-For: 10.0.0.1\r\n",
            "x-forwarded-for: 127.0.0.1\nx-forwarded-host: shop:80\nx-forwarded-proto: http",
        ),
        (
            Forwarded::Replace,
            came,
            "x-forwarded-for: 127.0.0.1\nx-forwarded-host: shop:80\nx-forwarded-proto: http",
        ),
    ] {
        let stack = Stack::answering(OK);
        let mut sidecar = LivePath::plan(stack.addr, stack.addr)
            .sample_all()
            .live(|live| live.forwarded = mode)
            .with_old(|old| old.host = HostPolicy::Stack)
            .start()
            .await;
        let request = format!("GET / HTTP/1.1\r\nHost: shop:80\r\n{sent}\r\n");
        sidecar.caller().await.send(request).await.message().await;

        let live = stack.requests().remove(0).to_lowercase();
        let mut live: Vec<_> = live
            .lines()
            .filter(|line| line.starts_with("x-forwarded"))
            .collect();
        live.sort_unstable();
        assert_eq!(live.join("\n"), expected, "{mode:?} {sent}");
        let replay = sidecar.sample().await.request.headers;
        let replay = replay
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("x-forwarded"));
        let mut replay: Vec<_> = replay
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        replay.sort_unstable();
        assert_eq!(replay, live, "{mode:?} {sent}");
    }
}
