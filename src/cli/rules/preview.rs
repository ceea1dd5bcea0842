//! `twinread rules preview PATH...`: what rule files would hide of the stored mismatches.

use crate::{
    admin::documents::{Hiding, Preview},
    cli::{
        bad_input,
        client::{self, Address, EpochArgs, Error, Received},
        counted,
    },
    config::RuleFiles,
};
use std::{path::Path, process::ExitCode};

/// Show what rules would hide of the mismatches that a running twinread keeps
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   shown
  64  wrong arguments, or the file cannot be read or is refused
  69  no twinread answers

Example:
  twinread rules preview suggested.yaml")]
pub(super) struct Args {
    /// Rule files, folders of them, or builtin:NAME
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    asked: EpochArgs,
    /// Print the JSON document of the admin API
    #[arg(long)]
    json: bool,
}

/// Prints what would be hidden. Exits with 0; 64 if a file cannot be read or is refused, 69 if no twinread answers.
pub(super) fn run(args: &Args) -> ExitCode {
    let mut files = RuleFiles::default();
    for path in &args.paths {
        if let Err(unreadable) = files.add(path, Path::new("")) {
            return bad_input(unreadable);
        }
    }
    client::exit_code(preview(args, files.joined()))
}

fn preview(args: &Args, file: String) -> Result<ExitCode, Error> {
    let client = args.address.client()?;
    let path = format!("/v1/rules/preview?epoch={}", args.asked.epoch);
    let preview: Received<Preview> = client.post(&path, "application/yaml", file)?;
    for warning in &preview.warnings {
        anstream::eprintln!("warning: {warning}");
    }
    Ok(client::print(args.json, &preview, text(&preview)))
}

fn text(preview: &Preview) -> String {
    let counts = format!(
        "looked at {} of {} stored mismatches\nhidden            {}\nkept              {}\n\
         cannot be judged  {}",
        preview.looked_at,
        preview.mismatches,
        preview.hidden.count,
        preview.kept.count,
        preview.cannot_be_judged.count
    );
    let ids = preview.rules.iter().map(|rule| rule.id.chars().count());
    let width = ids.max().unwrap_or_default();
    let rules = preview.rules.iter().map(|rule| hiding(rule, width));
    std::iter::once(counts)
        .chain(rules)
        .collect::<Vec<_>>()
        .join("\n")
}

/// What one rule would hide, whether or not other differences stay.
fn hiding(rule: &Hiding, width: usize) -> String {
    let id = &rule.id;
    if rule.differences_hidden == 0 {
        return format!("{id:<width$}  hides nothing");
    }
    let differences = counted(rule.differences_hidden as usize, "difference");
    let mismatches = counted(rule.in_mismatches as usize, "mismatch");
    format!("{id:<width$}  hides {differences} in {mismatches}")
}
