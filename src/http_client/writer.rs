//! Adds what hyper cannot write: informational answers, and trailers that were not announced.
//!
//! [`Http1Writer`] wraps the connection below hyper, and a [`WriterHandle`] passes additions to it. Both kinds are
//! inserted at boundaries in hyper's output:
//!
//! - an informational head goes before the head of its answer: at a flush, when hyper has nothing buffered, or right
//!   before the first bytes after one. If hyper's bytes were only partly written, there is no boundary and the head is
//!   dropped, which is allowed for an informational answer;
//! - trailers go into the end of a chunked body. They are passed on when the body ends. The next bytes that hyper writes
//!   then end with its `0\r\n\r\n`, and the trailers go before the last two of them.

use super::pooled_body::encode;
use http::HeaderMap;
use std::{
    io::{self, IoSlice},
    mem,
    pin::Pin,
    sync::Arc,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A connection that inserts additions from its [`WriterHandle`] into its output.
#[derive(Debug)]
pub(crate) struct Http1Writer<S> {
    inner: S,
    handle: Arc<WriterHandle>,
    /// Written before anything else.
    out: Vec<u8>,
    written: usize,
    position: WritePosition,
}

/// Passes additions to the output of one connection.
#[derive(Debug, Default)]
pub(crate) struct WriterHandle {
    has_additions: AtomicBool,
    additions: Mutex<Additions>,
    task: OnceLock<Waker>,
}

#[derive(Debug, Default)]
struct Additions {
    informational: Vec<u8>,
    trailers: Vec<u8>,
}

/// The position in hyper's output.
#[derive(Clone, Copy, Debug, PartialEq)]
enum WritePosition {
    /// hyper has written everything.
    Flushed,
    /// hyper may write more of the same message.
    Within,
}

// === impl WriterHandle ===

impl WriterHandle {
    /// Registers the writing task, which informational answers wake. Only the first call counts.
    pub(crate) fn written_by(&self, task: &Waker) {
        self.task.get_or_init(|| task.clone());
    }

    /// Queues the head of an informational answer, in wire format. Returns `false` if more than `room` bytes would then
    /// wait.
    #[must_use = "what is not taken is to be counted"]
    pub(crate) fn inform(&self, head: &[u8], room: usize) -> bool {
        let mut additions = self.lock();
        if additions.informational.len() + head.len() > room {
            return false;
        }
        additions.informational.extend_from_slice(head);
        drop(additions);
        self.has_additions.store(true, Ordering::Release);
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
        true
    }

    /// Ends the current chunked body with these trailers.
    pub(crate) fn end_with(&self, trailers: &HeaderMap) {
        self.lock().trailers = encode(trailers);
        self.has_additions.store(true, Ordering::Release);
    }

    fn take(&self) -> Option<Additions> {
        if !self.has_additions.load(Ordering::Acquire) {
            return None;
        }
        let mut additions = self.lock();
        self.has_additions.store(false, Ordering::Release);
        Some(mem::take(&mut additions))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Additions> {
        self.additions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Http1Writer ===

impl<S> Http1Writer<S> {
    pub(crate) fn new(inner: S, handle: Arc<WriterHandle>) -> Self {
        Self {
            inner,
            handle,
            out: Vec::new(),
            written: 0,
            position: WritePosition::Flushed,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Http1Writer<S> {
    /// Writes `out` completely.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.out.len() {
            let rest = &self.out[self.written..];
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        self.out.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Inserts `additions` around `bufs`. Returns how many bytes of `bufs` it took: all or none.
    fn join(&mut self, additions: Additions, bufs: &[IoSlice<'_>]) -> usize {
        if self.position == WritePosition::Flushed {
            self.out.extend_from_slice(&additions.informational);
        }
        if additions.trailers.is_empty() {
            return 0;
        }
        let start = self.out.len();
        for buf in bufs {
            self.out.extend_from_slice(buf);
        }
        let taken = self.out.len() - start;
        // For an HTTP/1.0 peer the body is not chunked, and trailers are dropped.
        if self.out[start..].ends_with(LAST_CHUNK) {
            self.out.truncate(self.out.len() - 2);
            self.out.extend_from_slice(&additions.trailers);
            self.out.extend_from_slice(b"\r\n");
        }
        taken
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Http1Writer<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Http1Writer<S> {
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
        let this = &mut *self;
        ready!(this.poll_out(cx))?;
        if let Some(additions) = this.handle.take() {
            let taken = this.join(additions, bufs);
            if taken > 0 {
                // The flush after every write sends the rest.
                this.position = WritePosition::Within;
                if let Poll::Ready(Err(error)) = this.poll_out(cx) {
                    return Poll::Ready(Err(error));
                }
                return Poll::Ready(Ok(taken));
            }
            ready!(this.poll_out(cx))?;
        }
        this.position = WritePosition::Within;
        Pin::new(&mut this.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        // hyper must queue buffers instead of copying them, so that a head never follows another message's bytes.
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_out(cx))?;
        this.position = WritePosition::Flushed;
        if let Some(additions) = this.handle.take() {
            this.join(additions, &[]);
            ready!(this.poll_out(cx))?;
        }
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;
    use std::{collections::VecDeque, task::Waker};

    /// Takes as many bytes per call as planned; 0 means not now.
    #[derive(Debug)]
    struct Sink {
        taken: Vec<u8>,
        plan: VecDeque<usize>,
    }

    impl AsyncRead for Sink {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Sink {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            let room = self.plan.pop_front().unwrap_or(usize::MAX);
            let taken = room.min(buf.len());
            self.taken.extend_from_slice(&buf[..taken]);
            match taken {
                0 => Poll::Pending,
                taken => Poll::Ready(Ok(taken)),
            }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Writes like hyper: buffered bytes first, then a flush.
    struct Writer {
        wire: Http1Writer<Sink>,
        handle: Arc<WriterHandle>,
        buffered: Vec<u8>,
    }

    impl Writer {
        fn new(plan: &[usize]) -> Self {
            let handle = Arc::<WriterHandle>::default();
            let plan = plan.iter().copied().collect();
            let taken = Vec::new();
            Self {
                wire: Http1Writer::new(Sink { taken, plan }, handle.clone()),
                handle,
                buffered: Vec::new(),
            }
        }

        /// Returns whether everything is written.
        fn poll(&mut self) -> bool {
            let mut cx = Context::from_waker(Waker::noop());
            while !self.buffered.is_empty() {
                let (one, two) = self.buffered.split_at(self.buffered.len() / 2);
                let bufs = [IoSlice::new(one), IoSlice::new(two)];
                match Pin::new(&mut self.wire).poll_write_vectored(&mut cx, &bufs) {
                    Poll::Ready(written) => drop(self.buffered.drain(..written.unwrap())),
                    Poll::Pending => return false,
                }
            }
            Pin::new(&mut self.wire).poll_flush(&mut cx).is_ready()
        }

        fn finish(mut self) -> String {
            while !self.poll() {}
            String::from_utf8(self.wire.inner.taken).unwrap()
        }
    }

    fn trailers() -> HeaderMap {
        let name = HeaderName::from_static("t");
        [(name, HeaderValue::from_static("1"))]
            .into_iter()
            .collect()
    }

    #[test]
    fn trailers_end_the_body_however_it_is_written() {
        for step in 1..20 {
            let mut writer = Writer::new(&[step, 0].repeat(40));
            writer.buffered = b"head\r\n\r\n2\r\nok\r\n".to_vec();
            writer.poll();
            writer.handle.end_with(&trailers());
            writer.buffered.extend_from_slice(LAST_CHUNK);
            let expected = "head\r\n\r\n2\r\nok\r\n0\r\nt: 1\r\n\r\n";
            assert_eq!(writer.finish(), expected, "{step}");
        }
    }

    #[test]
    fn where_there_are_no_chunks_trailers_are_left_out() {
        let mut writer = Writer::new(&[]);
        writer.handle.end_with(&trailers());
        writer.buffered = b"all of it".to_vec();
        assert_eq!(writer.finish(), "all of it");
    }

    #[test]
    fn an_informational_head_goes_out_at_the_next_flush() {
        let mut writer = Writer::new(&[]);
        assert!(writer.handle.inform(b"<103>", 5));
        assert!(writer.poll());
        assert_eq!(writer.wire.inner.taken, b"<103>");
    }

    #[test]
    fn informational_heads_past_the_room_for_them_are_dropped() {
        let mut writer = Writer::new(&[]);
        let taken: Vec<_> = (0..4).map(|_| writer.handle.inform(b"<103>", 12)).collect();
        assert_eq!(taken, [true, true, false, false]);
        assert!(writer.poll());
        assert!(writer.handle.inform(b"<103>", 12), "there is room again");
        assert!(writer.poll());
        assert_eq!(writer.wire.inner.taken, b"<103>".repeat(3));
    }

    proptest! {
        #[test]
        fn informational_heads_stand_before_their_answer_or_nowhere(
            plan in prop::collection::vec(0usize..9, 0..60),
            polls in prop::collection::vec(0usize..4, 12),
        ) {
            let mut writer = Writer::new(&plan);
            for (index, polls) in polls.into_iter().enumerate() {
                // The previous answer is fully buffered; hyper has tried this often to write it.
                for _ in 0..polls {
                    writer.poll();
                }
                // hyper reads a request only when the last answer's head has left its buffer, or at a flush.
                let begins_again = writer.buffered.is_empty();
                if begins_again || writer.wire.position == WritePosition::Within {
                    let head = format!("<{index}>");
                    prop_assert!(writer.handle.inform(head.as_bytes(), 1_000));
                }
                writer.buffered.extend_from_slice(format!("[{index}: answer]").as_bytes());
            }
            let written = writer.finish();
            let mut rest = written.as_str();
            for index in 0..12 {
                rest = rest.strip_prefix(&format!("<{index}>")).unwrap_or(rest);
                let answer = format!("[{index}: answer]");
                prop_assert!(rest.starts_with(&answer), "{}", written);
                rest = &rest[answer.len()..];
            }
            prop_assert_eq!(rest, "");
        }
    }
}
