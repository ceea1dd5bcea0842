//! Reads rule files, folders of them and built-in rules, and compiles them.
//!
//! Every command reads rules by [`RuleFiles`]; [`Rules`] are those that a configuration lists.

use crate::{
    advise::suggest::PROMPT,
    rules::RuleSet,
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, Node},
};
use jiff::civil::Date;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The texts of rule files, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RuleFiles {
    /// Each with the name that faults show.
    texts: Vec<(Arc<str>, String)>,
    /// Files and folders to watch.
    paths: Vec<PathBuf>,
}

/// Why a source of rules cannot be added.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("cannot read {}: {cause}", path.display())]
    File { path: PathBuf, cause: io::Error },
    #[error("there are no built-in rules `{name}`, expected one of {}", RuleSet::BUILTIN.map(|(name, _)| name).join(", "))]
    Builtin { name: String },
}

/// The rules that the configuration names.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) set: Arc<RuleSet>,
    pub(super) files: RuleFiles,
    pub(super) warnings: Vec<ConfigError>,
}

// === impl RuleFiles ===

impl RuleFiles {
    /// Adds `source`: `builtin:NAME`, a file, or the rule files of a folder. Paths are relative to `folder`. Returns
    /// the number of files, because a folder may hold none.
    ///
    /// # Errors
    /// A file that cannot be read, or an unknown built-in name.
    pub(crate) fn add(&mut self, source: &str, folder: &Path) -> Result<usize, Unreadable> {
        if let Some(name) = source.strip_prefix("builtin:") {
            let text = RuleSet::builtin(name).ok_or_else(|| Unreadable::Builtin {
                name: name.to_owned(),
            })?;
            self.texts.push((Arc::from(source), text.to_owned()));
            return Ok(1);
        }
        let path = folder.join(source);
        let files = if path.is_dir() {
            self.paths.push(path.clone());
            rule_files(&path).map_err(|cause| Unreadable::File { path, cause })?
        } else {
            vec![path]
        };
        for path in &files {
            // A file of a folder may be a link to elsewhere.
            self.paths.push(path.clone());
            let text = fs::read_to_string(path).map_err(|cause| Unreadable::File {
                path: path.clone(),
                cause,
            })?;
            self.texts.push((path.display().to_string().into(), text));
        }
        Ok(files.len())
    }

    /// Compiles all files into one set. Also returns warnings about rules that have expired by `today`.
    ///
    /// # Errors
    /// Every fault of every rule.
    pub(crate) fn compile(&self, today: Date) -> Result<(RuleSet, Vec<ConfigError>), ConfigErrors> {
        let mut faults = ConfigErrors::default();
        let compiled = faults.collect(RuleSet::compile(&self.texts, today));
        for (file, text) in &self.texts {
            faults.extend(unexplained(file, text));
        }
        faults.into_result(compiled.unwrap_or_default())
    }

    /// All files as one text, with a line `---` between them.
    pub(crate) fn joined(&self) -> String {
        let texts = self.texts.iter().map(|(_, text)| text.as_str());
        texts.collect::<Vec<_>>().join("\n---\n")
    }

    /// Every requested file and folder, readable or not.
    pub(crate) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }
}

// === impl Rules ===

impl Rules {
    /// Reads and compiles what `list` names; paths are relative to `folder`. Also returns every unreadable source and
    /// every fault of every rule; if there are any, only the paths are of use.
    pub(super) fn load(list: &Cursor<'_>, folder: &Path, today: Date) -> (Self, ConfigErrors) {
        let mut rules = Self::default();
        let mut faults = ConfigErrors::default();
        let items = faults.collect(list.items());
        for item in items.unwrap_or_default() {
            faults.collect(rules.add(&item, folder));
        }
        if let Some((set, warnings)) = faults.collect(rules.files.compile(today)) {
            rules.set = Arc::new(set);
            rules.warnings.extend(warnings);
        }
        (rules, faults)
    }

    fn add(&mut self, at: &Cursor<'_>, folder: &Path) -> Result<(), ConfigError> {
        let source = at.text()?;
        let count = self.files.add(source, folder);
        if count.map_err(|unreadable| at.fault(unreadable))? == 0 {
            let warning = format!("the folder `{source}` holds no rules (*.yaml)");
            self.warnings.push(at.fault(warning));
        }
        Ok(())
    }
}

/// A fault for each reason that nobody has written since the rule was suggested.
fn unexplained(file: &Arc<str>, text: &str) -> ConfigErrors {
    let mut faults = ConfigErrors::default();
    // A text that is not YAML is reported where it is compiled.
    let Ok(root) = Node::parse(file, text) else {
        return faults;
    };
    let rules = root.get("rules").unwrap_or(&root);
    let rules = Cursor::root(file, &root).member("rules", rules).items();
    for rule in rules.unwrap_or_default() {
        let why = rule
            .node
            .get("why")
            .filter(|why| why.text() == Some(PROMPT));
        let why = why.map(|why| rule.member("why", why));
        let message = format!(
            "`{PROMPT}` is what `twinread rules suggest` writes: give the reason why the two may differ"
        );
        why.into_iter()
            .for_each(|why| faults.push(why.fault(&message)));
    }
    faults
}

/// The rule files of a folder by name. Skips names that begin with a dot, which are editors' files, and `*.test.yaml`.
fn rule_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let stem = name
            .strip_suffix(".yaml")
            .or_else(|| name.strip_suffix(".yml"));
        let is_rules = stem.is_some_and(|stem| !stem.ends_with(".test"));
        if is_rules && !name.starts_with('.') && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}
