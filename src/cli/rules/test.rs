//! `twinread rules test`: runs the tests of rule files.
//!
//! A test file `NAME.test.yaml` holds pairs of answers and the differences to expect under the rules of `NAME.yaml`
//! next to it. A case fails on an unexpected difference, on a missing expected one, and on a rule that masks more or
//! less than stated.

mod load;
mod show;
mod suite;

use crate::{
    cli::{bad_input, warn},
    compare::{CompareConfig, Compared, Comparison, Context, compare},
    outcome::Reason,
    spanned_yaml::{ConfigError, Key},
    value::Difference,
};
use jiff::civil::Date;
use std::{collections::BTreeSet, path::PathBuf, process::ExitCode, sync::Arc};
use suite::{Case, Expected, Suite};

/// Run rule tests: pairs of answers, and the differences to expect between them
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   all cases passed
  1   a case failed
  64  wrong arguments, or a file cannot be read

Example:
  twinread rules test rules.test.yaml")]
pub(super) struct Args {
    /// Test files, NAME.test.yaml, or folders of them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
}

/// A test file ready to run.
#[derive(Debug)]
struct Ready {
    file: Arc<str>,
    suite: Suite,
    comparing: CompareConfig,
    /// Ids of the rules under test; built-in rules that are only loaded with them do not count.
    own: Vec<String>,
    warnings: Vec<ConfigError>,
}

/// Result of one test file.
#[derive(Debug)]
struct Report {
    file: Arc<str>,
    cases: Vec<CaseReport>,
    /// Rules under test that masked nothing in any case.
    untested: Vec<String>,
}

/// Result of one case; it passed if there is nothing to report.
#[derive(Debug)]
struct CaseReport {
    name: Key,
    not_compared: Option<Reason>,
    unexpected: Vec<Difference>,
    not_found: Vec<Expected>,
    masked: Vec<WrongCount>,
}

/// A rule that masked another number of differences than expected.
#[derive(Debug, PartialEq, serde::Serialize)]
struct WrongCount {
    rule: String,
    expected: u64,
    found: u64,
}

const FAILED: u8 = 1;

/// Runs the command. Exits with 0 if every case passed, 1 if one failed, 64 if an input cannot be read.
pub(super) fn run(args: &Args) -> ExitCode {
    let today = jiff::Zoned::now().date();
    let ready = match load::load(&args.paths, today) {
        Ok(ready) => ready,
        Err(faults) => return bad_input(faults),
    };
    let mut reports = Vec::new();
    for ready in &ready {
        anstream::eprintln!("testing {}", ready.file);
        ready.warnings.iter().for_each(warn);
        reports.push(ready.run(today));
    }
    let out = &mut anstream::stdout();
    // A closed pipe is no error: the reader has seen enough.
    let _ = if args.json {
        show::json(&reports, out)
    } else {
        show::text(&reports, out)
    };
    let mut cases = reports.iter().flat_map(|report| &report.cases);
    if cases.all(CaseReport::has_passed) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}

// === impl Ready ===

impl Ready {
    fn run(&self, today: Date) -> Report {
        let mut masking = BTreeSet::new();
        let mut cases = Vec::new();
        for case in &self.suite.cases {
            let context = Context {
                route: &case.route,
                method: &case.method,
                today,
                deadline: None,
                message_type: None,
            };
            let comparison = compare(&case.old, &case.new, &context, &self.comparing);
            let counts = comparison.masked_counts(&self.comparing.rules);
            masking.extend(counts.iter().map(|(rule, _)| *rule));
            cases.push(CaseReport::of(case, &comparison, &counts));
        }
        let untested = self.own.iter();
        let untested = untested.filter(|rule| !masking.contains(rule.as_str()));
        Report {
            file: self.file.clone(),
            cases,
            untested: untested.cloned().collect(),
        }
    }
}

// === impl CaseReport ===

impl CaseReport {
    fn of(case: &Case, comparison: &Comparison, masked: &[(&str, u64)]) -> Self {
        let mut not_found = case.differences.clone();
        let mut unexpected = Vec::new();
        let mut not_compared = None;
        match &comparison.result {
            Compared::Equal(_) => {}
            Compared::NotCompared(reason) => not_compared = Some(*reason),
            Compared::Different { differences, .. } => {
                for difference in differences {
                    let found = Expected {
                        place: difference.place.to_string(),
                        kind: difference.kind,
                    };
                    match not_found.iter().position(|expected| *expected == found) {
                        Some(index) => drop(not_found.remove(index)),
                        None => unexpected.push(difference.clone()),
                    }
                }
            }
        }
        Self {
            name: case.name.clone(),
            not_compared,
            unexpected,
            not_found,
            masked: wrong_counts(case, masked),
        }
    }

    fn has_passed(&self) -> bool {
        self.not_compared.is_none()
            && self.unexpected.is_empty()
            && self.not_found.is_empty()
            && self.masked.is_empty()
    }
}

fn wrong_counts(case: &Case, found: &[(&str, u64)]) -> Vec<WrongCount> {
    let Some(expected) = &case.masked else {
        return Vec::new();
    };
    let mut rules: Vec<&str> = expected.iter().map(|(rule, _)| &*rule.name).collect();
    rules.extend(found.iter().map(|(rule, _)| *rule));
    rules.sort_unstable();
    rules.dedup();
    let counts = rules.into_iter().map(|id| {
        let expected = expected.iter().find(|(rule, _)| rule.name == id);
        let found = found.iter().find(|(rule, _)| *rule == id);
        WrongCount {
            rule: id.to_owned(),
            expected: expected.map_or(0, |(_, count)| *count),
            found: found.map_or(0, |(_, count)| *count),
        }
    });
    counts
        .filter(|count| count.expected != count.found)
        .collect()
}
