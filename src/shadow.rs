//! The shadow side: it replays samples on the stack that does not answer callers, then compares, counts and reports.
//!
//! It runs on its own threads, at a lower priority than the live ones. It shares only the queue of samples, the byte
//! budget and counters with them. Every sample taken from the queue ends in exactly one outcome, because it owns its
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
mod suggestion_budget;
mod worker;

pub use breaker::Limits;
pub use on_demand::{Reread, RereadError, RereadRequest, Rereader};
pub use priority::yield_to_others;
pub use worker::{Compare, Parts, Worker};

use crate::{
    pipeline::{Trace, Traced},
    sample::Frequency,
    spanned_yaml::Choice,
};
use http::HeaderName;
use std::{num::NonZeroUsize, time::Duration};

/// Settings that may change at runtime. A check uses one snapshot from its beginning to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// For the shadow's complete answer, body included.
    pub timeout: Duration,
    pub max_in_flight: NonZeroUsize,
    /// Requests to the shadow. A sample beyond this limit is `over_budget`.
    pub max_per_second: Frequency,
    pub breaker: Limits,
    /// A sample that waited longer is `expired`.
    pub max_age: Duration,
    /// Bytes of an answer's body that are kept, as it was sent.
    pub max_body: usize,
    /// For aligning arrays and text. After it, a coarser difference is reported, never equality.
    pub deadline: Duration,
    pub trace: Trace,
    pub traced: Traced,
    pub recheck: Recheck,
    pub conditional: Conditional,
    /// The header of the new stack's answers that names its build.
    pub version_header: Option<HeaderName>,
    /// How long accepted checks may continue during shutdown.
    pub grace: Duration,
}

/// When both stacks are read again after a difference, and the limits on that.
#[derive(Clone, Debug, PartialEq)]
pub struct Recheck {
    /// Delays after the first difference. If empty, a difference is a mismatch at once.
    pub after: Vec<Duration>,
    /// Readings of both stacks, over all checks.
    pub max_per_second: Frequency,
    /// Checks that may wait at the same time.
    pub max_waiting: usize,
    /// Bytes that the waiting checks may hold in total.
    pub max_waiting_bytes: usize,
}

/// How to handle a read that the primary answered by its conditions (304, 412, and 206 against 200 with `If-Range`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conditional {
    /// Reads both stacks again without its conditions.
    #[default]
    Reread,
    /// Does not compare it.
    Skip,
}

// === impl Conditional ===

impl Choice for Conditional {
    const WORDS: &'static [(&'static str, Self)] =
        &[("reread", Self::Reread), ("skip", Self::Skip)];
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
