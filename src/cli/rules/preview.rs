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
    let counted = |count: u64, noun| counted(count as usize, noun);
    let mut said = Vec::new();
    if rule.differences_hidden > 0 {
        let differences = counted(rule.differences_hidden, "difference");
        let mismatches = counted(rule.in_mismatches, "mismatch");
        said.push(format!("hides {differences} in {mismatches}"));
    }
    if rule.ends_noise_in > 0 {
        let mismatches = counted(rule.ends_noise_in, "mismatch");
        said.push(format!("ends noise in {mismatches}"));
    }
    if rule.unknown_in > 0 {
        let examples = counted(rule.unknown_in, "example");
        said.push(format!("unknown: {examples} cannot be re-checked"));
    }
    if said.is_empty() && rule.in_force {
        said.push("in force under this id: what that hides is not stored".to_owned());
    }
    if said.is_empty() {
        said.push("hides nothing".to_owned());
    }
    format!("{:<width$}  {}", rule.id, said.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_of_which_nothing_is_known_never_hides_nothing() {
        let rule = |[differences_hidden, ends_noise_in, unknown_in]: [u64; 3], in_force| Hiding {
            id: "r".to_owned(),
            differences_hidden,
            in_mismatches: differences_hidden.min(1),
            unknown_in,
            ends_noise_in,
            in_force,
        };
        for (rule, said) in [
            (rule([0, 0, 0], false), "hides nothing"),
            (
                rule([0, 0, 0], true),
                "in force under this id: what that hides is not stored",
            ),
            (
                rule([0, 0, 2], false),
                "unknown: 2 examples cannot be re-checked",
            ),
            (rule([0, 3, 0], true), "ends noise in 3 mismatches"),
            (
                rule([2, 0, 1], false),
                "hides 2 differences in 1 mismatch; unknown: 1 example cannot be re-checked",
            ),
        ] {
            assert_eq!(hiding(&rule, 3), format!("r    {said}"));
        }
    }
}
