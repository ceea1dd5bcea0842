//! The command line: arguments in, exit codes out.

pub mod client;
