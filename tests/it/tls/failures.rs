//! Handshakes that fail: on the way to a stack, and from a caller.

use super::{World, admin, listen, metric, until_metric};
use crate::support::{Caller, Front, Pki, SecureCaller, Stack, eventually, start_app, within};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const FAILURES: &str = "twinread_live_failures_total{cause=\"tls\"}";

/// A fatal alert, protocol_version (RFC 8446 6).
const OTHER_VERSION: &[u8] = &[21, 3, 3, 0, 2, 2, 70];

/// What a server without TLS makes of a handshake.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\r\n";

/// A server that answers the beginning of a handshake with these bytes.
async fn answering(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut hello = [0; 2048];
            let _ = stream.read(&mut hello).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    addr
}

#[tokio::test(flavor = "multi_thread")]
async fn each_cause_is_named_counted_and_shown() {
    let world = World::new().await;
    let plain = world.stacks[0].addr;
    let expired = world.pki.issue_until("127.0.0.1", 2020);
    let foreign = Pki::new().issue("127.0.0.1");
    let misnamed = world.pki.issue("shop.example");
    let fronts = [
        Front::start(expired.server(), plain).await,
        Front::start(foreign.server(), plain).await,
        Front::start(misnamed.server(), plain).await,
        Front::start(world.pki.demanding(&world.own), plain).await,
    ];
    let [expired, foreign, misnamed, demanding] = fronts.each_ref().map(|front| front.addr);
    for (old, cause) in [
        (expired, "the certificate is expired or not yet valid"),
        (foreign, "unknown issuer of the certificate"),
        (misnamed, "the certificate is for another name"),
        (demanding, "a client certificate is required"),
        (
            answering(OTHER_VERSION).await,
            "no common version or protocol",
        ),
        (answering(PLAIN).await, "the other side does not speak TLS"),
    ] {
        let app = world.between(old, world.fronts[1].addr, "");
        let answer = Caller::connect(listen(&app)).get("/a");
        let body = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, 502, "{cause}: {body}");
        let detail = format!("the old stack gave no answer: TLS: {cause}");
        assert!(body.contains(&detail), "{cause}: {body}");
        assert!(body.contains(r#""cause":"tls""#), "{body}");
        assert_eq!(metric(&app, FAILURES), Some(1.0), "{cause}");
        // The first connection, without a request, may come after that and be accepted.
        eventually("it is shown", || {
            let _ = Caller::connect(listen(&app)).get("/a");
            let ready = admin(&app, "/readyz");
            ready.contains(&format!("TLS: {cause}")).then_some(())
        });
        app.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_a_missing_certificate_is_named_too() {
    let world = World::new().await;
    let mut demanding = world.pki.demanding(&world.own);
    demanding.alpn_protocols = vec![b"h2".to_vec()];
    let old = Front::start(demanding, world.stacks[0].addr).await;
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n\
         old: {{url: 'https://{}', http2: true, tls: {{ca: ca.pem}}}}\nnew: {{url: 'http://{}'}}\n",
        old.addr, world.stacks[1].addr
    );
    let app = start_app(world.path(), &text).unwrap();
    let answer = Caller::connect(listen(&app)).get("/a");
    let body = String::from_utf8(answer.body).unwrap();
    let detail = "the old stack gave no answer: TLS: a client certificate is required";
    assert!(body.contains(detail), "{body}");
    assert_eq!(metric(&app, FAILURES), Some(1.0));
    app.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_certificate_of_the_shadow_touches_no_caller() {
    let world = World::new().await;
    let foreign = Pki::new().issue("127.0.0.1");
    let new = Front::start(foreign.server(), world.stacks[1].addr).await;
    let app = world.between(world.fronts[0].addr, new.addr, "");
    let mut caller = Caller::connect(listen(&app));
    assert_eq!(caller.get("/a").status, 200);
    eventually("the check", || {
        let text = admin(&app, "/metrics");
        let mut lines = text.lines();
        lines.find(|line| {
            line.starts_with("twinread_checks_total{")
                && line.contains("detail=\"tls\"")
                && line.contains("outcome=\"shadow_error\"")
                && line.ends_with(" 1")
        })?;
        Some(())
    });
    assert_eq!(caller.get("/b").status, 200);
    assert_eq!(metric(&app, FAILURES).unwrap_or(0.0), 0.0);
    assert_eq!(world.stacks[1].request_count(), 0);
    app.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_fail_are_counted_by_cause_and_hold_up_nobody() {
    let world = World::new().await;
    let stack = Stack::json(super::BODY);
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlisten_tls: {{cert: own.pem, key: own.key}}\n\
         limits: {{head_timeout: 200ms}}\nold: {{url: 'http://{0}'}}\nnew: {{url: 'http://{0}/new'}}\n",
        stack.addr
    );
    let app = start_app(world.path(), &text).unwrap();
    let silent = TcpStream::connect(listen(&app)).await.unwrap();

    let mut plain = TcpStream::connect(listen(&app)).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    plain.write_all(request).await.unwrap();
    let mut rest = Vec::new();
    let _ = within("its end", plain.read_to_end(&mut rest)).await;
    let distrusting = Pki::new().caller(None);
    let refused = SecureCaller::connect(listen(&app), &distrusting).await;
    assert!(refused.is_err());
    let trusting = world.pki.caller(None);
    let mut served = SecureCaller::connect(listen(&app), &trusting)
        .await
        .unwrap();
    assert!(served.get("/a").await.is_some());

    for cause in ["no_tls", "not_trusted", "timeout"] {
        let series = format!("twinread_tls_failures_total{{cause=\"{cause}\",listener=\"live\"}}");
        until_metric(&app, &series);
    }
    assert_eq!(
        metric(&app, "twinread_bound_reached_total{bound=\"head_timeout\"}"),
        Some(1.0)
    );
    drop(silent);
    app.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_takes_no_answer_over_tls_is_cut_off() {
    let world = World::new().await;
    let stack = Stack::json(&"x".repeat(32 << 20));
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlisten_tls: {{cert: own.pem, key: own.key}}\n\
         limits: {{body_stall: 300ms}}\nold: {{url: 'http://{0}'}}\nnew: {{url: 'http://{0}/new'}}\n",
        stack.addr
    );
    let app = start_app(world.path(), &text).unwrap();
    let trusting = world.pki.caller(None);
    let mut caller = SecureCaller::connect(listen(&app), &trusting)
        .await
        .unwrap();
    let request = b"GET /a HTTP/1.1\r\nhost: localhost\r\n\r\n";
    caller.0.write_all(request).await.unwrap();
    until_metric(&app, "twinread_bound_reached_total{bound=\"body_stall\"}");
    app.stop();
}
