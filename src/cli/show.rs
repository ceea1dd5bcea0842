//! `twinread show ID`: one stored example, in the view of `twinread compare`.

use super::{
    client::{self, Address, Client, Error, Received},
    compare::{View, stored},
    mismatches::outcome,
    print::{Printable, folded, to_the_second, width},
};
use crate::{
    admin::documents::{Mismatch, Settings},
    pipeline::ReportedAnswer,
    verdict::Counted,
};
use anstream::adapter::strip_str;
use std::{
    io::{self, Write},
    process::ExitCode,
};

/// Show a stored example: its request, both answers, and where they differ
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   shown
  64  wrong arguments, or no such example is stored
  69  no twinread answers

Example:
  twinread show 545ebe7ef81fb19a")]
pub(crate) struct Args {
    /// The id of the example, as `twinread mismatches` shows it
    #[arg(value_name = "ID", value_parser = id)]
    id: String,
    /// How old and new are laid out
    #[arg(long, value_enum, default_value_t)]
    view: View,
    #[command(flatten)]
    address: Address,
    /// Print the JSON document of the admin API
    #[arg(long)]
    json: bool,
}

/// An example, and what is known about how it was stored.
#[derive(Clone, Debug)]
pub(super) struct Example {
    mismatch: Received<Mismatch>,
    /// Whether values are masked at present.
    is_masked: bool,
}

/// Exits with 0; 64 if no such example is stored, 69 if no twinread answers.
pub(crate) fn run(args: Args) -> ExitCode {
    client::exit_code(show(&args))
}

fn show(args: &Args) -> Result<ExitCode, Error> {
    let example = Example::ask(&args.address.client()?, &args.id)?;
    if args.json {
        anstream::println!("{}", client::pretty(&example.mismatch));
    } else {
        // A closed pipe is no error: the reader has seen enough.
        let _ = example.text(args.view, width(), &mut anstream::stdout());
    }
    Ok(ExitCode::SUCCESS)
}

/// Accepts only ids that can be part of a path.
fn id(text: &str) -> Result<String, &'static str> {
    if !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric()) {
        Ok(text.to_owned())
    } else {
        Err("expected the id of an example, such as 545ebe7ef81fb19a")
    }
}

// === impl Example ===

impl Example {
    pub(super) fn ask(client: &Client, id: &str) -> Result<Self, Error> {
        let mismatch = client.get(&format!("/v1/mismatches/{id}"))?;
        let settings: Settings = client.get("/v1/settings")?;
        let values = settings.settings.get("redact.values");
        Ok(Self {
            mismatch,
            is_masked: values.is_some_and(|values| values.value == "masked"),
        })
    }

    /// Its lines without colours.
    pub(super) fn lines(&self, width: usize) -> Vec<String> {
        let mut out = Vec::new();
        let text = self.text(View::default(), width, &mut out);
        text.expect("memory takes what is written");
        let out = String::from_utf8_lossy(&out);
        let lines = strip_str(&out).to_string();
        lines.lines().map(str::to_owned).collect()
    }

    fn text(&self, view: View, width: usize, out: &mut impl Write) -> io::Result<()> {
        let mismatch = &self.mismatch;
        let request = &mismatch.request;
        let heading = [
            outcome(mismatch),
            mismatch.route.to_string(),
            mismatch.id.clone(),
        ];
        line(&heading.join("  "), 2, width, out)?;
        let query = request.query.as_ref();
        let query = query.map_or(String::new(), |query| format!("?{query}"));
        let first = format!("  {} {}{query}", request.method, request.path);
        line(&first, 4, width, out)?;
        for (name, value) in &request.headers {
            line(&format!("    {name}: {value}"), 6, width, out)?;
        }
        if let Some(body) = &request.body {
            line(&format!("    {body}"), 6, width, out)?;
        }
        for (name, fact) in self.facts() {
            line(&format!("  {name:<11}{fact}"), 13, width, out)?;
        }
        if !mismatch.differences.is_empty() {
            writeln!(out)?;
            stored::differences(mismatch, view, width, out)?;
        }
        if self.is_masked {
            let hint = "values are masked; after `twinread set redact.values=shown` those of later examples are not";
            line(hint, 0, width, out)?;
        }
        Ok(())
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let mismatch = &self.mismatch;
        let answered = |answer: &Option<ReportedAnswer>| match answer {
            Some(answer) => format!("{} in {}", answer.status, milliseconds(answer.duration_ms)),
            None => "no answer".to_owned(),
        };
        let mut facts = vec![
            ("old", answered(&mismatch.old)),
            ("new", answered(&mismatch.new)),
            ("read again", rechecks(mismatch)),
        ];
        if mismatch.conditional {
            let read = "left out when the stacks were read, so that the content is compared";
            facts.push(("conditions", read.to_owned()));
        }
        if !mismatch.noise.is_empty() {
            let noise = mismatch.noise.join(", ");
            facts.push(("noise", format!("old differs from itself at {noise}")));
        }
        facts.push(("ended", to_the_second(&mismatch.ended.to_string())));
        facts.push(("epoch", mismatch.epoch.to_string()));
        facts.push(("trace", mismatch.trace_id.clone()));
        facts.extend(mismatch.live_trace_id.clone().map(|id| ("live trace", id)));
        facts.extend(mismatch.trace_url.clone().map(|url| ("at", url)));
        let mut classes: Vec<_> = mismatch.differences.iter().map(|one| &*one.class).collect();
        classes.dedup();
        if !classes.is_empty() {
            facts.push(("class", classes.join(" ")));
        }
        facts
    }
}

fn line(text: &str, hang: usize, width: usize, out: &mut impl Write) -> io::Result<()> {
    let text = Printable(text).to_string();
    writeln!(out, "{}", folded(&text, width, hang))
}

fn rechecks(mismatch: &Mismatch) -> String {
    let times = match mismatch.rechecks {
        0 => return "never".to_owned(),
        count => Counted(count.into(), "time").to_string(),
    };
    match mismatch.lag_ms {
        Some(lag) => format!("{times}; equal after {}", milliseconds(lag as f64)),
        None => times,
    }
}

/// `0.8 ms`, `42 ms`, `1.5 s`.
fn milliseconds(millis: f64) -> String {
    match millis {
        ..1.0 => format!("{millis:.1} ms"),
        1.0..1_000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_for_people() {
        for (millis, text) in [(0.81, "0.8 ms"), (42.4, "42 ms"), (1_500.0, "1.5 s")] {
            assert_eq!(milliseconds(millis), text);
        }
    }

    #[test]
    fn only_what_may_be_an_id_is_taken_for_one() {
        assert!(id("545ebe7ef81fb19a").is_ok());
        for wrong in ["", "../epoch", "a b", "a?limit=9"] {
            assert!(id(wrong).is_err(), "{wrong}");
        }
    }
}
