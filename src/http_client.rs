//! Requests to a stack: where it is, how a request is fitted to it, and a pooled HTTP/1.1 client.
//!
//! Used by the live path with streamed bodies and by the shadow with whole ones. A request is sent once; whether it may be sent
//! again is the caller's decision, for which [`Error::Reset`] tells what is known.

mod client;
mod error;
mod headers;
mod hop;
mod pool;
mod pooled_body;
mod target;
mod writer;

pub use client::Client;
pub use error::Error;
pub use headers::remove_in_order;
pub use hop::{HOP, Instance};
pub use pooled_body::PooledBody;
pub use target::{HostPolicy, Target};
pub use writer::{Http1Writer, WriterHandle};
