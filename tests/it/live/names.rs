//! Stacks with a host name: the addresses are looked up by period, used in turn, and left out while they are dead.

use crate::support::{
    LivePath, Plan, Reply, Stack, answer, client_of, http2::Http2Stack, until, within,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, uri::Authority};
use http_body_util::Full;
use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::{
    net::{TcpSocket, TcpStream},
    runtime::{Builder, Runtime},
    sync::Notify,
};
use twinread::testing::http_client::{Resolver, Target};

/// A name whose addresses a test changes.
#[derive(Clone)]
struct Name(Arc<Entry>);

struct Entry {
    /// `None`: it is not found.
    addresses: Mutex<Option<Vec<SocketAddr>>>,
    look_ups: AtomicUsize,
    hanging: Mutex<bool>,
    changed: Condvar,
}

const GET: &str = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n";
/// Between look-ups, where a test waits for them.
const SOON: Duration = Duration::from_millis(10);
/// Where it must see the first one alone.
const NEVER: Duration = Duration::from_secs(600);

// === impl Name ===

impl Name {
    fn of(addresses: &[SocketAddr]) -> Self {
        Self(Arc::new(Entry {
            addresses: Mutex::new(Some(addresses.to_vec())),
            look_ups: AtomicUsize::new(0),
            hanging: Mutex::new(false),
            changed: Condvar::new(),
        }))
    }

    fn resolver(&self, period: Duration) -> Resolver {
        let name = self.0.clone();
        Resolver::new(move |host, port| name.look_up(host, port), period)
    }

    /// Serves from the stack with this name.
    fn plan(&self, period: Duration) -> Plan {
        let nobody = Stack::nobody();
        LivePath::plan(nobody, nobody).with_old(|old| self.give_to(old, period))
    }

    fn give_to(&self, target: &mut Target, period: Duration) {
        target.authority = Authority::from_static("shop.test:8080");
        target.resolver = self.resolver(period);
    }

    /// Waits until the change is in force.
    async fn change_to(&self, addresses: Option<&[SocketAddr]>) {
        *self.0.addresses.lock().unwrap() = addresses.map(<[_]>::to_vec);
        // The first of them may have begun before the change. The third begins when the second is in force.
        let seen = self.look_ups();
        until("three look-ups", || self.look_ups() >= seen + 3).await;
    }

    fn look_ups(&self) -> usize {
        self.0.look_ups.load(Ordering::SeqCst)
    }

    /// Whether look-ups hang.
    fn hang(&self, hanging: bool) {
        *self.0.hanging.lock().unwrap() = hanging;
        self.0.changed.notify_all();
    }
}

impl Entry {
    fn look_up(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        assert_eq!((host, port), ("shop.test", 8080));
        self.look_ups.fetch_add(1, Ordering::SeqCst);
        let hanging = self.hanging.lock().unwrap();
        drop(self.changed.wait_while(hanging, |hanging| *hanging));
        let addresses = self.addresses.lock().unwrap().clone();
        addresses.ok_or_else(|| io::Error::other("no such name"))
    }
}

/// Answers each request on a connection of its own.
fn closing(listener: TcpListener) -> Stack {
    Stack::on(listener, |mut conn, seen| async move {
        if seen.message(&mut conn).await.is_some() {
            let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            conn.try_send(answer).await;
        }
    })
}

fn listener(address: &str) -> TcpListener {
    TcpListener::bind(address).unwrap()
}

/// Refuses connections, until it listens.
fn refusing() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn open(socket: TcpSocket) -> Stack {
    closing(socket.listen(16).unwrap().into_std().unwrap())
}

/// Sends a request on a new connection, and returns the status of its answer.
async fn status(sidecar: &LivePath) -> u16 {
    let answer = sidecar.caller().await.send(GET).await.message().await;
    answer[9..12].parse().unwrap()
}

async fn is_served(sidecar: &LivePath, times: usize) {
    for _ in 0..times {
        assert_eq!(status(sidecar).await, 200);
    }
}

