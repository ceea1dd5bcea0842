//! The connection below hyper. Sees the frames of both directions, and ends the connection of a caller that sends too
//! many without a message, or keeps us waiting too long.
//!
//! hyper answers and resets some requests without showing them. They are counted here, by what it sends.

use super::{
    allowance::{Allowance, PROTOCOL_ERROR},
    frames::{Frame, Frames, Kind, Stage},
};
use crate::{
    ledger::{Bound, LiveFailure},
    live::{
        deadline::Deadline,
        wire::{PREFACE, Wire},
    },
};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
};

/// Wraps the connection to a caller.
#[derive(Debug)]
pub(super) struct FrameGuard {
    wire: Wire,
    /// Bytes of the preface that have not passed.
    preface: usize,
    from_caller: Frames,
    to_caller: Frames,
    /// The last frame to the caller.
    last: Option<Frame>,
    allowance: Allowance,
    reading: Deadline<Wait>,
    idle: Arc<Notify>,
    is_idle: bool,
}

/// What the caller must send next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wait {
    /// The first frame.
    FirstFrame,
    /// The rest of a head, or of a frame without content.
    Head,
    /// The rest of a piece of a body.
    Data,
    /// Another request, after the last answer.
    Request,
    /// The end, after `GOAWAY`.
    End,
}

/// An error code (RFC 9113 7).
const REFUSED_STREAM: u32 = 7;

// === impl FrameGuard ===

impl FrameGuard {
    /// `idle` is notified when no request has come for too long. The connection then has to be ended.
    pub(super) fn new(wire: Wire, idle: Arc<Notify>) -> Self {
        Self {
            wire,
            preface: PREFACE.len(),
            from_caller: Frames::default(),
            to_caller: Frames::default(),
            last: None,
            allowance: Allowance::new(Instant::now()),
            reading: Deadline::new(),
            idle,
            is_idle: false,
        }
    }

    /// Counts the frames that came.
    ///
    /// # Errors
    /// `InvalidData` if there were too many without a message.
    fn count(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let preface = self.preface.min(bytes.len());
        self.preface -= preface;
        bytes = &bytes[preface..];
        let stage = self.from_caller.stage();
        let (mut is_allowed, mut has_message) = (true, false);
        let allowance = &mut self.allowance;
        self.from_caller.read(bytes, |frame| {
            has_message |= matches!(frame.kind, Kind::Headers | Kind::Data);
            is_allowed &= allowance.take(frame.kind, Instant::now);
        });
        // A head has one time limit as a whole, and a ping is no request.
        if has_message || stage == Stage::Data {
            self.reading.stop();
        }
        if is_allowed {
            return Ok(());
        }
        self.wire.caller.gauges.bound_reached(Bound::Frames);
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "too many frames without a message",
        ))
    }

    /// Counts the frames that hyper has written.
    fn sent(&mut self, bufs: &[IoSlice<'_>], mut count: usize) {
        let (allowance, last) = (&mut self.allowance, &mut self.last);
        let (reading, caller) = (&mut self.reading, &self.wire.caller);
        for buf in bufs {
            let written = count.min(buf.len());
            count -= written;
            self.to_caller.read(&buf[..written], |frame| {
                allowance.sent(frame.kind);
                let before = last.replace(frame);
                let is_answered = before
                    .is_some_and(|last| last.kind == Kind::Headers && last.stream == frame.stream);
                match frame.kind {
                    Kind::Headers | Kind::Data => reading.stop(),
                    // It has answered 431 itself.
                    Kind::Reset(PROTOCOL_ERROR) if is_answered => {
                        caller.gauges.bound_reached(Bound::Headers);
                        caller.gauges.live_failed(LiveFailure::Limit);
                    }
                    Kind::Reset(PROTOCOL_ERROR) => {
                        caller.gauges.live_failed(LiveFailure::BadRequest);
                    }
                    Kind::Reset(REFUSED_STREAM) => caller.gauges.bound_reached(Bound::Streams),
                    _ => {}
                }
            });
        }
    }

    /// Returns an error if the caller has kept us waiting for too long.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.caller.idle.register(cx.waker());
        let Some(wait) = self.wait() else {
            self.reading.stop();
            return Poll::Pending;
        };
        let limits = &self.wire.caller.limits;
        let (limit, bound) = match wait {
            Wait::FirstFrame | Wait::Head => (limits.head_timeout, Bound::HeadTimeout),
            Wait::Data => (limits.body_stall, Bound::BodyStall),
            Wait::Request => (limits.idle_timeout, Bound::IdleTimeout),
            Wait::End => {
                ready!(self.reading.poll(cx, wait, limits.head_timeout));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        };
        ready!(self.reading.poll(cx, wait, limit));
        self.wire.caller.gauges.bound_reached(bound);
        if wait == Wait::Request {
            self.is_idle = true;
            self.idle.notify_one();
            return self.poll_wait(cx);
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// What the caller must send, unless the caller is the one that waits.
    fn wait(&self) -> Option<Wait> {
        match self.from_caller.stage() {
            Stage::Untouched => Some(Wait::FirstFrame),
            Stage::Head => Some(Wait::Head),
            Stage::Data => Some(Wait::Data),
            // The writing side limits an answer that is still being written.
            Stage::Between if !self.wire.caller.is_idle() || self.wire.is_writing() => None,
            Stage::Between if self.is_idle => Some(Wait::End),
            Stage::Between => Some(Wait::Request),
        }
    }
}

impl AsyncRead for FrameGuard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let start = buf.filled().len();
        match this.wire.poll_read(cx, buf) {
            Poll::Pending => this.poll_wait(cx),
            Poll::Ready(Ok(())) => Poll::Ready(this.count(&buf.filled()[start..])),
            failed => failed,
        }
    }
}

impl AsyncWrite for FrameGuard {
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
        let written = ready!(self.wire.poll_write(cx, bufs, true))?;
        self.sent(bufs, written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll_flush(cx, true)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll_shutdown(cx)
    }
}
