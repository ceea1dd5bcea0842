//! The reading side of a caller's connection. Rejects what [`Framing`] finds at fault before hyper acts on it.
//!
//! A faulty line is not hidden from hyper. Its last byte is replaced by a NUL, so that hyper itself answers 400 after
//! the earlier requests, and closes. Nothing after that byte is read.
//!
//! The connection ends when the caller keeps us waiting too long, for any [`Wait`], or receives nothing of an answer
//! for too long ([`ListenerLimits`](crate::settings::ListenerLimits)). No time counts while the primary works, or in a
//! tunnel.
//!
//! If the caller still sends after the last answer, the bytes are read and dropped for [`LINGER`]. Otherwise a reset
//! could discard the answer before the caller reads it.

use super::framing::{Found, Framing, Stage};
use crate::{
    ledger::Bound,
    live::{deadline::Deadline, switch::Decision, wire::Wire},
};
use memchr::memchr;
use std::{
    future::Future,
    io::{self, IoSlice},
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

const LINGER: Duration = Duration::from_secs(1);

/// Ends a spoilt head, because hyper only parses a complete one.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Wraps the connection to a caller.
#[derive(Debug)]
pub(crate) struct Guard {
    /// Its stash holds bytes that may only pass later: after the decision on an upgrade, or once the line of a target is
    /// complete.
    wire: Wire,
    framing: Framing,
    /// The stash begins within a target that needs encoding.
    holds_target: bool,
    spoilt: Option<Spoilt>,
    reading: Deadline<Wait>,
    linger: Option<Pin<Box<Sleep>>>,
}

/// What the caller must send next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wait {
    /// The rest of a head.
    Head,
    /// Another request, after the last answer.
    Request,
    /// More of a body.
    Body,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Spoilt {
    HeadOpen,
    HeadEnded,
}

// === impl Guard ===

impl Guard {
    pub(in crate::live) fn new(wire: Wire) -> Self {
        Self {
            wire,
            framing: Framing::default(),
            holds_target: false,
            spoilt: None,
            reading: Deadline::new(),
            linger: None,
        }
    }

    /// Checks what was filled in after `start`, and takes back what must not pass.
    fn check(&mut self, buf: &mut ReadBuf<'_>, start: usize) {
        let begun = self.framing.head();
        let found = self.framing.read(&buf.filled()[start..]);
        // A head has one time limit as a whole, everything else one per read.
        if begun.is_none() || self.framing.head() != begun {
            self.reading.stop();
        }
        match found {
            Found::Sound => {
                if let Some(has_begun) = self.framing.expected_body {
                    self.wire.caller.switch.set_body_begun(has_begun);
                }
            }
            Found::Fault(at) => {
                buf.filled_mut()[start + at] = 0;
                buf.set_filled(start + at + 1);
                self.spoilt = Some(Spoilt::HeadOpen);
            }
            Found::Upgrade(at) => self.take_back(buf, start + at),
            Found::Target(at) => {
                self.take_back(buf, start + at);
                self.holds_target = true;
            }
        }
    }

    /// Moves what was filled in from `at` on to the front of the stash.
    fn take_back(&mut self, buf: &mut ReadBuf<'_>, at: usize) {
        let mut rest = buf.filled()[at..].to_vec();
        rest.append(&mut self.wire.stash);
        self.wire.stash = rest;
        buf.set_filled(at);
    }

    /// Reads to the end of the target's line, and encodes the target.
    fn poll_target(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let most = self.wire.caller.limits.header_bytes;
        while memchr(b'\n', &self.wire.stash).is_none() && self.wire.stash.len() <= most {
            match self.wire.poll_more(cx) {
                Poll::Pending => return self.poll_wait(cx),
                Poll::Ready(Ok(0)) => break,
                Poll::Ready(more) => more.map(drop)?,
            }
        }
        self.wire.stash = self.framing.encode_target(&self.wire.stash);
        self.holds_target = false;
        Poll::Ready(Ok(()))
    }

    /// Detects the body of a request with `Expect` that the caller sends without waiting. Nobody reads it yet.
    fn look_for_body(&mut self, cx: &mut Context<'_>) {
        let is_awaited = self.framing.expected_body == Some(false);
        if is_awaited && self.wire.stash.is_empty() && self.wire.poll_more(cx).is_ready() {
            self.wire.caller.switch.set_body_begun(true);
        }
    }

    /// Returns an error if the caller has kept us waiting for too long.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(wait) = self.wait() else {
            self.reading.stop();
            return Poll::Pending;
        };
        let limits = &self.wire.caller.limits;
        let (limit, bound) = match wait {
            Wait::Head => (limits.head_timeout, Bound::HeadTimeout),
            Wait::Request => (limits.idle_timeout, Bound::IdleTimeout),
            Wait::Body => (limits.body_stall, Bound::BodyStall),
        };
        ready!(self.reading.poll(cx, wait, limit));
        self.wire.caller.gauges.bound_reached(bound);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// What the caller must send, unless the caller is the one that waits.
    fn wait(&self) -> Option<Wait> {
        match self.framing.stage() {
            Stage::Head => Some(Wait::Head),
            // The writing side limits an answer that is still being written.
            Stage::Between if self.wire.caller.is_idle() && !self.wire.is_writing() => {
                Some(Wait::Request)
            }
            Stage::Body => Some(Wait::Body),
            Stage::Between | Stage::Other => None,
        }
    }

    /// Resolves to the decision on an upgrade. Reads and keeps bytes meanwhile, because only reading detects the end of
    /// a connection.
    fn poll_decision(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Decision>> {
        if let Poll::Ready(decision) = self.wire.caller.switch.poll_take(cx) {
            return Poll::Ready(Ok(decision));
        }
        loop {
            if ready!(self.wire.poll_more(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            if self.wire.stash.len() > self.wire.caller.limits.header_bytes {
                self.wire.caller.gauges.bound_reached(Bound::Upgrade);
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
        }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.wire.poll_read(cx, buf) {
            Poll::Pending => self.poll_wait(cx),
            ready => ready,
        }
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if linger.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        self.wire.poll_drop(cx)
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
            match ready!(this.poll_decision(cx))? {
                Decision::Granted => this.framing.tunnel(),
                Decision::Refused => this.framing.resume(),
            }
        }
        let start = buf.filled().len();
        loop {
            if this.holds_target {
                ready!(this.poll_target(cx))?;
            }
            ready!(this.poll_bytes(cx, buf))?;
            this.check(buf, start);
            // An empty read would look like the end.
            if !this.holds_target || buf.filled().len() > start {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Guard {
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
        let is_limited = !self.framing.is_tunnel();
        self.wire.poll_write(cx, bufs, is_limited)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper has tried to read before the answer ended, and waits to be woken.
        if self.wait() == Some(Wait::Request) {
            let limit = self.wire.caller.limits.idle_timeout;
            let _ = self.reading.poll(cx, Wait::Request, limit);
        }
        let this = &mut *self;
        this.look_for_body(cx);
        let is_limited = !this.framing.is_tunnel();
        this.wire.poll_flush(cx, is_limited)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(this.wire.poll_shutdown(cx))?;
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
    use crate::{
        http_client::{Health, Target},
        ledger::{Gauges, Timings},
        live::connection::{Caller, Observers},
        settings::ListenerLimits,
        transport::Stream,
    };
    use std::sync::Arc;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        sync::Semaphore,
    };

    const LONG: Duration = Duration::from_secs(3_600);
    const SHORT: Duration = Duration::from_millis(20);

    fn limits() -> ListenerLimits {
        ListenerLimits {
            head_timeout: LONG,
            idle_timeout: LONG,
            body_stall: LONG,
            ..ListenerLimits::default()
        }
    }

    fn observers() -> Arc<Observers> {
        let target = Target::new("stack".parse().unwrap());
        Arc::new(Observers {
            timings: Timings::default(),
            stacks: ["old", "new"].map(|name| Arc::new(Health::new(name, &target))),
        })
    }

    async fn pair(limits: ListenerLimits) -> (TcpStream, Guard) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let caller = TcpStream::connect(listener.local_addr().unwrap());
        let (caller, accepted) = tokio::join!(caller, listener.accept());
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let own = Arc::new(Caller::new(limits, Gauges::default(), observers(), None));
        let wire = Wire::new(Stream::Tcp(accepted.unwrap().0), own, place);
        (caller.unwrap(), Guard::new(wire))
    }

    async fn times_out(guard: &mut Guard, bound: Bound) {
        let mut read = Vec::new();
        let error = guard.read_to_end(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(guard.wire.caller.gauges.bounds_reached(bound), 1);
    }

    #[tokio::test]
    async fn a_head_that_is_not_whole_in_time_ends_the_connection() {
        let head_timeout = SHORT;
        let (mut caller, mut guard) = pair(ListenerLimits {
            head_timeout,
            ..limits()
        })
        .await;
        caller.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
        times_out(&mut guard, Bound::HeadTimeout).await;
    }

    #[tokio::test]
    async fn a_request_is_waited_for_only_while_no_answer_is_due() {
        let idle_timeout = SHORT;
        let (mut caller, mut guard) = pair(ListenerLimits {
            idle_timeout,
            ..limits()
        })
        .await;
        let exchange = guard.wire.caller.begin();
        caller
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        let mut read = [0; 27];
        guard.read_exact(&mut read).await.unwrap();
        let wait = tokio::time::timeout(5 * SHORT, guard.read_u8()).await;
        assert!(wait.is_err(), "the caller waits for its answer");
        drop(exchange);
        times_out(&mut guard, Bound::IdleTimeout).await;
    }

    #[tokio::test]
    async fn an_answer_that_nobody_takes_ends_the_connection() {
        let body_stall = SHORT;
        let (_caller, mut guard) = pair(ListenerLimits {
            body_stall,
            ..limits()
        })
        .await;
        let answer = vec![0; 64 << 20];
        let error = guard.write_all(&answer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(guard.wire.caller.gauges.bounds_reached(Bound::BodyStall), 1);
    }

    #[tokio::test]
    async fn a_faulty_line_is_spoilt_and_nothing_after_it_is_read() {
        let (mut caller, mut guard) = pair(limits()).await;
        let request = b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\nGET / HTTP/1.1\r\n";
        caller.write_all(request).await.unwrap();
        let mut read = Vec::new();
        guard.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"GET / HTTP/1.1\r\nHost: a\0\r\n\r\n");
    }
}
