//! One raw connection, of a caller or of a stack.

use super::within;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[derive(Debug)]
pub(crate) struct Conn {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Conn {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// A caller's connection.
    pub(crate) async fn open(addr: SocketAddr) -> Self {
        let stream = within("a connection", TcpStream::connect(addr)).await;
        Self::new(stream.unwrap())
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let sent = within("sending", self.stream.write_all(bytes.as_ref())).await;
        sent.unwrap();
        self
    }

    /// Sends, and returns whether the other side accepted it.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sent = within("sending", self.stream.write_all(bytes.as_ref())).await;
        sent.is_ok()
    }

    /// Reads to the end, and returns whether it was a reset.
    pub(crate) async fn ends_in_reset(&mut self) -> bool {
        let mut rest = Vec::new();
        let end = within("the end", self.stream.read_to_end(&mut rest)).await;
        end.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
    }

    /// Everything up to and including `mark`; keeps the rest for later reads.
    pub(crate) async fn read_to(&mut self, mark: &str) -> String {
        let mark = mark.as_bytes();
        loop {
            let found = self.read.windows(mark.len()).position(|part| part == mark);
            if let Some(at) = found {
                let rest = self.read.split_off(at + mark.len());
                return text(std::mem::replace(&mut self.read, rest));
            }
            let so_far = String::from_utf8_lossy(&self.read).into_owned();
            let wait = format!("{:?} after {so_far:?}", text(mark.to_vec()));
            assert!(within(&wait, self.fill()).await > 0, "no {wait}");
        }
    }

    /// One head with the empty line; `None` if the other side ends instead.
    pub(crate) async fn head(&mut self) -> Option<String> {
        if self.read.is_empty() && within("a head", self.fill()).await == 0 {
            return None;
        }
        Some(self.read_to("\r\n\r\n").await)
    }

    pub(crate) async fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            let missing = count - self.read.len();
            let read = within(&format!("{missing} bytes"), self.fill()).await;
            assert!(read > 0, "the end, {missing} bytes before it");
        }
        let rest = self.read.split_off(count);
        std::mem::replace(&mut self.read, rest)
    }

    /// As [`read_bytes`](Self::read_bytes), but `None` if the other side ends before.
    pub(crate) async fn try_read_bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.read.len() < count {
            if within("more bytes", self.fill()).await == 0 {
                return None;
            }
        }
        let rest = self.read.split_off(count);
        Some(std::mem::replace(&mut self.read, rest))
    }

    /// The rest until the other side ends, cleanly or not.
    pub(crate) async fn rest(&mut self) -> String {
        while within("the end", self.fill()).await > 0 {}
        text(std::mem::take(&mut self.read))
    }

    /// Waits until the other side has closed, and asserts that nothing more came.
    pub(crate) async fn gone(&mut self) {
        assert_eq!(self.rest().await, "");
    }

    /// One head and the bytes of its `content-length`, or its raw chunks.
    pub(crate) async fn message(&mut self) -> String {
        let head = self.head().await.expect("a message");
        let body = self.body_of(&head).await;
        head + &body
    }

    /// One message; `None` if the other side closes before. Waits without a deadline for its head.
    pub(crate) async fn try_message(&mut self) -> Option<String> {
        while !self.read.windows(4).any(|part| part == b"\r\n\r\n") {
            if self.fill().await == 0 {
                return None;
            }
        }
        Some(self.message().await)
    }

    /// Sends without a deadline; `None` if the other side is gone.
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) -> Option<()> {
        self.stream.write_all(bytes.as_ref()).await.ok()
    }

    /// Waits without a deadline until the other side has closed.
    pub(crate) async fn closed(&mut self) {
        while self.fill().await > 0 {}
    }

    /// The raw body that a head announces.
    pub(crate) async fn body_of(&mut self, head: &str) -> String {
        let lower = head.to_ascii_lowercase();
        if lower.contains("transfer-encoding: chunked") {
            return self.read_chunks().await;
        }
        let length = lower
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        text(self.read_bytes(length).await)
    }

    pub(crate) async fn read_chunks(&mut self) -> String {
        let mut whole = String::new();
        loop {
            let line = self.read_to("\r\n").await;
            let size = line.trim_end().split(';').next().unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            whole += &line;
            if size == 0 {
                break;
            }
            whole += &text(self.read_bytes(size + 2).await);
        }
        loop {
            let line = self.read_to("\r\n").await;
            whole += &line;
            if line == "\r\n" {
                return whole;
            }
        }
    }

    /// Ends the sending side.
    pub(crate) async fn end(&mut self) -> &mut Self {
        let _ = self.stream.shutdown().await;
        self
    }

    /// Breaks the connection with a reset.
    pub(crate) fn reset(self) {
        self.set_zero_linger();
    }

    /// Makes the coming close a reset.
    pub(crate) fn set_zero_linger(&self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }

    async fn fill(&mut self) -> usize {
        self.stream.read_buf(&mut self.read).await.unwrap_or(0)
    }
}

fn text(bytes: Vec<u8>) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}
