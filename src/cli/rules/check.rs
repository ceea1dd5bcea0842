//! `twinread rules check`: validates rule files together, as a configuration that lists them would.

use crate::{
    cli::{bad_input, counted, warn},
    config::RuleFiles,
    ledger::today,
    spanned_yaml::{ConfigError, ConfigErrors},
};
use std::{path::Path, process::ExitCode};

/// Validate rule files; report every fault with its line
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   valid, perhaps with warnings
  64  wrong arguments, or faults

Example:
  twinread rules check builtin:http rules.yaml")]
pub(super) struct Args {
    /// Rule files, folders of them, or builtin:NAME
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
}

/// Prints every fault, or a summary. Exits with 0, or 64 if there are faults.
pub(super) fn run(args: &Args) -> ExitCode {
    match check(&args.paths) {
        Ok((rules, warnings)) => {
            warnings.iter().for_each(warn);
            let counts = [counted(rules, "rule"), counted(warnings.len(), "warning")];
            anstream::println!("valid, {}", counts.join(", "));
            ExitCode::SUCCESS
        }
        Err(faults) => bad_input(faults),
    }
}

/// The number of rules, and the warnings.
fn check(paths: &[String]) -> Result<(usize, Vec<ConfigError>), ConfigErrors> {
    let mut files = RuleFiles::default();
    let mut faults = ConfigErrors::default();
    for path in paths {
        match files.add(path, Path::new("")) {
            Ok(0) => faults.push(ConfigError::bare(format!("{path} holds no rules (*.yaml)"))),
            Ok(_) => {}
            Err(unreadable) => faults.push(ConfigError::bare(unreadable.to_string())),
        }
    }
    let compiled = faults.collect(files.compile(today()));
    let found = compiled.map(|(set, warnings)| (set.rules().len(), warnings));
    faults.into_result(found.unwrap_or_default())
}
