//! The body of an answer, streamed to the caller.

use super::request::RequestBody;
use crate::{
    http_client::{PooledBody, WriterHandle},
    live::{
        call::Exchange, check::Check, http1::expect_continue::GateHandle, problem::Problem,
        switch::Switch,
    },
    stack::Stack,
};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

/// Streams an answer to the caller, and copies it if it is sampled.
pub(crate) struct ResponseBody {
    source: Source,
    origin: Origin,
    /// Writes the trailers; `None` drops them.
    line: Option<Arc<WriterHandle>>,
    /// Set if the end of the body is the end of the connection, so that a broken body must end in a reset.
    ends_connection: Option<Switch>,
    /// A request body that the primary did not want, held back until the answer ends.
    unwanted: Option<Unwanted>,
    check: Option<Box<Check>>,
    /// Ends when dropped.
    exchange: Option<Exchange>,
    /// The error that broke the body, returned to hyper after it has sent everything before.
    broken: Option<hyper::Error>,
}

/// The source of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// A stack, to a request sent at that moment.
    Stack(Stack, Instant),
    /// It is one of our own.
    Own(Problem),
}

enum Source {
    Stack(PooledBody<RequestBody>),
    /// No body, but the length that the header declares (RFC 9110 15.4.5). Without it, hyper would drop the header.
    Untold(u64),
    Own(Option<Bytes>),
}

/// Refuses the request body when dropped.
struct Unwanted(GateHandle);

// === impl ResponseBody ===

impl ResponseBody {
    pub(crate) fn new(body: PooledBody<RequestBody>, stack: Stack, sent: Instant) -> Self {
        Self::of(Source::Stack(body), Origin::Stack(stack, sent))
    }

    pub(crate) fn own(body: Bytes, problem: Problem) -> Self {
        Self::of(Source::Own(Some(body)), Origin::Own(problem))
    }

    fn of(source: Source, origin: Origin) -> Self {
        Self {
            source,
            origin,
            line: None,
            ends_connection: None,
            unwanted: None,
            check: None,
            exchange: None,
            broken: None,
        }
    }

    /// Omits the body, and keeps its declared length.
    pub(crate) fn leave_untold(&mut self, length: u64) {
        self.source = Source::Untold(length);
    }

    pub(crate) fn put_trailers_on(&mut self, line: Arc<WriterHandle>) {
        self.line = Some(line);
    }

    pub(crate) fn ends_connection(&mut self, switch: Switch) {
        self.ends_connection = Some(switch);
    }

    pub(crate) fn refuse_at_end(&mut self, keeper: GateHandle) {
        self.unwanted = Some(Unwanted(keeper));
    }

    pub(crate) fn ends(&mut self, exchange: Exchange) {
        self.exchange = Some(exchange);
    }

    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    /// Copies the body for `check`. The body may already have ended.
    pub(crate) fn copy_for(&mut self, mut check: Box<Check>) {
        if self.is_end_stream() || matches!(self.source, Source::Untold(_)) {
            return check.complete();
        }
        check.expect(&self.size_hint());
        self.check = Some(check);
    }

    fn poll_source(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.source {
            Source::Stack(body) => Pin::new(body).poll_frame(cx),
            Source::Untold(_) => Poll::Ready(None),
            Source::Own(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
        }
    }

    /// Passes the frame to the check. Looks for the end after every frame, because hyper stops at the declared length.
    fn show(&mut self, frame: Option<&Frame<Bytes>>) {
        let is_over = self.is_end_stream();
        let Some(check) = &mut self.check else { return };
        if let Some(data) = frame.and_then(Frame::data_ref) {
            check.observe(data);
        }
        if let Some(trailers) = frame.and_then(Frame::trailers_ref) {
            check.observe_trailers(trailers);
        }
        if (frame.is_none_or(|frame| frame.is_trailers()) || is_over)
            && let Some(mut check) = self.check.take()
        {
            check.complete();
        }
    }

    /// Removes trailers from the stream: hyper only sends announced ones, so the writer handle sends them.
    fn divert(&self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        match frame.into_trailers() {
            Ok(trailers) => {
                if let Some(line) = &self.line {
                    line.end_with(&trailers);
                }
                None
            }
            Err(frame) => Some(frame),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        if let Some(error) = this.broken.take() {
            return Poll::Ready(Some(Err(io::Error::other(error))));
        }
        match ready!(this.poll_source(cx)) {
            Some(Ok(frame)) => {
                this.show(Some(&frame));
                Poll::Ready(this.divert(frame).map(Ok))
            }
            None => {
                this.show(None);
                Poll::Ready(None)
            }
            Some(Err(error)) => {
                if let Some(mut check) = this.check.take() {
                    check.fail();
                }
                if let Some(switch) = &this.ends_connection {
                    switch.end_in_reset();
                }
                // An error makes hyper drop unsent data, so let it send that first.
                this.broken = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Stack(body) => body.is_end_stream() && self.broken.is_none(),
            Source::Untold(_) => false,
            Source::Own(body) => body.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Stack(body) => body.size_hint(),
            Source::Untold(length) => SizeHint::with_exact(*length),
            Source::Own(body) => {
                SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64))
            }
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Download").field(&self.origin).finish()
    }
}

// === impl Unwanted ===

impl Drop for Unwanted {
    fn drop(&mut self) {
        self.0.refuse();
    }
}
