//! Reads test files and the rules under test, and reports every fault in them.

use super::{Ready, suite::Suite};
use crate::{
    compare::{CompareConfig, Options},
    config::RuleFiles,
    rules::RuleSet,
    spanned_yaml::{ConfigError, ConfigErrors, closest},
};
use jiff::civil::Date;
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Reads every test file and its rules.
pub(super) fn load(paths: &[PathBuf], today: Date) -> Result<Vec<Ready>, ConfigErrors> {
    let mut faults = ConfigErrors::default();
    let mut ready = Vec::new();
    for path in paths {
        let Some(files) = faults.collect(test_files(path)) else {
            continue;
        };
        for file in files {
            ready.extend(faults.collect(Ready::load(&file, today)));
        }
    }
    faults.into_result(ready)
}

/// The path itself if it is a file; for a folder, the test files in it by name.
fn test_files(path: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).and_then(|entries| {
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        paths.collect::<io::Result<Vec<_>>>()
    });
    let mut files = entries.map_err(|cause| unreadable(path, &cause))?;
    files.retain(|file| rules_next_to(file).is_some() && file.is_file());
    files.sort();
    if files.is_empty() {
        Err(ConfigError::bare(format!(
            "{} holds no tests of rules (*.test.yaml)",
            path.display()
        )))
    } else {
        Ok(files)
    }
}

/// The rule file of a test file: `NAME.yaml` for `NAME.test.yaml`. Skips names that begin with a dot, which are
/// editors'.
fn rules_next_to(file: &Path) -> Option<PathBuf> {
    let name = file.file_name()?.to_str()?;
    let (name, extension) = name.rsplit_once(".test.")?;
    let is_test = matches!(extension, "yaml" | "yml") && !name.starts_with('.');
    is_test.then(|| file.with_file_name(format!("{name}.{extension}")))
}

fn unreadable(path: &Path, cause: &io::Error) -> ConfigError {
    ConfigError::bare(format!("cannot read {}: {cause}", path.display()))
}

// === impl Ready ===

impl Ready {
    fn load(path: &Path, today: Date) -> Result<Self, ConfigErrors> {
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
            comparing: CompareConfig {
                rules: Arc::new(rules),
                options,
                ..CompareConfig::default()
            },
            own: own.rules().iter().map(|rule| rule.id.clone()).collect(),
            warnings,
        })
    }
}

/// The files with the rules under test, and those with all rules in force.
fn rule_files(
    path: &Path,
    file: &Arc<str>,
    suite: &Suite,
) -> Result<(RuleFiles, RuleFiles), ConfigErrors> {
    let (mut own, mut all) = (RuleFiles::default(), RuleFiles::default());
    let folder = path.parent().unwrap_or(Path::new(""));
    let Some(sources) = &suite.rules else {
        let Some(neighbour) = rules_next_to(path) else {
            let message = "expected `rules`, because the file is not named NAME.test.yaml";
            return Err(ConfigError::at(file, None, message).into());
        };
        all.add(&neighbour.to_string_lossy(), Path::new(""))
            .map_err(|unreadable| ConfigError::bare(unreadable.to_string()))?;
        return Ok((all.clone(), all));
    };
    let mut faults = ConfigErrors::default();
    for source in sources {
        if let Err(unreadable) = all.add(&source.name, folder) {
            faults.push(ConfigError::at(file, source.mark, unreadable.to_string()));
        } else if !source.name.starts_with("builtin:") {
            // It was read a moment ago, so it can be read again.
            let _ = own.add(&source.name, folder);
        }
    }
    faults.into_result((own, all))
}

/// Reports unknown rule ids, because a misspelled id would never mask anything.
fn check_ids(file: &Arc<str>, suite: &Suite, rules: &RuleSet) -> Result<(), ConfigErrors> {
    let known: BTreeSet<_> = rules.rules().iter().map(|rule| rule.id.as_str()).collect();
    let mut faults = ConfigErrors::default();
    for (rule, _) in suite.cases.iter().flat_map(|case| &case.masked).flatten() {
        if !known.contains(rule.name.as_str()) {
            let hint = match closest(&rule.name, known.iter().copied()) {
                Some(meant) => format!(", did you mean `{meant}`?"),
                None => String::new(),
            };
            let message = format!("there is no rule `{}`{hint}", rule.name);
            faults.push(ConfigError::at(file, rule.mark, message));
        }
    }
    faults.into_result(())
}
