//! `twinread compare OLD NEW`: compares two answers from files.

mod message;
mod show;

use crate::{
    compare::{Compared, Comparing, Context, HeaderScope, Options, compare},
    rules::RuleSet,
};
use message::{Message, Unreadable};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

const DIFFERENT: u8 = 1;
const BAD_USAGE: u8 = 64;

/// How long arrays and texts may take to align. Nobody waits for this answer but the one who asked.
const ALIGNING: Duration = Duration::from_secs(10);

/// Bytes of a body after decompression.
const MAX_DECODED: usize = 1 << 30;

/// Compares two answers from files and tells where they differ.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What the old stack answered: a raw HTTP message or a bare body; `-` is stdin
    old: PathBuf,
    /// What the new stack answered, likewise
    new: PathBuf,
    /// Rule files, folders of them, or builtin:NAME
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// Leave builtin:http out
    #[arg(long)]
    no_builtin: bool,
    /// Type of bare bodies, as a media type or an extension, where their name does not tell
    #[arg(long = "type", value_name = "TYPE")]
    media_type: Option<String>,
    /// The method of the read that was answered
    #[arg(long, default_value = "GET")]
    method: http::Method,
    /// The route of the read, for rules that ask for it
    #[arg(long, default_value = "")]
    route: String,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
}

/// Why nothing was compared.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("cannot read {}: {cause}", path.display())]
    File { path: PathBuf, cause: io::Error },
    #[error("{}: {cause}", path.display())]
    Message { path: PathBuf, cause: Unreadable },
    #[error("only one of the two can be stdin")]
    StdinTwice,
    #[error("there are no rules named `{0}`")]
    NoSuchBuiltin(String),
    #[error("{0}")]
    Rules(crate::document::Faults),
    #[error("not compared: {0}")]
    NotCompared(&'static str),
}

/// Runs the command. Exits with 0 for equal, 1 for different, 64 for what cannot be read.
pub fn run(args: Args) -> ExitCode {
    match compare_files(&args) {
        Ok(code) => code,
        Err(refused) => {
            anstream::eprintln!("{refused}");
            ExitCode::from(BAD_USAGE)
        }
    }
}

fn compare_files(args: &Args) -> Result<ExitCode, Refused> {
    if args.old == Path::new("-") && args.new == Path::new("-") {
        return Err(Refused::StdinTwice);
    }
    let (rules, warnings) = load_rules(args)?;
    for warning in warnings {
        anstream::eprintln!("{warning}");
    }
    let (old, new) = (read(args, &args.old)?, read(args, &args.new)?);
    let comparing = Comparing {
        rules: Arc::new(rules),
        options: Options {
            // A bare body has no headers to compare.
            headers: match old.is_bare() || new.is_bare() {
                true => HeaderScope::None,
                false => HeaderScope::All,
            },
            max_differences: usize::MAX,
            max_decoded: MAX_DECODED,
            ..Options::default()
        },
    };
    let context = Context {
        route: &args.route,
        method: &args.method,
        today: jiff::Zoned::now().date(),
        deadline: Some(Instant::now() + ALIGNING),
    };
    let (old, new) = Message::into_answers(old, new);
    let comparison = compare(&old, &new, &context, &comparing);
    let code = match &comparison.result {
        Compared::Equal(_) => ExitCode::SUCCESS,
        Compared::Different { .. } => ExitCode::from(DIFFERENT),
        Compared::NotCompared(reason) => return Err(Refused::NotCompared(reason.name())),
    };
    // Who closes the pipe has seen enough.
    let _ = match args.json {
        true => show::json(&comparison, &comparing.rules, &mut anstream::stdout()),
        false => show::text(&comparison, &comparing.rules, &mut anstream::stdout()),
    };
    Ok(code)
}

fn read(args: &Args, path: &Path) -> Result<Message, Refused> {
    let bytes = match path == Path::new("-") {
        true => read_stdin(),
        false => fs::read(path),
    };
    let bytes = bytes.map_err(|cause| Refused::File {
        path: path.to_owned(),
        cause,
    })?;
    let extension = path.extension().and_then(|extension| extension.to_str());
    let kind = args.media_type.as_deref().or(extension).unwrap_or_default();
    Message::read(bytes, &args.method, kind).map_err(|cause| Refused::Message {
        path: path.to_owned(),
        cause,
    })
}

fn read_stdin() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::stdin(), &mut bytes)?;
    Ok(bytes)
}

fn load_rules(args: &Args) -> Result<(RuleSet, Vec<crate::document::Fault>), Refused> {
    let mut files: Vec<(Arc<str>, String)> = Vec::new();
    let http = PathBuf::from("builtin:http");
    let builtin = Some(&http).filter(|http| !args.no_builtin && !args.rules.contains(http));
    for path in builtin.into_iter().chain(&args.rules) {
        let name = path.to_string_lossy();
        if let Some(builtin) = name.strip_prefix("builtin:") {
            let text = RuleSet::builtin(builtin)
                .ok_or_else(|| Refused::NoSuchBuiltin(name.clone().into_owned()))?;
            files.push((Arc::from(&*name), text.to_owned()));
            continue;
        }
        let unreadable = |cause| Refused::File {
            path: path.clone(),
            cause,
        };
        for file in rule_files(path).map_err(unreadable)? {
            let text = fs::read_to_string(&file).map_err(unreadable)?;
            files.push((file.to_string_lossy().into(), text));
        }
    }
    let today = jiff::Zoned::now().date();
    RuleSet::compile(&files, today).map_err(Refused::Rules)
}

/// A file is itself; a folder is the YAML files in it that are not tests of rules, by name.
fn rule_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    files.retain(|file| {
        let name = file.to_string_lossy();
        let is_test = name.ends_with(".test.yaml") || name.ends_with(".test.yml");
        (name.ends_with(".yaml") || name.ends_with(".yml")) && !is_test
    });
    files.sort();
    Ok(files)
}
