//! Sections that several modules go by.

use crate::spanned_yaml::{Choice, SIZE, settings};
use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

/// Whether reads are sampled at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    Running,
    Paused,
}

settings! {
    /// The section `limits`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ListenerLimits: Default {
        /// Connections at once; further callers wait. Lowered, with a warning, where too few files may be open.
        #[setting(default: "10000", range: "1..1000000")]
        pub connections: NonZeroUsize,
        /// Bytes of the head of a request; a larger one is answered 431.
        #[setting(default: "64KiB", range: "1KiB..256KiB", form: SIZE)]
        pub header_bytes: usize,
        /// Header lines of a head; a request with more is answered 431.
        #[setting(default: "100", range: "1..10000")]
        pub headers: NonZeroUsize,
        /// For the first byte of a connection, and for a head from its first byte to its last.
        #[setting(default: "10s", range: "1ms..1h")]
        pub head_timeout: Duration,
        /// For the next request on a kept connection.
        #[setting(default: "300s", range: "1ms..1d")]
        pub idle_timeout: Duration,
        /// How long a caller may send no byte of a body, or take no byte of an answer that is there.
        #[setting(default: "60s", range: "1ms..1d")]
        pub body_stall: Duration,
        /// Requests at once on one HTTP/2 connection; further ones are refused, and callers may send them again.
        #[setting(default: "100", range: "1..10000")]
        pub streams: NonZeroU32,
    }
}

settings! {
    /// The section `capture`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Capture: Default {
        /// Of one body. A larger answer is hashed.
        #[setting(default: "1MiB", form: SIZE)]
        pub max_body: usize,
        /// Of all bodies.
        #[setting(default: "64MiB", form: SIZE)]
        pub max_total: usize,
    }
}

settings! {
    /// The section `queue`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct QueueLimits: Default {
        /// Samples that may wait for a check; further ones are counted as queue_full.
        #[setting(default: "1024", range: "1..1000000")]
        pub max_length: usize,
        /// A sample that has waited longer is not compared.
        #[setting(default: "30s", range: "1ms..1h")]
        pub max_age: Duration,
    }
}

settings! {
    /// The section `drain`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Drain: Default {
        /// How long the process may take to end after SIGTERM. Callers are accepted, and checks go on, for three quarters
        /// of it at most; the rest is for the last requests.
        #[setting(default: "10s", range: "0s..1h")]
        pub grace: Duration,
    }
}

// === impl Checks ===

/// The values of the setting `paused`.
impl Choice for Checks {
    const WORDS: &'static [(&'static str, Self)] =
        &[("true", Self::Paused), ("false", Self::Running)];
}

// === impl Drain ===

impl Drain {
    /// How long callers are accepted, and accepted checks may take, at most.
    pub(crate) fn accepting(&self) -> Duration {
        self.grace * 3 / 4
    }

    /// How long a kept connection is held open for one more request, whose answer then announces its end.
    pub(crate) fn linger(&self) -> Duration {
        self.grace / 10
    }
}
