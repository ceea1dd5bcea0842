//! `twinread rules preview FILE`: what a rule file would hide of the stored mismatches.

use crate::cli::{
    client::{Address, Error},
    exit,
};
use serde_json::Value;
use std::{fs, path::PathBuf, process::ExitCode};

/// Show what a rule file would hide of the mismatches that a running twinread keeps
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// A rule file
    file: PathBuf,
    #[command(flatten)]
    address: Address,
    /// Print the JSON document of the admin API
    #[arg(long)]
    json: bool,
}

/// Prints what would be hidden. Exits with 0; 64 if the file cannot be read or is refused, 69 if no twinread answers.
pub(super) fn run(args: &Args) -> ExitCode {
    let file = match fs::read_to_string(&args.file) {
        Ok(file) => file,
        Err(error) => {
            anstream::eprintln!("cannot read {}: {error}", args.file.display());
            return ExitCode::from(exit::USAGE);
        }
    };
    match preview(args, file) {
        Ok(document) => {
            if args.json {
                anstream::println!("{document:#}")
            } else {
                anstream::print!("{}", text(&document))
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            anstream::eprintln!("{}", error.told());
            ExitCode::from(error.exit_code())
        }
    }
}

fn preview(args: &Args, file: String) -> Result<Value, Error> {
    let reply = args
        .address
        .client()?
        .post_text("/v1/rules/preview", file)?;
    Ok(reply.body)
}

fn text(document: &Value) -> String {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let count = |effect: &str| number(&document[effect]["count"]);
    let (looked, all) = (
        number(&document["looked_at"]),
        number(&document["mismatches"]),
    );
    let (hidden, kept) = (count("hidden"), count("kept"));
    let unknown = count("cannot_be_judged");
    format!(
        "looked at {looked} of {all} stored mismatches\nhidden            {hidden}\nkept              {kept}\n\
         cannot be judged  {unknown}\n"
    )
}
