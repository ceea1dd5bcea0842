//! What a stack serves directly is also served through us: targets, long heads, header order, unrequested bodies.

use crate::support::{LivePath, Stack, until};
use std::time::{Duration, Instant};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Raw targets, and what the stack receives.
const TARGETS: &[(&[u8], &str)] = &[
    // Unchanged.
    (b"/a\"b{c}|d\\e^f", "/a\"b{c}|d\\e^f"),
    (b"/a?b{c}|d\\e^f`g", "/a?b{c}|d\\e^f`g"),
    (b"/\xc3\xbc?\xc3\xbc", "/\u{c3}\u{bc}?\u{c3}\u{bc}"),
    (b"/a%3cb?%22", "/a%3cb?%22"),
    // Percent-encoded.
    (b"/<a>`b", "/%3Ca%3E%60b"),
    (b"/a?\"<b>", "/a?%22%3Cb%3E"),
    (b"/\xff?\xc3\xbc", "/%FF?%C3%BC"),
];

#[tokio::test]
async fn raw_bytes_in_a_target_reach_the_stack_and_the_replay() {
    let stack = Stack::answering(OK);
    let mut sidecar = LivePath::sampling(stack.addr).await;
    for (target, expected) in TARGETS {
        let mut caller = sidecar.caller().await;
        let request = [b"GET ", *target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        caller.send(&request).await;
        let answer = caller.message().await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{target:?} {answer}");
        let request = stack.requests().pop().unwrap();
        let line = format!("GET {expected} HTTP/1.1\r\n");
        assert!(request.starts_with(&line), "{request}");
        let replayed = sidecar.sample().await.request.uri.to_string();
        let replayed: String = replayed.bytes().map(char::from).collect();
        assert_eq!(replayed, *expected);
    }
}

#[tokio::test]
async fn raw_bytes_after_an_authority_pass_as_those_of_a_path_do() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    for step in [1, 100] {
        for (target, expected) in TARGETS {
            let mut caller = sidecar.caller().await;
            let head = b" HTTP/1.1\r\nHost: host\r\n\r\n";
            let request = [b"GET http://host", *target, head].concat();
            for part in request.chunks(step) {
                caller.send(part).await;
            }
            let answer = caller.message().await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{target:?} {answer}");
            let request = stack.requests().pop().unwrap();
            let line = format!("GET {expected} HTTP/1.1\r\n");
            assert!(request.starts_with(&line), "{request}");
        }
    }
}

#[tokio::test]
async fn raw_targets_pass_byte_by_byte_and_pipelined() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    let requests: Vec<u8> = TARGETS
        .iter()
        .flat_map(|(target, _)| [b"GET ", *target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat())
        .collect();
    for step in [1, 7, requests.len()] {
        let mut caller = sidecar.caller().await;
        for part in requests.chunks(step) {
            caller.send(part).await;
        }
        for (target, _) in TARGETS {
            let answer = caller.message().await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{target:?} {answer}");
        }
        let seen = stack
            .requests()
            .split_off(stack.requests().len() - TARGETS.len());
        for (request, (_, expected)) in seen.iter().zip(TARGETS) {
            let line = format!("GET {expected} HTTP/1.1\r\n");
            assert!(request.starts_with(&line), "{request}");
        }
    }
}

#[tokio::test]
async fn raw_targets_without_an_end_are_refused() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    caller.send("GET /").await;
    while caller.try_send("<".repeat(1_000)).await {}
    let answer = caller.rest().await;
    assert!(!answer.contains("200"), "{answer}");
    // A caller that disconnects in the middle of one leaves nothing behind.
    let mut caller = sidecar.caller().await;
    let answer = caller.send("GET /<").await.end().await.rest().await;
    assert!(!answer.contains("200"), "{answer}");
    assert_eq!(stack.connections(), 0);
}

#[tokio::test]
async fn an_answer_of_many_header_lines_passes() {
    let lines: String = (0..250).map(|index| format!("x-{index}: 1\r\n")).collect();
    let answer = format!("HTTP/1.1 200 OK\r\n{lines}content-length: 2\r\n\r\nok");
    let stack = Stack::answering(answer.clone());
    let sidecar = LivePath::before(stack.addr).await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let answered = sidecar.caller().await.send(request).await.message().await;
    assert_eq!(answered, answer);
}

#[tokio::test]
async fn unlike_headers_keep_their_order_both_ways() {
    let answer = "HTTP/1.1 200 OK\r\nserver: x\r\nconnection: keep-alive, x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\netag: y\r\ncontent-length: 2\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nx-last: 1\r\n\r\nok";
    let stack = Stack::answering(answer);
    let sidecar = LivePath::plan(stack.addr, stack.addr)
        .with_old(|old| old.remove = vec!["x-secret".parse().unwrap()])
        .start()
        .await;
    let request = "GET / HTTP/1.1\r\naccept: a\r\nconnection: keep-alive\r\nhost: a\r\nte: gzip, trailers\r\nx-secret: s\r\nx-twinread: forged\r\ncookie: c\r\naccept-language: en\r\n\r\n";
    let answered = sidecar.caller().await.send(request).await.message().await;
    assert_eq!(
        answered,
        "HTTP/1.1 200 OK\r\nserver: x\r\netag: y\r\ncontent-length: 2\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nx-last: 1\r\n\r\nok"
    );
    assert_eq!(
        stack.requests(),
        [
            "GET / HTTP/1.1\r\naccept: a\r\nhost: a\r\nte: trailers\r\ncookie: c\r\naccept-language: en\r\n\r\n"
        ]
    );
}

#[tokio::test]
async fn a_body_that_is_there_is_not_waited_for() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    let head = |framing: &str| {
        format!("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{framing}\r\n\r\n")
    };
    let length = head("Content-Length: 4");
    let chunked = head("Transfer-Encoding: chunked");
    let chunks = "4\r\nbody\r\n0\r\n\r\n";
    for parts in [
        vec![format!("{length}body")],
        vec![format!("{chunked}{chunks}")],
        vec![length, "body".to_owned()],
        vec![chunked, chunks.to_owned()],
    ] {
        // An idle primary receives the body of a waiting caller after a second. The machine may be busy.
        let mut is_at_once = false;
        for _ in 0..5 {
            is_at_once |= answered(&sidecar, &parts).await < Duration::from_millis(900);
            let request = stack.requests().pop().unwrap();
            assert!(request.contains("body"), "{request}");
            if is_at_once {
                break;
            }
        }
        assert!(is_at_once, "{parts:?}");
    }
}

/// How long the answer takes for a request sent in parts.
async fn answered(sidecar: &LivePath, parts: &[String]) -> Duration {
    let begun = Instant::now();
    let mut caller = sidecar.caller().await;
    for (index, part) in parts.iter().enumerate() {
        // The head is read before the body arrives.
        let pause = Duration::from_millis(50) * index as u32;
        until("some time", || begun.elapsed() >= pause).await;
        caller.send(part).await;
    }
    let answer = caller.read_to("ok").await;
    assert!(answer.contains("HTTP/1.1 200 OK"), "{answer}");
    begun.elapsed()
}
