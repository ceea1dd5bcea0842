//! `twinread status`: the verdict and why, the routes, the newest mismatch classes, what is sampled; live on a terminal.

mod live;
pub(super) mod look;
mod tables;
mod view;

pub(super) use tables::{bounds, routes, worst_first};

use super::{
    client::{self, Address, EpochArgs, Error},
    print::width,
    verdict::REASONS,
};
use look::Look;
use std::{
    io::{IsTerminal, stdout},
    process::ExitCode,
};
use view::{Showing, view};

/// Classes shown once, the newest first.
const CLASSES: usize = 10;

/// Show the verdict with its reasons, the routes, and the newest mismatch classes
///
/// On a terminal, refresh it every second until `q` is pressed. There, arrows, Home, End and G move, `/` filters, and Enter
/// opens the newest example of a route or class.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   shown, whatever the verdict
  64  wrong arguments, or refused by the admin API
  69  no twinread answers

Example:
  twinread status --once")]
pub struct Args {
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    asked: EpochArgs,
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
    let is_live = !args.once && !args.json && stdout().is_terminal();
    let classes = if is_live { live::CLASSES } else { CLASSES };
    let epoch = &args.asked.epoch;
    let look = Look::take(&args.address.client()?, epoch, classes)?;
    if args.json {
        anstream::println!("{}", client::pretty(&look.document()));
    } else if is_live {
        live::show(args.address.clone(), epoch.clone(), look)?;
    } else {
        let showing = Showing {
            width: width(),
            reasons: REASONS,
            skipped: 0,
            filter: String::new(),
            way: "in a wider terminal",
        };
        let lines = view(&look, None, &showing).lines.into_iter();
        let lines: Vec<_> = lines.map(|line| line.text).collect();
        anstream::println!("{}", lines.join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}
