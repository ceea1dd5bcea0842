//! `twinread completions`: prints a shell script that asks the program itself for completions.

use clap_complete::{
    Shell,
    env::{CompleteEnv, Shells},
};
use std::{
    env,
    io::{self, Write},
    path::{self, Path},
    process::ExitCode,
};

/// Print a script that completes commands, options and names of settings in a shell
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   printed
  64  wrong arguments

Example:
  source <(twinread completions bash)")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

/// Set by the scripts when they ask for completions.
const ASKED: &str = "TWINREAD_COMPLETE";

const NAME: &str = "twinread";

/// Prints the script. Exits with 0.
pub(crate) fn run(args: Args) -> ExitCode {
    let shells = Shells::builtins();
    let shell = shells.completer(&args.shell.to_string());
    let shell = shell.expect("every shell that can be named has a completer");
    let mut script = Vec::new();
    let written = shell.write_registration(ASKED, NAME, NAME, &own_path(), &mut script);
    written.expect("memory takes all that is written");
    // A closed pipe leaves nothing to do.
    let _ = io::stdout().write_all(&script);
    ExitCode::SUCCESS
}

/// Answers a script that asks for completions at the cursor, and then ends the process.
pub(super) fn answer(command: fn() -> clap::Command) {
    CompleteEnv::with_factory(command).var(ASKED).complete();
}

/// How the script calls this program: by name if it was found through `PATH`, else by path.
fn own_path() -> String {
    let own = env::args_os().next().unwrap_or_else(|| NAME.into());
    let own = Path::new(&own);
    let own = match own.components().count() {
        0 | 1 => own.to_owned(),
        _ => path::absolute(own).unwrap_or_else(|_| own.to_owned()),
    };
    own.to_string_lossy().into_owned()
}
