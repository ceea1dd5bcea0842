//! `twinread compare OLD NEW`: compares two answers from files.

mod bodies;
mod excerpt;
mod masks;
mod message;
pub(super) mod show;
pub(super) mod stored;
mod view;

use crate::{
    cli::{
        exit,
        print::{complain, width},
    },
    compare::{CompareConfig, Compared, Context, Explain, HeaderScope, Options, compare},
    config::{self, DescriptorFiles, RuleFiles},
    ledger::today,
    rules::{Query, RuleSet},
    spanned_yaml::{ConfigError, ConfigErrors},
    value::grpc::{Descriptors, MessageType},
};
use bodies::{Bodies, Plain};
use excerpt::Excerpts;
use message::{Message, Unreadable};
use show::Showing;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};
pub(super) use view::View;

const DIFFERENT: u8 = 1;

/// Time limit for aligning arrays and texts. Only the user waits for it.
const ALIGNING: Duration = Duration::from_secs(10);

/// Maximum size of a decompressed body, in bytes.
const MAX_DECODED: usize = 1 << 30;

const TYPES: &str = "json, ndjson, xml, form, grpc, text, bytes, http, or a media type such as application/hal+json";

/// Compare two answers from files; show where they differ
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   equal under the rules
  1   different
  64  wrong arguments, or an answer or rule cannot be read

Example:
  twinread compare old.json new.json --rules rules.yaml --route get-user")]
pub(crate) struct Args {
    /// What the old stack answered: a whole HTTP message or a bare body; `-` is stdin
    old: PathBuf,
    /// What the new stack answered, in the same form
    new: PathBuf,
    /// Rule files, folders of them, or builtin:NAME
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// JSONPath: compare nothing else of the bodies, like the setting compare.only; may be repeated
    #[arg(long, value_name = "JSONPATH", value_parser = json_path)]
    only: Vec<Query>,
    /// Leave out builtin:http
    #[arg(long)]
    no_builtin: bool,
    /// Type of the answers, if their names do not say: json, ndjson, xml, form, grpc, text, bytes, http (a whole
    /// message), or a media type
    #[arg(long = "type", value_name = "TYPE", value_parser = body_type)]
    media_type: Option<String>,
    /// What gRPC answers are made of: sets of file descriptors, .proto files, or folders of them
    #[arg(long, value_name = "FILE")]
    descriptors: Vec<PathBuf>,
    /// The full name of the message that a gRPC answer is
    #[arg(long, value_name = "NAME")]
    message: Option<String>,
    /// The files hold any number of gRPC messages, each with its flag and length as sent; otherwise one bare message
    #[arg(long)]
    framed: bool,
    /// The method of the read that was answered
    #[arg(long, default_value = "GET")]
    method: http::Method,
    /// The route of the read, for rules that apply to some routes
    #[arg(long, default_value = "")]
    route: String,
    /// How old and new are laid out
    #[arg(long, value_enum, default_value_t)]
    view: View,
    /// Show which rule masked what, and where
    #[arg(long)]
    explain: bool,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
}

