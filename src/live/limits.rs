//! Limits on callers of the listener.

use crate::spanned_yaml::{SIZE, settings};
use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

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
