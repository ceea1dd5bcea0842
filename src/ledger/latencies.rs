//! Latencies of both stacks for one route in one epoch: mergeable, serializable sketches of bounded memory.
//!
//! The measured time is from sending a request, including its body, to the last byte of its answer, for both stacks in
//! the same checks. The primary is measured while it streams to the caller, the shadow during the replay. Delays by the
//! caller are excluded from both: time before the request's body was complete, and checks with a body longer than what
//! is written ahead of a slow caller. A quantile is within 1 % of the latency at its rank, however many sketches were
//! merged.

use crate::{
    stack::Stack,
    verdict::evidence::{Latency, Quantiles},
};
use hdrhistogram::{
    Histogram,
    serialization::{DeserializeError, Deserializer, Serializer, V2Serializer},
};
use std::time::Duration;

/// One sketch for each stack.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    pub old: Sketch,
    pub new: Sketch,
}

/// The latencies of one stack.
#[derive(Clone, Debug, Default)]
pub struct Sketch(Form);

#[derive(Clone, Debug, Default)]
enum Form {
    #[default]
    Empty,
    /// In microseconds.
    Open(Histogram<u32>),
    /// Takes a fraction of the memory. The next latency unpacks it.
    Packed {
        bytes: Box<[u8]>,
        quantiles: Quantiles,
    },
}

/// Why bytes are not a valid sketch.
#[derive(Debug, thiserror::Error)]
pub enum Damaged {
    #[error("{0} bytes are no sketch of latencies: expected from {HEADER} to {MAX_BYTES}")]
    Length(usize),
    #[error("the head of a sketch of latencies is not as it was written")]
    Head,
    #[error("a sketch of latencies cannot be read")]
    Histogram(#[source] DeserializeError),
}

/// Longer times count as this long, which bounds the memory of a sketch.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Significant digits: within 1 %.
const DIGITS: u8 = 2;

/// Bytes before the counters: cookie, their length, offset, digits, lowest and highest value, ratio (HdrHistogram's
/// V2).
const HEADER: usize = 40;

/// More than the size of a sketch with every counter in use.
const MAX_BYTES: usize = 1 << 16;

// === impl Latencies ===

impl Latencies {
    pub fn record(&mut self, stack: Stack, took: Duration) {
        match stack {
            Stack::Old => self.old.record(took),
            Stack::New => self.new.record(took),
        }
    }

    /// Packs the sketches of a past epoch. They still accept latencies.
    pub fn pack(&mut self) {
        self.old.pack();
        self.new.pack();
    }

    pub fn quantiles(&self) -> Latency {
        Latency {
            old: self.old.quantiles(),
            new: self.new.quantiles(),
        }
    }
}

// === impl Sketch ===

impl Sketch {
    pub fn record(&mut self, took: Duration) {
        let took = took.min(LONGEST).as_micros() as u64;
        let recorded = self.open().record(took);
        recorded.expect("a histogram that grows takes every value");
    }

    /// Adds everything that `other` has recorded.
    pub fn merge(&mut self, other: &Self) {
        let added = match &other.0 {
            Form::Empty => return,
            Form::Open(histogram) => self.open().add(histogram),
            Form::Packed { bytes, .. } => self.open().add(unpack(bytes)),
        };
        added.expect("a histogram that grows takes every value");
    }

    /// Empty if nothing was recorded. At most 64 KiB, usually a few hundred bytes.
    pub fn to_bytes(&self) -> Box<[u8]> {
        match &self.0 {
            Form::Empty => Box::default(),
            Form::Open(histogram) => write(histogram),
            Form::Packed { bytes, .. } => bytes.clone(),
        }
    }

    /// # Errors
    /// [`Damaged`] if [`Sketch::to_bytes`] does not write such bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Damaged> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        read(bytes).map(|histogram| Self(Form::Open(histogram)))
    }

    /// `None` if nothing was recorded.
    pub fn quantiles(&self) -> Option<Quantiles> {
        match &self.0 {
            Form::Empty => None,
            Form::Open(histogram) => Some(quantiles(histogram)),
            Form::Packed { quantiles, .. } => Some(*quantiles),
        }
    }

    fn pack(&mut self) {
        if let Form::Open(histogram) = &self.0 {
            self.0 = Form::Packed {
                bytes: write(histogram),
                quantiles: quantiles(histogram),
            };
        }
    }

    fn open(&mut self) -> &mut Histogram<u32> {
        match &self.0 {
            // Grows with its values, up to `LONGEST`.
            Form::Empty => {
                self.0 = Form::Open(Histogram::new(DIGITS).expect("two digits are allowed"));
            }
            Form::Packed { bytes, .. } => self.0 = Form::Open(unpack(bytes)),
            Form::Open(_) => {}
        }
        match &mut self.0 {
            Form::Open(histogram) => histogram,
            Form::Empty | Form::Packed { .. } => unreachable!("it was opened above"),
        }
    }
}

fn quantiles(histogram: &Histogram<u32>) -> Quantiles {
    let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
    Quantiles {
        answers: histogram.len(),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
    }
}

