//! The connection of a caller, of HTTP/1.1 or 2, before a stack of either: whatever the bytes are, the stack receives
//! well-formed messages, no more than were counted; the connection ends; and another caller gets its own answer.
//!
//! The clock goes ahead once nothing else is left to do, so that every limit is reached at once.
#![no_main]

mod message;

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, Request, Response};
use libfuzzer_sys::fuzz_target;
use message::{expects, next_message};
use std::{
    env, fs,
    path::PathBuf,
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    runtime::{Builder, Runtime},
    time::{sleep, timeout},
};
use twinread::testing::{
    budget::Budget,
    drain,
    http_client::{Health, Target, Via},
    ledger::{Gauges, Ledger, Timings},
    live::{self, Config, Ends, Handles, ListenerLimits, LiveSettings},
    pipeline::{QueueReceiver, ReadSampler, Writes, queue},
    settings::{self, Publisher},
    transport::{Address, TrustedProxies},
};

/// A live path and the stack behind it.
struct Sidecar {
    path: PathBuf,
    ledger: Ledger,
    /// Requests that the stack has had.
    seen: Arc<AtomicU64>,
    _kept: (Publisher<LiveSettings>, drain::Signal, QueueReceiver),
}

/// What a stack speaks.
#[derive(Clone, Copy)]
enum Version {
    Http1,
    Http2,
}

thread_local! {
    static WORLD: (Runtime, [Sidecar; 2]) = world();
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const LAST: &[u8] = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
/// Longer than any limit.
const DAY: Duration = Duration::from_secs(86_400);

fuzz_target!(|input: &[u8]| {
    let [how, cut, input @ ..] = input else {
        return;
    };
    let bytes = match how >> 1 & 3 {
        0 => [input, LAST].concat(),
        1 => [PREFACE, input].concat(),
        _ => [PREFACE, &frames(input)].concat(),
    };
    let cut = bytes.len() * usize::from(*cut) / 256;
    WORLD.with(|(runtime, sidecars)| {
        let sidecar = &sidecars[usize::from(how & 1)];
        runtime.block_on(sidecar.try_with(bytes.split_at(cut)));
    });
});

/// Whole frames: of each its kind, flags, stream, length and payload are there.
fn frames(mut input: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    while let [kind, flags, stream, length, rest @ ..] = input {
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        frames.extend([0, 0, payload.len() as u8, *kind, *flags, 0, 0, 0, *stream]);
        frames.extend(payload);
        input = rest;
    }
    frames
}

fn world() -> (Runtime, [Sidecar; 2]) {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    let sidecars = runtime.block_on(async { [Version::Http1, Version::Http2].map(Sidecar::start) });
    (runtime, sidecars)
}

// === impl Sidecar ===

impl Sidecar {
    fn start(version: Version) -> Self {
        let at = |what: &str| {
            let name = format!("twinread-{}-{what}-{}", process::id(), version as u8);
            env::temp_dir().join(name)
        };
        let (path, stack) = (at("live"), at("stack"));
        let seen = Arc::<AtomicU64>::default();
        let _ = fs::remove_file(&stack);
        let listener = UnixListener::bind(&stack).expect("a stack");
        tokio::spawn(serve(listener, version, seen.clone()));

        let mut target = Target::new("stack".parse().expect("an authority"));
        target.via = Via::Unix(stack);
        target.http2 = matches!(version, Version::Http2);
        let target = Arc::new(target);
        let gauges = Gauges::default();
        let ledger = Ledger::new(500, gauges.clone());
        let (live, current) = settings::channel(LiveSettings::default());
        let (queue, feed) = queue::channel(4, gauges.clone());
        let handles = Handles {
            live: current,
            ledger: ledger.clone(),
            budget: Budget::new(1 << 20),
            sampler: ReadSampler::new(gauges.clone()),
            queue,
            timings: Timings::default(),
            writes: Writes::new(DAY, gauges.clone()),
            gauges,
            stacks: ["old", "new"].map(|name| Arc::new(Health::new(name, &target))),
            accepted: || {},
        };
        let config = Config {
            listen: Address::Unix(path.clone()),
            inherited: None,
            old: target.clone(),
            new: target,
            limits: ListenerLimits::default(),
            proxies: TrustedProxies::default(),
        };
        let (signal, watch) = drain::channel();
        let bound = live::bind(config, handles).expect("a listener");
        tokio::spawn(bound.run(Ends {
            leave: watch.clone(),
            stop: watch,
            linger: DAY,
        }));
        Self {
            path,
            ledger,
            seen,
            _kept: (live, signal, feed),
        }
    }

    async fn try_with(&self, (first, second): (&[u8], &[u8])) {
        let before = self.difference();
        self.exchange(first, second).await;
        // Whatever goes on without the caller.
        sleep(Duration::from_secs(1)).await;
        assert!(
            self.difference() <= before,
            "the stack saw more requests than were counted"
        );

        let target = format!("/own/{}", self.seen.load(Ordering::Relaxed));
        let own = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = self.exchange(own.as_bytes(), b"").await;
        let answer = String::from_utf8_lossy(&answer);
        // A stack of HTTP/2 gives no length.
        let chunked = format!("\r\n{target}\r\n0\r\n\r\n");
        assert!(
            answer.starts_with("HTTP/1.1 200 ")
                && (answer.ends_with(&format!("\r\n{target}")) || answer.ends_with(&chunked)),
            "the answer of another: {answer:?}"
        );
    }

    /// Requests seen by the stack less those counted.
    fn difference(&self) -> i64 {
        let routes = self.ledger.routes();
        let counted: u64 = routes.iter().map(|route| route.live_total()).sum();
        self.seen.load(Ordering::Relaxed) as i64 - counted as i64
    }

    /// All that comes until the end.
    async fn exchange(&self, first: &[u8], second: &[u8]) -> Vec<u8> {
        let caller = UnixStream::connect(&self.path).await.expect("a connection");
        let (mut from, mut to) = caller.into_split();
        let received = tokio::spawn(async move {
            let mut received = Vec::new();
            let _ = from.read_to_end(&mut received).await;
            received
        });
        if to.write_all(first).await.is_ok() {
            sleep(Duration::from_millis(1)).await;
            let _ = to.write_all(second).await;
        }
        let received = timeout(DAY, received).await;
        received
            .expect("the connection does not end")
            .expect("no panic")
    }
}

async fn serve(listener: UnixListener, version: Version, seen: Arc<AtomicU64>) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        match version {
            Version::Http1 => drop(tokio::spawn(serve_http1(stream, seen.clone()))),
            Version::Http2 => drop(tokio::spawn(serve_http2(stream, seen.clone()))),
        }
    }
}

