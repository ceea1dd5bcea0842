//! `twinread status`: the verdict and why, the routes, the newest mismatch classes, what is sampled; live on a terminal.

mod live;
mod look;
mod tables;
mod view;

pub(super) use tables::{bounds, routes, table};

use super::client::{self, Address, Error};
use look::Look;
use std::{
    io::{IsTerminal, stdout},
    process::ExitCode,
};
use view::view;

/// Show the verdict with its reasons, the routes, and the newest mismatch classes
///
/// On a terminal, refreshes every second until `q` is pressed.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    address: Address,
    /// Show it once, as when the output is no terminal
    #[arg(long)]
    once: bool,
    /// Print one JSON document: `verdict`, `classes`, `settings`, `readiness`
    #[arg(long)]
    json: bool,
}

/// Exits with 0 whatever the verdict; 64 if the request is refused, 69 if no twinread answers at first.
pub fn run(args: Args) -> ExitCode {
    client::exit_code(show(&args))
}

fn show(args: &Args) -> Result<ExitCode, Error> {
    let client = args.address.client()?;
    let look = Look::take(&client)?;
    if args.json {
        anstream::println!("{}", client::pretty(&look.document()));
    } else if args.once || !stdout().is_terminal() {
        anstream::println!("{}", view(&look, None).join("\n"));
    } else {
        live::show(client, look).map_err(Error::Terminal)?;
    }
    Ok(ExitCode::SUCCESS)
}
