//! The live path: forwards every request to the serving stack, and streams its answer to the caller byte for byte.
//!
//! `connection` takes requests in, `route` names and counts them, `sample` selects and copies reads, `forward` sends.
//! Nothing waits for the shadow: what cannot be copied or queued is dropped and counted.

mod access_log;
mod body;
mod capture;
mod connection;
mod control;
mod deadline;
mod ending;
mod forward;
mod forwarded;
mod http1;
mod http2;
mod listener;
mod problem;
mod proxies;
mod rescue;
mod retry;
mod sample;
mod settings;
mod switch;
mod target;
mod wire;

pub use access_log::AccessLog;
pub use ending::Ends;
pub use forwarded::Forwarded;
pub(crate) use listener::Bound;
pub use listener::bind;
pub use settings::{Config, Handles, LiveSettings};
