//! Waits for the first frame of a stack, its `SETTINGS` (RFC 9113 3.4).
//!
//! Until then nobody knows how many requests a connection takes. hyper would send them all, and those past the limit
//! would wait until others end, which some never do.

use crate::transport::TlsFailure;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
};

/// A connection that shows its greeting.
#[derive(Debug)]
pub(super) struct Greeting<S> {
    inner: S,
    /// The beginning of the first frame.
    begun: Vec<u8>,
    /// Gone once the frame is known.
    shown: Option<oneshot::Sender<Greeted>>,
}

/// The number of streams that the stack allows at once, or `None` if this is not HTTP/2. With TLS 1.3, the stack's
/// judgement on our certificate comes in place of a greeting.
type Greeted = Result<Option<usize>, TlsFailure>;

/// Of a frame.
const HEAD: usize = 9;
const SETTINGS: u8 = 4;
const MAX_CONCURRENT_STREAMS: u16 = 3;

// === impl Greeting ===

impl<S> Greeting<S> {
    /// The receiver fails if the connection ends before.
    pub(super) fn new(inner: S) -> (Self, oneshot::Receiver<Greeted>) {
        let (shown, streams) = oneshot::channel();
        let greeting = Self {
            inner,
            begun: Vec::new(),
            shown: Some(shown),
        };
        (greeting, streams)
    }

    fn look(&mut self, bytes: &[u8]) {
        self.begun.extend_from_slice(bytes);
        if let Some(streams) = streams(&self.begun)
            && let Some(shown) = self.shown.take()
        {
            self.begun = Vec::new();
            // Nobody may wait any more.
            let _ = shown.send(Ok(streams));
        }
    }

    fn end(&mut self, error: Option<&io::Error>) {
        let failure = error.and_then(|error| TlsFailure::found_in(error));
        if let Some((shown, failure)) = self.shown.take().zip(failure) {
            let _ = shown.send(Err(failure));
        }
    }
}

/// The number that the first frame allows, or `Some(None)` if it is another frame; `None` while it is incomplete.
fn streams(begun: &[u8]) -> Option<Option<usize>> {
    let (head, rest) = begun.split_at_checked(HEAD)?;
    if head[3] != SETTINGS {
        return Some(None);
    }
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let (settings, _) = rest.get(..length)?.as_chunks::<6>();
    // Of repeated ones the last counts (RFC 9113 6.5.3).
    let mut settings = settings.iter().rev();
    let limit =
        settings.find(|[one, two, ..]| u16::from_be_bytes([*one, *two]) == MAX_CONCURRENT_STREAMS);
    Some(Some(limit.map_or(usize::MAX, |[_, _, value @ ..]| {
        u32::from_be_bytes(*value) as usize
    })))
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let start = buf.filled().len();
        let read = ready!(Pin::new(&mut this.inner).poll_read(cx, buf));
        if this.shown.is_some() {
            match buf.filled().get(start..) {
                Some(bytes) if !bytes.is_empty() => this.look(bytes),
                _ => this.end(read.as_ref().err()),
            }
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeting<S> {
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
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_repeated_limits_the_last_counts() {
        let frame = [
            0, 0, 24, 4, 0, 0, 0, 0, 0, // four settings
            0, 1, 0, 0, 0, 3, // a table of that size
            0, 3, 0, 0, 0, 9, // streams
            0, 3, 0, 0, 1, 2, // streams, again
            0, 4, 0, 0, 0, 0, // a window
        ];
        for length in 0..frame.len() {
            assert_eq!(streams(&frame[..length]), None);
        }
        assert_eq!(streams(&frame), Some(Some(258)));
        assert_eq!(
            streams(&[0, 0, 0, 4, 0, 0, 0, 0, 0]),
            Some(Some(usize::MAX))
        );
        assert_eq!(streams(b"HTTP/1.1 "), Some(None));
    }
}
