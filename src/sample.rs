//! Which requests are reads, and which reads are checked.
//!
//! Decisions here use no clock, randomness or lock: random bits and bucket states are arguments.

mod frequency;
mod key;
mod reads;
mod sampling;

pub use frequency::Frequency;
pub(crate) use key::By;
pub use reads::Reads;
pub(crate) use reads::{Calls, Declared};
pub use sampling::Sampling;
pub(crate) use sampling::{Ask, Decision, Wish};
