//! `twinread recheck`: shows whether the stored mismatches of a class remain.

use super::{
    client::{self, Address, Error, Received},
    print::{Printable, folded, width},
};
use crate::{
    admin::documents::{ClassRecheck, Found, Rechecked},
    verdict::Counted,
};
use std::{fmt, process::ExitCode, time::Duration};

/// Read stored mismatches of a class again on both stacks, after a fix, and report which remain
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   none remains
  1   some remain
  2   none is known to remain, but not all could be judged
  64  wrong arguments, or refused by the admin API
  69  no twinread answers

Example:
  twinread recheck --class 8b26be61ce4c782c")]
pub struct Args {
    /// The id of the class, as `twinread status` shows it
    #[arg(long, value_name = "ID", value_parser = class)]
    class: String,
    /// Read at most this many, the newest first
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    #[command(flatten)]
    address: Address,
    /// Print the JSON document of the admin API
    #[arg(long)]
    json: bool,
}

/// Text output on lines of at most this width.
struct Summary<'r>(&'r ClassRecheck, usize);

/// The server works on the call for at most 20 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(40);

/// Exits with 0 if none remains, 1 if some do, 2 if none is known to and not all could be judged; 64 if the call is
/// refused, 69 if no twinread answers.
pub fn run(args: Args) -> ExitCode {
    client::exit_code(recheck(&args))
}

fn recheck(args: &Args) -> Result<ExitCode, Error> {
    let path = format!("/v1/classes/{}/recheck?limit={}", args.class, args.limit);
    let mut client = args.address.client()?;
    client.within = ANSWER_WITHIN;
    let rechecked: Received<ClassRecheck> =
        client.post(&path, "application/json", "{}".to_owned())?;
    client::print(args.json, &rechecked, Summary(&rechecked, width()));
    Ok(ExitCode::from(exit_code(&rechecked)))
}

fn exit_code(rechecked: &ClassRecheck) -> u8 {
    let counts = (
        rechecked.still_there,
        rechecked.vanished,
        rechecked.not_judged,
    );
    match counts {
        (0, 1.., 0) if rechecked.not_read == 0 => 0,
        (0, _, _) => 2,
        _ => 1,
    }
}

/// Accepts only ids that can be part of a path.
fn class(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric()) {
        Ok(text.to_owned())
    } else {
        Err("expected the id of a class, such as 8b26be61ce4c782c".to_owned())
    }
}

// === impl Summary ===

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(rechecked, width) = *self;
        let (route, place) = (Printable(&rechecked.route), Printable(&rechecked.place));
        let heading = format!("{route}  {place}  {}", rechecked.kind);
        writeln!(f, "{}", folded(&heading, width, 2))?;
        for example in &rechecked.examples {
            writeln!(f, "{}", folded(&line(example), width, 15))?;
        }
        let mut counts = format!(
            "{} still there, {} vanished, {} not judged",
            rechecked.still_there, rechecked.vanished, rechecked.not_judged
        );
        if rechecked.not_read > 0 {
            let older = Counted(rechecked.not_read, "older one");
            counts += &format!(", {older} not read (--limit)");
        }
        f.write_str(&folded(&counts, width, 2))
    }
}

fn line(example: &Rechecked) -> String {
    let found = match example.found {
        Found::StillThere => "still there",
        Found::Vanished => "vanished   ",
        Found::NotJudged => "not judged ",
    };
    let path = Printable(&example.path);
    let line = format!("  {found}  {} {path}  {}", example.method, example.id);
    match &example.detail {
        Some(detail) => format!("{line}: {}", Printable(detail)),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rechecked(still_there: usize, vanished: usize, not_judged: usize) -> ClassRecheck {
        ClassRecheck {
            class: "c1".to_owned(),
            route: "get-user".into(),
            place: "$.price".to_owned(),
            kind: "value".to_owned(),
            still_there,
            vanished,
            not_judged,
            not_read: 0,
            examples: vec![Rechecked {
                id: "m1".to_owned(),
                method: "GET".to_owned(),
                path: "/a\u{1b}[2J".to_owned(),
                found: Found::NotJudged,
                detail: Some("not stored as it was: query".to_owned()),
                old_status: None,
                new_status: None,
            }],
        }
    }

    #[test]
    fn the_exit_code_says_what_is_left() {
        for (counts, code) in [
            ((0, 0, 1), 2),
            ((0, 0, 0), 2),
            ((0, 3, 0), 0),
            // One that was not judged may remain.
            ((0, 3, 1), 2),
            ((1, 3, 1), 1),
            ((1, 0, 0), 1),
        ] {
            let (still_there, vanished, not_judged) = counts;
            let rechecked = rechecked(still_there, vanished, not_judged);
            assert_eq!(exit_code(&rechecked), code, "{counts:?}");
        }
        let some = ClassRecheck {
            not_read: 7,
            ..rechecked(0, 3, 0)
        };
        assert_eq!(exit_code(&some), 2, "an older one may be there still");
        let text = Summary(&some, 80).to_string();
        assert!(
            text.ends_with(", 7 older ones not read (--limit)"),
            "{text}"
        );
    }

    #[test]
    fn unjudged_rules_name_a_reason_and_never_steer_the_terminal() {
        let text = Summary(&rechecked(0, 0, 1), 80).to_string();
        let reason = ": not stored as it was: query\n0 still there, 0 vanished, 1 not judged";
        assert!(text.ends_with(reason), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn only_what_may_be_an_id_is_taken_for_one() {
        assert!(class("8b26be61ce4c782c").is_ok());
        for wrong in ["", "../epoch", "a b", "a?limit=9"] {
            assert!(class(wrong).is_err(), "{wrong}");
        }
    }
}
