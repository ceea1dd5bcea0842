//! What other proxies send, over real sockets: mirrored copies: what is answered, counted and offered, and what becomes of it in the whole process.

mod ext_proc;

use crate::support::{
    Caller, Conn, DEADLINE, Reply, Stack, answer, eventually, http2::Http2Caller, json, start_app,
    until, within,
};
use http::{HeaderMap, Method, Request, StatusCode};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;
use twinread::{
    outcome::{Outcome, Reason},
    testing::{
        app::App,
        budget::Budget,
        drain,
        http_client::Instance,
        intake::{self, Config, Handles, Settings, Taken},
        ledger::{Bound, Gauges, Ledger, LiveFailure},
        live::{Checks, ListenerLimits},
        pipeline::{CheckInput, QueueReceiver, ReadSampler, Writes, queue},
        route::{Access, Head, Routes},
        sample::{Reads, Sampling},
        settings::{self, Capture, Publisher},
        spanned_yaml::{Cursor, Node},
    },
};

const GET: &str = "GET /users/7?x=%20 HTTP/1.1\r\nHost: shop-shadow:8080\r\nX-Kept: 1\r\n\
                   Connection: x-mine\r\nX-Mine: 1\r\nX-Twinread-Sample: 1\r\nX-Serve: new\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 204 No Content\r\n";

/// The intake on its own port, with its other ends accessible to the test.
struct Intake {
    addr: SocketAddr,
    settings: Publisher<Settings>,
    ledger: Ledger,
    gauges: Gauges,
    writes: Writes,
    budget: Budget,
    feed: QueueReceiver,
    drain: Option<drain::Signal>,
    running: JoinHandle<()>,
}

impl Intake {
    /// Samples everything.
    fn start() -> Self {
        Self::limited(64 << 20, |_| ())
    }

    fn limited(budget: usize, change: impl FnOnce(&mut ListenerLimits)) -> Self {
        Self::taking(Taken::Mirror, budget, change)
    }

    fn taking(takes: Taken, budget: usize, change: impl FnOnce(&mut ListenerLimits)) -> Self {
        let gauges = Gauges::default();
        let ledger = Ledger::new(500, gauges.clone());
        let budget = Budget::new(budget);
        let (queue, feed) = queue::channel(1_024, gauges.clone());
        let writes = Writes::new(Duration::from_secs(60), gauges.clone());
        let (settings, current) = settings::channel(Settings {
            checks: Checks::Running,
            reads: Arc::default(),
            routes: Arc::default(),
            sampling: Sampling {
                rate: 1.0,
                max_per_second: 1_000_000.into(),
                ..Sampling::default()
            },
            serve_header: Some(http::HeaderName::from_static("x-serve")),
            capture: Capture::default(),
            comparing: Arc::default(),
        });
        let mut limits = ListenerLimits::default();
        change(&mut limits);
        let config = Config {
            takes,
            listen: ([127, 0, 0, 1], 0).into(),
            limits,
            instance: Some(Instance::new(7)),
        };
        let handles = Handles {
            settings: current,
            ledger: ledger.clone(),
            gauges: gauges.clone(),
            budget: budget.clone(),
            sampler: ReadSampler::new(gauges.clone()),
            queue,
            writes: writes.clone(),
        };
        let bound = intake::bind(config, handles).unwrap();
        let (signal, watch) = drain::channel();
        Self {
            addr: bound.address().tcp().unwrap(),
            settings,
            ledger,
            gauges,
            writes,
            budget,
            feed,
            drain: Some(signal),
            running: tokio::spawn(bound.run(watch)),
        }
    }

    fn set(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = (*self.settings.get()).clone();
        change(&mut settings);
        self.settings.publish(settings);
    }

    /// Sends a copy on a connection of its own, and returns what it is answered.
    async fn send(&self, copy: impl AsRef<[u8]>) -> String {
        let mut caller = Conn::open(self.addr).await;
        caller.send(copy).await.head().await.unwrap_or_default()
    }

    async fn sample(&mut self) -> CheckInput {
        within("a sample", self.feed.next()).await.unwrap().open()
    }

    fn sampled(&self) -> u64 {
        let routes = self.ledger.routes();
        routes.iter().map(|route| route.sampled()).sum()
    }

    fn outcomes(&self, outcome: Outcome) -> u64 {
        let routes = self.ledger.routes();
        routes.iter().map(|route| route.outcomes(outcome)).sum()
    }

    /// Whether a read of this path is known to race a write.
    fn is_written(&self, path: &str) -> bool {
        let head = Head {
            method: &Method::GET,
            path,
            query: None,
            headers: &HeaderMap::new(),
        };
        let keys = || Routes::default().keys(&head, None, Access::Read);
        self.writes.touch(keys, Instant::now())
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.running.abort();
    }
}

