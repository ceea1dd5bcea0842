//! `twinread rules preview FILE`: what a rule file would hide of the stored mismatches.

use crate::{
    admin::documents::Preview,
    cli::{
        bad_input,
        client::{self, Address, AskedEpoch, Error, Received},
    },
};
use std::{fs, path::PathBuf, process::ExitCode};

/// Show what a rule file would hide of the mismatches that a running twinread keeps
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   shown
  64  wrong arguments, or the file cannot be read or is refused
  69  no twinread answers

Example:
  twinread rules preview suggested.yaml")]
pub(super) struct Args {
    /// A rule file
    file: PathBuf,
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    asked: AskedEpoch,
    /// Print the JSON document of the admin API
    #[arg(long)]
    json: bool,
}

/// Prints what would be hidden. Exits with 0; 64 if the file cannot be read or is refused, 69 if no twinread answers.
pub(super) fn run(args: &Args) -> ExitCode {
    match fs::read_to_string(&args.file) {
        Ok(file) => client::exit_code(preview(args, file)),
        Err(error) => bad_input(format!("cannot read {}: {error}", args.file.display())),
    }
}

fn preview(args: &Args, file: String) -> Result<ExitCode, Error> {
    let client = args.address.client()?;
    let path = format!("/v1/rules/preview?epoch={}", args.asked.epoch);
    let preview: Received<Preview> = client.post(&path, "application/yaml", file)?;
    Ok(client::print(args.json, &preview, text(&preview)))
}

fn text(preview: &Preview) -> String {
    format!(
        "looked at {} of {} stored mismatches\nhidden            {}\nkept              {}\n\
         cannot be judged  {}",
        preview.looked_at,
        preview.mismatches,
        preview.hidden.count,
        preview.kept.count,
        preview.cannot_be_judged.count
    )
}
