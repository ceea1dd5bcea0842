//! Histograms of durations, read by the exporters.

use crate::stack::Stack;
use opentelemetry::{
    KeyValue,
    metrics::{Histogram, Meter},
};
use std::{sync::Arc, time::Duration};

/// Upper bounds of `twinread_live_overhead_seconds`, in seconds: from a microsecond, the lowest forwarding cost, to
/// what an operator would call an outage.
const OVERHEAD_BOUNDS: [f64; 16] = [
    1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 5e-2,
    0.25, 1.0,
];

/// The histogram with routes as labels.
pub(crate) const ANSWER_SECONDS: &str = "twinread_answer_seconds";

/// Upper bounds of [`ANSWER_SECONDS`], in seconds.
const ANSWER_BOUNDS: [f64; 15] = [
    5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Records durations. Cheap to clone; clones share the histograms. The default records nothing.
#[derive(Clone, Debug, Default)]
pub struct Timings(Option<Arc<Histograms>>);

#[derive(Debug)]
struct Histograms {
    overhead: Histogram<f64>,
    answer: Histogram<f64>,
}

// === impl Timings ===

impl Timings {
    pub fn register(meter: &Meter) -> Self {
        let overhead = meter
            .f64_histogram("twinread_live_overhead_seconds")
            .with_description("Time that twinread itself added to a live request")
            .with_unit("s")
            .with_boundaries(OVERHEAD_BOUNDS.to_vec());
        let answer = meter
            .f64_histogram(ANSWER_SECONDS)
            .with_description("From sending a checked request to the last byte of its answer, by the stack that answered")
            .with_unit("s")
            .with_boundaries(ANSWER_BOUNDS.to_vec());
        Self(Some(Arc::new(Histograms {
            overhead: overhead.build(),
            answer: answer.build(),
        })))
    }

    /// Records the time that twinread itself added to one live request.
    pub fn overhead(&self, added: Duration) {
        if let Some(histograms) = &self.0 {
            // Without attributes there is no look-up, which matters because this runs for every live request.
            histograms.overhead.record(added.as_secs_f64(), &[]);
        }
    }

    /// Records how long one stack took to answer a checked read. `route` must be a name known to the ledger, so that
    /// the number of series is bounded.
    pub fn answer(&self, stack: Stack, route: &Arc<str>, took: Duration) {
        if let Some(histograms) = &self.0 {
            let labels = [
                KeyValue::new("route", route.clone()),
                KeyValue::new("stack", stack.name()),
            ];
            histograms.answer.record(took.as_secs_f64(), &labels);
        }
    }
}
