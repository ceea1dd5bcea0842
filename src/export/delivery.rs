//! Counts what a collector accepted, and logs changes of its state.

use crate::ledger::{Gauges, Signal};
use opentelemetry_sdk::error::OTelSdkResult;
use tokio::time::error::Elapsed;

/// The delivery state of one signal.
#[derive(Debug)]
pub(crate) struct Delivery {
    signal: Signal,
    gauges: Gauges,
    state: State,
}

/// Logged on change, so that a collector that is down is logged once and not per batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Delivering,
    Failing,
}

// === impl Delivery ===

impl Delivery {
    pub(crate) fn new(signal: Signal, gauges: Gauges) -> Self {
        Self {
            signal,
            gauges,
            state: State::Delivering,
        }
    }

    /// Records an attempt to send `count` items; a timeout is a failure.
    pub(crate) fn attempted(&mut self, count: u64, result: Result<OTelSdkResult, Elapsed>) {
        match result {
            Ok(Ok(())) => self.delivered(),
            Ok(Err(error)) => self.failed(count, &error),
            Err(elapsed) => self.failed(count, &elapsed),
        }
    }

    /// Counts `count` items that were dropped without an attempt.
    pub(crate) fn gave_up(&self, count: u64) {
        self.gauges.export_dropped(self.signal, count);
    }

    // ## Failing => Delivering
    fn delivered(&mut self) {
        if self.state == State::Failing {
            tracing::info!(
                signal = self.signal.into_str(),
                "the collector answers again"
            );
        }
        self.state = State::Delivering;
    }

    // ## Delivering => Failing
    fn failed(&mut self, count: u64, error: &dyn std::fmt::Display) {
        self.gauges.export_dropped(self.signal, count);
        if self.state == State::Delivering {
            tracing::warn!(signal = self.signal.into_str(), %error, "the collector rejects what it is sent; dropping it");
        }
        self.state = State::Failing;
    }
}
