//! `twinread rules test`: runs the tests of rule files.
//!
//! A test file `NAME.test.yaml` holds pairs of answers and the differences to expect between them under the rules of
//! `NAME.yaml` beside it. A case fails by what is found unexpected, by what is expected and not found, and by a rule
//! that masks more or less than was said.

mod show;
mod suite;

use crate::{
    cli::{exit, warn},
    compare::{Compared, Comparing, Comparison, Context, Difference, Options, compare},
    config::RuleFiles,
    document::{Fault, Faults, closest},
    rules::RuleSet,
    verdict::Reason,
};
use jiff::civil::Date;
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};
use suite::{Case, Expected, Suite};

/// Runs rule tests: pairs of answers, and the differences to expect between them
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Test files, NAME.test.yaml, or folders of them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
}

/// A test file that is ready to be run.
#[derive(Debug)]
struct Ready {
    file: Arc<str>,
    suite: Suite,
    comparing: Comparing,
    /// Ids of the rules under test; what is built in and only stands beside them is none of those.
    own: Vec<String>,
    warnings: Vec<Fault>,
}

/// What came of one test file.
#[derive(Debug)]
struct Report {
    file: Arc<str>,
    cases: Vec<CaseReport>,
    /// Rules under test that masked nothing in any case.
    untested: Vec<String>,
}

/// What came of one case; it passed if there is nothing to tell.
#[derive(Debug)]
struct CaseReport {
    name: suite::Marked<String>,
    not_compared: Option<Reason>,
    unexpected: Vec<Difference>,
    not_found: Vec<Expected>,
    masked: Vec<WrongCount>,
}

/// A rule that masked another number of differences than it should.
#[derive(Debug, PartialEq)]
struct WrongCount {
    rule: String,
    expected: u64,
    found: u64,
}

const FAILED: u8 = 1;

/// Runs the command. Exits with 0 where every case passed, 1 where one failed, 64 for what cannot be read.
pub(super) fn run(args: &Args) -> ExitCode {
    let today = jiff::Zoned::now().date();
    let ready = match load(&args.paths, today) {
        Ok(ready) => ready,
        Err(faults) => {
            anstream::eprintln!("{faults}");
            return ExitCode::from(exit::USAGE);
        }
    };
    let mut reports = Vec::new();
    for ready in &ready {
        anstream::eprintln!("testing {}", ready.file);
        ready.warnings.iter().for_each(warn);
        reports.push(ready.run(today));
    }
    let out = &mut anstream::stdout();
    // Who closes the pipe has seen enough.
    let _ = match args.json {
        true => show::json(&reports, out),
        false => show::text(&reports, out),
    };
    let mut cases = reports.iter().flat_map(|report| &report.cases);
    match cases.all(CaseReport::has_passed) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FAILED),
    }
}

/// Reads every test file and its rules.
fn load(paths: &[PathBuf], today: Date) -> Result<Vec<Ready>, Faults> {
    let mut faults = Faults::default();
    let mut ready = Vec::new();
    for path in paths {
        let Some(files) = faults.collect(test_files(path).map_err(Faults::from)) else {
            continue;
        };
        for file in files {
            ready.extend(faults.collect(Ready::load(&file, today)));
        }
    }
    faults.into_result(ready)
}

/// A file is itself; a folder is the test files in it, by name.
fn test_files(path: &Path) -> Result<Vec<PathBuf>, Fault> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).and_then(|entries| {
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        paths.collect::<io::Result<Vec<_>>>()
    });
    let mut files = entries.map_err(|cause| unreadable(path, &cause))?;
    files.retain(|file| rules_beside(file).is_some() && file.is_file());
    files.sort();
    match files.is_empty() {
        true => Err(Fault::bare(format!(
            "{} holds no tests of rules (*.test.yaml)",
            path.display()
        ))),
        false => Ok(files),
    }
}

/// The rule file that a test file is for: `NAME.yaml` for `NAME.test.yaml`. What begins with a dot is an editor's.
fn rules_beside(file: &Path) -> Option<PathBuf> {
    let name = file.file_name()?.to_str()?;
    let (name, extension) = name.rsplit_once(".test.")?;
    let is_test = matches!(extension, "yaml" | "yml") && !name.starts_with('.');
    is_test.then(|| file.with_file_name(format!("{name}.{extension}")))
}

