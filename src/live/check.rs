//! A sampled read while its answer streams: what is copied, and how it ends.

use super::{
    body::response::{Origin, ResponseBody},
    capture::{BoundedCopy, End, SharedCopy},
    problem::Problem,
};
use crate::{
    budget::Held,
    compare::CompareConfig,
    ledger::Ticket,
    outcome::{Outcome, Reason},
    pipeline::{CapturedRead, CompactAnswer, CompactHead, CompactRequest, Queue},
    route::Routes,
    stack::Stack,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::SizeHint;
use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

/// A sampled read without an answer yet. Dropped when the caller is gone.
#[derive(Debug)]
pub(super) struct Sampled {
    pub(super) ticket: Ticket,
    pub(super) request: CompactRequest,
    /// `None` if it has no body.
    pub(super) recording: Option<SharedCopy>,
    /// For the answer.
    pub(super) tape: BoundedCopy,
    /// Accounts for everything except the body.
    pub(super) held: Held,
    pub(super) received: SystemTime,
    pub(super) routes: Arc<Routes>,
    pub(super) comparing: Arc<CompareConfig>,
    pub(super) queue: Queue,
}

/// A sampled read whose answer has begun. Dropped before its end, the caller is gone.
#[derive(Debug)]
pub(super) struct Check(Option<Answered>);

#[derive(Debug)]
struct Answered {
    sampled: Box<Sampled>,
    status: StatusCode,
    head: CompactHead,
    trailers: HeaderMap,
    primary: Stack,
    sent: Instant,
}

// === impl Sampled ===

impl Sampled {
    /// Copies the answer while it streams, or finishes the check if there is nothing to compare.
    pub(super) fn answered(mut self: Box<Self>, answer: &mut Response<ResponseBody>) {
        let (primary, sent) = match answer.body().origin() {
            Origin::Stack(stack, sent) => (stack, sent),
            Origin::Own(Problem::BadRequest | Problem::BodyTimeout) => {
                return self.ticket.give_up(Reason::ClientGone);
            }
            Origin::Own(_) => return self.ticket.give_up(Reason::PrimaryError),
        };
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS || is_event_stream(answer.headers()) {
            return finish(self.ticket, Reason::Streaming);
        }
        let head = CompactHead::of_headers(answer.headers());
        if !self.held.grow(head.weight()) {
            return finish(self.ticket, Reason::MemoryFull);
        }
        let check = Check(Some(Answered {
            status: answer.status(),
            head,
            trailers: HeaderMap::new(),
            primary,
            sent,
            sampled: self,
        }));
        answer.body_mut().copy_for(Box::new(check));
    }

    /// The caller left before there was an answer.
    pub(super) fn abandon(self: Box<Self>) {
        self.ticket.give_up(Reason::ClientGone);
    }
}

// === impl Check ===

impl Check {
    pub(super) fn expect(&mut self, size: &SizeHint) {
        if let Some(answered) = &mut self.0 {
            answered.sampled.tape.expect(size);
        }
    }

    pub(super) fn observe(&mut self, data: &Bytes) {
        if let Some(answered) = &mut self.0 {
            answered.sampled.tape.observe(data);
        }
    }

    pub(super) fn observe_trailers(&mut self, trailers: &HeaderMap) {
        if let Some(answered) = &mut self.0 {
            answered.trailers = trailers.clone();
        }
    }

    /// The answer is complete.
    pub(super) fn complete(&mut self) {
        if let Some(answered) = self.0.take() {
            answered.offer();
        }
    }

    /// The primary broke off the answer.
    pub(super) fn fail(&mut self) {
        if let Some(answered) = self.0.take() {
            answered.sampled.ticket.give_up(Reason::PrimaryError);
        }
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        if let Some(answered) = self.0.take() {
            answered.sampled.ticket.give_up(Reason::ClientGone);
        }
    }
}

// === impl Answered ===

impl Answered {
    fn offer(self) {
        let Sampled {
            ticket,
            mut request,
            recording,
            mut tape,
            mut held,
            received,
            routes,
            comparing,
            queue,
        } = *self.sampled;
        tape.finish(End::Whole);
        if let End::Refused(reason) = tape.end() {
            return finish(ticket, reason);
        }
        let mut sent = self.sent;
        if let Some(recording) = recording {
            let mut tape = recording.tape();
            // A caller that sends the body slowly must not count as a delay of the stack.
            sent = tape.ended().map_or(sent, |ended| ended.max(sent));
            match tape.end() {
                End::Whole => {}
                // The answer came before the request was complete, so the request cannot be replayed.
                End::Streaming => return finish(ticket, Reason::Streaming),
                End::Broken => return ticket.give_up(Reason::ClientGone),
                End::Refused(reason) => return finish(ticket, reason),
            }
            let (body, share) = tape.take();
            request.body = body.kept().clone();
            held.merge(share);
        }
        let (body, share) = tape.take();
        held.merge(share);
        let offered = Instant::now();
        queue.offer(Box::new(CapturedRead {
            ticket,
            request,
            answer: CompactAnswer {
                status: self.status,
                head: self.head,
                body,
                trailers: self.trailers,
            },
            primary: self.primary,
            took: offered - sent,
            received,
            offered,
            routes,
            comparing,
            held,
        }));
    }
}

fn finish(ticket: Ticket, reason: Reason) {
    ticket.finish(Outcome::NotCompared(reason));
}

/// Answers of this type never end.
fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let kind = kind.and_then(|kind| kind.split(|byte| *byte == b';').next());
    kind.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
}
