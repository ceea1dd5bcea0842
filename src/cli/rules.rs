//! `twinread rules`: commands for rules that are not in force yet.

mod check;
mod preview;
mod suggest;
mod test;

use std::process::ExitCode;

/// Check rule files, run their tests, suggest and preview rules
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   done
  1   a rule test failed
  64  wrong arguments, faults, or refused by the admin API
  69  no twinread answers

Example:
  twinread rules check rules.yaml")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    Check(check::Args),
    Suggest(suggest::Args),
    Preview(preview::Args),
    Test(test::Args),
}

pub fn run(args: Args) -> ExitCode {
    match args.command {
        Command::Check(args) => check::run(&args),
        Command::Suggest(args) => suggest::run(&args),
        Command::Preview(args) => preview::run(&args),
        Command::Test(args) => test::run(&args),
    }
}
