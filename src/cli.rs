//! The command line: arguments in, exit codes out.

pub mod client;
pub mod gate;
pub mod status;
mod verdict;
