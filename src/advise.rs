//! Advice on rules: which rules would explain differences, and what a change of the rules would do to them.

pub mod preview;
pub mod suggest;
