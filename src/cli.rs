//! The command line: arguments in, exit codes out.

mod background;
pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod gate;
pub(crate) mod livez;
pub(crate) mod man;
pub(crate) mod mismatches;
mod print;
pub(crate) mod recheck;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod rules;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod set;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod sweep;
mod table;
mod verdict;

use crate::{spanned_yaml::ConfigError, verdict::Counted};
use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};
use std::{error::Error, fmt::Display, process::ExitCode, sync::LazyLock};

/// Exit codes, as in sysexits.h where it has one.
pub(crate) mod exit {
    /// Wrong arguments, configuration or input.
    pub(crate) const USAGE: u8 = 64;
    /// An address cannot be bound, or the admin API cannot be reached.
    pub(crate) const UNAVAILABLE: u8 = 69;
}

/// The version, and the commit if `TWINREAD_COMMIT` named it to the build.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let commit = option_env!("TWINREAD_COMMIT").filter(|commit| !commit.is_empty());
    let commit = commit.map_or_else(String::new, |commit| format!(" ({commit})"));
    format!("{}{commit}", env!("CARGO_PKG_VERSION"))
});

/// Prove on live reads that a new stack answers as the old one does, and say when it is safe to switch
#[derive(Debug, Parser)]
#[command(name = "twinread", version = VERSION.as_str())]
#[command(after_help = "\
Exit codes:
  0   done
  64  wrong arguments, configuration or input
  69  an address cannot be bound, or no twinread answers
`twinread COMMAND --help` lists those of a command.

Example:
  twinread demo")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Demo(demo::Args),
    Check(check::Args),
    Compare(compare::Args),
    Rules(rules::Args),
    Schema(schema::Args),
    Gate(gate::Args),
    Livez(livez::Args),
    Status(status::Args),
    Mismatches(mismatches::Args),
    Show(show::Args),
    Set(set::Args),
    Completions(completions::Args),
    Man(man::Args),
    Recheck(recheck::Args),
    Replay(replay::Args),
    Sweep(sweep::Args),
    Record(record::Args),
}

pub fn main() -> ExitCode {
    completions::answer(Cli::command);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    match cli.command {
        Command::Run(args) => run::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Check(args) => check::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Rules(args) => rules::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Gate(args) => gate::run(args),
        Command::Livez(args) => livez::run(args),
        Command::Status(args) => status::run(args),
        Command::Mismatches(args) => mismatches::run(args),
        Command::Show(args) => show::run(args),
        Command::Set(args) => set::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args, Cli::command()),
        Command::Recheck(args) => recheck::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Sweep(args) => sweep::run(args),
        Command::Record(args) => record::run(args),
    }
}

/// Prints a warning: not an error, but worth attention.
fn warn(warning: &ConfigError) {
    let message = format!("warning: {}", warning.message);
    let warning = ConfigError {
        message,
        ..warning.clone()
    };
    print::complain(warning);
}

/// An error and its causes, on one line.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let causes: String = causes.map(|cause| format!(": {cause}")).collect();
    format!("{error}{causes}")
}

/// Prints why the input is wrong.
fn bad_input(why: impl Display) -> ExitCode {
    print::complain(why);
    ExitCode::from(exit::USAGE)
}

/// `1 rule`, `2 rules`.
fn counted(count: usize, what: &'static str) -> String {
    Counted(count as u64, what).to_string()
}

/// Avoids clap's exit code 2, because for `gate` it means undecided.
fn refuse(error: &clap::Error) -> ExitCode {
    // A closed terminal leaves nothing to do.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(exit::USAGE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_every_help_are_command_lines() {
        let mut left = vec![Cli::command()];
        while let Some(command) = left.pop() {
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_else(|| panic!("no example: {}", command.get_name()));
            let (_, line) = help
                .split_once("  twinread")
                .or(help.split_once("(twinread"))
                .unwrap();
            let line = line.trim_end_matches(')').split(" > ").next().unwrap();
            let words = std::iter::once("twinread").chain(line.split_whitespace());
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{line}: {error}");
            }
            left.extend(command.get_subcommands().cloned());
        }
    }
}
