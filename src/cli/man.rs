//! `twinread man`: writes the manual pages, for packages.

use super::bad_input;
use std::{path::PathBuf, process::ExitCode};

/// Write the manual pages of all commands into a folder
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   written
  64  wrong arguments, or the folder cannot be written

Example:
  twinread man .")]
pub(crate) struct Args {
    /// The folder, which has to be there
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

pub(crate) fn run(args: Args, command: clap::Command) -> ExitCode {
    match clap_mangen::generate_to(command, &args.folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => bad_input(format!("{}: {error}", args.folder.display())),
    }
}
