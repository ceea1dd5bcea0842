//! One sampled read, from its capture on the live side to the end of its check.

use super::{CompactAnswer, CompactRequest};
use crate::{
    budget::Held,
    compare::{Answer, CompareConfig},
    ledger::Ticket,
    outcome::{Outcome, Reason},
    route::{Head, Routes},
    value::grpc::{Call, MessageType},
};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// What a sampled read keeps from its selection to its outcome, apart from its messages.
#[derive(Debug)]
pub struct ReadMeta {
    pub ticket: Ticket,
    /// The routes, rules and options in force when the read was sampled.
    pub routes: Arc<Routes>,
    pub comparing: Arc<CompareConfig>,
    /// The bytes of the budget that request and answer use.
    pub held: Held,
}

/// A sampled read with the primary's complete answer, as it waits in the queue.
#[derive(Debug)]
pub struct CapturedRead {
    pub meta: ReadMeta,
    pub request: CompactRequest,
    /// The primary's answer.
    pub answer: CompactAnswer,
    /// From sending the request, including its body, to the last byte of the answer.
    pub took: Duration,
    /// When the answer was complete. The sample's age counts from here.
    pub offered: Instant,
}

/// A captured read that was taken out of the queue.
#[derive(Debug)]
pub struct CheckInput {
    pub meta: ReadMeta,
    pub request: ReadRequest,
    pub primary: TimedAnswer,
    /// When the primary's answer was complete.
    pub offered: Instant,
}

/// A read as the caller sent it, without hop-by-hop headers.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    pub method: Method,
    /// Path and query as received.
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A stack's answer, and the time from sending the request to the answer's last byte.
#[derive(Debug)]
pub struct TimedAnswer {
    pub answer: Answer,
    pub took: Duration,
}

// === impl ReadMeta ===

impl ReadMeta {
    /// Ends the check without a comparison.
    pub fn not_compared(self, reason: Reason) {
        self.ticket.finish(Outcome::NotCompared(reason));
    }
}

// === impl CapturedRead ===

impl CapturedRead {
    pub fn open(self) -> CheckInput {
        CheckInput {
            meta: self.meta,
            request: self.request.open(),
            primary: TimedAnswer {
                answer: self.answer.open(),
                took: self.took,
            },
            offered: self.offered,
        }
    }
}

// === impl CheckInput ===

impl CheckInput {
    /// The method of gRPC that the read calls, if a descriptor has it.
    pub fn call(&self) -> Option<&Call> {
        self.meta
            .comparing
            .descriptors
            .call(self.request.uri.path())
    }

    /// What a gRPC answer is made of, if a descriptor says so.
    pub fn answer_type(&self) -> Option<&MessageType> {
        self.call().map(|call| &call.answer)
    }
}

// === impl ReadRequest ===

impl ReadRequest {
    /// The request with another body.
    pub fn with_body<B>(self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
    }

    pub fn head(&self) -> Head<'_> {
        Head {
            method: &self.method,
            path: self.uri.path(),
            query: self.uri.query(),
            headers: &self.headers,
        }
    }
}
