//! A sampled read while it passes: its request and its answer are copied, and offered to the shadow once complete.

use super::{
    body::response::{Origin, ResponseBody},
    problem::Problem,
};
use crate::{
    heads::is_event_stream,
    outcome::Reason,
    pipeline::{
        CapturedAnswer, CapturedRead, CompactAnswer, CompactHead, CompactRequest, Queue, ReadMeta,
        bounded_copy::{BoundedCopy, End, SharedCopy},
    },
};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body::{Frame, SizeHint};
use std::time::Instant;

/// A sampled read without an answer yet. If it is dropped, its caller is gone.
#[derive(Debug)]
pub(super) struct Capture {
    pub(super) meta: ReadMeta,
    pub(super) request: CompactRequest,
    /// `None` if it has no body.
    pub(super) request_body: Option<SharedCopy>,
    pub(super) answer_body: BoundedCopy,
    pub(super) queue: Queue,
}

/// A sampled read whose answer has begun. If it is dropped, its caller is gone.
#[derive(Debug)]
pub(super) struct AnswerCapture {
    capture: Box<Capture>,
    /// Without its body.
    answer: CompactAnswer,
    sent: Instant,
}

// === impl Capture ===

impl Capture {
    /// Copies the answer while it streams, or ends the check if there is nothing to compare.
    pub(super) fn begin(mut self: Box<Self>, answer: &mut Response<ResponseBody>) {
        let sent = match answer.body().origin {
            Origin::Stack(_, sent) => sent,
            Origin::Own(Problem::BadRequest | Problem::BodyTimeout) => return,
            Origin::Own(_) => return self.fail(),
        };
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS || is_event_stream(answer.headers()) {
            return self.meta.not_compared(Reason::Streaming);
        }
        let head = CompactHead::of_headers(answer.headers());
        if !self.meta.held.grow(head.weight()) {
            return self.meta.not_compared(Reason::MemoryFull);
        }
        let capture = AnswerCapture {
            capture: self,
            answer: CompactAnswer {
                status: answer.status(),
                head,
                body: Bytes::new().into(),
                trailers: HeaderMap::new(),
            },
            sent,
        };
        answer.body_mut().copy_for(Box::new(capture));
    }

    /// The primary is at fault, unless the process ends.
    fn fail(mut self: Box<Self>) {
        self.meta.ticket.set_drop_reason(Reason::PrimaryError);
    }
}

// === impl AnswerCapture ===

impl AnswerCapture {
    pub(super) fn expect(&mut self, size: &SizeHint) {
        self.capture.answer_body.expect(size);
    }

    pub(super) fn observe(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            self.capture.answer_body.observe(data);
        }
        if let Some(trailers) = frame.trailers_ref() {
            self.answer.trailers = trailers.clone();
        }
    }

    /// The answer is complete: offers both messages to the shadow.
    pub(super) fn complete(self: Box<Self>) {
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
    pub(super) fn fail(self: Box<Self>) {
        self.capture.fail();
    }
}
