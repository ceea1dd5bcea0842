//! Reads the descriptors of gRPC that a configuration or a command line lists: descriptor sets, `.proto` files, and
//! folders of them.

use crate::{
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, Position},
    value::grpc::Descriptors,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The files of descriptors, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub(crate) struct DescriptorFiles {
    /// Descriptor sets, with their content.
    sets: Vec<(PathBuf, Vec<u8>)>,
    /// Each with the folder that its imports are relative to.
    sources: Vec<(PathBuf, PathBuf)>,
    /// Files and folders to watch.
    paths: Vec<PathBuf>,
}

/// The descriptors that the configuration names.
#[derive(Clone, Debug, Default)]
pub(super) struct Described {
    pub(super) descriptors: Descriptors,
    /// Every listed file and folder, readable or not.
    pub(super) paths: Vec<PathBuf>,
    pub(super) warnings: Vec<ConfigError>,
}

/// Why a source of descriptors cannot be added.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {cause}", path.display())]
pub(crate) struct UnreadableDescriptors {
    path: PathBuf,
    cause: io::Error,
}

/// The names of descriptor sets in a folder.
const SETS: [&str; 4] = ["binpb", "pb", "desc", "protoset"];

const SOURCE: &str = "proto";

/// Folders in folders; deeper ones are a loop of links.
const MAX_DEPTH: usize = 32;

// === impl DescriptorFiles ===

impl DescriptorFiles {
    /// Adds a descriptor set, a `.proto` file, or all of them in a folder. Returns their number, because a folder may
    /// hold none.
    ///
    /// # Errors
    /// A file or folder that cannot be read.
    pub(crate) fn add(&mut self, path: &Path) -> Result<usize, UnreadableDescriptors> {
        self.paths.push(path.to_owned());
        if path.is_dir() {
            return self.add_folder(path, path, 0);
        }
        let root = path.parent().unwrap_or(Path::new(""));
        self.add_file(path, root)?;
        Ok(1)
    }

    fn add_folder(
        &mut self,
        folder: &Path,
        root: &Path,
        depth: usize,
    ) -> Result<usize, UnreadableDescriptors> {
        let mut paths = Vec::new();
        let entries = fs::read_dir(folder).map_err(|cause| unreadable(folder, cause))?;
        for entry in entries {
            paths.push(entry.map_err(|cause| unreadable(folder, cause))?.path());
        }
        paths.sort();
        paths.retain(|path| !name(path).starts_with('.'));
        let mut count = 0;
        for path in paths {
            let extension = path.extension().and_then(|extension| extension.to_str());
            if path.is_dir() && depth < MAX_DEPTH {
                self.paths.push(path.clone());
                count += self.add_folder(&path, root, depth + 1)?;
            } else if extension.is_some_and(|own| own == SOURCE || SETS.contains(&own)) {
                self.paths.push(path.clone());
                self.add_file(&path, root)?;
                count += 1;
            }
        }
        Ok(count)
    }

    fn add_file(&mut self, path: &Path, root: &Path) -> Result<(), UnreadableDescriptors> {
        let content = fs::read(path).map_err(|cause| unreadable(path, cause))?;
        if path
            .extension()
            .is_some_and(|extension| extension == SOURCE)
        {
            self.sources.push((path.to_owned(), root.to_owned()));
        } else {
            self.sets.push((path.to_owned(), content));
        }
        Ok(())
    }

