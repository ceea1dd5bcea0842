//! HTTP/2, by the crate `h2` and by hand-written frames.

use super::{Conn, within};
use bytes::Bytes;
use h2::{
    RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
    server::SendResponse,
};
use http::{HeaderMap, Request, Response, request::Builder};
use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// The connection of a caller.
pub(crate) struct Http2Caller {
    pub(crate) tx: SendRequest<Bytes>,
    /// Ends with the connection.
    pub(crate) connection: JoinHandle<Result<(), h2::Error>>,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawFrame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

// === impl Http2Caller ===

impl Http2Caller {
    pub(crate) async fn open(addr: SocketAddr) -> Self {
        Self::open_with(addr, &h2::client::Builder::new()).await
    }

    pub(crate) async fn open_with(addr: SocketAddr, builder: &h2::client::Builder) -> Self {
        let stream = within("a connection", TcpStream::connect(addr)).await;
        let stream = stream.unwrap();
        stream.set_nodelay(true).unwrap();
        let (tx, connection) = builder.handshake(stream).await.unwrap();
        Self {
            tx,
            connection: tokio::spawn(connection),
        }
    }

    /// Sends a head. The body follows through the stream.
    pub(crate) async fn begin(&self, head: Builder) -> (ResponseFuture, SendStream<Bytes>) {
        let mut tx = within("room for a request", self.tx.clone().ready()).await;
        tx.as_mut()
            .unwrap()
            .send_request(head.body(()).unwrap(), false)
            .unwrap()
    }

    /// Sends a request without a body, and returns the head of the answer.
    pub(crate) async fn get(&self, uri: &str) -> Response<RecvStream> {
        self.ask(Request::get(uri)).await.unwrap()
    }

    pub(crate) async fn ask(&self, head: Builder) -> Result<Response<RecvStream>, h2::Error> {
        let tx = within("room for a request", self.tx.clone().ready()).await;
        let sent = tx?.send_request(head.body(()).unwrap(), true);
        within("an answer", sent?.0).await
    }

    /// Sends a request with a body, and returns the head of the answer.
    pub(crate) async fn post(&self, head: Builder, body: &[u8]) -> Response<RecvStream> {
        let (answer, mut stream) = self.begin(head).await;
        stream
            .send_data(Bytes::copy_from_slice(body), true)
            .unwrap();
        within("an answer", answer).await.unwrap()
    }
}

/// The rest of a body, and its trailers.
pub(crate) async fn whole(
    body: &mut RecvStream,
) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut bytes = Vec::new();
    while let Some(data) = within("more of a body", body.data()).await {
        let data = data?;
        bytes.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    let trailers = within("the trailers", body.trailers()).await?;
    Ok((bytes, trailers))
}

pub(crate) async fn text(answer: Response<RecvStream>) -> String {
    let (bytes, _) = whole(&mut answer.into_body()).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

// === impl RawFrame ===

impl RawFrame {
    pub(crate) fn new(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Self {
        Self {
            kind,
            flags,
            stream,
            payload: payload.as_ref().to_vec(),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = (self.payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend_from_slice(&[self.kind, self.flags]);
        bytes.extend_from_slice(&self.stream.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// The next one; `None` at the end.
    pub(crate) async fn next(conn: &mut Conn) -> Option<Self> {
        let head = conn.try_read_bytes(9).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        Some(Self {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload: conn.try_read_bytes(length as usize).await?,
        })
    }

    /// All until the end.
    pub(crate) async fn rest(conn: &mut Conn) -> Vec<Self> {
        let mut frames = Vec::new();
        while let Some(frame) = Self::next(conn).await {
            frames.push(frame);
        }
        frames
    }
}

/// A header block of literals (RFC 7541 6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "no longer text is needed");
            block.push(text.len() as u8);
            block.extend(text.chars().map(|c| c as u8));
        }
    }
    block
}

/// A connection that has begun HTTP/2.
pub(crate) async fn raw(addr: SocketAddr) -> Conn {
    let mut conn = Conn::open(addr).await;
    conn.send(PREFACE).await;
    conn.send(RawFrame::new(SETTINGS, 0, 0, "").bytes()).await;
    conn
}

/// A stack that speaks HTTP/2 alone, by prior knowledge. It listens until it is dropped.
pub(crate) struct Http2Stack {
    pub(crate) addr: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

/// What a stack has seen.
#[derive(Default)]
pub(crate) struct Seen {
    connections: AtomicUsize,
    notes: Mutex<Vec<String>>,
}

/// How a stack treats its connections.
#[derive(Clone, Default)]
pub(crate) struct Manner {
    pub(crate) max_streams: Option<u32>,
    /// After so many requests a connection ends gracefully.
    pub(crate) requests: Option<usize>,
}

/// Answers one request.
type Answering = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Http2Stack {
    pub(crate) async fn start<F, W>(answer: F) -> Self
    where
        F: Fn(Request<RecvStream>, SendResponse<Bytes>, Arc<Seen>) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        Self::with(Manner::default(), answer).await
    }

    pub(crate) async fn with<F, W>(manner: Manner, answer: F) -> Self
    where
        F: Fn(Request<RecvStream>, SendResponse<Bytes>, Arc<Seen>) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let shown = seen.clone();
        let answer = Arc::new(move |request, respond, seen| -> Answering {
            Box::pin(answer(request, respond, seen))
        });
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                shown.connections.fetch_add(1, Ordering::SeqCst);
                let (answer, seen, manner) = (answer.clone(), shown.clone(), manner.clone());
                connections.spawn(async move {
                    let mut builder = h2::server::Builder::new();
                    builder.max_concurrent_streams(manner.max_streams.unwrap_or(1_000));
                    let Ok(mut connection) = builder.handshake(stream).await else {
                        return seen.note("no handshake");
                    };
                    let mut count = 0;
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        count += 1;
                        tokio::spawn(answer(request, respond, seen.clone()));
                        if manner.requests == Some(count) {
                            connection.graceful_shutdown();
                        }
                    }
                    seen.note("a connection ended");
                });
            }
        });
        Self {
            addr,
            seen,
            accepting,
        }
    }

    /// Answers every request with this text.
    pub(crate) async fn answering(text: &'static str) -> Self {
        Self::start(move |request, mut respond, seen| async move {
            seen.note(&format!("{} {}", request.method(), request.uri()));
            let mut body = request.into_body();
            let _ = whole(&mut body).await;
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream
                .send_data(Bytes::from_static(text.as_bytes()), true)
                .unwrap();
        })
        .await
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        self.seen.notes.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, note: &str) -> usize {
        self.seen.count(note)
    }
}

impl Drop for Http2Stack {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Seen {
    pub(crate) fn note(&self, note: &str) {
        self.notes.lock().unwrap().push(note.to_owned());
    }

    pub(crate) fn count(&self, note: &str) -> usize {
        let notes = self.notes.lock().unwrap();
        notes.iter().filter(|found| *found == note).count()
    }
}

/// Bytes that show when they are out of place.
pub(crate) fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 7 + at / 251) as u8).collect()
}
