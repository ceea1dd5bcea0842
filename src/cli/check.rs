//! `twinread check`: validates a configuration and its rules.

use super::{bad_input, counted, warn};
use crate::config::{self, Flags, Loaded, Origin};
use std::{path::PathBuf, process::ExitCode};

/// Validate a configuration and its rules; report every fault with its line
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   valid, perhaps with warnings
  64  wrong arguments, or faults; with --strict, warnings as well

Example:
  twinread check --strict twinread.yaml")]
pub(crate) struct Args {
    /// The configuration
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Refuse warnings as well
    #[arg(long)]
    strict: bool,
}

/// Prints every fault, or a summary.
pub(crate) fn run(args: Args) -> ExitCode {
    match config::load(&Origin::new(Some(args.file), Flags::default())) {
        Ok(loaded) => {
            let warnings = loaded.warnings();
            warnings.iter().for_each(warn);
            if args.strict && !warnings.is_empty() {
                return bad_input(format!("{}: refused by --strict", loaded.name));
            }
            anstream::println!("{}", summary(&loaded));
            ExitCode::SUCCESS
        }
        Err(faults) => bad_input(faults),
    }
}

fn summary(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let counts = [
        counted(config.routes.entries.len(), "route"),
        counted(config.comparing.rules.written().count(), "rule"),
        counted(loaded.warnings().len(), "warning"),
    ];
    format!("{}: valid, {}", loaded.name, counts.join(", "))
}
