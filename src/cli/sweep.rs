//! `twinread sweep`: reads enumerated keys of a route on both stacks.

use super::{
    background::{Bar, Common, Error, Process, Progress, SHOWN, exit_code},
    print::{Printable, complain, folded, width},
};
use crate::{
    admin::documents::{EvidenceSummary, SweepSummary},
    background::{Checkpoint, Keys, Pace, Pattern, Source, Sweep, Walk},
    verdict::{Counted, Percent},
};
use jiff::Timestamp;
use std::{
    fmt, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Read enumerated keys of a route on both stacks, in random order, and bound how many differ
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0    safe: at most the share of verdict.max_mismatch of the keys can differ
  1    unsafe: more keys differ
  2    undecided
  64   wrong arguments, configuration or keys
  69   the store is in use, or no twinread answers at --admin
  130  interrupted; --resume goes on

Example:
  twinread sweep --config twinread.yaml --route get-user --keys 1..5000000 --store sweep.db")]
pub(crate) struct Args {
    /// The route: a name of the configuration, or a method and a path such as 'GET /users/{id}'
    #[arg(long, value_name = "NAME")]
    route: String,
    /// The keys: a file (CSV with the names of the route's captures, NDJSON, or one value a line), - or 1..5000000
    #[arg(long, value_name = "FILE|-|FROM..TO", value_parser = Source::parse, required_unless_present = "walk")]
    keys: Option<Source>,
    /// Take the keys from the lists of both stacks: the request of a page, where {next} stands for what --next selects
    #[arg(
        long,
        value_name = "REQUEST",
        conflicts_with = "keys",
        requires = "items"
    )]
    walk: Option<String>,
    /// Where a page says how the next one is asked for: a value for {next}, or a path or url
    #[arg(
        long,
        value_name = "JSONPATH",
        requires = "walk",
        default_value = "$.next"
    )]
    next: String,
    /// Where a page has the keys: values, or objects with the names of the route's captures
    #[arg(long, value_name = "JSONPATH", requires = "walk")]
    items: Option<String>,
    /// Write every key that is neither equal nor absent, one JSON document a line
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// What the journal of checkpoints is called.
const KIND: &str = "sweep";

/// Exits with 0 for safe, 1 for unsafe, 2 for undecided, 64 for wrong input, 130 if interrupted.
pub(crate) fn run(args: Args) -> ExitCode {
    exit_code(sweep(&args))
}

fn sweep(args: &Args) -> Result<ExitCode, Error> {
    let process = Process::start(&args.common, false)?;
    let (pattern, keys) = input(args, &process)?;
    let shape = pattern.request(pattern.names());
    let shape = shape.map(|request| format!("{} {}", request.method, request.uri));
    let of = format!(
        "{} {} {} {}",
        args.route,
        shape.unwrap_or_default(),
        keys.fingerprint(),
        keys.count()
    );
    let fingerprint = process.fingerprint(&of);
    let parts = "routes, keys, stacks or rules";
    let state = process.checkpoint(KIND, &fingerprint, parts)?;
    let state = state.unwrap_or_else(|| Checkpoint::new(fingerprint, keys.count(), rand::random()));
    let limits = &process.background.config.settings.verdict;
    let (alpha, confidence) = (1.0 - limits.confidence, limits.confidence);
    let limit = limits.max_mismatch;
    let checkpoints = process.background.checkpoints(KIND);
    let mut bar = Bar::new();
    let on_tick = |state: &Checkpoint, pace: Pace| {
        checkpoints.append(Timestamp::now(), state);
        bar.show(|| progress(state, alpha), pace);
    };
    let offers = process.background.offers();
    let out = args.out.as_deref();
    let mut sweep = Sweep::new((pattern, keys), offers, state, out, on_tick)?;
    let end = process.run(&mut sweep)?;
    let state = sweep.state.clone();
    drop(sweep);
    let upper_keys = state.enumeration.upper(alpha);
    let summary = SweepSummary {
        route: args.route.clone(),
        keys: state.enumeration.keys(),
        read: state.enumeration.read(),
        counts: state.counts,
        upper_keys,
        confidence,
        verdict: state.verdict(limit, upper_keys),
        classes: state.classes.sorted(),
        examples: state.examples,
    };
    let text = Text(&summary, limit, width()).to_string();
    process.finish(end, EvidenceSummary::Sweep(summary), text)
}

/// The requests of the route, and the keys.
fn input(args: &Args, process: &Process) -> Result<(Pattern, Keys), Error> {
    let usage = |message: &dyn fmt::Display| Error::Usage(message.to_string());
    let routes = &process.background.config.routes;
    let pattern = Pattern::of_route(&args.route, routes).map_err(|why| usage(&why))?;
    let names = pattern.names();
    let keys = match &args.keys {
        None => {
            let spool = Spool::new(args)?;
            if !args.common.resume {
                walk(args, process, names, &spool.0)?;
            }
            Keys::file(&spool.0, names)
        }
        Some(Source::Range(first, last)) => Keys::range(*first, *last, names),
        Some(Source::File(path)) => {
            let place = |path: &Path| path.canonicalize().ok();
            let out = args.out.as_deref().and_then(place);
            if out.is_some() && out == place(path) {
                return Err(usage(&"--out is the file of the keys"));
            }
            Keys::file(path, names)
        }
        Some(Source::Input) => {
            let spool = Spool::new(args)?;
            if !args.common.resume {
                Keys::spool(&mut io::stdin().lock(), &spool.0)
                    .map_err(|error| usage(&chained(&error)))?;
            }
            Keys::file(&spool.0, names)
        }
    };
    let mut keys = keys.map_err(|error| usage(&chained(&error)))?;
    check(args, process, &pattern, &mut keys)?;
    Ok((pattern, keys))
}

