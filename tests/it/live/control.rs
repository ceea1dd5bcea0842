//! Headers that control twinread, and requests that loop back to it.

use crate::support::{Conn, LivePath, Stack};
use http::HeaderName;
use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};
use twinread::testing::{http_client::Instance, ledger::LiveFailure, redact::Secret};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Sends a read with these headers. Returns those that the stack received.
async fn passed_on(sidecar: &LivePath, stack: &Stack, headers: &str) -> String {
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}X-Last: 1\r\n\r\n");
    sidecar.caller().await.send(request).await.message().await;
    let request = stack.requests().pop().unwrap().to_lowercase();
    let (_, after) = request.split_once("host: a\r\n").unwrap();
    let (between, _) = after.split_once("x-last: 1\r\n").unwrap();
    between.to_owned()
}

#[tokio::test]
async fn forcing_takes_the_live_token_and_nothing_of_it_is_passed_on() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::plan(stack.addr, stack.addr)
        .live(|live| live.live_token = Some(Secret::new("secret")))
        .start()
        .await;
    for (headers, forced) in [
        ("X-Twinread-Sample: 1\r\n", 0),
        ("X-Twinread-Sample: secret\r\n", 0),
        ("X-Twinread-Token: secret\r\n", 0),
        ("X-Twinread-Token: wrong\r\nX-Twinread-Sample: 1\r\n", 0),
        (
            "X-Twinread-Token: wrong\r\nX-Twinread-Token: secret\r\nX-Twinread-Sample: 1\r\n",
            0,
        ),
        ("X-Twinread-Token: secret\r\nX-Twinread-Sample: 1\r\n", 1),
    ] {
        assert_eq!(passed_on(&sidecar, &stack, headers).await, "", "{headers}");
        assert_eq!(sidecar.sampled(), forced, "{headers}");
    }
    let routes = sidecar.ledger.routes();
    assert_eq!((routes.len(), routes[0].forced()), (1, 1));
}

#[tokio::test]
async fn without_a_live_token_nobody_forces_a_sample() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::plan(stack.addr, stack.addr)
        .live(|live| live.sampling.force_header = Some(HeaderName::from_static("x-force")))
        .start()
        .await;
    for headers in [
        "X-Force: 1\r\n",
        "X_Force: 1\r\n",
        "X-Twinread-Token: \r\nX-Force: 1\r\n",
    ] {
        assert_eq!(passed_on(&sidecar, &stack, headers).await, "");
        assert_eq!(sidecar.sampled(), 0);
    }
}

#[tokio::test]
async fn forced_read_passes_the_cap_and_is_replayed_without_token() {
    let stack = Stack::answering(OK);
    let mut sidecar = LivePath::plan(stack.addr, stack.addr)
        .sample_all()
        .live(|live| {
            live.sampling.max_per_second = 1.into();
            live.live_token = Some(Secret::new("secret"));
        })
        .start()
        .await;
    let forced = "X-Twinread-Token: secret\r\nX-Twinread-Sample: 1\r\n";
    for _ in 0..20 {
        passed_on(&sidecar, &stack, forced).await;
    }
    assert_eq!(sidecar.sampled(), 20);
    let headers = sidecar.sample().await.request.headers;
    let names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["host", "x-last"]);
    // Forced samples do not reduce drawn ones.
    passed_on(&sidecar, &stack, "").await;
    assert_eq!(sidecar.sampled(), 21);
}

#[tokio::test]
async fn a_caller_cannot_pass_for_a_replay() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    for forged in [
        "X-Twinread: shadow\r\nX-Twinread: recheck\r\n",
        "X_Twinread: shadow\r\n",
        "X-Twinread_Serve: new\r\n",
        "X_Twinread-Token: secret\r\n",
        "X_Twinread_Hop: 1\r\n",
        "X-Twinread-Other: 1\r\n",
    ] {
        assert_eq!(passed_on(&sidecar, &stack, forged).await, "", "{forged}");
    }
    // Other names belong to the stack.
    let other = "X-Twinreader: 1\r\n";
    assert_eq!(
        passed_on(&sidecar, &stack, other).await,
        other.to_lowercase()
    );
}

/// A stack that forwards every request to `to`.
async fn relay(to: Arc<OnceLock<SocketAddr>>) -> Stack {
    Stack::script(move |mut conn, seen| {
        let to = to.clone();
        async move {
            while let Some(request) = seen.message(&mut conn).await {
                let mut next = Conn::open(*to.get().unwrap()).await;
                let answer = next.send(request).await.message().await;
                conn.send(answer).await;
            }
        }
    })
}

async fn sidecar(old: &Stack, instance: u64) -> LivePath {
    LivePath::plan(old.addr, old.addr)
        .with_old(|old| old.instance = Some(Instance::new(instance)))
        .start()
        .await
}

#[tokio::test]
async fn a_request_that_comes_back_is_answered_with_508_and_counted() {
    let to = Arc::<OnceLock<_>>::default();
    let old = relay(to.clone()).await;
    let sidecar = sidecar(&old, 1).await;
    to.set(sidecar.addr).unwrap();
    let answer = sidecar.caller().await.send(GET).await.message().await;
    assert!(
        answer.starts_with("HTTP/1.1 508 Loop Detected\r\n"),
        "{answer}"
    );
    assert_eq!(
        (
            old.requests().len(),
            sidecar.gauges.live_failures(LiveFailure::Loop)
        ),
        (1, 1)
    );
    let request = old.requests().remove(0).to_lowercase();
    assert!(
        request.contains("x-twinread-hop: 0000000000000001\r\n"),
        "{request}"
    );
    assert!(!request.contains("via:"), "{request}");
}

#[tokio::test]
async fn a_loop_over_two_instances_is_noticed() {
    let (to_one, to_two) = <(Arc<OnceLock<_>>, Arc<OnceLock<_>>)>::default();
    let (before_two, before_one) = (relay(to_two.clone()).await, relay(to_one.clone()).await);
    let one = sidecar(&before_two, 1).await;
    let two = sidecar(&before_one, 2).await;
    to_one.set(one.addr).unwrap();
    to_two.set(two.addr).unwrap();
    let answer = one.caller().await.send(GET).await.message().await;
    assert!(answer.starts_with("HTTP/1.1 508 "), "{answer}");
    assert_eq!(
        (before_one.requests().len(), before_two.requests().len()),
        (1, 1)
    );
    assert_eq!(
        (
            one.gauges.live_failures(LiveFailure::Loop),
            two.gauges.live_failures(LiveFailure::Loop)
        ),
        (1, 0)
    );
}

#[tokio::test]
async fn a_caller_cannot_hide_a_loop_behind_connection() {
    let stack = Stack::answering(OK);
    let sidecar = sidecar(&stack, 1).await;
    let headers = "X-Twinread-Hop: 7\r\nConnection: x-twinread-hop\r\n";
    let passed = passed_on(&sidecar, &stack, headers).await;
    assert_eq!(
        passed,
        "x-twinread-hop: 7\r\nx-twinread-hop: 0000000000000001\r\n"
    );
}
