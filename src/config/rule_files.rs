//! The list `rules`: files, folders and what is compiled in, brought together and compiled.

use crate::{
    document::{At, Fault, Faults, Node},
    rules::RuleSet,
};
use jiff::civil::Date;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The rules that the configuration names.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) set: Arc<RuleSet>,
    /// What was read, by the name that faults give it.
    pub(super) texts: Vec<(Arc<str>, String)>,
    /// Files and folders whose change matters.
    pub(super) paths: Vec<PathBuf>,
    pub(super) warnings: Vec<Fault>,
}

// === impl Rules ===

impl Rules {
    /// Reads and compiles what `list` names; paths are relative to `folder`. Beside the rules come everything that
    /// cannot be read, and every fault of every rule: where there are any, only the paths are of use.
    pub(super) fn load(list: &At<'_>, folder: &Path, today: Date) -> (Self, Faults) {
        let mut rules = Self::default();
        let mut faults = Faults::default();
        let items = faults.collect(list.items().map_err(Faults::from));
        for item in items.unwrap_or_default() {
            let added = item.text().and_then(|text| rules.add(&item, text, folder));
            faults.collect(added.map_err(Faults::from));
        }
        let compiled = RuleSet::compile(&rules.texts, today);
        if let Some((set, warnings)) = faults.collect(compiled) {
            rules.set = Arc::new(set);
            rules.warnings.extend(warnings);
        }
        (rules, faults)
    }

    fn add(&mut self, at: &At<'_>, text: &str, folder: &Path) -> Result<(), Fault> {
        if let Some(name) = text.strip_prefix("builtin:") {
            let built_in = RuleSet::builtin(name)
                .ok_or_else(|| at.fault(format!("there are no built-in rules `{name}`")))?;
            self.texts.push((Arc::from(text), built_in.to_owned()));
            return Ok(());
        }
        let path = folder.join(text);
        let unreadable = |path: &Path, error: &io::Error| {
            at.fault(format!("cannot read {}: {error}", path.display()))
        };
        let files = match path.is_dir() {
            false => vec![path],
            true => {
                self.paths.push(path.clone());
                rule_files(&path).map_err(|error| unreadable(&path, &error))?
            }
        };
        if files.is_empty() {
            self.warnings
                .push(at.fault(format!("the folder `{text}` holds no rules (*.yaml)")));
        }
        for file in files {
            // A file of a folder may be a link to elsewhere.
            self.paths.push(file.clone());
            let rules = fs::read_to_string(&file).map_err(|error| unreadable(&file, &error))?;
            self.texts.push((file.display().to_string().into(), rules));
        }
        Ok(())
    }
}

/// The rule files of a folder by name. What begins with a dot is an editor's, `*.test.yaml` are tests of rules.
fn rule_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_rules = name.ends_with(".yaml") && !name.ends_with(".test.yaml");
        if is_rules && !name.starts_with('.') && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// The list as it stands in the whole tree.
pub(super) fn list<'n>(file: &'n Arc<str>, tree: &'n Node) -> Option<At<'n>> {
    tree.get("rules").map(|node| At {
        file,
        path: "rules".to_owned(),
        node,
    })
}
