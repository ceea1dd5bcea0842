//! The queue of samples from the live side to the shadow.

use super::CapturedRead;
use crate::{ledger::Gauges, outcome::Reason};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::mpsc;

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

// === impl Queue ===

impl Queue {
    /// Queues a sample or finishes it: `queue_full`, or `shutting_down` if the receiver is gone.
    pub fn offer(&self, sample: Box<CapturedRead>) {
        let max_length = self.max_length.load(Ordering::Relaxed) as u64;
        if self.gauges.queue_length.add(1) >= max_length {
            self.gauges.queue_length.subtract(1);
            return sample.meta.not_compared(Reason::QueueFull);
        }
        if let Err(mpsc::error::SendError(sample)) = self.tx.send(sample) {
            self.gauges.queue_length.subtract(1);
            sample.meta.not_compared(Reason::ShuttingDown);
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
        sample.inspect(|_| self.gauges.queue_length.subtract(1))
    }

    /// Returns the next sample if one is queued.
    pub fn try_next(&mut self) -> Option<Box<CapturedRead>> {
        let sample = self.rx.try_recv().ok();
        sample.inspect(|_| self.gauges.queue_length.subtract(1))
    }
}
