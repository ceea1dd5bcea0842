//! Combines file, environment, flags and rule files into a [`Config`].

use super::{
    Config, Flags,
    addresses::{self, Hosts},
    certificates::Certificates,
    descriptors::Described,
    documents::Documents,
    environment::{self, Lookup},
    layers::Layers,
    rule_files::Rules,
    secrets,
};
use crate::{
    ledger::today,
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, Data, Node, Position},
};
use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where the configuration comes from.
#[derive(Clone)]
pub struct Origin {
    pub(super) file: Option<PathBuf>,
    /// The name of the file or text in faults.
    name: Arc<str>,
    /// A built-in text in place of the file.
    text: &'static str,
    flags: Flags,
    environment: Environment,
}

/// Looks up variables.
type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// A valid configuration with its inputs.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The name of the file in faults.
    pub name: Arc<str>,
    pub(super) layers: Layers,
    pub(super) inputs: Inputs,
    pub config: Arc<Config>,
}

/// What the configuration refers to, as it was when the file was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Inputs {
    pub(super) rules: Rules,
    pub(super) documents: Documents,
    pub(super) described: Described,
    pub(super) certificates: Certificates,
    /// As resolved by the system.
    pub(super) hosts: Hosts,
}

/// The name of the command line in faults.
const COMMAND_LINE: &str = "command line";

/// Loads the configuration.
///
/// # Errors
/// Every fault, sorted by file and line.
pub fn load(origin: &Origin) -> Result<Loaded, ConfigErrors> {
    load_with_paths(origin, &mut Vec::new())
}

/// As [`load`]; `paths` receives the requested files and folders, whether or not they are valid.
pub(super) fn load_with_paths(
    origin: &Origin,
    paths: &mut Vec<PathBuf>,
) -> Result<Loaded, ConfigErrors> {
    let name = origin.name.clone();
    paths.extend(origin.file.clone());
    let (mut file, text) = origin.read()?;
    let lookup: Lookup<'_> = &*origin.environment;
    let unset = environment::replace(&name, &mut file, lookup);
    secrets::hide(&mut file);
    let mut layers = Layers::new(file, origin.flags.tree());
    layers.text = text;

    let tree = layers.tree();
    let (inputs, mut faults) = origin.inputs(&tree);
    paths.extend(inputs.paths());
    let config = faults.collect(resolve(&name, &layers, &inputs));
    // A value with an unset variable causes further faults that add nothing.
    let is_new = |fault: &&ConfigError| unset.iter().all(|unset| unset.mark != fault.mark);
    let mut all: Vec<_> = unset.iter().chain(faults.iter().filter(is_new)).collect();
    all.sort_by_key(|fault| (fault.file.as_ref() != Some(&name), &fault.file, fault.mark));
    let mut sorted = ConfigErrors::default();
    all.into_iter().for_each(|fault| sorted.push(fault.clone()));

    match config {
        Some(config) => sorted.into_result(Loaded {
            name,
            layers,
            inputs,
            config: Arc::new(config),
        }),
        None => Err(sorted),
    }
}

/// Validates the merged layers.
pub(super) fn resolve(
    name: &Arc<str>,
    layers: &Layers,
    inputs: &Inputs,
) -> Result<Config, ConfigErrors> {
    let tree = layers.tree();
    let at = Cursor::of_text(name, &tree, &layers.text);
    let config = Config::read(&at, inputs);
    config.map_err(|faults| faults.map(blame))
}

/// Attributes a fault without a position to the command line.
fn blame(fault: ConfigError) -> ConfigError {
    attributed(fault, COMMAND_LINE)
}

/// Names where a fault without a position comes from.
fn attributed(mut fault: ConfigError, origin: &str) -> ConfigError {
    if fault.mark.is_none() {
        fault.file = Some(Arc::from(origin));
    }
    fault
}

// === impl Origin ===

impl Origin {
    /// A file, flags, and the environment of the process.
    pub fn new(file: Option<PathBuf>, flags: Flags) -> Self {
        Self {
            name: match &file {
                Some(file) => file.display().to_string().into(),
                None => Arc::from(COMMAND_LINE),
            },
            file,
            text: "",
            flags,
            environment: Arc::new(|name| std::env::var(name).ok()),
        }
    }

