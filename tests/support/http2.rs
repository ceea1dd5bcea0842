//! HTTP/2, by the crate `h2` and by hand-written frames.

use super::{Conn, within};
use bytes::Bytes;
use h2::{
    RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::{HeaderMap, Request, Response, request::Builder};
use std::net::SocketAddr;
use tokio::{net::TcpStream, task::JoinHandle};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
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
