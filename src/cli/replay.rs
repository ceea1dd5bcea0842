//! `twinread replay`: reads recorded requests on both stacks.

use super::{
    background::{Bar, Common, Error, Process, Progress, SHOWN, exit_code},
    print::{Printable, fit, folded, width},
    verdict::Summary,
};
use crate::{
    admin::{
        documents::{EvidenceSummary, ReplaySummary},
        service::recheck::supplied,
    },
    background::{Against, Files, Format, Mapping, Pace, Replay, Replayed},
    verdict::Counted,
};
use jiff::Timestamp;
use std::{fmt, fs, path::PathBuf, process::ExitCode};

/// Read recorded requests on both stacks, and compare the answers
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0    safe
  1    unsafe
  2    undecided
  64   wrong arguments, configuration or recordings
  69   the store is in use, or no twinread answers at --admin
  130  interrupted; --resume goes on

Example:
  twinread replay access.log --config twinread.yaml --dedupe")]
pub(crate) struct Args {
    /// The recordings, which may be compressed by gzip
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How they are recorded
    #[arg(long, value_enum, default_value = "auto")]
    format: Format,
    /// Where a part of the request stands in lines of JSON: method, path, query, body or header.NAME
    #[arg(long, value_name = "PART=JSONPATH")]
    map: Vec<String>,
    /// Read the same request once
    #[arg(long)]
    dedupe: bool,
    /// Compare the new stack with the recorded answers of the old one, which is not read
    #[arg(long, value_name = "recorded", value_parser = ["recorded"])]
    against: Option<String>,
    #[command(flatten)]
    common: Common,
}

const KIND: &str = "replay";

/// Exits with 0 for safe, 1 for unsafe, 2 for undecided, 64 for wrong input, 130 if interrupted.
pub(crate) fn run(args: Args) -> ExitCode {
    exit_code(replay(&args))
}

fn replay(args: &Args) -> Result<ExitCode, Error> {
    let against = match args.against {
        Some(_) => Against::Recorded,
        None => Against::Now,
    };
    let mut mapping = Mapping::of(&args.map).map_err(Error::Usage)?;
    let process = Process::start(&args.common, against == Against::Recorded)?;
    mapping.supplied = supplied(&process.background.config);
    let files = Files {
        paths: args.files.clone(),
        format: args.format,
        mapping,
        against,
        dedupe: args.dedupe,
    };
    let fingerprint = process.fingerprint(&of_files(args)?);
    let state = process.checkpoint(KIND, &fingerprint, "files, stacks or rules")?;
    let state = state.unwrap_or_else(|| Replayed::new(fingerprint));
    let checkpoints = process.background.checkpoints(KIND);
    let mut bar = Bar::new();
    let on_tick = |state: &Replayed, pace: Pace| {
        checkpoints.append(Timestamp::now(), state);
        bar.show(|| progress(state), pace);
    };
    let mut replay = Replay::new(&files, process.background.offers(), state, on_tick);
    let end = process.run(&mut replay)?;
    let state = replay.state.clone();
    drop(replay);
    let judged = process.background.verdict();
    let summary = ReplaySummary {
        verdict: judged.verdict,
        recorded: state.recorded,
        read: state.read,
        duplicates: state.duplicates,
        against_recorded: against == Against::Recorded,
        unusable: state.unusable(),
        classes: state.classes.sorted(),
        examples: state.examples,
        judged,
    };
    let text = Text(&summary, width()).to_string();
    process.finish(end, EvidenceSummary::Replay(Box::new(summary)), text)
}

/// Names and sizes: no recording is read twice to identify it.
fn of_files(args: &Args) -> Result<String, Error> {
    let mut text = format!(
        "{} {:?} {:?} {}",
        args.format, args.map, args.against, args.dedupe
    );
    for path in &args.files {
        let metadata = fs::metadata(path)
            .map_err(|error| Error::Usage(format!("cannot read {}: {error}", path.display())))?;
        let changed = metadata.modified().ok();
        text += &format!(" {}:{}:{changed:?}", path.display(), metadata.len());
    }
    Ok(text)
}

fn progress(state: &Replayed) -> Progress {
    Progress {
        done: state.recorded,
        total: None,
        differing: state.differing,
        more: String::new(),
    }
}

/// The result for people.
struct Text<'r>(&'r ReplaySummary, usize);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(replay, width) = *self;
        let mut heading = format!(
            "{} of {} read",
            replay.read,
            Counted(replay.recorded, "recorded request")
        );
        if replay.duplicates > 0 {
            heading += &format!(", {} read already", Counted(replay.duplicates, "other"));
        }
        writeln!(f, "{}", folded(&heading, width, 2))?;
        for unusable in &replay.unusable {
            let line = format!(
                "  {} not read: {}, first {}",
                unusable.count,
                unusable.reason,
                Printable(&unusable.first)
            );
            writeln!(f, "{}", fit(&line, width))?;
        }
        write!(f, "{}", Summary::new(&replay.judged, width))?;
        for class in replay.classes.iter().take(SHOWN) {
            let line = format!(
                "  {}  {}  {}  {}",
                Printable(&class.route),
                Printable(&class.place),
                class.kind,
                Counted(class.count, "read")
            );
            write!(f, "\n{}", folded(&line, width, 4))?;
        }
        for example in replay.examples.iter().take(SHOWN) {
            let read = format!("{} {}", example.method, example.path);
            let line = format!("  {}  {}", example.outcome, Printable(&read));
            write!(f, "\n{}", folded(&line, width, 4))?;
        }
        Ok(())
    }
}