    /// A built-in text, with its name in faults.
    pub fn written(name: &'static str, text: &'static str) -> Self {
        Self {
            name: Arc::from(name),
            text,
            ..Self::new(None, Flags::default())
        }
    }

    /// Looks variables up with `lookup` instead of in the process's environment.
    pub fn with_environment(
        self,
        lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            environment: Arc::new(lookup),
            ..self
        }
    }

    /// The tree of the file, and its text.
    fn read(&self) -> Result<(Node, Arc<str>), ConfigErrors> {
        let name = &self.name;
        let text = match &self.file {
            Some(file) => fs::read_to_string(file)
                .map_err(|error| ConfigError::bare(format!("cannot read {name}: {error}")))?,
            None => self.text.to_owned(),
        };
        let mut root = Node::parse(name, &text)?;
        if root.is_null() {
            root.data = Data::Map(Vec::new());
        }
        if !matches!(root.data, Data::Map(_)) {
            return Err(Cursor::root(name, &root).expected("a map").into());
        }
        if self.file.is_some() {
            // A field missing in an empty file is missing at its beginning.
            root.mark.get_or_insert(Position { line: 1, column: 1 });
        }
        Ok((root, text.into()))
    }

    /// Reads what the tree refers to. Also returns every fault in there.
    fn inputs(&self, tree: &Node) -> (Inputs, ConfigErrors) {
        let folder = self.file.as_deref().and_then(Path::parent);
        let folder = folder.unwrap_or(Path::new(""));
        let root = Cursor::root(&self.name, tree);
        let (rules, mut faults) = Rules::load(&addresses::at(&root, &["rules"]), folder, today());
        let (documents, more) = Documents::load(&addresses::at(&root, &["openapi"]), folder);
        faults.extend(more);
        let (described, more) =
            Described::load(&addresses::at(&root, &["grpc", "descriptors"]), folder);
        faults.extend(more);
        let (certificates, more) = Certificates::load(&root, folder);
        faults.extend(more);
        let inputs = Inputs {
            rules,
            documents,
            described,
            certificates,
            hosts: Hosts::of(tree),
        };
        (inputs, faults)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("file", &self.file)
            .field("flags", &self.flags)
            .finish_non_exhaustive()
    }
}

// === impl Inputs ===

impl Inputs {
    /// Every file and folder that the configuration names, readable or not.
    pub(super) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        let paths = self.rules.files.paths().iter();
        paths
            .chain(&self.documents.paths)
            .chain(&self.described.paths)
            .chain(self.certificates.paths())
            .cloned()
    }
}

// === impl Loaded ===

impl Loaded {
    /// The same with another configuration in force.
    pub(crate) fn overridden(self, config: Config) -> Self {
        Self {
            config: Arc::new(config),
            ..self
        }
    }

    /// What a message about the value of a top-level field begins with: `twinread.yaml:3:9: listen: `.
    pub fn place(&self, field: &str) -> String {
        let tree = self.layers.tree();
        let at = Cursor::root(&self.name, &tree);
        match at.node.get(field).filter(|value| value.mark.is_some()) {
            Some(value) => at.member(field, value).fault("").to_string(),
            None => String::new(),
        }
    }

    /// Warnings: not errors, but worth attention, such as expired rules.
    pub fn warnings(&self) -> Vec<ConfigError> {
        let origin = match self.layers.api.as_object() {
            Some(changes) if !changes.is_empty() => "command line or API",
            _ => COMMAND_LINE,
        };
        let rules = self.inputs.rules.warnings.iter();
        rules
            .chain(&self.inputs.documents.warnings)
            .chain(&self.inputs.described.warnings)
            .chain(&self.inputs.certificates.warnings)
            .cloned()
            .chain(
                self.config
                    .warnings
                    .iter()
                    .cloned()
                    .map(|warning| attributed(warning, origin)),
            )
            .collect()
    }
}
