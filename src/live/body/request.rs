//! The body of a live request, streamed to the primary.

use crate::{
    ledger::Bound,
    live::{
        connection::Caller,
        deadline::Deadline,
        http1::expect_continue::{BodyGate, Decision},
    },
    pipeline::bounded_copy::{End, SharedCopy},
};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// Streams the caller's body. Optionally holds it back and records it.
#[derive(Debug, Default)]
pub(crate) struct RequestBody {
    /// `None` if there is no body.
    inner: Option<Incoming>,
    /// Holds the body back.
    pub(in crate::live) gate: Option<BodyGate>,
    recording: Option<SharedCopy>,
    /// Of a body that shares its connection. Otherwise the connection has one.
    stall: Option<Box<Stall>>,
}

/// Limits how long the caller may send nothing.
#[derive(Debug)]
struct Stall {
    deadline: Deadline<()>,
    caller: Arc<Caller>,
}

/// Why a request body is incomplete.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the caller's body broke")]
    Caller(#[source] hyper::Error),
    #[error("the caller's body did not come in time")]
    Stalled(#[source] io::Error),
    #[error("the answer came without the body")]
    Unwanted,
}

// === impl RequestBody ===

impl RequestBody {
    pub(crate) fn new(inner: Incoming) -> Self {
        Self {
            inner: (!inner.is_end_stream()).then_some(inner),
            ..Self::default()
        }
    }

    pub(crate) fn record(&mut self, recording: SharedCopy) {
        match &self.inner {
            None => recording.lock().finish(End::Whole),
            Some(inner) => {
                recording.lock().expect(&inner.size_hint());
                self.recording = Some(recording);
            }
        }
    }

    /// Ends the body if the caller sends none of it for too long.
    pub(in crate::live) fn limit_stall(&mut self, caller: &Arc<Caller>) {
        self.stall = self.inner.is_some().then(|| {
            Box::new(Stall {
                deadline: Deadline::new(),
                caller: caller.clone(),
            })
        });
    }

    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(inner).poll_frame(cx);
        let Some(stall) = &mut self.stall else {
            return frame.map_err(Broken::Caller);
        };
        if frame.is_pending() {
            ready!(stall.poll(cx));
            let timed_out = io::ErrorKind::TimedOut.into();
            return Poll::Ready(Some(Err(Broken::Stalled(timed_out))));
        }
        stall.deadline.stop();
        frame.map_err(Broken::Caller)
    }

    /// Passes the frame to the recording. Checks for the end after every frame, because hyper stops at the declared
    /// length.
    fn note(&mut self, frame: Option<&Result<Frame<Bytes>, Broken>>) {
        let (Some(recording), Some(inner)) = (&self.recording, &self.inner) else {
            return;
        };
        let mut copy = recording.lock();
        match frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    copy.observe(data);
                }
                if frame.is_trailers() || inner.is_end_stream() {
                    copy.finish_now(End::Whole);
                }
            }
            Some(Err(_)) => copy.finish(End::Broken),
            None => copy.finish_now(End::Whole),
        }
    }
}

// === impl Stall ===

impl Stall {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.caller.limits.body_stall;
        ready!(self.deadline.poll(cx, (), limit));
        self.caller.gauges.bound_reached(Bound::BodyStall);
        Poll::Ready(())
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        if let Some(gate) = &mut this.gate {
            if ready!(gate.poll_pass(cx)) == Decision::Refused {
                return Poll::Ready(Some(Err(Broken::Unwanted)));
            }
            this.gate = None;
        }
        let frame = ready!(this.poll_inner(cx));
        this.note(frame.as_ref());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Some(inner) => inner.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}
