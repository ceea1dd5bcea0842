//! Limits on callers of the listener.

use std::{num::NonZeroUsize, time::Duration};

/// The section `limits`. Reaching a limit is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Concurrent connections of callers. Further callers wait in the system's backlog.
    pub connections: NonZeroUsize,
    /// Bytes of a request's head.
    pub header_bytes: usize,
    /// Header lines of a head.
    pub headers: NonZeroUsize,
    /// For the first byte of a new connection, and for a head from its first byte to its last.
    pub head_timeout: Duration,
    /// For the next request on a connection whose last answer has ended.
    pub idle_timeout: Duration,
    /// How long a caller may send no byte of its body, or receive no byte of an available answer.
    pub body_stall: Duration,
}

// === impl ListenerLimits ===

impl Default for ListenerLimits {
    fn default() -> Self {
        let count = |count| NonZeroUsize::new(count).expect("the number is not zero");
        Self {
            connections: count(10_000),
            header_bytes: 64 << 10,
            headers: count(100),
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            body_stall: Duration::from_secs(60),
        }
    }
}
