//! `twinread gate`: the verdict as an exit code, for pipelines.

use super::{
    chain,
    client::{self, ANSWER_WITHIN, Address, Client, Error, Received},
    exit::UNAVAILABLE,
    print::width,
    verdict::Summary,
};
use crate::{admin::documents::Verdict, spanned_yaml::parse_duration, verdict::Decision};
use std::{
    io::Write as _,
    process::{ExitCode, exit},
    time::{Duration, Instant},
};

/// Report by exit code whether it is safe to switch
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   safe
  1   unsafe
  2   undecided
  64  wrong arguments, or refused by the admin API
  69  no twinread answers

Example:
  twinread gate --wait 10m")]
pub struct Args {
    #[command(flatten)]
    address: Address,
    /// Wait up to this long for safe or unsafe, such as 10m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    wait: Option<Duration>,
    /// Print the verdict as a JSON document
    #[arg(long)]
    json: bool,
}

/// Minimum timeout of one answer, even if less time is left.
const SHORTEST: Duration = Duration::from_millis(500);

/// Pause between two queries of the verdict.
const PAUSE: Duration = Duration::from_secs(2);

/// Prints the verdict. Exits with 0 for safe, 1 for unsafe, 2 for undecided, 64 if the request is refused, 69 if no
/// twinread answers.
pub fn run(args: Args) -> ExitCode {
    client::exit_code(gate(&args))
}

fn gate(args: &Args) -> Result<ExitCode, Error> {
    let verdict = decided(args.address.client()?, args.wait)?;
    client::print(args.json, &verdict, Summary::new(&verdict, width()));
    Ok(ExitCode::from(exit_code(verdict.verdict)))
}

/// Polls until the verdict is safe or unsafe, or time is up. Retries an unreachable twinread.
fn decided(mut client: Client, wait: Option<Duration>) -> Result<Received<Verdict>, Error> {
    let deadline = Instant::now() + wait.unwrap_or_default();
    let mut progress = Progress::default();
    loop {
        if wait.is_some() {
            let left = deadline.saturating_duration_since(Instant::now());
            client.within = left.clamp(SHORTEST, ANSWER_WITHIN);
        }
        let asked = client.get::<Received<Verdict>>("/v1/verdict");
        let is_final = match &asked {
            Ok(verdict) => verdict.verdict != Decision::Undecided,
            Err(Error::Unreachable { .. } | Error::TimedOut { .. } | Error::NotTwinread { .. }) => {
                false
            }
            // A refusal does not pass by waiting.
            Err(_) => true,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if is_final || left.is_zero() {
            return asked;
        }
        progress.report(&asked);
        client.wait(PAUSE.min(left));
    }
}

fn exit_code(decision: Decision) -> u8 {
    match decision {
        Decision::Safe => 0,
        Decision::Unsafe => 1,
        Decision::Undecided => 2,
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "expected a duration such as 30s, 10m or 1h".to_owned())
}

/// Prints to stderr what is awaited, whenever it changes.
#[derive(Debug, Default)]
struct Progress(String);

// === impl Progress ===

impl Progress {
    fn report(&mut self, asked: &Result<Received<Verdict>, Error>) {
        let now = match asked {
            Ok(verdict) => waits_for(verdict),
            Err(error) => chain(error),
        };
        if self.0 != now {
            if writeln!(anstream::stderr(), "waiting: {now}").is_err() {
                // The reader has closed the pipe.
                exit(UNAVAILABLE.into());
            }
            self.0 = now;
        }
    }
}

/// The reasons by code, without figures: those change at every query and would be printed each time.
fn waits_for(verdict: &Verdict) -> String {
    let reasons = verdict.reasons.iter().map(ToString::to_string);
    reasons.collect::<Vec<_>>().join(", ")
}
