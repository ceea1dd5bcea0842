//! Callers that a proxy names by the PROXY protocol.

use crate::support::{LivePath, Stack, until};
use twinread::testing::{
    ledger::{Bound, LiveFailure},
    live::Forwarded,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const TEXT: &str = "PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\n";

async fn behind_a_proxy(stack: &Stack, networks: &[&str]) -> LivePath {
    let plan = LivePath::plan(stack.addr, stack.addr).proxies(networks);
    let plan = plan.live(|live| live.forwarded = Forwarded::Replace);
    plan.start().await
}

#[tokio::test]
async fn the_caller_is_the_one_that_its_proxy_names() {
    let stack = Stack::answering(OK);
    let sidecar = behind_a_proxy(&stack, &["10.0.0.0/8", "127.0.0.0/8"]).await;
    let binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x02\x13\x88\0\x50";
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    for (header, caller) in [
        (TEXT.as_bytes(), "192.0.2.1"),
        (&binary[..], "192.0.2.7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (local, "127.0.0.1"),
    ] {
        let answer = sidecar.exchange([header, GET.as_bytes()].concat()).await;
        assert!(answer.ends_with("ok"), "{answer}");
        let request = stack.requests().pop().unwrap();
        let named = format!("x-forwarded-for: {caller}\r\n");
        assert!(request.contains(&named), "{request}");
    }
}

#[tokio::test]
async fn a_connection_without_its_header_reaches_no_stack() {
    let stack = Stack::answering(OK);
    let sidecar = behind_a_proxy(&stack, &["127.0.0.1/32"]).await;
    assert_eq!(sidecar.exchange(GET).await, "");
    until("the failure to be counted", || {
        sidecar.gauges.live_failures(LiveFailure::BadRequest) == 1
    })
    .await;
    assert_eq!(stack.requests().len(), 0);
}

#[tokio::test]
async fn only_named_networks_may_name_a_caller() {
    let stack = Stack::answering(OK);
    let sidecar = behind_a_proxy(&stack, &["10.0.0.0/8"]).await;
    let answer = sidecar.exchange(format!("{TEXT}{GET}")).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(sidecar.exchange(GET).await.ends_with("ok"));
    assert_eq!(stack.requests().len(), 1);
}

#[tokio::test]
async fn a_proxy_that_sends_half_a_header_is_let_go() {
    let stack = Stack::answering(OK);
    let plan = LivePath::plan(stack.addr, stack.addr).proxies(&["127.0.0.1/32"]);
    let short = std::time::Duration::from_millis(50);
    let sidecar = plan
        .limits(|limits| limits.head_timeout = short)
        .start()
        .await;
    let mut caller = sidecar.caller().await;
    caller.send("PROXY TCP4 192").await;
    assert_eq!(caller.rest().await, "");
    assert_eq!(sidecar.gauges.bounds_reached(Bound::HeadTimeout), 1);
}
