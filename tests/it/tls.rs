//! TLS to callers, stacks, the admin API and a collector.

mod failures;
mod files;
mod negotiation;
mod reload;

use crate::support::{
    Caller, Front, Issued, Pki, SecureCaller, Stack, answer, eventually, http2::Http2Stack, run_in,
    start_app, within,
};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, ServerConfig};
use std::{net::SocketAddr, path::Path};
use tempfile::TempDir;
use twinread::testing::app::App;

const BODY: &str = r#"{"a":1}"#;

/// Old and new behind TLS, and an authority that issued everything.
struct World {
    folder: TempDir,
    pki: Pki,
    own: Issued,
    stacks: [Stack; 2],
    fronts: [Front; 2],
}

impl World {
    async fn new() -> Self {
        let pki = Pki::new();
        let own = pki.issue("127.0.0.1");
        let folder = tempfile::tempdir().unwrap();
        pki.write(folder.path());
        own.write(folder.path(), "own");
        let stacks = [Stack::json(BODY), Stack::json(BODY)];
        let fronts = [
            Front::start(own.server(), stacks[0].addr).await,
            Front::start(own.server(), stacks[1].addr).await,
        ];
        Self {
            folder,
            pki,
            own,
            stacks,
            fronts,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Both stacks over TLS, every read sampled; `more` is added.
    fn start(&self, more: &str) -> App {
        let [old, new] = &self.fronts;
        self.between(old.addr, new.addr, more)
    }

    /// A server that knows these protocols.
    fn offering(&self, protocols: &[&str]) -> ServerConfig {
        let mut server = self.own.server();
        server.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        server
    }

    fn between(&self, old: SocketAddr, new: SocketAddr, more: &str) -> App {
        let text = format!(
            "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n\
             old: {{url: 'https://{old}', tls: {{ca: ca.pem}}}}\n\
             new: {{url: 'https://{new}', tls: {{ca: ca.pem}}, max_per_second: 100000}}\n\
             sample: {{rate: 1, max_per_second: 100000}}\n{more}"
        );
        start_app(self.path(), &text).unwrap()
    }
}

fn listen(app: &App) -> SocketAddr {
    app.listen_addr().unwrap().tcp().unwrap()
}

fn admin(app: &App, path: &str) -> String {
    let answer = Caller::connect(app.admin_addr().tcp().unwrap()).get(path);
    String::from_utf8(answer.body).unwrap()
}

fn metric(app: &App, series: &str) -> Option<f64> {
    let text = admin(app, "/metrics");
    let line = text.lines().find_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        (name == series).then(|| value.to_owned())
    });
    line.map(|value| value.parse().unwrap())
}

