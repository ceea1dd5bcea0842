//! The queue of samples from the live side to the shadow.

use super::{CompactAnswer, CompactRequest};
use crate::{
    budget::Held,
    compare::{Answer, CompareConfig},
    ledger::{Gauges, Ticket},
    outcome::{Outcome, Reason},
    route::{Head, Routes},
    stack::Stack,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};
use tokio::sync::mpsc;

/// One sampled read with the primary's complete answer, queued for a check.
#[derive(Debug)]
pub struct CapturedRead {
    pub ticket: Ticket,
    pub request: CompactRequest,
    /// The primary's answer.
    pub answer: CompactAnswer,
    /// The stack that answered.
    pub primary: Stack,
    /// From sending the request, including its body, to the last byte of the answer.
    pub took: Duration,
    /// When the live request arrived.
    pub received: SystemTime,
    /// When the answer was complete. The sample's age counts from here.
    pub offered: Instant,
    /// The routes, rules and options in force when the read was sampled.
    pub routes: Arc<Routes>,
    pub comparing: Arc<CompareConfig>,
    /// The bytes of the budget that request and answer use.
    pub held: Held,
}

/// A sample taken out of the queue.
#[derive(Debug)]
pub struct CheckInput {
    pub ticket: Ticket,
    pub request: ReadRequest,
    pub answer: Answer,
    pub primary: Stack,
    pub took: Duration,
    /// When the primary's answer was complete.
    pub offered: Instant,
    pub routes: Arc<Routes>,
    pub comparing: Arc<CompareConfig>,
    pub held: Held,
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

/// Offers samples without waiting. Cheap to clone; the [`QueueReceiver`] ends when all clones are dropped.
#[derive(Clone, Debug)]
pub struct Queue {
    tx: mpsc::UnboundedSender<Box<CapturedRead>>,
    max_length: Arc<AtomicUsize>,
    gauges: Gauges,
}

/// The shadow's end of the queue.
#[derive(Debug)]
pub struct QueueReceiver {
    rx: mpsc::UnboundedReceiver<Box<CapturedRead>>,
    gauges: Gauges,
}

/// A queue of at most `max_length` samples.
pub fn channel(max_length: usize, gauges: Gauges) -> (Queue, QueueReceiver) {
    // `max_length` bounds it, not the channel, because the bound changes at runtime.
    let (tx, rx) = mpsc::unbounded_channel();
    let queue = Queue {
        tx,
        max_length: Arc::new(AtomicUsize::new(max_length)),
        gauges: gauges.clone(),
    };
    (queue, QueueReceiver { rx, gauges })
}

// === impl CapturedRead ===

impl CapturedRead {
    pub fn open(self) -> CheckInput {
        CheckInput {
            ticket: self.ticket,
            request: self.request.open(),
            answer: self.answer.open(),
            primary: self.primary,
            took: self.took,
            offered: self.offered,
            routes: self.routes,
            comparing: self.comparing,
            held: self.held,
        }
    }
}

// === impl ReadRequest ===

impl ReadRequest {
    pub fn head(&self) -> Head<'_> {
        Head {
            method: &self.method,
            path: self.uri.path(),
            query: self.uri.query(),
            headers: &self.headers,
        }
    }
}

// === impl Queue ===

impl Queue {
    /// Queues a sample or finishes it: `queue_full`, or `shutting_down` if the receiver is gone.
    pub fn offer(&self, sample: Box<CapturedRead>) {
        let max_length = self.max_length.load(Ordering::Relaxed) as u64;
        if self.gauges.enter_queue() >= max_length {
            self.gauges.leave_queue();
            let reason = Reason::QueueFull;
            sample.ticket.finish(Outcome::NotCompared(reason));
            return;
        }
        if let Err(mpsc::error::SendError(sample)) = self.tx.send(sample) {
            self.gauges.leave_queue();
            let reason = Reason::ShuttingDown;
            sample.ticket.finish(Outcome::NotCompared(reason));
        }
    }

    /// Changes the bound. Samples already queued stay.
    pub fn set_max_length(&self, max_length: usize) {
        self.max_length.store(max_length, Ordering::Relaxed);
    }
}

// === impl QueueReceiver ===

impl QueueReceiver {
    /// Returns the next sample; `None` when every [`Queue`] is dropped and the queue is empty.
    pub async fn next(&mut self) -> Option<Box<CapturedRead>> {
        let sample = self.rx.recv().await;
        if sample.is_some() {
            self.gauges.leave_queue();
        }
        sample
    }

    /// Returns the next sample if one is queued.
    pub fn try_next(&mut self) -> Option<Box<CapturedRead>> {
        let sample = self.rx.try_recv().ok();
        if sample.is_some() {
            self.gauges.leave_queue();
        }
        sample
    }
}
