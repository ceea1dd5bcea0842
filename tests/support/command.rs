//! Calls the program.

use std::{
    path::Path,
    process::{Command, Output},
};

/// The program, without its own variables of the environment.
pub(crate) fn twinread() -> Command {
    // Another binary, to compare a build with the previous one.
    let binary = std::env::var("TWINREAD_UNDER_TEST");
    let mut command = Command::new(binary.as_deref().unwrap_or(env!("CARGO_BIN_EXE_twinread")));
    command.env_remove("TWINREAD_ADMIN");
    command
}

/// Runs it in a folder, with an empty environment.
pub(crate) fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = twinread();
    command.current_dir(folder).env_clear().args(arguments);
    command.output().unwrap()
}

/// The text that it prints where no sentence has to be folded, whatever its exit code.
pub(crate) fn printed_wide(folder: &Path, arguments: &[&str]) -> String {
    let mut command = twinread();
    command.current_dir(folder).env_clear().args(arguments);
    let output = command.env("COLUMNS", "400").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