fn until_metric(app: &App, series: &str) {
    eventually(series, || metric(app, series).filter(|count| *count > 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_to_callers_to_both_stacks_and_to_the_admin_api() {
    let world = World::new().await;
    let app = world.start(
        "forwarded: append\nlisten_tls: {cert: own.pem, key: own.key}\nadmin_tls: {cert: own.pem, key: own.key}\n",
    );
    let trusting = world.pki.caller(None);
    let mut caller = SecureCaller::connect(listen(&app), &trusting)
        .await
        .unwrap();
    for path in ["/a", "/b"] {
        let answer = caller.get(path).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with(BODY), "{answer}");
    }
    let sent = &world.stacks[0].requests()[0];
    assert!(sent.contains("x-forwarded-proto: https\r\n"), "{sent}");

    let address = app.admin_addr().tcp().unwrap();
    let mut asking = SecureCaller::connect(address, &trusting).await.unwrap();
    let ready = asking.get("/readyz").await.unwrap();
    let url = format!("https://{}", world.fronts[1].addr);
    assert!(ready.contains(&url), "{ready}");

    let url = format!("https://{address}");
    let set = |more: &[&str]| {
        let arguments = [&["set", "--admin", &url], more, &["paused=true"]].concat();
        run_in(world.path(), &arguments)
    };
    let done = set(&["--ca", "ca.pem"]);
    assert_eq!(
        String::from_utf8_lossy(&done.stdout),
        "paused = true (api)\n"
    );
    let distrusted = set(&[]);
    let said = String::from_utf8(distrusted.stderr).unwrap();
    assert_eq!(distrusted.status.code(), Some(69), "{said}");
    assert!(said.contains("UnknownIssuer"), "{said}");
    let missing = set(&["--ca", "gone.pem"]);
    assert_eq!(missing.status.code(), Some(64));
    let said = String::from_utf8(missing.stderr).unwrap();
    assert!(said.contains("--ca: cannot read gone.pem"), "{said}");
    app.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_chooses_http2_in_the_handshake() {
    let world = World::new().await;
    let app = world.start("listen_tls: {cert: own.pem, key: own.key}\n");
    let mut offering = ClientConfig::clone(&world.pki.caller(None));
    offering.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let caller = SecureCaller::connect(listen(&app), &offering.into())
        .await
        .unwrap();
    let (_, session) = caller.0.get_ref();
    assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
    let io = TokioIo::new(caller.0);
    let (mut sender, driver) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let driving = tokio::spawn(driver);
    for path in ["/a", "/b"] {
        let request = Request::get(format!("https://localhost{path}"));
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let answer = within("an answer", sender.send_request(request))
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, BODY);
    }
    drop(sender);
    let _ = within("the end of the connection", driving).await;
    app.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_agrees_to_http2_in_the_handshake_or_is_refused() {
    let world = World::new().await;
    let new = Http2Stack::start(|request, mut respond, _| async move {
        assert_eq!(request.uri().scheme_str(), Some("https"));
        let answer = http::Response::new(());
        let mut body = respond.send_response(answer, false).unwrap();
        body.send_data(BODY.into(), true).unwrap();
    })
    .await;
    for (offered, http2, status) in [
        ("h2", "true", 200),
        ("h2", "false", 200),
        ("http/1.1", "true", 502),
    ] {
        let front = Front::start(world.offering(&[offered]), new.addr).await;
        let text = format!(
            "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nnew: {{url: 'http://{}'}}\n\
             old: {{url: 'https://{}', http2: {http2}, tls: {{ca: ca.pem}}}}\n",
            world.stacks[1].addr, front.addr
        );
        let app = start_app(world.path(), &text).unwrap();
        let answer = Caller::connect(listen(&app)).get("/a");
        let body = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, status, "{body}");
        let is_named = body.contains("TLS: no common version or protocol");
        assert_eq!(is_named, status == 502, "{body}");
        app.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_pass_over_tls_and_sessions_are_resumed() {
    let world = World::new().await;
    // Each request needs a new connection.
    let closing = answer("200 OK", BODY).replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    for stack in &world.stacks {
        stack.becomes(crate::support::Reply::Close(closing.clone()));
    }
    let app = world.start("");
    let mut caller = Caller::connect(listen(&app));
    eventually("checks, and resumed sessions of both stacks", || {
        assert_eq!(caller.get("/a").status, 200);
        let text = admin(&app, "/metrics");
        let mut lines = text.lines();
        let is_match =
            |line: &str| line.starts_with("twinread_checks_total") && line.contains("\"exact\"");
        let mut fronts = world.fronts.iter();
        let is_resumed = fronts.all(|front| front.handshakes().iter().any(|one| one.is_resumed));
        (lines.any(is_match) && is_resumed).then_some(())
    });
    for front in &world.fronts {
        let first = &front.handshakes()[0];
        assert!(!first.is_resumed);
        assert_eq!(first.name, None, "an address is no server name");
    }
    app.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_name_is_asked_for_and_expected_instead_of_the_host() {
    let world = World::new().await;
    let named = world.pki.issue("shop.example");
    let old = Front::start(named.server(), world.stacks[0].addr).await;
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n\
         old: {{url: 'https://{}', tls: {{ca: ca.pem, server_name: shop.example}}}}\n\
         new: {{url: 'http://{}'}}\n",
        old.addr, world.stacks[1].addr
    );
    let app = start_app(world.path(), &text).unwrap();
    assert_eq!(Caller::connect(listen(&app)).get("/a").status, 200);
    let name = old.handshakes()[0].name.clone();
    assert_eq!(name.as_deref(), Some("shop.example"));
    let sent = &world.stacks[0].requests()[0];
    assert!(sent.contains("host: localhost\r\n"), "{sent}");
    app.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_mutual_tls_both_sides_show_certificates() {
    let world = World::new().await;
    let client = world.pki.issue("client.example");
    client.write(world.path(), "client");
    let old = Front::start(world.pki.demanding(&world.own), world.stacks[0].addr).await;
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n\
         listen_tls: {{cert: own.pem, key: own.key, client_ca: ca.pem}}\n\
         old: {{url: 'https://{}', tls: {{ca: ca.pem, cert: client.pem, key: client.key}}}}\n\
         new: {{url: 'http://{}'}}\n",
        old.addr, world.stacks[1].addr
    );
    let app = start_app(world.path(), &text).unwrap();
    let knowing = world.pki.caller(Some(&client));
    let mut caller = SecureCaller::connect(listen(&app), &knowing).await.unwrap();
    let answer = caller.get("/a").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    // With TLS 1.3 the caller's side of the handshake ends before the server's.
    let bare = SecureCaller::connect(listen(&app), &world.pki.caller(None)).await;
    if let Ok(mut bare) = bare {
        assert_eq!(bare.get("/a").await, None);
    }
    until_metric(
        &app,
        "twinread_tls_failures_total{cause=\"client_certificate\",listener=\"live\"}",
    );
    app.stop();
}
