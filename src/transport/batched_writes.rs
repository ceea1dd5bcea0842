//! Writes that are collected until the task that makes them has run. The library of HTTP/2 writes and flushes each frame
//! by itself, and a system call for each costs more than copying it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Passes on what was written and flushed once its task runs again and reads, which is at once. Only for a connection
/// whose task reads whenever it runs, as those of HTTP/2.
#[derive(Debug)]
pub(crate) struct BatchedWrites<S> {
    inner: S,
    /// Without room while nothing waits, because an idle connection must not keep it.
    batch: Vec<u8>,
    /// Bytes of it that were passed on.
    passed_on: usize,
    /// The other side takes no more now. The task is woken when it does.
    is_blocked: bool,
}

/// Bytes that are collected at most.
const ROOM: usize = 64 << 10;

// === impl BatchedWrites ===

impl<S: AsyncWrite + Unpin> BatchedWrites<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self {
            inner,
            batch: Vec::new(),
            passed_on: 0,
            is_blocked: false,
        }
    }

    fn poll_pass_on(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.batch.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.is_blocked = true;
        while let rest @ [_, ..] = &self.batch[self.passed_on..] {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.passed_on += written,
            }
        }
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        self.is_blocked = false;
        self.passed_on = 0;
        self.batch = Vec::new();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for BatchedWrites<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(Err(error)) = self.poll_pass_on(cx) {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BatchedWrites<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = bufs.iter().map(|buf| buf.len()).sum();
        if self.batch.len() + count > ROOM {
            ready!(self.poll_pass_on(cx))?;
        }
        if count > ROOM {
            return Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        }
        if count > 0 && self.batch.is_empty() {
            self.batch.reserve_exact(ROOM);
        }
        bufs.iter()
            .for_each(|buf| self.batch.extend_from_slice(buf));
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.batch.is_empty() {
            return Pin::new(&mut self.inner).poll_flush(cx);
        }
        if !self.is_blocked {
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pass_on(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::task::noop_waker_ref;
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Wake, Waker},
    };
    use tokio::io::{DuplexStream, duplex};

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection whose other end takes `room` bytes before it is read.
    struct Pair {
        batched: BatchedWrites<DuplexStream>,
        other: DuplexStream,
        wakes: Arc<Wakes>,
        waker: Waker,
    }

    impl Pair {
        fn with_room(room: usize) -> Self {
            let (one, other) = duplex(room);
            let wakes = Arc::<Wakes>::default();
            Self {
                batched: BatchedWrites::new(one),
                other,
                waker: wakes.clone().into(),
                wakes,
            }
        }

        /// Writes and flushes as the library does, and returns how often the task was woken.
        fn write(&mut self, bytes: &[u8]) -> usize {
            let before = self.wakes.0.load(Ordering::Relaxed);
            let mut cx = Context::from_waker(&self.waker);
            let written = Pin::new(&mut self.batched).poll_write(&mut cx, bytes);
            assert!(matches!(written, Poll::Ready(Ok(count)) if count == bytes.len()));
            let flushed = Pin::new(&mut self.batched).poll_flush(&mut cx);
            assert!(matches!(flushed, Poll::Ready(Ok(()))));
            self.wakes.0.load(Ordering::Relaxed) - before
        }

        fn read(&mut self) {
            let mut cx = Context::from_waker(&self.waker);
            let mut room = [0; 8];
            let mut buf = ReadBuf::new(&mut room);
            let read = Pin::new(&mut self.batched).poll_read(&mut cx, &mut buf);
            assert!(read.is_pending());
        }

        /// What the other end has received.
        fn received(&mut self) -> Vec<u8> {
            let mut cx = Context::from_waker(noop_waker_ref());
            let mut room = vec![0; 2 * ROOM];
            let mut buf = ReadBuf::new(&mut room);
            let _ = Pin::new(&mut self.other).poll_read(&mut cx, &mut buf);
            buf.filled().to_vec()
        }
    }

    #[test]
    fn frames_leave_together_when_the_task_runs_again() {
        let mut pair = Pair::with_room(ROOM);
        assert_eq!(pair.write(b"one "), 1, "the task runs again");
        assert_eq!(pair.write(b"two"), 1);
        assert_eq!(pair.received(), b"");
        pair.read();
        assert_eq!(pair.received(), b"one two");
        assert_eq!(pair.batched.batch.capacity(), 0);
    }

    #[test]
    fn a_task_does_not_spin_while_the_other_side_takes_nothing() {
        let mut pair = Pair::with_room(4);
        pair.write(b"123456");
        pair.read();
        assert_eq!(pair.write(b"789"), 0, "it is woken once there is room");
        assert_eq!(pair.received(), b"1234");
        pair.read();
        assert_eq!(pair.received(), b"5678");
        pair.read();
        assert_eq!(pair.received(), b"9");
        assert_eq!(pair.write(b"again"), 1);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut pair = Pair::with_room(1);
        pair.write(&[7; ROOM]);
        let mut cx = Context::from_waker(noop_waker_ref());
        let more = Pin::new(&mut pair.batched).poll_write(&mut cx, b"x");
        assert!(more.is_pending());
        assert!(pair.batched.batch.len() <= ROOM);
    }

    #[test]
    fn the_end_comes_after_what_waits() {
        let mut pair = Pair::with_room(ROOM);
        pair.write(b"last");
        let mut cx = Context::from_waker(noop_waker_ref());
        let ended = Pin::new(&mut pair.batched).poll_shutdown(&mut cx);
        assert!(ended.is_ready());
        assert_eq!(pair.received(), b"last");
    }
}
