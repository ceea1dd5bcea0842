//! Takes requests that another proxy serves: copies that it mirrors, or what Envoy's external processing shows of them.
//!
//! No caller waits for anything here, so nothing here waits for a stack. Declared reads are sampled and offered to the
//! shadow: a copy without an answer, because then both stacks are read; what Envoy shows with old's answer. Writes are
//! recorded, as those of the live path are.

mod copy;
mod ext_proc;
mod listener;
mod requests;
mod settings;
mod silence;

pub(crate) use listener::Bound;
pub use listener::bind;
pub use settings::{Config, Handles, Settings, Taken};
pub(crate) use settings::{ExtProc, Mirror};
