//! `twinread livez`: health checks in an image without a shell.

use super::{
    chain,
    client::{Address, Error},
    exit,
    print::complain,
};
use crate::admin::documents::Alive;
use std::process::ExitCode;

/// Report by exit code whether a running twinread is alive
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   alive
  1   no twinread answers
  64  wrong arguments

Example:
  twinread livez --admin http://127.0.0.1:9900")]
pub(crate) struct Args {
    #[command(flatten)]
    address: Address,
}

/// Prints that it is alive, or why no twinread answers. Unlike other commands it then exits with 1, as health checks of
/// images do.
pub(crate) fn run(args: Args) -> ExitCode {
    match alive(&args) {
        Ok(alive) => {
            anstream::println!("{}", alive.status);
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(chain(&error));
            let is_usage = error.exit_code() == exit::USAGE;
            ExitCode::from(if is_usage { exit::USAGE } else { 1 })
        }
    }
}

fn alive(args: &Args) -> Result<Alive, Error> {
    args.address.client()?.get("/livez")
}
