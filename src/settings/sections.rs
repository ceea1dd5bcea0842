//! Sections that several modules go by.

use crate::spanned_yaml::{SIZE, settings};
use std::time::Duration;

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
