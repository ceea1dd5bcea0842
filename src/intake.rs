//! Takes copies of requests that another proxy mirrors here. Each is answered 204 and never forwarded.
//!
//! No caller waits for a copy, so nothing here waits for a stack. Declared reads are sampled and offered to the shadow,
//! which reads both stacks, because a copy comes without an answer. Writes are recorded, as those of the live path are.

mod copy;
mod listener;
mod settings;

pub(crate) use listener::Bound;
pub use listener::bind;
pub(crate) use settings::Mirror;
pub use settings::{Config, Handles, Settings};