    /// Makes one pool of all files.
    ///
    /// # Errors
    /// The first fault of each set, and of the `.proto` files, with its place.
    pub(crate) fn compile(&mut self) -> Result<Descriptors, ConfigErrors> {
        let mut faults = ConfigErrors::default();
        let mut pool = Descriptors::builtin();
        for (path, content) in &self.sets {
            let file: Arc<str> = path.display().to_string().into();
            if content.is_empty() {
                faults.push(ConfigError::at(&file, None, "the file is empty"));
            } else if let Err(error) = pool.decode_file_descriptor_set(&content[..]) {
                let message = format!("not a set of file descriptors: {error}");
                faults.push(ConfigError::at(&file, None, message));
            }
        }
        match self.compiled() {
            Ok(set) => {
                if let Err(error) = pool.decode_file_descriptor_set(&set[..]) {
                    faults.push(ConfigError::bare(error.to_string()));
                }
            }
            Err(fault) => faults.push(fault),
        }
        let descriptors = Descriptors::new(pool);
        let descriptors = descriptors.map_err(|error| ConfigError::bare(error.to_string()));
        let descriptors = faults.collect(descriptors);
        faults.into_result(descriptors.unwrap_or_default())
    }

    /// The set of all `.proto` files and what they import; also watches what they import.
    fn compiled(&mut self) -> Result<Vec<u8>, ConfigError> {
        let mut roots: Vec<_> = self.sources.iter().map(|(_, root)| root).collect();
        roots.dedup();
        let faulty = |error| fault(&error, &roots);
        let mut compiler = protox::Compiler::new(&roots).map_err(faulty)?;
        compiler.include_imports(true);
        for (path, _) in &self.sources {
            compiler.open_file(path).map_err(faulty)?;
        }
        let imported = compiler.files().filter_map(|file| file.path());
        let imported: Vec<_> = imported.map(Path::to_owned).collect();
        let set = compiler.encode_file_descriptor_set();
        self.paths.extend(imported);
        Ok(set)
    }

    /// Every requested file and folder, readable or not, and what was imported.
    pub(crate) fn into_paths(self) -> Vec<PathBuf> {
        let mut paths = self.paths;
        paths.sort();
        paths.dedup();
        paths
    }
}

// === impl Described ===

impl Described {
    /// Reads what `list` names; paths are relative to `folder`. Also returns every fault; if there are any, only the
    /// paths are of use.
    pub(super) fn load(list: &Cursor<'_>, folder: &Path) -> (Self, ConfigErrors) {
        let mut described = Self::default();
        let mut files = DescriptorFiles::default();
        let mut faults = ConfigErrors::default();
        let items = faults.collect(list.items());
        for item in items.unwrap_or_default() {
            let source = faults.collect(item.text());
            let Some(source) = source else { continue };
            match files.add(&folder.join(source)) {
                Ok(0) => {
                    let warning = format!(
                        "the folder `{source}` holds no descriptors (*.proto, *.{})",
                        SETS.join(", *.")
                    );
                    described.warnings.push(item.fault(warning));
                }
                Ok(_) => {}
                Err(unreadable) => faults.push(item.fault(unreadable)),
            }
        }
        if faults.is_empty()
            && let Some(descriptors) = faults.collect(files.compile())
        {
            described.descriptors = descriptors;
        }
        described.paths = files.into_paths();
        (described, faults)
    }
}

fn unreadable(path: &Path, cause: io::Error) -> UnreadableDescriptors {
    UnreadableDescriptors {
        path: path.to_owned(),
        cause,
    }
}

fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

/// A fault of a `.proto` file. The crate gives its place only in the text of its `Debug`: `file:line:column: message`.
fn fault(error: &protox::Error, roots: &[&PathBuf]) -> ConfigError {
    let text = format!("{error:?}");
    let Some(name) = error.file() else {
        return ConfigError::bare(text);
    };
    let mut candidates = roots.iter().map(|root| root.join(name));
    let path = candidates.find(|path| path.exists());
    let file = path.map_or_else(|| name.to_owned(), |path| path.display().to_string());
    let file: Arc<str> = file.into();
    let rest = text
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix(':'));
    let place = rest.and_then(|rest| {
        let (line, rest) = rest.split_once(':')?;
        let (column, message) = rest.split_once(": ")?;
        let line = line.parse().ok()?;
        let column = column.parse().ok()?;
        Some((Position { line, column }, message))
    });
    match place {
        Some((mark, message)) => ConfigError::at(&file, Some(mark), message),
        None => ConfigError::at(&file, None, error.to_string()),
    }
}
