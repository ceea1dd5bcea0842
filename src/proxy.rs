//! The live path: every request goes to the stack that serves, and its answer to the caller, byte for byte as it comes.
//!
//! Built of tower layers: `route` names and counts, `sample` chooses reads and copies them, `forward` sends. Nothing of
//! ours is ever waited for: what cannot be copied or queued is dropped and counted.

mod accept;
mod again;
mod bind;
mod call;
mod check;
mod control;
mod deadline;
mod download;
mod entrance;
mod forward;
mod framing;
mod gate;
mod guard;
mod hop;
mod inform;
mod limits;
mod live;
mod problem;
mod route;
mod sample;
mod sampler;
mod switch;
mod tape;
mod tunnel;
mod upload;
mod writing;

pub use bind::{Bound, bind};
pub use limits::ListenerLimits;
pub use live::{Checks, Config, Handles, Live};