#[tokio::test]
async fn all_addresses_are_used_in_turn() {
    let stacks = ["127.0.0.1:0", "[::1]:0", "127.0.0.1:0"].map(|at| closing(listener(at)));
    let name = Name::of(&stacks.each_ref().map(|stack| stack.addr));
    let sidecar = name.plan(NEVER).start().await;
    for turn in 1..3 {
        is_served(&sidecar, 3).await;
        let connections = stacks.each_ref().map(Stack::connections);
        assert_eq!(connections, [turn; 3]);
    }
    assert_eq!(name.look_ups(), 1);
}

#[tokio::test]
async fn a_dead_address_is_skipped_for_a_while() {
    let alive = closing(listener("127.0.0.1:0"));
    let (socket, dead) = refusing();
    let name = Name::of(&[dead, alive.addr]);
    let sidecar = name.plan(NEVER).start().await;
    is_served(&sidecar, 1).await;
    let dead = open(socket);
    is_served(&sidecar, 5).await;
    assert_eq!((dead.connections(), alive.connections()), (0, 6));
}

#[tokio::test]
async fn a_dead_address_is_tried_again_after_a_while() {
    let alive = closing(listener("127.0.0.1:0"));
    let (socket, dead) = refusing();
    let name = Name::of(&[dead, alive.addr]);
    let sidecar = name.plan(SOON).start().await;
    is_served(&sidecar, 1).await;
    let dead = open(socket);
    within("the address to be used", async {
        while dead.connections() == 0 {
            is_served(&sidecar, 1).await;
        }
    })
    .await;
}

#[tokio::test]
async fn where_all_are_dead_none_is_skipped() {
    let (first, second) = (refusing(), refusing());
    let name = Name::of(&[first.1, second.1]);
    let sidecar = name.plan(NEVER).start().await;
    for _ in 0..2 {
        assert_eq!(status(&sidecar).await, 502);
    }
    let alive = open(second.0);
    is_served(&sidecar, 3).await;
    assert_eq!(alive.connections(), 3);
}

#[tokio::test]
async fn a_silent_address_does_not_use_up_the_time() {
    // A listener with a full backlog does not answer new connections.
    let (socket, silent) = refusing();
    let silence = socket.listen(0).unwrap();
    let filling: Vec<_> = (0..4)
        .map(|_| tokio::spawn(TcpStream::connect(silent)))
        .collect();
    until("a full backlog", || {
        filling.iter().any(|one| one.is_finished())
    })
    .await;
    let alive = closing(listener("127.0.0.1:0"));
    let name = Name::of(&[silent, silent, alive.addr]);
    let sidecar = name.plan(NEVER).start().await;
    is_served(&sidecar, 1).await;
    // It would be first again after two connections.
    is_served(&sidecar, 4).await;
    assert_eq!(alive.connections(), 5);
    drop((silence, filling));
}

