//! How long the answers of both stacks took, for one route in one epoch, in bounded memory.

use crate::{
    stack::Stack,
    verdict::evidence::{Latency, Quantiles},
};
use hdrhistogram::Histogram;
use std::time::Duration;

/// Histograms while the epoch lasts, what they came to afterwards.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    old: Measured,
    new: Measured,
}

#[derive(Debug, Default)]
enum Measured {
    #[default]
    Nothing,
    /// In microseconds.
    Running(Histogram<u32>),
    Folded(Option<Quantiles>),
}

/// What takes longer counts as this long: it bounds the memory of a histogram.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Significant digits: within 1 %.
const DIGITS: u8 = 2;

// === impl Latencies ===

impl Latencies {
    pub(super) fn record(&mut self, stack: Stack, took: Duration) {
        match stack {
            Stack::Old => self.old.record(took),
            Stack::New => self.new.record(took),
        }
    }

    /// Gives up the histograms and keeps the quantiles.
    pub(super) fn fold(&mut self) {
        self.old = Measured::Folded(self.old.quantiles());
        self.new = Measured::Folded(self.new.quantiles());
    }

    pub(super) fn quantiles(&self) -> Latency {
        Latency {
            old: self.old.quantiles(),
            new: self.new.quantiles(),
        }
    }
}

// === impl Measured ===

impl Measured {
    fn record(&mut self, took: Duration) {
        if matches!(self, Self::Nothing) {
            // Grows with what it is given, up to `LONGEST`.
            let histogram = Histogram::new(DIGITS).expect("two digits are allowed");
            *self = Self::Running(histogram);
        }
        if let Self::Running(histogram) = self {
            let took = took.min(LONGEST).as_micros() as u64;
            histogram
                .record(took)
                .expect("a histogram that grows takes every value");
        }
    }

    fn quantiles(&self) -> Option<Quantiles> {
        match self {
            Self::Nothing => None,
            Self::Running(histogram) => Some(Quantiles {
                p50_ms: milliseconds(histogram.value_at_quantile(0.5)),
                p99_ms: milliseconds(histogram.value_at_quantile(0.99)),
            }),
            Self::Folded(quantiles) => *quantiles,
        }
    }
}

fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_told_within_a_percent_and_stay_when_folded() {
        let mut latencies = Latencies::default();
        for took in 1..=1_000 {
            latencies.record(Stack::Old, Duration::from_millis(took));
        }
        for _ in 0..2 {
            let told = latencies.quantiles();
            let old = told.old.unwrap();
            assert!((495.0..=505.0).contains(&old.p50_ms), "{old:?}");
            assert!((980.0..=1_000.0).contains(&old.p99_ms), "{old:?}");
            assert_eq!(told.new, None);
            latencies.fold();
            latencies.record(Stack::Old, Duration::from_secs(9));
        }
    }

    #[test]
    fn an_endless_answer_counts_as_the_longest() {
        let mut latencies = Latencies::default();
        latencies.record(Stack::New, Duration::MAX);
        let new = latencies.quantiles().new.unwrap();
        assert!((3.5e6..3.7e6).contains(&new.p99_ms), "{new:?}");
    }
}
