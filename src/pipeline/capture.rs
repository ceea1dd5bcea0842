//! A sampled read while it passes: its request and its answer are copied, and offered to the shadow once complete.

use super::{
    CapturedAnswer, CapturedRead, CompactAnswer, CompactHead, CompactRequest, Queue, ReadMeta,
    bounded_copy::{BoundedCopy, End, SharedCopy},
};
use crate::{budget::Budget, heads::is_event_stream, outcome::Reason, settings, stack::Stack};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Frame, SizeHint};
use std::time::Instant;

/// A sampled read without an answer yet. If it is dropped, its caller is gone.
#[derive(Debug)]
pub(crate) struct Capture {
    meta: ReadMeta,
    request: CompactRequest,
    /// `None` if it has no body.
    request_body: Option<SharedCopy>,
    answer_body: BoundedCopy,
    queue: Queue,
}

/// A sampled read whose answer has begun. If it is dropped, its caller is gone.
#[derive(Debug)]
pub(crate) struct AnswerCapture {
    capture: Box<Capture>,
    /// Without its body.
    answer: CompactAnswer,
    sent: Instant,
}

/// What a capture takes its bytes from, and where it goes in the end.
#[derive(Debug)]
pub(crate) struct Keeping<'k> {
    pub(crate) budget: &'k Budget,
    pub(crate) limits: &'k settings::Capture,
    pub(crate) queue: &'k Queue,
}

// === impl Keeping ===

impl Keeping<'_> {
    pub(crate) fn copy(&self) -> BoundedCopy {
        BoundedCopy::new(self.budget, self.limits.max_body)
    }
}

// === impl Capture ===

impl Capture {
    /// Begins a check; `None` if the budget has no room even for the request's head.
    pub(crate) fn begin(
        mut meta: ReadMeta,
        request: CompactRequest,
        request_body: Option<SharedCopy>,
        keeping: &Keeping<'_>,
    ) -> Option<Box<Self>> {
        meta.ticket.set_drop_reason(Reason::ClientGone);
        if !meta.held.grow(request.head.weight()) {
            meta.not_compared(Reason::MemoryFull);
            return None;
        }
        Some(Box::new(Self {
            meta,
            request,
            request_body,
            answer_body: keeping.copy().hashing_beyond(),
            queue: keeping.queue.clone(),
        }))
    }

    /// The answer to what was `sent` then has begun. Ends the check if there is nothing to compare.
    pub(crate) fn answered(
        mut self: Box<Self>,
        status: StatusCode,
        headers: &HeaderMap,
        sent: Instant,
    ) -> Option<Box<AnswerCapture>> {
        if status == StatusCode::SWITCHING_PROTOCOLS || is_event_stream(headers) {
            self.meta.not_compared(Reason::Streaming);
            return None;
        }
        let head = CompactHead::of_headers(headers);
        if !self.meta.held.grow(head.weight()) {
            self.meta.not_compared(Reason::MemoryFull);
            return None;
        }
        Some(Box::new(AnswerCapture {
            capture: self,
            answer: CompactAnswer {
                status,
                head,
                body: Bytes::new().into(),
                trailers: HeaderMap::new(),
            },
            sent,
        }))
    }

    /// The stack that was to answer.
    pub(crate) fn primary(&self) -> Stack {
        self.meta.ticket.primary()
    }

    /// The primary is at fault, unless the process ends.
    pub(crate) fn fail(mut self: Box<Self>) {
        self.meta.ticket.set_drop_reason(Reason::PrimaryError);
    }

    pub(crate) fn not_compared(self: Box<Self>, reason: Reason) {
        self.meta.not_compared(reason);
    }
}

// === impl AnswerCapture ===

impl AnswerCapture {
    pub(crate) fn expect(&mut self, size: &SizeHint) {
        self.capture.answer_body.expect(size);
    }

    pub(crate) fn observe(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            self.capture.answer_body.observe(data);
        }
        if let Some(trailers) = frame.trailers_ref() {
            self.answer.trailers = trailers.clone();
        }
    }

    /// The answer is complete: offers both messages to the shadow.
    pub(crate) fn complete(self: Box<Self>) {
        let (mut answer, mut sent) = (self.answer, self.sent);
        let mut capture = *self.capture;
        let mut meta = capture.meta;
        capture.answer_body.finish(End::Whole);
        if let End::Refused(reason) = capture.answer_body.end {
            return meta.not_compared(reason);
        }
        if let Some(request_body) = capture.request_body {
            let mut body = request_body.lock();
            // A caller that sends the body slowly must not count as a delay of the stack.
            sent = body.ended.map_or(sent, |ended| ended.max(sent));
            match body.end {
                End::Whole => {}
                // The answer came before the request was complete, so the request cannot be replayed.
                End::Streaming => return meta.not_compared(Reason::Streaming),
                End::Broken => return,
                End::Refused(reason) => return meta.not_compared(reason),
            }
            capture.request.body = body.take(&mut meta.held).kept().clone();
        }
        answer.body = capture.answer_body.take(&mut meta.held);
        meta.ticket.set_drop_reason(Reason::Internal);
        let offered = Instant::now();
        capture.queue.offer(Box::new(CapturedRead {
            meta,
            request: capture.request,
            answer: Some(CapturedAnswer {
                answer,
                took: offered - sent,
            }),
            offered,
        }));
    }

    /// The primary broke off the answer.
    pub(crate) fn fail(self: Box<Self>) {
        self.capture.fail();
    }

    pub(crate) fn not_compared(self: Box<Self>, reason: Reason) {
        self.capture.not_compared(reason);
    }
}
