//! `twinread record`: a bounded recording of sampled reads, for `twinread replay`.

use super::client::{self, Address, Error};
use crate::spanned_yaml::parse_duration;
use serde_json::json;
use std::{
    fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::PathBuf,
    process::ExitCode, time::Duration,
};

/// Record sampled reads of a running twinread, redacted as it redacts examples
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   recorded
  64  wrong arguments, or refused by the admin API
  69  no twinread answers

Example:
  twinread record --out reads.ndjson --for 10m")]
pub(crate) struct Args {
    /// Where to write it, one JSON document a line
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How long to record
    #[arg(long = "for", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    time: Duration,
    /// End before the recording is larger
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    max_bytes: u64,
    #[command(flatten)]
    address: Address,
}

/// Exits with 0, with 64 if the call is refused, with 69 if no twinread answers.
pub(crate) fn run(args: Args) -> ExitCode {
    client::exit_code(record(&args))
}

fn record(args: &Args) -> Result<ExitCode, Error> {
    let client = args.address.client()?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    // Answers may be personal.
    let mut file = match options.mode(0o600).open(&args.out) {
        Ok(file) => file,
        Err(error) => {
            let path = args.out.display();
            return Ok(super::bad_input(format!("cannot write {path}: {error}")));
        }
    };
    let bounds = json!({"seconds": args.time.as_secs().max(1), "max_bytes": args.max_bytes});
    let mut reads = 0_u64;
    let end = args.time + Duration::from_secs(10);
    // Each piece is written at once, so that what ends the process leaves what came before.
    client.stream("/v1/record", &bounds, end, |bytes| {
        reads += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        file.write_all(bytes)
    })?;
    anstream::println!("{reads} reads recorded");
    Ok(ExitCode::SUCCESS)
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "expected a duration such as 30s or 10m".to_owned())
}
