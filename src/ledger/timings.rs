//! Histograms of durations, read by the exporters.

use super::{AnsweredBy, Route};
use crate::stack::Stack;
use opentelemetry::{
    KeyValue,
    metrics::{BoundHistogram, Histogram, Meter},
};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use strum::VariantArray as _;

/// Upper bounds of `twinread.live.overhead`, in seconds. With the one that is infinite, every histogram has eight
/// buckets, because each of them is a series.
const OVERHEAD_BOUNDS: [f64; 7] = [1e-5, 2.5e-5, 1e-4, 5e-4, 2.5e-3, 2.5e-2, 0.25];

/// Upper bounds of `twinread.live`, in seconds.
const LIVE_BOUNDS: [f64; 7] = [1e-3, 5e-3, 2.5e-2, 0.1, 0.5, 2.5, 10.0];

/// The histogram with routes as labels.
pub(crate) const ANSWER: &str = "twinread.answer";

/// Upper bounds of answers, in seconds.
const ANSWER_BOUNDS: [f64; 7] = [1e-3, 5e-3, 2.5e-2, 0.1, 0.5, 2.5, 10.0];

/// Records durations. Cheap to clone; clones share the histograms. The default records nothing.
#[derive(Clone, Debug, Default)]
pub struct Timings(Option<Arc<Histograms>>);

#[derive(Debug)]
struct Histograms {
    overhead: Histogram<f64>,
    live: Histogram<f64>,
    /// By [`AnsweredBy`], from the first such answer on. Recording has no look-up then.
    live_by: [OnceLock<BoundHistogram<f64>>; AnsweredBy::VARIANTS.len()],
    answer: Histogram<f64>,
}

// === impl Timings ===

impl Timings {
    pub fn register(meter: &Meter) -> Self {
        let overhead = meter
            .f64_histogram("twinread.live.overhead")
            .with_description("Time that twinread itself added to a live request")
            .with_unit("s")
            .with_boundaries(OVERHEAD_BOUNDS.to_vec());
        let live = meter
            .f64_histogram("twinread.live")
            .with_description(
                "From the head of a live request to the end of its answer, by who answered",
            )
            .with_unit("s")
            .with_boundaries(LIVE_BOUNDS.to_vec());
        let answer = meter
            .f64_histogram(ANSWER)
            .with_description("From sending a checked request to the last byte of its answer, by the stack that answered")
            .with_unit("s")
            .with_boundaries(ANSWER_BOUNDS.to_vec());
        Self(Some(Arc::new(Histograms {
            overhead: overhead.build(),
            live: live.build(),
            live_by: Default::default(),
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

    /// Records how long a caller waited for the whole of an answer.
    pub fn live(&self, by: AnsweredBy, took: Duration) {
        if let Some(histograms) = &self.0 {
            let label = || [KeyValue::new("twinread.answered_by", by.into_str())];
            let own = &histograms.live_by[by as usize];
            let own = own.get_or_init(|| histograms.live.bind(&label()));
            own.record(took.as_secs_f64());
        }
    }

    /// Records how long one stack took to answer a checked read of the route.
    pub fn answer(&self, stack: Stack, route: &Route, took: Duration) {
        if let Some(histograms) = &self.0 {
            let labels = || {
                [
                    KeyValue::new("twinread.route", route.name().clone()),
                    KeyValue::new("twinread.stack", stack.name()),
                ]
            };
            let own = route.answers_of(stack);
            let own = own.get_or_init(|| histograms.answer.bind(&labels()));
            own.record(took.as_secs_f64());
        }
    }
}
