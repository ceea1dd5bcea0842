//! The reading side of a caller's connection: refuses what [`Framing`] finds at fault, before hyper acts on it.
//!
//! A faulty line is not hidden from hyper but spoilt, with a NUL for its last byte, so that hyper itself answers 400 in its
//! turn, after the requests before it, and closes. Nothing after the spoilt byte is read.
//!
//! A head must be whole within [`HEAD_TIMEOUT`] of its first byte. After the last answer of a connection that still sends, what
//! comes is read and dropped for [`LINGER`], for a reset would take the answer from the caller before it is read.

use super::framing::{Found, Framing};
use futures_util::task::AtomicWaker;
use socket2::SockRef;
use std::{
    future::Future,
    io::{self, IoSlice},
    mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
const LINGER: Duration = Duration::from_secs(1);

/// Ends a spoilt head, for hyper looks at one only when it has an end.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Wraps the connection to a caller.
#[derive(Debug)]
pub(super) struct Guard {
    inner: TcpStream,
    framing: Framing,
    switch: Switch,
    /// Bytes read that may only pass once an upgrade is decided on.
    stash: Vec<u8>,
    head_timeout: Duration,
    spoilt: Option<Spoilt>,
    deadline: Option<Pin<Box<Sleep>>>,
    linger: Option<Pin<Box<Sleep>>>,
}

/// Tells the reader of a connection what follows a request that asks for an upgrade, and how to end. Shared by clones.
#[derive(Clone, Debug, Default)]
pub(super) struct Switch(Arc<Decision>);

#[derive(Debug, Default)]
struct Decision {
    state: AtomicU8,
    ends_in_reset: AtomicBool,
    reader: AtomicWaker,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Spoilt {
    HeadOpen,
    HeadEnded,
}

const UNDECIDED: u8 = 0;
const REFUSED: u8 = 1;
const GRANTED: u8 = 2;

// === impl Switch ===

impl Switch {
    /// Requests go on.
    pub(super) fn refuse(&self) {
        self.decide(REFUSED);
    }

    /// What follows is passed unseen.
    pub(super) fn grant(&self) {
        self.decide(GRANTED);
    }

    /// The connection is to end in a reset: its last answer broke, and a clean end would make it look whole.
    pub(super) fn end_in_reset(&self) {
        self.0.ends_in_reset.store(true, Ordering::Relaxed);
    }

    fn decide(&self, state: u8) {
        self.0.state.store(state, Ordering::Release);
        self.0.reader.wake();
    }

    /// Takes the decision: the next request needs another.
    fn poll_take(&self, cx: &Context<'_>) -> Poll<u8> {
        self.0.reader.register(cx.waker());
        match self.0.state.swap(UNDECIDED, Ordering::Acquire) {
            UNDECIDED => Poll::Pending,
            decided => Poll::Ready(decided),
        }
    }
}

// === impl Guard ===

impl Guard {
    pub(super) fn new(inner: TcpStream, switch: Switch) -> Self {
        Self {
            inner,
            framing: Framing::default(),
            switch,
            stash: Vec::new(),
            head_timeout: HEAD_TIMEOUT,
            spoilt: None,
            deadline: None,
            linger: None,
        }
    }

    /// Looks at what was filled in after `start`, and takes back what must not pass.
    fn check(&mut self, buf: &mut ReadBuf<'_>, start: usize) {
        match self.framing.read(&buf.filled()[start..]) {
            Found::Sound => {
                if self.deadline.is_some() && !self.framing.is_in_head() {
                    self.deadline = None;
                }
            }
            Found::Fault(at) => {
                buf.filled_mut()[start + at] = 0;
                buf.set_filled(start + at + 1);
                self.spoilt = Some(Spoilt::HeadOpen);
            }
            Found::Upgrade(at) => {
                let mut rest = buf.filled()[start + at..].to_vec();
                rest.append(&mut self.stash);
                self.stash = rest;
                buf.set_filled(start + at);
            }
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.framing.is_in_head() {
            self.deadline = None;
            return Poll::Pending;
        }
        let timeout = self.head_timeout;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Guard {
    fn poll_bytes(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.stash.is_empty() {
            let room = buf.remaining().min(self.stash.len());
            buf.put_slice(&self.stash[..room]);
            self.stash.drain(..room);
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut self.inner).poll_read(cx, buf) {
            Poll::Pending => self.poll_deadline(cx),
            ready => ready,
        }
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if linger.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut scratch = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.switch.0.ends_in_reset.load(Ordering::Relaxed) {
            // Where it cannot be set, the end is a clean one; nothing more can be done for it.
            let _ = SockRef::from(&self.inner).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Guard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(spoilt) = &mut this.spoilt {
            if mem::replace(spoilt, Spoilt::HeadEnded) == Spoilt::HeadOpen {
                let room = buf.remaining().min(HEAD_END.len());
                buf.put_slice(&HEAD_END[..room]);
            }
            return Poll::Ready(Ok(()));
        }
        if this.framing.awaits_upgrade() {
            match ready!(this.switch.poll_take(cx)) {
                GRANTED => this.framing.tunnel(),
                _ => this.framing.resume(),
            }
        }
        let start = buf.filled().len();
        ready!(this.poll_bytes(cx, buf))?;
        this.check(buf, start);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
        }
        if !this.framing.is_between_requests() {
            ready!(this.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    async fn pair(head_timeout: Duration) -> (TcpStream, Guard) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let caller = TcpStream::connect(listener.local_addr().unwrap());
        let (caller, accepted) = tokio::join!(caller, listener.accept());
        let mut guard = Guard::new(accepted.unwrap().0, Switch::default());
        guard.head_timeout = head_timeout;
        (caller.unwrap(), guard)
    }

    #[tokio::test]
    async fn a_head_that_is_not_whole_in_time_ends_the_connection() {
        let (mut caller, mut guard) = pair(Duration::from_millis(5)).await;
        caller.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
        let mut read = Vec::new();
        let error = guard.read_to_end(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn between_requests_there_is_no_deadline() {
        let (mut caller, mut guard) = pair(Duration::ZERO).await;
        let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut read = [0; 27];
        for _ in 0..2 {
            caller.write_all(request).await.unwrap();
            guard.read_exact(&mut read).await.unwrap();
            assert!(guard.framing.is_between_requests() && guard.deadline.is_none());
        }
    }

    #[tokio::test]
    async fn a_faulty_line_is_spoilt_and_nothing_after_it_is_read() {
        let (mut caller, mut guard) = pair(HEAD_TIMEOUT).await;
        let request = b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\nGET / HTTP/1.1\r\n";
        caller.write_all(request).await.unwrap();
        let mut read = Vec::new();
        guard.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"GET / HTTP/1.1\r\nHost: a\0\r\n\r\n");
    }
}
