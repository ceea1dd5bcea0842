//! The live path: every request goes to the stack that serves, and its answer to the caller, byte for byte as it comes.
//!
//! Built of tower layers: `route` names and counts, `sample` chooses reads and copies them, `forward` sends. Nothing of
//! ours is ever waited for: what cannot be copied or queued is dropped and counted.

mod accept;
mod call;
mod capture;
mod check;
mod connection;
mod control;
mod deadline;
mod expect_continue;
mod forward;
mod framing;
mod guard;
mod hop;
mod informational;
mod limits;
mod listener;
mod problem;
mod request_body;
mod response_body;
mod retry;
mod route;
mod sample;
mod sampler;
mod settings;
mod switch;
mod upgrade;
mod writing;

pub use limits::ListenerLimits;
pub use listener::{Bound, bind};
pub use settings::{Checks, Config, Handles, LiveSettings};