/// The result, which decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Equal,
    Different,
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
    #[error(transparent)]
    RuleFile(#[from] config::Unreadable),
    #[error("the folder {} holds no rules (*.yaml)", path.display())]
    NoRules { path: PathBuf },
    #[error("{0}")]
    Faults(ConfigErrors),
    #[error(transparent)]
    Descriptors(#[from] config::UnreadableDescriptors),
    #[error("no descriptor has the message `{0}`; --descriptors names the files of it")]
    NoMessage(String),
    #[error("not compared: {0}")]
    NotCompared(&'static str),
}

/// Runs the command. Exits with 0 if equal, 1 if different, 64 if an input cannot be read.
pub(crate) fn run(args: Args) -> ExitCode {
    match compare_files(&args, width(), &mut anstream::stdout()) {
        Ok(Found::Equal) => ExitCode::SUCCESS,
        Ok(Found::Different) => ExitCode::from(DIFFERENT),
        Err(refused) => {
            complain(refused);
            ExitCode::from(exit::USAGE)
        }
    }
}

fn compare_files(args: &Args, width: usize, out: &mut impl io::Write) -> Result<Found, Refused> {
    if args.old == Path::new("-") && args.new == Path::new("-") {
        return Err(Refused::StdinTwice);
    }
    let (rules, warnings) = load_rules(args)?;
    for warning in warnings {
        complain(warning);
    }
    let descriptors = load_descriptors(args)?;
    let message_type = message_type(args, &descriptors)?;
    let old = read(args, &args.old, &args.new)?;
    let new = read(args, &args.new, &args.old)?;
    let comparing = CompareConfig {
        descriptors,
        ..CompareConfig::new(Arc::new(rules), options(args, [&old, &new]))
    };
    let context = Context {
        route: &args.route,
        method: &args.method,
        today: today(),
        deadline: Some(Instant::now() + ALIGNING),
        message_type: message_type.as_ref(),
    };
    let (old, new) = Message::into_answers(old, new);
    let comparison = compare(&old, &new, &context, &comparing);
    if comparison.undescribed {
        complain("messages are compared as bytes, because --message does not name their type");
    }
    let outcome = match &comparison.result {
        Compared::Equal(_) => Found::Equal,
        Compared::Different { .. } => Found::Different,
        Compared::NotCompared(reason) => return Err(Refused::NotCompared(reason.name())),
    };
    let explain = if args.explain {
        Explain::Places
    } else {
        Explain::Counts
    };
    // A closed pipe is no error: the reader has seen enough.
    let _ = if args.json {
        show::json(&comparison, (&comparing.rules, explain), out)
    } else {
        let plain = Plain::of([&old, &new], MAX_DECODED, message_type.as_ref());
        let bodies = Bodies::of(&plain, comparing.options.max_depth);
        let columns = args.view.columns(width);
        let showing = Showing {
            rules: &comparing.rules,
            view: args.view,
            width,
            columns,
            explain,
            excerpts: Excerpts::new(bodies, &comparison, columns),
        };
        showing.text(&comparison, out)
    };
    Ok(outcome)
}

/// Accepts a JSONPath.
fn json_path(text: &str) -> Result<Query, String> {
    Query::parse(text).map_err(|invalid| invalid.to_string())
}

fn options(args: &Args, messages: [&Message; 2]) -> Options {
    Options {
        // A bare body has no headers to compare.
        headers: if messages.iter().any(|message| message.is_bare()) {
            HeaderScope::None
        } else {
            HeaderScope::All
        },
        only: (!args.only.is_empty()).then(|| args.only.clone().into()),
        max_differences: usize::MAX,
        max_decoded: MAX_DECODED,
        // Context around a difference shows what is masked.
        explain: Explain::Places,
        ..Options::default()
    }
}

/// Accepts a type that bodies can have.
fn body_type(text: &str) -> Result<String, String> {
    if text == message::HTTP || message::media_type(text).is_some() {
        Ok(text.to_owned())
    } else {
        Err(format!("expected {TYPES}"))
    }
}

/// Reads an answer. If the file name says nothing about the body's type, the other file's name decides.
fn read(args: &Args, path: &Path, other: &Path) -> Result<Message, Refused> {
    let bytes = if path == Path::new("-") {
        read_stdin()
    } else {
        fs::read(path)
    };
    let bytes = bytes.map_err(|cause| Refused::File {
        path: path.to_owned(),
        cause,
    })?;
    let extensions = [path, other].into_iter().filter_map(Path::extension);
    let mut known = extensions
        .filter_map(|extension| extension.to_str())
        .filter(|extension| message::media_type(extension).is_some());
    let kind = args.media_type.as_deref().or_else(|| known.next());
    let message = Message::read(bytes, &args.method, kind.unwrap_or_default());
    let message = message.map_err(|cause| Refused::Message {
        path: path.to_owned(),
        cause,
    })?;
    let message = if args.framed {
        message
    } else {
        message.framed()
    };
    if kind.is_none() && message.is_bare() {
        let path = path.display();
        anstream::eprintln!(
            "{path}: compared as bytes, since its name says no type; --type gives one: {TYPES}"
        );
    }
    Ok(message)
}

fn read_stdin() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::stdin(), &mut bytes)?;
    Ok(bytes)
}

fn load_descriptors(args: &Args) -> Result<Descriptors, Refused> {
    let mut files = DescriptorFiles::default();
    for path in &args.descriptors {
        files.add(path)?;
    }
    files.compile().map_err(Refused::Faults)
}

/// What the answers are made of, if the arguments say so.
fn message_type(args: &Args, descriptors: &Descriptors) -> Result<Option<MessageType>, Refused> {
    let Some(name) = &args.message else {
        return Ok(None);
    };
    let message = descriptors.message(name);
    let message = message.ok_or_else(|| Refused::NoMessage(name.clone()))?;
    Ok(Some(MessageType {
        message,
        is_stream: args.framed,
    }))
}

