//! The command line: arguments, exit codes, output.

pub mod compare;
