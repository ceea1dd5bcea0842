//! The live path: forwards every request to the serving stack, and streams its answer to the caller byte for byte.
//!
//! It is built of tower layers: `route` names and counts, `sample` selects and copies reads, `forward` sends. It never
//! waits for the shadow: what cannot be copied or queued is dropped and counted.

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