fn load_rules(args: &Args) -> Result<(RuleSet, Vec<ConfigError>), Refused> {
    let mut files = RuleFiles::default();
    let http = PathBuf::from("builtin:http");
    let builtin = Some(&http).filter(|http| !args.no_builtin && !args.rules.contains(http));
    for path in builtin.into_iter().chain(&args.rules) {
        if files.add(&path.to_string_lossy(), Path::new(""))? == 0 {
            return Err(Refused::NoRules { path: path.clone() });
        }
    }
    files.compile(today()).map_err(Refused::Faults)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    /// Runs the command in a folder with `files`.
    fn run_with(files: &[(&str, &str)], line: &str) -> (Result<Found, String>, String) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let words = line.split_whitespace().map(|word| {
            let path = folder.path().join(word);
            if path.exists() || word.starts_with("no-such") {
                path.to_string_lossy().into_owned()
            } else {
                word.to_owned()
            }
        });
        let words = std::iter::once("compare".to_owned()).chain(words);
        let args = Line::try_parse_from(words).unwrap().args;
        let mut out = Vec::new();
        let outcome = compare_files(&args, 80, &mut out).map_err(|refused| refused.to_string());
        (outcome, String::from_utf8(out).unwrap())
    }

    #[test]
    fn bare_bodies_are_read_by_their_extension_or_type() {
        let files = [
            ("old.json", r#"{"a": 1, "b": 2}"#),
            ("new.json", r#"{"b": 2.0, "a": 1}"#),
            ("old", r#"{"a": 1}"#),
            ("new", r#"{"a": 1.0}"#),
        ];
        assert_eq!(run_with(&files, "old.json new.json").0, Ok(Found::Equal));
        assert_eq!(run_with(&files, "old new").0, Ok(Found::Different), "bytes");
        assert_eq!(run_with(&files, "old new --type json").0, Ok(Found::Equal));
        assert_eq!(
            run_with(&files, "old new --type application/hal+json").0,
            Ok(Found::Equal)
        );
        let unknown = Line::try_parse_from(["compare", "old", "new", "--type", "wat"]);
        let refused = unknown.map(drop).unwrap_err().to_string();
        assert!(
            refused.contains("--type") && refused.contains("bytes, http"),
            "{refused}"
        );
    }

    #[test]
    fn a_body_whose_name_says_nothing_is_read_as_the_other() {
        let files = [("old", r#"{"a": 1}"#), ("new.json", r#"{"a": 1.0}"#)];
        assert_eq!(run_with(&files, "old new.json").0, Ok(Found::Equal));
        assert_eq!(run_with(&files, "new.json old").0, Ok(Found::Equal));
        let files = [
            ("old.response", r#"{"a": 1}"#),
            ("new.json", r#"{"a": 1.0}"#),
        ];
        assert_eq!(
            run_with(&files, "old.response new.json").0,
            Ok(Found::Equal)
        );
    }

    #[test]
    fn a_type_decides_between_a_message_and_bytes() {
        let message =
            |kind: &str| format!("HTTP/1.1 200 OK\r\nVia: {kind}\r\nContent-Length: 1\r\n\r\n1");
        let (old, new) = (message("a"), message("b"));
        let files = [("old", &*old), ("new", &*new), ("bare.json", "1")];
        assert_eq!(run_with(&files, "old new").0, Ok(Found::Equal));
        assert_eq!(run_with(&files, "old new --type http").0, Ok(Found::Equal));
        let (found, shown) = run_with(&files, "old new --type bytes");
        assert_eq!(found, Ok(Found::Different));
        assert!(shown.contains("byte "), "{shown}");
        let refused = run_with(&files, "old bare.json --type http").0.unwrap_err();
        assert!(
            refused.contains("bare.json: not an HTTP message"),
            "{refused}"
        );
    }

    #[test]
    fn messages_are_compared_whole_and_http_itself_is_no_difference() {
        let message = |date: &str, body: &str| {
            let length = body.len();
            format!(
                "HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            )
        };
        let (old, new) = (message("Sun", r#"{"n":1}"#), message("Mon", r#"{"n": 1}"#));
        let files = [("old", &*old), ("new", &*new), ("bare.json", r#"{"n":1}"#)];
        let (outcome, reported) = run_with(&files, "old new");
        assert_eq!(outcome, Ok(Found::Equal));
        assert!(reported.contains("masked by http-date: 1"), "{reported}");
        let (outcome, reported) = run_with(&files, "old new --no-builtin");
        assert_eq!(outcome, Ok(Found::Different));
        assert!(reported.contains("header.date"), "{reported}");
        assert_eq!(
            run_with(&files, "old bare.json").0,
            Ok(Found::Equal),
            "only bodies are compared"
        );
    }

    #[test]
    fn head_answers_are_compared_by_the_size_they_report() {
        let head = |length| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        let files = [("old", &*head(100)), ("new", &*head(7))];
        let (outcome, reported) = run_with(&files, "old new --method HEAD");
        assert_eq!(outcome, Ok(Found::Different));
        assert!(reported.contains("header.content-length"), "{reported}");
        assert_eq!(
            run_with(&files, "old old --method HEAD").0,
            Ok(Found::Equal)
        );
    }

    #[test]
    fn equal_bytes_are_equal_whatever_they_are_called() {
        let message = |kind: &str| {
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: 8\r\n\r\n{{\"a\": 1}}"
            )
        };
        let (old, new) = (message("text/plain"), message("application/json"));
        let rule = "rules: [{id: kind, why: w, at: header.content-type, do: ignore}]";
        let files = [("old", &*old), ("new", &*new), ("rules.yaml", rule)];
        let (outcome, reported) = run_with(&files, "old new");
        assert_eq!(outcome, Ok(Found::Different));
        assert!(
            reported.ends_with("1 difference\n") && reported.contains("header.content-type"),
            "{reported}"
        );
        assert_eq!(
            run_with(&files, "old new --rules rules.yaml").0,
            Ok(Found::Equal)
        );

        let files = [
            ("old.ndjson", "{\"a\":1}\n"),
            ("new.json", "{ \"a\": 1.0 }"),
        ];
        assert_eq!(run_with(&files, "old.ndjson new.json").0, Ok(Found::Equal));
    }

    #[test]
    fn rules_come_from_files_and_folders() {
        let files = [
            ("old.json", r#"{"id": 1}"#),
            ("new.json", r#"{"id": 2}"#),
            (
                "rules.yaml",
                "rules: [{id: ids, why: w, at: $.id, do: ignore}]",
            ),
            ("x.test.yaml", "not: rules"),
        ];
        let (outcome, reported) = run_with(&files, "old.json new.json --rules rules.yaml --json");
        assert_eq!(outcome, Ok(Found::Equal));
        assert!(reported.contains("\"via\": \"rules\""), "{reported}");
    }

    #[test]
    fn messages_of_grpc_are_compared_by_field() {
        let proto = "syntax = \"proto3\"; package a; message M { string sku = 1; int32 size = 2; }";
        let files = [
            ("old", "\n\u{1}a\u{10}\u{2}"),
            ("new", "\u{10}\u{2}\n\u{1}b"),
            ("same", "\u{10}\u{2}\n\u{1}a"),
            ("framed", "\0\0\0\0\u{2}\u{10}\u{2}"),
            ("more", "\0\0\0\0\u{2}\u{10}\u{2}\0\0\0\0\0"),
            ("m.proto", proto),
            (
                "rules.yaml",
                "rules: [{id: r, why: w, at: $.sku, do: ignore}]",
            ),
        ];
        let line = "--type grpc --descriptors m.proto --message a.M";
        assert_eq!(
            run_with(&files, &format!("old same {line}")).0,
            Ok(Found::Equal)
        );
        let (found, shown) = run_with(&files, &format!("old new {line}"));
        assert_eq!(found, Ok(Found::Different));
        assert!(
            shown.contains("$.sku") && shown.contains("\"size\": 2"),
            "{shown}"
        );
        let (_, shown) = run_with(&files, &format!("old new {line} --json"));
        assert!(shown.contains(r#""place": "$.sku""#), "{shown}");
        let ruled = run_with(&files, &format!("old new {line} --rules rules.yaml"));
        assert_eq!(ruled.0, Ok(Found::Equal));
        let (_, shown) = run_with(&files, &format!("framed more {line} --framed"));
        assert!(shown.contains("$[1]"), "{shown}");
        let (_, shown) = run_with(&files, "old new --type grpc");
        assert!(shown.contains("byte 5"), "{shown}");
        let refused = run_with(&files, "old new --type grpc --message a.M").0;
        assert!(
            refused
                .unwrap_err()
                .contains("no descriptor has the message `a.M`")
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let files = [
            ("a.json", "1"),
            ("bad.yaml", "rules: [{id: a}]"),
            ("folder/readme.txt", "no rules"),
            ("cut", "HTTP/1.1 200 OK\r\n"),
        ];
        for (line, reported) in [
            ("a.json no-such.json", "cannot read"),
            ("a.json a.json --rules bad.yaml", "`why` is missing"),
            ("a.json a.json --rules folder", "folder holds no rules"),
            (
                "a.json a.json --rules builtin:no",
                "there are no built-in rules `no`",
            ),
            ("a.json cut", "the message ends within its head"),
            ("- -", "only one of the two can be stdin"),
        ] {
            let refused = run_with(&files, line).0.unwrap_err();
            assert!(refused.contains(reported), "{line}: {refused}");
        }
    }
}