fn unreadable(path: &Path, cause: &io::Error) -> Fault {
    Fault::bare(format!("cannot read {}: {cause}", path.display()))
}

// === impl Ready ===

impl Ready {
    fn load(path: &Path, today: Date) -> Result<Self, Faults> {
        let file: Arc<str> = path.display().to_string().into();
        let text = fs::read_to_string(path).map_err(|cause| unreadable(path, &cause))?;
        let suite = Suite::read(&file, &text)?;
        let (own, all) = rule_files(path, &file, &suite)?;
        let (rules, warnings) = all.compile(today)?;
        check_ids(&file, &suite, &rules)?;
        let (own, _) = own.compile(today)?;
        let options = Options {
            max_differences: usize::MAX,
            ..Options::default()
        };
        Ok(Self {
            file,
            suite,
            comparing: Comparing {
                rules: Arc::new(rules),
                options,
            },
            own: own.rules().iter().map(|rule| rule.id.clone()).collect(),
            warnings,
        })
    }

    fn run(&self, today: Date) -> Report {
        let mut masking = BTreeSet::new();
        let mut cases = Vec::new();
        for case in &self.suite.cases {
            let context = Context {
                route: &case.route,
                method: &case.method,
                today,
                deadline: None,
            };
            let comparison = compare(&case.old, &case.new, &context, &self.comparing);
            let counts = masked(&comparison, &self.comparing.rules);
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

/// The files with the rules under test, and those with all rules that are in force.
fn rule_files(
    path: &Path,
    file: &Arc<str>,
    suite: &Suite,
) -> Result<(RuleFiles, RuleFiles), Faults> {
    let (mut own, mut all) = (RuleFiles::default(), RuleFiles::default());
    let folder = path.parent().unwrap_or(Path::new(""));
    let Some(sources) = &suite.rules else {
        let Some(beside) = rules_beside(path) else {
            let message = "expected `rules`, because the file is not named NAME.test.yaml";
            return Err(Fault::at(file, None, message).into());
        };
        all.add(&beside.to_string_lossy(), Path::new(""))
            .map_err(|unreadable| Fault::bare(unreadable.to_string()))?;
        return Ok((all.clone(), all));
    };
    let mut faults = Faults::default();
    for source in sources {
        if let Err(unreadable) = all.add(&source.value, folder) {
            faults.push(Fault::at(file, source.mark, unreadable.to_string()));
        } else if !source.value.starts_with("builtin:") {
            // What could be read a moment ago can be read again.
            let _ = own.add(&source.value, folder);
        }
    }
    faults.into_result((own, all))
}

/// A misspelled id would never be found to mask anything.
fn check_ids(file: &Arc<str>, suite: &Suite, rules: &RuleSet) -> Result<(), Faults> {
    let known: BTreeSet<_> = rules.rules().iter().map(|rule| rule.id.as_str()).collect();
    let mut faults = Faults::default();
    for (rule, _) in suite.cases.iter().flat_map(|case| &case.masked).flatten() {
        if !known.contains(rule.value.as_str()) {
            let hint = match closest(&rule.value, known.iter().copied()) {
                Some(meant) => format!(", did you mean `{meant}`?"),
                None => String::new(),
            };
            let message = format!("there is no rule `{}`{hint}", rule.value);
            faults.push(Fault::at(file, rule.mark, message));
        }
    }
    faults.into_result(())
}

/// The rules that masked something, and how much.
fn masked<'r>(comparison: &Comparison, rules: &'r RuleSet) -> Vec<(&'r str, u64)> {
    let uses = comparison.rules.iter().filter(|rule| rule.masked > 0);
    uses.map(|rule| (rules.rules()[rule.rule].id.as_str(), rule.masked))
        .collect()
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
    let mut rules: Vec<&str> = expected.iter().map(|(rule, _)| &*rule.value).collect();
    rules.extend(found.iter().map(|(rule, _)| *rule));
    rules.sort_unstable();
    rules.dedup();
    let counts = rules.into_iter().map(|id| {
        let expected = expected.iter().find(|(rule, _)| rule.value == id);
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
