//! A client for a stack, and how requests are adapted to the stack.
//!
//! The live path uses it with streamed bodies, the shadow with complete ones. It sends each request once. Whether to
//! send it again is up to the caller; [`Error::Reset`] carries what is known.

mod client;
mod connection;
mod connector;
mod endpoint;
mod error;
mod greeting;
mod headers;
mod health;
mod multiplexed;
mod pool;
mod pooled_body;
mod resolver;
mod target;
mod writer;

pub use client::Client;
pub(crate) use connector::{Connector, dial};
pub(crate) use error::Error;
pub use headers::Instance;
pub(crate) use headers::{HOP, remove_in_order};
pub(crate) use health::Failing;
pub use health::{Health, NoAnswer};
pub(crate) use pooled_body::{PooledBody, is_field, only_trailing};
pub use resolver::Resolver;
pub(crate) use target::usual_port;
pub use target::{HostPolicy, Target, Via};
pub(crate) use writer::{Http1Writer, WriterHandle};
