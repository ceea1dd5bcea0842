//! The live path: every request goes to the stack that serves, and its answer to the caller, byte for byte as it comes.
//!
//! Built of tower layers: `route` names and counts, `sample` chooses reads and copies them, `forward` sends. Nothing of
//! ours is ever waited for: what cannot be copied or queued is dropped and counted.

mod accept;
mod body;
mod call;
mod capture;
mod check;
mod connection;
mod control;
mod deadline;
mod forward;
mod http1;
mod limits;
mod listener;
mod problem;
mod retry;
mod route;
mod sample;
mod sampler;
mod settings;
mod switch;
mod writing;

pub use limits::ListenerLimits;
pub use listener::{Bound, bind};
pub use settings::{Checks, Config, Handles, LiveSettings};
