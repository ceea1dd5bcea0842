//! The command line: arguments, exit codes, output.