#[tokio::test]
async fn a_name_that_moves_leaves_its_idle_connections() {
    let before = Stack::start(|request| {
        let answer = answer("200 OK", "1");
        if request.contains("/slow") {
            Reply::Wait(answer)
        } else {
            Reply::Write(answer)
        }
    });
    let after = Stack::json("2");
    let name = Name::of(&[before.addr]);
    let sidecar = name.plan(SOON).start().await;
    let mut slow = sidecar.caller().await;
    slow.send("GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    until("it is under way", || before.in_flight() == 1).await;
    is_served(&sidecar, 2).await;
    assert_eq!(before.connections(), 2);

    name.change_to(Some(&[after.addr])).await;
    is_served(&sidecar, 1).await;
    assert_eq!((before.request_count(), after.request_count()), (3, 1));

    before.release();
    assert!(slow.message().await.ends_with("1"));
    is_served(&sidecar, 3).await;
    assert_eq!((before.request_count(), after.request_count()), (3, 4));
    assert_eq!(after.connections(), 1, "those that stay are kept");
}

#[tokio::test]
async fn a_name_that_moves_leaves_its_http2_connections() {
    let released = Arc::new(Notify::new());
    let held = released.clone();
    let before = Http2Stack::start(move |request, mut respond, seen| {
        let held = held.clone();
        async move {
            seen.note(request.uri().path());
            if request.uri().path() == "/slow" {
                held.notified().await;
            }
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data(Bytes::from_static(b"1"), true).unwrap();
        }
    })
    .await;
    let after = Http2Stack::answering("2").await;
    let name = Name::of(&[before.addr]);
    let plan = name.plan(SOON).with_old(|old| old.http2 = true);
    let sidecar = plan.start().await;
    let mut slow = sidecar.caller().await;
    slow.send("GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    until("it is under way", || before.count("/slow") == 1).await;
    is_served(&sidecar, 1).await;
    assert_eq!(before.connections(), 1);

    name.change_to(Some(&[after.addr])).await;
    is_served(&sidecar, 2).await;
    assert_eq!((before.connections(), after.connections()), (1, 1));
    released.notify_one();
    assert!(slow.message().await.ends_with("1\r\n0\r\n\r\n"));
    until("the connection has ended", || {
        before.count("a connection ended") == 1
    })
    .await;
}

#[tokio::test]
async fn a_failed_look_up_keeps_the_addresses() {
    let stack = closing(listener("127.0.0.1:0"));
    let name = Name::of(&[stack.addr]);
    let sidecar = name.plan(SOON).start().await;
    is_served(&sidecar, 1).await;
    name.change_to(None).await;
    is_served(&sidecar, 2).await;
    name.change_to(Some(&[])).await;
    is_served(&sidecar, 2).await;
    name.hang(true);
    is_served(&sidecar, 2).await;
    name.hang(false);
}

#[tokio::test]
async fn a_name_that_appears_is_found() {
    let stack = closing(listener("127.0.0.1:0"));
    let name = Name::of(&[stack.addr]);
    *name.0.addresses.lock().unwrap() = None;
    let sidecar = name.plan(SOON).start().await;
    let answer = sidecar.caller().await.send(GET).await.message().await;
    assert!(answer.contains("name not found"), "{answer}");
    name.change_to(Some(&[stack.addr])).await;
    is_served(&sidecar, 1).await;
}

#[tokio::test]
async fn a_hanging_look_up_holds_one_thread() {
    let stack = closing(listener("127.0.0.1:0"));
    let name = Name::of(&[stack.addr]);
    name.hang(true);
    let plan = name.plan(NEVER);
    let plan = plan.with_old(|old| old.connect_timeout = Duration::from_millis(30));
    let sidecar = plan.start().await;
    for _ in 0..3 {
        assert_eq!(status(&sidecar).await, 504);
    }
    until("a look-up", || name.look_ups() == 1).await;
    name.hang(false);
    within("an answer", async {
        while status(&sidecar).await != 200 {}
    })
    .await;
    assert_eq!(name.look_ups(), 1);
}

/// Its threads have this name.
fn runtime(name: &str) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .thread_name(name)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn a_hanging_look_up_of_the_shadow_holds_up_nothing_live() {
    let (live, shadow) = (runtime("live"), runtime("shadow"));
    let stack = closing(listener("127.0.0.1:0"));
    let name = Name::of(&[stack.addr]);
    let entry = name.0.clone();
    let resolver = Resolver::new(
        move |host, port| match thread::current().name() {
            Some("live") => Ok(vec![stack.addr]),
            _ => entry.look_up(host, port),
        },
        SOON,
    );
    name.hang(true);
    let (mut target, plan) = (None, name.plan(SOON));
    let plan = plan.with_old(|old| {
        old.resolver = resolver;
        target = Some(old.clone());
    });
    let client = client_of::<Full<Bytes>>("old", target.unwrap());
    let request = Request::get("/").header("host", "shop");
    let request = request.body(Full::default()).unwrap();
    let answer = shadow.spawn(async move { client.send(request).await });
    live.block_on(async {
        until("the shadow's look-up", || name.look_ups() == 1).await;
        let sidecar = plan.start().await;
        is_served(&sidecar, 5).await;
        assert!(!answer.is_finished());
        name.hang(false);
        let answer = within("the shadow's answer", answer).await.unwrap();
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
    });
}
