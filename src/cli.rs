//! The command line: arguments in, exit codes out.

pub mod check;
pub mod client;
pub mod set;
pub mod gate;
pub mod status;
mod verdict;
//! The command line: arguments, exit codes, output.

pub mod compare;
