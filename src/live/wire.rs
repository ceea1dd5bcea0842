//! The connection to a caller, below the protocol that is spoken on it.

use super::{connection::Caller, deadline::Deadline};
use crate::{ledger::Bound, transport::Stream};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
};

/// Reads with room for taking bytes back. Ends the connection if the caller takes nothing of an answer for too long.
#[derive(Debug)]
pub(super) struct Wire {
    inner: Stream,
    pub(super) caller: Arc<Caller>,
    /// Bytes read that have not passed yet.
    pub(super) stash: Vec<u8>,
    /// Runs while the caller receives nothing although output waits.
    writing: Deadline<()>,
    /// Counts this connection against the limit until it is closed.
    _place: OwnedSemaphorePermit,
}

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// With these bytes a caller begins HTTP/2 (RFC 9113 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// === impl Wire ===

impl Wire {
    pub(super) fn new(inner: Stream, caller: Arc<Caller>, place: OwnedSemaphorePermit) -> Self {
        Self {
            inner,
            caller,
            stash: Vec::new(),
            writing: Deadline::new(),
            _place: place,
        }
    }

    /// Reads ahead until the first bytes show the protocol. An end, or an error, is left to HTTP/1.1.
    pub(super) fn poll_protocol(&mut self, cx: &mut Context<'_>) -> Poll<Protocol> {
        loop {
            let known = self.stash.len().min(PREFACE.len());
            if self.stash[..known] != PREFACE[..known] {
                return Poll::Ready(Protocol::Http1);
            }
            if known == PREFACE.len() {
                return Poll::Ready(Protocol::Http2);
            }
            match ready!(self.poll_more(cx)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Poll::Ready(Protocol::Http1),
            }
        }
    }

    /// Appends the next bytes to the stash. Returns their number; 0 at the end.
    pub(super) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut scratch = [0; 4096];
        let mut buf = ReadBuf::new(&mut scratch);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buf))?;
        self.stash.extend_from_slice(buf.filled());
        Poll::Ready(Ok(buf.filled().len()))
    }

    /// The stash first.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.stash.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let room = buf.remaining().min(self.stash.len());
        buf.put_slice(&self.stash[..room]);
        self.stash.drain(..room);
        if self.stash.is_empty() {
            // A kept connection must not keep it.
            self.stash = Vec::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads and drops whatever comes, until the end.
    pub(super) fn poll_drop(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }

    /// Whether the caller leaves output waiting.
    pub(super) fn is_writing(&self) -> bool {
        self.writing.is_running()
    }

    /// Without `limits`, the caller may take its time.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
        limits: bool,
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.inner).poll_write_vectored(cx, bufs) {
            Poll::Pending if limits => self.poll_untaken(cx, bufs),
            Poll::Pending => Poll::Pending,
            written => {
                self.writing.stop();
                written
            }
        }
    }

    /// Returns an error if the caller has received nothing for too long.
    fn poll_untaken(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.writing.poll(cx, (), self.caller.limits.body_stall));
        // A socket is reported writable when a third of its buffer is free. A slow caller may have received less than
        // that.
        match self.inner.write_now(bufs) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.caller.gauges.bound_reached(Bound::BodyStall);
                self.caller.switch.end_in_reset();
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            // Encrypted bytes of before have left.
            Ok(0) => {
                self.writing.stop();
                self.poll_untaken(cx, bufs)
            }
            sent => {
                self.writing.stop();
                Poll::Ready(sent)
            }
        }
    }

    pub(super) fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// Encrypted bytes may wait although everything was written. `limits` as of [`poll_write`](Self::poll_write).
    pub(super) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        limits: bool,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.inner).poll_flush(cx) {
            Poll::Pending if limits => self.poll_untaken(cx, &[]).map_ok(drop),
            Poll::Pending => Poll::Pending,
            flushed => {
                self.writing.stop();
                flushed
            }
        }
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.inner).poll_shutdown(cx) {
            Poll::Pending => self.poll_untaken(cx, &[]).map_ok(drop),
            ended => ended,
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.caller.switch.ends_in_reset() {
            self.inner.reset_at_end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        http_client::{Health, Target},
        ledger::{Gauges, Timings},
        live::connection::Observers,
        settings::ListenerLimits,
        transport::{ClientFiles, HTTP1, ServerFiles, TlsFiles},
    };
    use socket2::SockRef;
    use std::{fs, future::poll_fn, time::Duration};
    use tokio::{net::UnixStream, sync::Semaphore, time::timeout};

    const SHORT: Duration = Duration::from_millis(20);
    const DEADLINE: Duration = Duration::from_secs(30);

    fn caller() -> Arc<Caller> {
        let target = Target::new("stack".parse().unwrap());
        let observers = Observers {
            timings: Timings::default(),
            stacks: ["old", "new"].map(|name| Arc::new(Health::new(name, &target))),
        };
        let limits = ListenerLimits {
            body_stall: SHORT,
            ..ListenerLimits::default()
        };
        Arc::new(Caller::new(
            limits,
            Gauges::default(),
            observers.into(),
            None,
        ))
    }

    /// Both ends of a connection over TLS whose socket takes little.
    async fn pair() -> (Stream, Stream) {
        let folder = tempfile::tempdir().unwrap();
        let [cert, key] = ["cert", "key"].map(|name| folder.path().join(name));
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(&cert, issued.cert.pem()).unwrap();
        fs::write(&key, issued.signing_key.serialize_pem()).unwrap();
        let mut files = TlsFiles::default();
        let client = ClientFiles {
            ca: Some(cert.clone()),
            ..ClientFiles::default()
        };
        let client = client.load(&mut files).unwrap();
        let server = ServerFiles {
            cert: Some(cert),
            key: Some(key),
            client_ca: None,
        };
        let server = server.load(&mut files, HTTP1).unwrap();
        let (one, other) = UnixStream::pair().unwrap();
        SockRef::from(&one).set_send_buffer_size(4_096).unwrap();
        let accepted = server.accept(Stream::Unix(one), DEADLINE);
        let connected = client.connect("localhost", Stream::Unix(other));
        let (accepted, connected) = tokio::join!(accepted, connected);
        (accepted.unwrap(), connected.unwrap())
    }

    #[tokio::test]
    async fn encrypted_bytes_that_nobody_takes_end_the_connection() {
        let (accepted, _silent) = pair().await;
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let mut wire = Wire::new(accepted, caller(), place);
        let answer = [0; 60_000];
        let bufs = [IoSlice::new(&answer)];
        let written = poll_fn(|cx| wire.poll_write(cx, &bufs, true)).await;
        assert_eq!(written.unwrap(), answer.len(), "all of it is encrypted");
        let in_tunnel = poll_fn(|cx| wire.poll_flush(cx, false));
        assert!(timeout(5 * SHORT, in_tunnel).await.is_err());
        let flushed = poll_fn(|cx| wire.poll_flush(cx, true));
        let flushed = timeout(DEADLINE, flushed).await.unwrap();
        assert_eq!(flushed.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(wire.caller.gauges.bounds_reached(Bound::BodyStall), 1);
    }
}
