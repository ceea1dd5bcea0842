//! Which requests are reads, and which reads are checked.
//!
//! Decisions here use no clock, randomness or lock: random bits and bucket states are arguments.

mod frequency;
mod key;
mod reads;
mod sampling;

pub use frequency::Frequency;
pub use key::By;
pub use reads::{Declared, Reads};
pub use sampling::{Ask, Decision, Sampling, Wish, share};
