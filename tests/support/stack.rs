//! Scripted stacks over raw sockets. They run on a runtime of their own, so tests with and without tokio can start them.

use super::Conn;
use std::{
    fmt,
    future::Future,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::{Handle, Runtime},
    sync::{Notify, futures::Notified},
    task::{JoinHandle, JoinSet},
    time,
};

/// A stack on its own port. It listens until the test process ends, or until [`stop`](Self::stop).
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) addr: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

/// What a stack has received, and what it does next. Scripts hold it too.
#[derive(Debug)]
pub(crate) struct State {
    script: Mutex<Script>,
    connections: AtomicUsize,
    request_count: AtomicUsize,
    requests: Mutex<Vec<String>>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    released: Notify,
}

/// Chooses the reply to a request. May block.
#[derive(Clone)]
pub(crate) struct Script(Arc<dyn Fn(&str) -> Reply + Send + Sync>);

/// What a stack does with one request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// Sends these bytes and keeps the connection.
    Write(String),
    /// Sends these bytes and closes.
    Close(String),
    /// Sends these bytes, then resets the connection.
    Reset(String),
    /// Sends these bytes, and nothing more.
    Hang(String),
    /// Sends the first bytes, then repeats the others as fast as they are read.
    Stream(String, String),
    /// Sends the first bytes, then the others one by one.
    Drip(String, String),
    /// Sends these bytes once the stack is [released](Stack::release).
    Wait(String),
}

/// Requests whose text is kept, so that a stack under load stays small.
const KEPT: usize = 10_000;

/// A complete answer with a JSON body.
pub(crate) fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// A complete reply with a JSON body.
pub(crate) fn json(body: &str) -> Reply {
    Reply::Write(answer("200 OK", body))
}

fn runtime() -> &'static Handle {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap()).handle()
}

// === impl Stack ===

impl Stack {
    /// Replies to each request by `reply`, which may block.
    pub(crate) fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::replying(Script::from(reply))
    }

    /// Replies to each request by a script, or always in the same way.
    pub(crate) fn replying(script: impl Into<Script>) -> Self {
        Self::launch(bind(), script.into(), |mut conn, state| async move {
            while let Some(request) = state.message(&mut conn).await {
                // Listens before the request counts, so that a release after that is not missed.
                let released = state.released.notified();
                let in_flight = state.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
                state.most_in_flight.fetch_max(in_flight, Ordering::SeqCst);
                let reply = state.reply(request).await;
                let sent = reply.send(&mut conn, released).await;
                state.in_flight.fetch_sub(1, Ordering::SeqCst);
                if sent.is_none() {
                    return;
                }
            }
        })
    }

    /// Answers every request with this JSON.
    pub(crate) fn json(body: &str) -> Self {
        Self::replying(json(body))
    }

    /// Sends the same answer to every request.
    pub(crate) fn answering(answer: impl Into<String>) -> Self {
        Self::replying(Reply::Write(answer.into()))
    }

    /// Runs `script` on each connection.
    pub(crate) fn script<F, W>(script: F) -> Self
    where
        F: Fn(Conn, Arc<State>) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        Self::on(bind(), script)
    }

    /// Runs `script` on each connection of a listener that is bound already.
    pub(crate) fn on<F, W>(listener: TcpListener, script: F) -> Self
    where
        F: Fn(Conn, Arc<State>) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        Self::launch(listener, Reply::NOTHING.into(), script)
    }

    /// An address without a listener.
    pub(crate) fn nobody() -> SocketAddr {
        bind().local_addr().unwrap()
    }

    fn launch<F, W>(listener: TcpListener, script: Script, serve: F) -> Self
    where
        F: Fn(Conn, Arc<State>) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let addr = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let state = Arc::new(State {
            script: Mutex::new(script),
            connections: AtomicUsize::new(0),
            request_count: AtomicUsize::new(0),
            requests: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
            released: Notify::new(),
        });
        let served = state.clone();
        let accepting = runtime().spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let mut connections = JoinSet::new();
            loop {
                // The process may have no file left for a moment.
                let Ok((stream, _)) = listener.accept().await else {
                    time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                served.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(Conn::new(stream), served.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            addr,
            state,
            accepting,
        }
    }

    /// Stops listening and closes the connections.
    pub(crate) async fn stop(self) {
        self.accepting.abort();
        let _ = self.accepting.await;
    }

    /// Replies by another script from the next request on.
    pub(crate) fn becomes(&self, script: impl Into<Script>) {
        *self.state.script.lock().unwrap() = script.into();
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn request_count(&self) -> usize {
        self.state.request_count.load(Ordering::SeqCst)
    }

    /// The first received requests, each with its raw body, and what was [noted](Self::note).
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }

    /// Stores a message for its scripts to find.
    pub(crate) fn note(&self, message: &str) {
        self.state.note(message);
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.state.in_flight.load(Ordering::SeqCst)
    }

    pub(crate) fn most_in_flight(&self) -> usize {
        self.state.most_in_flight.load(Ordering::SeqCst)
    }

    /// Lets the replies that [wait](Reply::Wait) go.
    pub(crate) fn release(&self) {
        self.state.released.notify_waiters();
    }
}

fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

// === impl State ===

impl State {
    /// Reads one request and stores it; `None` if the caller has closed.
    pub(crate) async fn message(&self, conn: &mut Conn) -> Option<String> {
        let message = conn.try_message().await?;
        self.request_count.fetch_add(1, Ordering::SeqCst);
        self.note(&message);
        Some(message)
    }

    pub(crate) fn has(&self, message: &str) -> bool {
        let requests = self.requests.lock().unwrap();
        requests.iter().any(|request| request == message)
    }

    /// Stores anything that a test wants to find.
    pub(crate) fn note(&self, message: &str) {
        let mut requests = self.requests.lock().unwrap();
        if requests.len() < KEPT {
            requests.push(message.to_owned());
        }
    }

    async fn reply(&self, request: String) -> Reply {
        let script = self.script.lock().unwrap().clone();
        let reply = tokio::task::spawn_blocking(move || (script.0)(&request)).await;
        // A script that panics must not look like a stack that works.
        reply.unwrap_or(Reply::NOTHING)
    }
}

// === impl Reply ===

impl Reply {
    /// Closes the connection without a reply.
    pub(crate) const NOTHING: Self = Self::Close(String::new());

    /// `None` if the connection is over.
    async fn send(self, conn: &mut Conn, released: Notified<'_>) -> Option<()> {
        match self {
            Self::Write(text) => conn.write(&text).await,
            Self::Close(text) => {
                conn.write(&text).await?;
                None
            }
            Self::Reset(text) => {
                conn.write(&text).await?;
                // The client must have read the data first, or the reset would overtake it.
                let _ = time::timeout(Duration::from_millis(50), conn.closed()).await;
                conn.set_zero_linger();
                None
            }
            Self::Hang(text) => {
                conn.write(&text).await?;
                conn.closed().await;
                None
            }
            Self::Stream(start, part) => {
                conn.write(&start).await?;
                while conn.write(&part).await.is_some() {}
                None
            }
            Self::Drip(start, rest) => {
                conn.write(&start).await?;
                for byte in rest.into_bytes() {
                    time::sleep(Duration::from_millis(20)).await;
                    conn.write(&[byte]).await?;
                }
                conn.closed().await;
                None
            }
            Self::Wait(text) => {
                released.await;
                conn.write(&text).await
            }
        }
    }
}

// === impl Script ===

impl Script {
    /// Computes a JSON body for each request.
    pub(crate) fn bodies(body: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::from(move |request: &str| json(&body(request)))
    }

    /// Computes a complete answer to each request.
    pub(crate) fn answers(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::from(move |request: &str| Reply::Write(answer(request)))
    }

    /// JSON bodies in sequence; the last one repeats.
    pub(crate) fn sequence(bodies: &'static [&'static str]) -> Self {
        let next = AtomicUsize::new(0);
        Self::bodies(move |_| {
            let next = next.fetch_add(1, Ordering::SeqCst);
            bodies[next.min(bodies.len() - 1)].to_owned()
        })
    }
}

impl<F: Fn(&str) -> Reply + Send + Sync + 'static> From<F> for Script {
    fn from(script: F) -> Self {
        Self(Arc::new(script))
    }
}

impl From<Reply> for Script {
    fn from(reply: Reply) -> Self {
        Self(Arc::new(move |_| reply.clone()))
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}