fn reads(text: &str) -> Arc<Reads> {
    let file = Arc::from("f");
    let node = Node::parse(&file, text).unwrap();
    Arc::new(Reads::read(&Cursor::root(&file, &node)).unwrap())
}

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_copy_is_answered_204_and_offered_as_its_caller_sent_it() {
    let mut mirror = Intake::start();
    let answer = mirror.send(GET).await;
    assert!(answer.starts_with(ANSWER), "{answer}");

    let sample = mirror.sample().await;
    assert_eq!(&**sample.meta.ticket.route().name(), "GET /users/{}");
    assert_eq!(sample.request.uri, "/users/7?x=%20");
    let headers: Vec<_> = sample.request.headers.iter().collect();
    assert_eq!(headers.len(), 2, "{headers:?}");
    assert_eq!(sample.request.headers["host"], "shop:8080");
    assert_eq!(sample.request.headers["x-kept"], "1");
    assert!(sample.primary.is_none(), "both stacks are to be read");
    assert_eq!(mirror.budget.held(), sample.meta.held.bytes());
    drop(sample);
    assert_eq!(mirror.budget.held(), 0);
}

#[tokio::test]
async fn copies_of_http_2_are_those_of_http_1() {
    let mut mirror = Intake::start();
    let caller = Http2Caller::open(mirror.addr).await;
    let head = Request::get("http://shop-shadow/users/7")
        .header("cookie", "a=1")
        .header("cookie", "b=2");
    assert_eq!(
        caller.ask(head).await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    let sample = mirror.sample().await;
    assert_eq!(sample.request.uri, "/users/7");
    assert_eq!(sample.request.headers["host"], "shop");
    assert_eq!(sample.request.headers["cookie"], "a=1; b=2");

    mirror.set(|settings| settings.reads = reads("[{methods: [POST], path: /search}]"));
    let head = Request::post("http://shop-shadow/search");
    let answer = caller.post(head, b"needle").await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(&mirror.sample().await.request.body[..], b"needle");
}

#[tokio::test]
async fn declared_reads_alone_are_sampled_and_writes_are_recorded() {
    let mirror = Intake::start();
    let declared =
        "[{methods: [GET]}, {methods: [POST], path: /graphql, json: {$.query: '^query'}}]";
    mirror.set(|settings| settings.reads = reads(declared));
    for (copy, sampled, path) in [
        ("GET /a HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 1, None),
        ("OPTIONS /b HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 1, None),
        (post("/graphql", r#"{"query": "query {a}"}"#), 2, None),
        (
            post("/graphql", r#"{"query": "mutation {a}"}"#),
            2,
            Some("/graphql"),
        ),
        (post("/users/7", "{}"), 2, Some("/users/7")),
    ] {
        let answer = mirror.send(&copy).await;
        assert!(answer.starts_with(ANSWER), "{answer}");
        assert_eq!(mirror.sampled(), sampled, "{copy}");
        if let Some(path) = path {
            assert!(mirror.is_written(path), "{copy}");
        }
    }
    assert!(!mirror.is_written("/a") && !mirror.is_written("/b"));
    let routes = mirror.ledger.routes();
    let live: u64 = routes.iter().map(|route| route.live_total()).sum();
    let reads: u64 = routes.iter().map(|route| route.reads()).sum();
    assert_eq!((live, reads), (5, 2), "all are counted under their routes");
}

#[tokio::test]
async fn while_paused_copies_are_counted_and_not_sampled() {
    let mirror = Intake::start();
    mirror.set(|settings| settings.checks = Checks::Paused);
    assert!(mirror.send(GET).await.starts_with(ANSWER));
    let routes = mirror.ledger.routes();
    assert_eq!((routes[0].reads(), mirror.sampled()), (1, 0));
}

#[tokio::test]
async fn a_body_without_room_is_read_and_counted_by_reason() {
    for (budget, max_body, reason) in [
        (64 << 20, 8, Reason::BodyTooLarge),
        (8, 1 << 20, Reason::MemoryFull),
    ] {
        let mirror = Intake::limited(budget, |_| ());
        mirror.set(|settings| settings.capture.max_body = max_body);
        let mut caller = Conn::open(mirror.addr).await;
        for _ in 0..2 {
            let body = "x".repeat(100_000);
            let copy = format!("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{body}");
            let answer = caller.send(copy).await.head().await.unwrap();
            assert!(answer.starts_with(ANSWER), "the connection stays: {answer}");
        }
        assert_eq!(mirror.outcomes(Outcome::NotCompared(reason)), 2);
        assert_eq!((mirror.sampled(), mirror.budget.held()), (2, 0));
    }
}

#[tokio::test]
async fn a_copy_that_stalls_is_given_up_and_counted() {
    let mirror = Intake::limited(64 << 20, |limits| {
        limits.body_stall = Duration::from_millis(50);
    });
    mirror
        .send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        .await;
    let gone = Outcome::NotCompared(Reason::ClientGone);
    until("the outcome", || mirror.outcomes(gone) == 1).await;
    assert_eq!(mirror.sampled(), 1);
}

#[tokio::test]
async fn requests_of_our_own_and_malformed_ones_are_refused() {
    let mirror = Intake::start();
    let own = "GET / HTTP/1.1\r\nHost: a\r\nX-Twinread-Hop: 0000000000000007\r\n\r\n";
    assert!(mirror.send(own).await.starts_with("HTTP/1.1 508"));
    assert_eq!(mirror.gauges.live_failures(LiveFailure::Loop), 1);
    let connect = "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(mirror.send(connect).await.starts_with("HTTP/1.1 400"));
    let caller = Http2Caller::open(mirror.addr).await;
    let contradicting = Request::get("http://a/").header("host", "b");
    assert_eq!(caller.ask(contradicting).await.unwrap().status(), 400);
    assert_eq!(mirror.gauges.live_failures(LiveFailure::BadRequest), 2);
    assert_eq!(mirror.sampled(), 0);
}

#[tokio::test]
async fn past_the_connection_limit_others_wait() {
    let mirror = Intake::limited(64 << 20, |limits| {
        limits.connections = 1.try_into().unwrap()
    });
    let mut first = Conn::open(mirror.addr).await;
    first.send(GET).await.head().await;
    let mut second = Conn::open(mirror.addr).await;
    second.send(GET).await;
    first.send(GET).await.head().await;
    assert_eq!(mirror.sampled(), 2, "those of the first");
    drop(first);
    second.head().await;
    assert_eq!(mirror.sampled(), 3);
}

#[tokio::test]
async fn a_silent_connection_ends_in_time_and_is_counted() {
    let mirror = Intake::limited(64 << 20, |limits| {
        limits.head_timeout = Duration::from_millis(50);
    });
    for silent in ["", "GET / HTTP/1.1\r\nHo", "PRI * HTTP/2.0"] {
        let mut silent_one = Conn::open(mirror.addr).await;
        silent_one.send(silent).await.gone().await;
    }
    assert_eq!(mirror.gauges.bounds_reached(Bound::HeadTimeout), 3);
}

#[tokio::test]
async fn a_connection_that_is_silent_after_a_copy_ends_in_time() {
    let mirror = Intake::limited(64 << 20, |limits| {
        limits.idle_timeout = Duration::from_millis(50);
    });
    let mut idle = Conn::open(mirror.addr).await;
    idle.send(GET).await.head().await;
    idle.gone().await;
    let caller = Http2Caller::open(mirror.addr).await;
    caller.get("http://a/").await;
    within("the end", caller.connection).await.unwrap().unwrap();
    assert_eq!(mirror.gauges.bounds_reached(Bound::IdleTimeout), 2);
}

#[tokio::test]
async fn no_silence_counts_while_a_copy_is_on_its_way() {
    let mirror = Intake::limited(64 << 20, |limits| {
        limits.idle_timeout = Duration::from_millis(1);
        limits.head_timeout = Duration::from_millis(1_000);
    });
    let mut slow = Conn::open(mirror.addr).await;
    slow.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
        .await;
    until("the copy", || mirror.budget.held() == 4).await;
    let mut other = Conn::open(mirror.addr).await;
    other.send(GET).await.head().await;
    other.gone().await;
    let answer = slow.send("body").await.head().await.unwrap();
    assert!(answer.starts_with(ANSWER), "{answer}");
}

#[tokio::test]
async fn the_drain_ends_idle_connections_and_takes_no_more() {
    let mut mirror = Intake::start();
    let mut idle = Conn::open(mirror.addr).await;
    idle.send(GET).await.head().await;
    within("the drain", mirror.drain.take().unwrap().drain()).await;
    idle.gone().await;
    assert!(tokio::net::TcpStream::connect(mirror.addr).await.is_err());
}

// === the whole process ===

const OLD: &str = r#"{"a": 1}"#;

/// Sends copies to a running sidecar and looks at its metrics.
struct Running {
    app: App,
    _folder: tempfile::TempDir,
}

impl Running {
    fn start(old: &Stack, new: &Stack, of_old: &str) -> Self {
        Self::start_with("mirror", old, new, of_old)
    }

    fn start_with(intake: &str, old: &Stack, new: &Stack, of_old: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "listen: null\nadmin: 127.0.0.1:0\n{intake}: {{listen: '127.0.0.1:0'}}\n\
             old: {{url: 'http://{}', {of_old}}}\nnew: {{url: 'http://{}', max_per_second: 100000}}\n\
             sample: {{rate: 1, max_per_second: 100000}}\nrecheck: {{after: [1ms]}}\n",
            old.addr, new.addr
        );
        Self {
            app: start_app(folder.path(), &text).unwrap(),
            _folder: folder,
        }
    }

    fn send(&self, path: &str) {
        let mirror = self.app.mirror_addr().unwrap().tcp().unwrap();
        assert_eq!(Caller::connect(mirror).get(path).status, 204);
    }

    fn admin(&self, path: &str) -> String {
        let admin = self.app.admin_addr().tcp().unwrap();
        String::from_utf8(Caller::connect(admin).get(path).body).unwrap()
    }

    /// Waits until a series of `/metrics` has this value.
    fn until(&self, series: &str, value: &str) {
        let line = format!("{series} {value}");
        eventually(&line, || {
            self.admin("/metrics")
                .lines()
                .find(|found| *found == line)
                .map(drop)
        });
    }

    fn until_check(&self, route: &str, outcome: &str, detail: &str) {
        let labels = format!(r#"detail="{detail}",outcome="{outcome}",route="{route}""#);
        self.until(&format!("twinread_checks_total{{{labels}}}"), "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_read_on_both_stacks_and_compared() {
    let old = Stack::json(OLD);
    let new = Stack::start(|request| {
        let body = if request.starts_with("GET /b") {
            r#"{"a": 2}"#
        } else {
            OLD
        };
        json(body)
    });
    let running = Running::start(&old, &new, "max_per_second: 100000");
    assert!(running.app.listen_addr().is_none());
    running.send("/a");
    running.until_check("GET /a", "match", "exact");
    running.send("/b");
    running.until_check("GET /b", "mismatch", "");
    let reads = |stack: &Stack, path: &str| {
        let requests = stack.requests();
        let own = requests.iter().filter(|request| request.starts_with(path));
        own.count()
    };
    for stack in [&old, &new] {
        assert_eq!(reads(stack, "GET /a "), 1);
        assert_eq!(reads(stack, "GET /b "), 2, "with the re-check");
        assert!(stack.requests()[0].contains("x-twinread: shadow\r\n"));
    }
    let ready = running.admin("/readyz");
    assert!(ready.contains("mirrored"), "{ready}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_old_stack_is_the_primarys_error_and_is_spared() {
    let old = Stack::replying(Reply::Close(String::new()));
    let new = Stack::json(OLD);
    let running = Running::start(&old, &new, "max_per_second: 100000");
    for path in ["/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h", "/i", "/j"] {
        running.send(path);
        running.until_check(&format!("GET {path}"), "not_compared", "primary_error");
    }
    let asked = old.requests().len();
    running.send("/k");
    running.until_check("GET /k", "not_compared", "primary_error");
    assert_eq!(old.requests().len(), asked, "its breaker is open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_guard_protects_the_old_stack() {
    let (old, new) = (Stack::json(OLD), Stack::json(OLD));
    let running = Running::start(&old, &new, "max_per_second: 0.001");
    running.send("/a");
    running.until_check("GET /a", "match", "exact");
    running.send("/b");
    running.until_check("GET /b", "not_compared", "over_budget");
    assert_eq!(old.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_learned_from_what_the_old_stack_knows() {
    let old = Stack::start(|request| {
        let status = if request.starts_with("GET /lost") {
            "404 Not Found"
        } else {
            "200 OK"
        };
        Reply::Write(answer(status, OLD))
    });
    let new = Stack::json(OLD);
    let running = Running::start(&old, &new, "max_per_second: 100000");
    for index in 0..40u8 {
        let word = [b'a' + index / 26, b'a' + index % 26].map(char::from);
        let word = String::from_iter(word);
        running.send(&format!("/lost/{word}"));
        running.send(&format!("/items/{word}"));
    }
    let has = |name: &str| {
        running
            .admin("/metrics")
            .contains(&format!(r#"route="GET {name}""#))
    };
    eventually("the learned name", || has("/items/{}").then_some(()));
    assert!(!has("/lost/{}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_copy_waits_for_a_hanging_stack() {
    let hanging = || Stack::replying(Reply::Hang(String::new()));
    let (old, new) = (hanging(), hanging());
    let running = Running::start(&old, &new, "max_per_second: 100000");
    let begun = Instant::now();
    (0..100).for_each(|_| running.send("/a"));
    assert!(begun.elapsed() < DEADLINE / 3, "{:?}", begun.elapsed());
}