async fn serve_http1(mut stream: UnixStream, seen: Arc<AtomicU64>) {
    let mut bytes = Vec::new();
    let mut has_continued = false;
    loop {
        if let Some((message, length)) = next_message(&bytes) {
            bytes.drain(..length);
            has_continued = false;
            seen.fetch_add(1, Ordering::Relaxed);
            let answer = answer(&message.method, &message.target);
            let _ = stream.write_all(answer.as_bytes()).await;
            continue;
        }
        if !has_continued && expects(&bytes) {
            has_continued = true;
            let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
        }
        match stream.read_buf(&mut bytes).await {
            Ok(1..) => {}
            _ => return,
        }
    }
}

/// Answers in several ways.
fn answer(method: &str, target: &str) -> String {
    let length = target.len();
    let whole = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    if method == "HEAD" {
        return whole;
    }
    match length % 5 {
        _ if target.starts_with("/own") => whole + target,
        1 => format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{target}\r\n0\r\nx-t: 1\r\n\r\n"
        ),
        2 => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        3 => format!("HTTP/1.1 103 Early Hints\r\nx-a: 1\r\n\r\n{whole}{target}"),
        _ => whole + target,
    }
}

async fn serve_http2(stream: UnixStream, seen: Arc<AtomicU64>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(next) = connection.accept().await {
        match next {
            Ok((request, respond)) => {
                seen.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(answer_http2(request, respond));
            }
            Err(error) => return assert!(!error.is_library(), "a faulty connection: {error:?}"),
        }
    }
}

async fn answer_http2(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let (head, mut body) = request.into_parts();
    assert_fields(&head.headers);
    assert!(head.uri.authority().is_some(), "no authority: {head:?}");
    let target = head.uri.path_and_query();
    let target = target.map_or("", |target| target.as_str());
    assert!(target.starts_with('/') || target == "*", "{head:?}");
    while let Some(data) = body.data().await {
        match data {
            Ok(data) => drop(body.flow_control().release_capacity(data.len())),
            // Whoever gives up its request may do so.
            Err(error) => return assert!(!error.is_library(), "a faulty body: {error:?}"),
        }
    }
    if let Ok(Some(trailers)) = body.trailers().await {
        assert_fields(&trailers);
    }
    if let Ok(mut stream) = respond.send_response(Response::new(()), false) {
        let _ = stream.send_data(Bytes::from(target.to_owned()), true);
    }
}

/// RFC 9113 8.2.1 and 8.2.2, as far as the crate `h2` does not see to them.
fn assert_fields(fields: &HeaderMap) {
    for (name, value) in fields {
        let value = value.as_bytes();
        assert!(!name.as_str().contains('"'), "not a name: {name:?}");
        assert_eq!(value, value.trim_ascii(), "spaces around {name}");
    }
    for name in ["connection", "transfer-encoding", "upgrade", "keep-alive"] {
        assert!(!fields.contains_key(name), "{name} in {fields:?}");
    }
}