/// Writes the keys that either stack lists.
fn walk(args: &Args, process: &Process, names: &[String], to: &Path) -> Result<(), Error> {
    let (Some(request), Some(items)) = (&args.walk, &args.items) else {
        return Ok(());
    };
    let walk = Walk::new(request, &args.next, items).map_err(Error::Usage)?;
    let offers = process.background.offers();
    if !walk.first().is_some_and(|request| offers.is_read(&request)) {
        return Err(Error::Usage(format!("{request} is no declared read")));
    }
    let pause = process.pause();
    let read = |stack, request| {
        std::thread::sleep(pause);
        process.background.read(stack, request)
    };
    let [old, new] = walk
        .spool(names, to, read)
        .map_err(|error| Error::Usage(chained(&error)))?;
    complain(format!(
        "walked the lists: {} in old, {} in new",
        Counted(old, "key"),
        Counted(new, "key")
    ));
    Ok(())
}

fn chained(error: &dyn std::error::Error) -> String {
    super::chain(error)
}

/// The first key has to be a declared read of this route.
fn check(args: &Args, process: &Process, pattern: &Pattern, keys: &mut Keys) -> Result<(), Error> {
    let first = keys.get(0)?.and_then(|values| pattern.request(&values));
    let Some(request) = first else { return Ok(()) };
    let offers = process.background.offers();
    let shown = format!("{} {}", request.method, request.uri);
    if !offers.is_read(&request) {
        return Err(Error::Usage(format!("{shown} is no declared read")));
    }
    let named = offers.route(&request);
    let is_declared = process
        .background
        .config
        .routes
        .request_template(&args.route)
        .is_some();
    if is_declared && **named.route.name() != args.route {
        let name = named.route.name();
        let message = format!("{shown} is of route {name}, which is before {}", args.route);
        return Err(Error::Usage(message));
    }
    Ok(())
}

fn progress(state: &Checkpoint, alpha: f64) -> Progress {
    let upper = state.enumeration.upper(alpha);
    Progress {
        done: state.enumeration.read(),
        total: Some(state.enumeration.keys()),
        differing: state.counts.differing(),
        more: format!(", at most {upper}"),
    }
}

/// Where standard input is kept: next to the store, so that a sweep can go on, or for as long as this lives.
struct Spool(PathBuf, bool);

impl Spool {
    fn new(args: &Args) -> Result<Self, Error> {
        let spooled = |store: &Path| {
            let mut name = store.as_os_str().to_owned();
            name.push(".keys");
            PathBuf::from(name)
        };
        Ok(match &args.common.store {
            Some(store) => Self(spooled(store), false),
            None => {
                let name = format!("twinread-keys-{:016x}", rand::random::<u64>());
                Self(std::env::temp_dir().join(name), true)
            }
        })
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if self.1 {
            // The keys are read through an open file from here on.
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

/// The result for people.
struct Text<'s>(&'s SweepSummary, f64, usize);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(sweep, limit, width) = *self;
        let mut heading = format!(
            "{}  {}: {} of {} read",
            sweep.verdict,
            Printable(&sweep.route),
            sweep.read,
            Counted(sweep.keys, "key")
        );
        heading += &if sweep.read == sweep.keys {
            format!(
                ", {} differ or were not compared (limit {})",
                sweep.upper_keys,
                Percent(limit)
            )
        } else {
            let confidence = sweep.confidence * 100.0;
            let upper = sweep.upper_keys;
            format!(
                ", at most {upper} differ (confidence {confidence} %, limit {})",
                Percent(limit)
            )
        };
        writeln!(f, "{}", folded(&heading, width, 2))?;
        let counts = &sweep.counts;
        let counts = [
            ("equal", counts.equal),
            ("differs", counts.differs),
            ("only in old", counts.only_in_old),
            ("only in new", counts.only_in_new),
            ("absent", counts.absent),
            ("transient", counts.transient),
            ("noise", counts.noise),
            ("error", counts.error),
            ("skipped", counts.skipped),
        ];
        let counts = counts.iter().filter(|(_, count)| *count > 0);
        let counts: Vec<_> = counts
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        write!(
            f,
            "{}",
            folded(&format!("  {}", counts.join(", ")), width, 4)
        )?;
        for class in sweep.classes.iter().take(SHOWN) {
            let keys = Counted(class.count, "key");
            let line = format!("  {}  {}  {keys}", Printable(&class.place), class.kind);
            write!(f, "\n{}", folded(&line, width, 4))?;
        }
        for example in sweep.examples.iter().take(SHOWN) {
            let key = example
                .key
                .as_str()
                .map_or_else(|| example.key.to_string(), str::to_owned);
            let line = format!("  {}  {}", example.result, Printable(&key));
            write!(f, "\n{}", folded(&line, width, 4))?;
        }
        Ok(())
    }
}
