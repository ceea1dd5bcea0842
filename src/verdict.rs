//! From tallies to a verdict: what became of each check, how sure that makes us, may the switch be made.

pub mod outcome;

pub use outcome::{Mark, Outcome, Reason, ShadowError, Via};
