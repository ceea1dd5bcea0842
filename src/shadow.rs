//! The shadow side: samples are replayed on the stack that does not answer callers, compared, counted and reported.
//!
//! It runs on its own threads, below the live ones in priority, and meets them only in the queue of samples, the byte
//! budget and counters. Every sample that comes out of the queue ends in exactly one outcome, because it owns its
//! ticket until then.

mod breaker;
mod check;
mod concurrency;
mod conditions;
mod context;
mod dual_read;
mod guarded_client;
mod guarded_clients;
mod noise;
mod on_demand;
mod priority;
mod recheck;
mod recheck_slots;
mod replace_primary;
mod replay;
mod span;
mod suggestion_budget;
mod worker;

pub use breaker::Limits;
pub use on_demand::{Reread, RereadError, RereadRequest, Rereader};
pub use priority::yield_to_others;
pub use worker::{Compare, Parts, Worker};

use crate::{pipeline::Traced, sample::Frequency};
use http::HeaderName;
use std::{num::NonZeroUsize, time::Duration};

/// What may change while the process runs. A check goes by one of these from its beginning to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// For the whole answer of the shadow, body included.
    pub timeout: Duration,
    pub max_in_flight: NonZeroUsize,
    /// Requests to the shadow; past it a sample is `over_budget`.
    pub max_per_second: Frequency,
    pub breaker: Limits,
    /// A sample that waited for longer is `expired`.
    pub max_age: Duration,
    /// Bytes kept of an answer's body, as it was sent.
    pub max_body: usize,
    /// For aligning arrays and text; past it a coarser difference is reported, never equality.
    pub deadline: Duration,
    pub trace: Trace,
    pub traced: Traced,
    pub recheck: Recheck,
    pub conditional: Conditional,
    /// The header in which answers of the new stack name its build.
    pub version_header: Option<HeaderName>,
    /// How long accepted checks may go on once the process ends.
    pub grace: Duration,
}

/// When both stacks are read again after a difference, and what that may cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Recheck {
    /// From the first difference on; empty: a difference is a mismatch at once.
    pub after: Vec<Duration>,
    /// Readings of both stacks, of all checks together.
    pub max_per_second: Frequency,
    /// Checks that may wait at one time.
    pub max_waiting: usize,
    /// Bytes that those may hold together.
    pub max_waiting_bytes: usize,
}

/// What becomes of a read that the primary answered by its conditions (304, 412, and 206 against 200 with `If-Range`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conditional {
    /// Both stacks are read again without its conditions.
    #[default]
    Reread,
    /// It is not compared.
    Skip,
}

/// Where the span of a check belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trace {
    /// A trace of its own, linked to the live one.
    #[default]
    Link,
    /// Within the live trace, where there is one.
    Child,
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            max_in_flight: NonZeroUsize::new(32).expect("32 is not zero"),
            max_per_second: Frequency::from(200),
            breaker: Limits::default(),
            max_age: Duration::from_secs(30),
            max_body: 1 << 20,
            deadline: Duration::from_millis(50),
            trace: Trace::default(),
            traced: Traced::default(),
            recheck: Recheck::default(),
            conditional: Conditional::default(),
            version_header: None,
            grace: Duration::from_secs(10),
        }
    }
}

// === impl Recheck ===

impl Default for Recheck {
    fn default() -> Self {
        Self {
            after: [200, 2_000, 10_000].map(Duration::from_millis).to_vec(),
            max_per_second: Frequency::from(10),
            max_waiting: 1_024,
            max_waiting_bytes: 16 << 20,
        }
    }
}
