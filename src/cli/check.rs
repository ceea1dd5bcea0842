//! `twinread check`: validates a configuration and its rules.

use crate::{
    config::{self, Flags, Loaded, Origin},
    document::Fault,
};
use std::{path::PathBuf, process::ExitCode};

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The configuration
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

const BAD_CONFIGURATION: u8 = 64;

/// Prints every fault, or what was found.
pub fn run(args: Args) -> ExitCode {
    match config::load(&Origin::new(Some(args.file), Flags::default())) {
        Ok(loaded) => {
            for warning in loaded.warnings() {
                let message = format!("warning: {}", warning.message);
                let warning = Fault {
                    message,
                    ..warning.clone()
                };
                anstream::eprintln!("{warning}");
            }
            anstream::println!("{}", summary(&loaded));
            ExitCode::SUCCESS
        }
        Err(faults) => {
            anstream::eprintln!("{faults}");
            ExitCode::from(BAD_CONFIGURATION)
        }
    }
}

fn summary(loaded: &Loaded) -> String {
    let config = loaded.config();
    let counts = [
        counted(config.routes.entries().len(), "route"),
        counted(config.comparing.rules.rules().len(), "rule"),
        counted(loaded.warnings().len(), "warning"),
    ];
    format!("{}: valid, {}", loaded.name(), counts.join(", "))
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}
