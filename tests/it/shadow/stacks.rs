//! Stacks over raw sockets, each with one way to answer or to fail.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};

/// How a stack handles each request.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// Sends these bytes and keeps the connection.
    Answers(String),
    /// Sends these bytes and closes.
    Closes(String),
    /// Sends these bytes, then resets the connection.
    Resets(String),
    /// Sends these bytes, and nothing more.
    Hangs(String),
    /// Sends the first bytes, then repeats the others as fast as they are read.
    Streams(String, String),
    /// Sends the first bytes, then the others one by one.
    Drips(String, String),
    /// Sends this answer once it is [released](Stack::release).
    Waits(String),
    /// Computes the answer to each request.
    Does(Doing),
}

/// Computes the bytes of an answer from a request.
#[derive(Clone)]
pub(crate) struct Doing(Arc<dyn Fn(&str) -> String + Send + Sync>);

#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) addr: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct State {
    way: Mutex<Way>,
    heads: Mutex<Vec<String>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    released: Notify,
}

// === impl Way ===

impl Way {
    pub(crate) fn json(body: &str) -> Self {
        Self::Answers(answer("200 OK", body))
    }

    /// Computes a JSON body for each request.
    pub(crate) fn doing(body: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::writing(move |request| answer("200 OK", &body(request)))
    }

    /// Computes a complete answer to each request.
    pub(crate) fn writing(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::Does(Doing(Arc::new(answer)))
    }

    /// JSON bodies in sequence; the last one repeats.
    pub(crate) fn sequence(bodies: &'static [&'static str]) -> Self {
        let next = AtomicUsize::new(0);
        Self::doing(move |_| {
            let next = next.fetch_add(1, Ordering::SeqCst);
            bodies[next.min(bodies.len() - 1)].to_owned()
        })
    }
}

/// A complete answer with a JSON body.
pub(crate) fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

impl fmt::Debug for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Doing")
    }
}

// === impl Stack ===

impl Stack {
    pub(crate) async fn start(way: Way) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(State {
            way: Mutex::new(way),
            heads: Mutex::default(),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
            released: Notify::new(),
        });
        let mut tasks = JoinSet::new();
        let served = state.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, served.clone()));
            }
        });
        Self {
            addr,
            state,
            _tasks: tasks,
        }
    }

    pub(crate) fn becomes(&self, way: Way) {
        *self.state.way.lock().unwrap() = way;
    }

    /// The received requests, heads and bodies.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.heads.lock().unwrap().clone()
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.state.most_at_once.load(Ordering::SeqCst)
    }

    pub(crate) fn at_once(&self) -> usize {
        self.state.at_once.load(Ordering::SeqCst)
    }

    /// Releases the waiting requests.
    pub(crate) fn release(&self) {
        self.state.released.notify_waiters();
    }
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    while let Some(request) = read_request(&mut stream).await {
        state.heads.lock().unwrap().push(request.clone());
        let at_once = state.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        state.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        let way = state.way.lock().unwrap().clone();
        let way = match way {
            Way::Does(doing) => Way::Answers((doing.0)(&request)),
            way => way,
        };
        let ended = answer_by(&mut stream, way, &state).await;
        state.at_once.fetch_sub(1, Ordering::SeqCst);
        if ended.is_none() {
            return;
        }
    }
}

/// `None` if the connection is over.
async fn answer_by(stream: &mut TcpStream, way: Way, state: &State) -> Option<()> {
    match way {
        Way::Does(_) => None,
        Way::Answers(text) => stream.write_all(text.as_bytes()).await.ok(),
        Way::Closes(text) => {
            stream.write_all(text.as_bytes()).await.ok()?;
            None
        }
        Way::Resets(text) => {
            stream.write_all(text.as_bytes()).await.ok()?;
            // The client must have read the data first, or the reset would overtake it.
            let _ = tokio::time::timeout(Duration::from_millis(50), stream.readable()).await;
            stream.set_zero_linger().unwrap();
            None
        }
        Way::Hangs(text) => {
            stream.write_all(text.as_bytes()).await.ok()?;
            gone(stream).await
        }
        Way::Streams(text, more) => {
            stream.write_all(text.as_bytes()).await.ok()?;
            while stream.write_all(more.as_bytes()).await.is_ok() {}
            None
        }
        Way::Drips(text, more) => {
            stream.write_all(text.as_bytes()).await.ok()?;
            for byte in more.as_bytes() {
                tokio::time::sleep(Duration::from_millis(20)).await;
                stream.write_all(&[*byte]).await.ok()?;
            }
            gone(stream).await
        }
        Way::Waits(text) => {
            state.released.notified().await;
            stream.write_all(text.as_bytes()).await.ok()
        }
    }
}

async fn gone(stream: &mut TcpStream) -> Option<()> {
    while stream.read_u8().await.is_ok() {}
    None
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        request.push(stream.read_u8().await.ok()?.into());
    }
    let lower = request.to_lowercase();
    let length = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(request + &String::from_utf8(body).unwrap())
}