fn write(histogram: &Histogram<u32>) -> Box<[u8]> {
    let mut bytes = Vec::new();
    V2Serializer::new()
        .serialize(histogram, &mut bytes)
        .expect("a vector takes every byte, and so do counters of 32 bits");
    bytes.into()
}

fn unpack(bytes: &[u8]) -> Histogram<u32> {
    read(bytes).expect("bytes that a sketch wrote must be readable")
}

/// Checks the head first, because the histogram allocates as much memory as the head says.
fn read(mut bytes: &[u8]) -> Result<Histogram<u32>, Damaged> {
    if !(HEADER..=MAX_BYTES).contains(&bytes.len()) {
        return Err(Damaged::Length(bytes.len()));
    }
    let word = |at: usize| {
        bytes[at..at + 4]
            .iter()
            .fold(0, |word, byte| (word << 8) | u32::from(*byte))
    };
    let (length, digits) = (word(4), word(12));
    if length as usize != bytes.len() - HEADER || digits != u32::from(DIGITS) {
        return Err(Damaged::Head);
    }
    let mut histogram = Deserializer::new()
        .deserialize(&mut bytes)
        .map_err(Damaged::Histogram)?;
    Histogram::auto(&mut histogram, true);
    Ok(histogram)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sketch(micros: &[u64]) -> Sketch {
        let mut sketch = Sketch::default();
        micros
            .iter()
            .for_each(|took| sketch.record(Duration::from_micros(*took)));
        sketch
    }

    /// The latency at that rank, in milliseconds, by sorting.
    fn exact(micros: &[u64], quantile: f64) -> f64 {
        let mut sorted = micros.to_vec();
        sorted.sort_unstable();
        let rank = (quantile * sorted.len() as f64).ceil() as usize;
        sorted[rank.max(1) - 1] as f64 / 1_000.0
    }

    fn assert_within_a_percent(reported: Quantiles, micros: &[u64]) {
        assert_eq!(reported.answers, micros.len() as u64);
        for (reported, quantile) in [(reported.p50_ms, 0.5), (reported.p99_ms, 0.99)] {
            let exact = exact(micros, quantile);
            assert!(
                (reported - exact).abs() <= 0.01 * exact,
                "{reported} for {exact}"
            );
        }
    }

    proptest! {
        #[test]
        fn quantiles_are_within_a_percent_merged_packed_and_from_bytes(
            here in prop::collection::vec(1..100_000_000_u64, 1..300),
            there in prop::collection::vec(1..100_000_000_u64, 0..300),
        ) {
            let mut merged = sketch(&here);
            let mut other = sketch(&there);
            other.pack();
            merged.merge(&other);
            let all = [here, there].concat();
            assert_within_a_percent(merged.quantiles().unwrap(), &all);
            merged.pack();
            assert_within_a_percent(merged.quantiles().unwrap(), &all);
            let mut read = Sketch::from_bytes(&merged.to_bytes()).unwrap();
            assert_within_a_percent(read.quantiles().unwrap(), &all);
            // It continues as if it had never been serialized.
            read.record(LONGEST);
            merged.record(LONGEST);
            prop_assert_eq!(read.to_bytes(), merged.to_bytes());
        }

        #[test]
        fn damaged_bytes_are_refused_or_read_and_never_more(
            took in prop::collection::vec(1..10_000_000_u64, 1..50),
            at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = sketch(&took).to_bytes().into_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = Sketch::from_bytes(&bytes);
            bytes.truncate(cut.index(bytes.len()));
            let _ = Sketch::from_bytes(&bytes);
        }
    }

    #[test]
    fn what_was_never_a_sketch_is_refused() {
        assert!(matches!(
            Sketch::from_bytes(&[7; 12]),
            Err(Damaged::Length(12))
        ));
        assert!(matches!(Sketch::from_bytes(&[7; 60]), Err(Damaged::Head)));
        let mut bytes = sketch(&[5]).to_bytes();
        bytes[0] ^= 1;
        assert!(matches!(
            Sketch::from_bytes(&bytes),
            Err(Damaged::Histogram(_))
        ));
    }

    #[test]
    fn nothing_recorded_is_no_bytes_and_no_quantiles() {
        let mut sketch = Sketch::from_bytes(&Sketch::default().to_bytes()).unwrap();
        sketch.merge(&Sketch::default());
        sketch.pack();
        assert!(sketch.to_bytes().is_empty() && sketch.quantiles().is_none());
    }

    #[test]
    fn endless_answer_counts_as_longest_and_a_full_sketch_fits() {
        let mut sketch = Sketch::default();
        (0..36_000_000)
            .step_by(701)
            .chain([u64::MAX / 1_000])
            .for_each(|tenths| {
                sketch.record(Duration::from_micros(tenths * 100));
            });
        sketch.record(Duration::MAX);
        assert!(sketch.to_bytes().len() < MAX_BYTES / 4);
        assert!((3.5e6..3.7e6).contains(&sketch.quantiles().unwrap().p99_ms));
    }
}
