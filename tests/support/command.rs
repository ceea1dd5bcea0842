//! Calls the program.

use std::{
    path::Path,
    process::{Command, Output},
};

/// In a folder, with an empty environment.
pub(crate) fn twinread(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_twinread"))
        .current_dir(folder)
        .env_clear()
        .args(arguments)
        .output()
        .unwrap()
}
