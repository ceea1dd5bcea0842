//! Advice on rules: what would explain the differences that were met, and what a change of the rules would do to them.

pub mod preview;
pub mod suggest;
