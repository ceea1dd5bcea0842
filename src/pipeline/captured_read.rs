//! One sampled read, from its capture on the live side to the end of its check.

use super::{CompactAnswer, CompactRequest, Report};
use crate::{
    budget::Held,
    compare::{Answer, CompareConfig},
    ledger::Ticket,
    outcome::{Outcome, Reason},
    route::{Head, Routes},
    value::grpc::{Call, MessageType},
};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// What a sampled read keeps from its selection to its outcome, apart from its messages.
#[derive(Debug)]
pub struct ReadMeta {
    pub ticket: Ticket,
    /// The routes, rules and options in force when the read was sampled.
    pub routes: Arc<Routes>,
    pub comparing: Arc<CompareConfig>,
    /// The bytes of the budget that request and answer use.
    pub held: Held,
    /// Whoever waits for the end of this check; nobody waits for that of a live read. Dropped if the check is lost.
    pub observer: Option<oneshot::Sender<FinishedRead>>,
}

/// How one check ended, for whoever waits for it.
#[derive(Debug)]
pub struct FinishedRead {
    pub outcome: Outcome,
    /// Of the first answers; the old stack's first.
    pub statuses: [Option<StatusCode>; 2],
    /// How long the old stack took for the first answer.
    pub old_took: Option<Duration>,
    /// Whether a request left for one of the stacks.
    pub was_sent: bool,
    /// What was found. A match has no report.
    pub report: Option<Arc<Report>>,
}

/// A sampled read, as it waits in the queue.
#[derive(Debug)]
pub struct CapturedRead {
    pub meta: ReadMeta,
    pub request: CompactRequest,
    /// The primary's complete answer. `None` if only the request is known: then both stacks are read.
    pub answer: Option<CapturedAnswer>,
    /// When request and answer were complete. The sample's age counts from here.
    pub offered: Instant,
}

/// The primary's answer to a captured read.
#[derive(Debug)]
pub struct CapturedAnswer {
    pub answer: CompactAnswer,
    /// From sending the request, including its body, to the last byte of the answer.
    pub took: Duration,
}

/// A captured read that was taken out of the queue.
#[derive(Debug)]
pub struct CheckInput {
    pub meta: ReadMeta,
    pub request: ReadRequest,
    /// `None` until the primary is read, if its answer was not captured.
    pub primary: Option<TimedAnswer>,
    /// When request and answer were complete.
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
        self.finish(FinishedRead::unsent(Outcome::NotCompared(reason)));
    }

    /// Counts the outcome, and hands it to whoever waits for it.
    pub fn finish(self, finished: FinishedRead) {
        self.ticket.finish(finished.outcome);
        if let Some(observer) = self.observer {
            // Whoever waited may have gone.
            let _ = observer.send(finished);
        }
    }
}

// === impl FinishedRead ===

impl FinishedRead {
    /// A check for which nothing was sent.
    pub fn unsent(outcome: Outcome) -> Self {
        Self {
            outcome,
            statuses: [None; 2],
            old_took: None,
            was_sent: false,
            report: None,
        }
    }
}

// === impl CapturedRead ===

impl CapturedRead {
    pub fn open(self) -> CheckInput {
        let timed = |captured: CapturedAnswer| TimedAnswer {
            answer: captured.answer.open(),
            took: captured.took,
        };
        CheckInput {
            meta: self.meta,
            request: self.request.open(),
            primary: self.answer.map(timed),
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
