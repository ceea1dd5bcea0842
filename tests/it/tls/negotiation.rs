//! Stacks that choose between HTTP/2 and HTTP/1.1 in the handshake.

use super::{BODY, World, admin, listen};
use crate::support::{Caller, Conn, Front, Reply, Stack, eventually, http2::Http2Stack, json};

const BOTH: &[&str] = &["h2", "http/1.1"];

/// One stack in both protocols, with TLS in front.
struct Bilingual {
    http2: Http2Stack,
    http1: Stack,
    front: Front,
}

impl Bilingual {
    async fn new(world: &World) -> Self {
        let http2 = Http2Stack::start(|_, mut respond, seen| async move {
            seen.note("request");
            let answer = http::Response::builder().header("content-type", "application/json");
            let mut body = respond
                .send_response(answer.body(()).unwrap(), false)
                .unwrap();
            body.send_data(BODY.into(), true).unwrap();
        })
        .await;
        let http1 = Stack::start(|request| {
            if request.to_ascii_lowercase().contains("upgrade: echo") {
                let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
                return Reply::Hang(head.to_owned());
            }
            json(BODY)
        });
        let stacks = [http2.addr, http1.addr];
        let front = Front::choosing(world.offering(BOTH), stacks).await;
        Self {
            http2,
            http1,
            front,
        }
    }

    /// Requests over one of the protocols.
    fn requests(&self, is_http2: bool) -> usize {
        if is_http2 {
            self.http2.count("request")
        } else {
            self.http1.request_count()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_may_choose_and_choose_again() {
    let world = World::new().await;
    let stacks = [Bilingual::new(&world).await, Bilingual::new(&world).await];
    let [old, new] = &stacks;
    let app = world.between(old.front.addr, new.front.addr, "recheck: {after: []}\n");
    let mut caller = Caller::connect(listen(&app));
    for (protocols, is_http2) in [
        (BOTH, true),
        (&["http/1.1"], false),
        (&[], false),
        (BOTH, true),
    ] {
        let requests = |is_http2| stacks.each_ref().map(|stack| stack.requests(is_http2));
        for stack in &stacks {
            stack.front.becomes(world.offering(protocols));
        }
        let before = requests(is_http2);
        // What is sent while the connections end may fail.
        eventually("both stacks to be asked in this protocol", || {
            caller.get("/a");
            let now = requests(is_http2);
            (now[0] > before[0] && now[1] > before[1]).then_some(())
        });
        let (before, others) = (requests(is_http2), requests(!is_http2));
        let handshakes = old.front.handshakes().len();
        for _ in 0..3 {
            assert_eq!(caller.get("/a").status, 200);
        }
        assert_eq!(old.requests(is_http2), before[0] + 3);
        if is_http2 {
            assert_eq!(old.front.handshakes().len(), handshakes, "one connection");
        }
        // A replay on a connection that has just ended is lost.
        eventually("the checks", || {
            caller.get("/a");
            (new.requests(is_http2) >= before[1] + 3).then_some(())
        });
        assert_eq!(requests(!is_http2), others);
    }
    let metrics = admin(&app, "/metrics");
    assert!(!metrics.contains("outcome=\"mismatch\""), "{metrics}");
    app.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_has_a_connection_of_its_own() {
    let world = World::new().await;
    let old = Bilingual::new(&world).await;
    let app = world.between(old.front.addr, world.fronts[1].addr, "");
    let mut caller = Caller::connect(listen(&app));
    assert_eq!(caller.get("/a").status, 200);
    let mut upgrading = Conn::open(listen(&app)).await;
    let request = "GET /b HTTP/1.1\r\nHost: shop\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    let head = upgrading.send(request).await.head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(caller.get("/a").status, 200);
    assert_eq!((old.requests(true), old.requests(false)), (2, 1));
    assert_eq!(old.http1.connections(), 1);
    drop(upgrading);
    app.stop();
}
