//! Reads the descriptors of gRPC that a configuration or a command line lists: descriptor sets, `.proto` files, and
//! folders of them.

use crate::{
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, Position},
    stack::Stack,
    value::grpc::{Descriptors, Reflected, is_edition},
};
use prost_reflect::{
    DescriptorPool,
    prost::Message as _,
    prost_types::{FileDescriptorProto, FileDescriptorSet},
};
use std::{
    collections::{HashMap, hash_map::Entry},
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
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

/// The files of a pool.
#[derive(Debug, Default)]
struct Files {
    set: FileDescriptorSet,
    /// The descriptor set of each file, by the file's name; `None` if it comes from elsewhere.
    origins: HashMap<String, Option<Arc<str>>>,
}

/// The descriptors that the configuration names, and those of the stack that it has asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Described {
    /// All of them.
    pub(super) descriptors: Descriptors,
    /// Those of files.
    listed: Descriptors,
    reflected: Option<(Stack, Arc<Reflected>)>,
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

    fn is_empty(&self) -> bool {
        self.sets.is_empty() && self.sources.is_empty()
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
    /// The first fault of each set, of the `.proto` files with its place, and of all files together.
    pub(crate) fn compile(&mut self) -> Result<Descriptors, ConfigErrors> {
        let mut faults = ConfigErrors::default();
        let mut all = Files::default();
        for file in Descriptors::builtin().file_descriptor_protos() {
            all.add(file.clone(), None);
        }
        for (path, content) in &self.sets {
            let origin: Arc<str> = path.display().to_string().into();
            match FileDescriptorSet::decode(&content[..]) {
                Ok(set) if !set.file.is_empty() => {
                    for file in set.file {
                        faults.collect(check_syntax(&file, &origin));
                        all.add(file, Some(&origin));
                    }
                }
                _ => faults.push(ConfigError::at(
                    &origin,
                    None,
                    "not a set of file descriptors",
                )),
            }
        }
        for file in faults.collect(self.compiled()).unwrap_or_default().file {
            all.add(file, None);
        }
        // A pool that has files panics in place of some errors, so all files are added at once.
        let descriptors = if faults.is_empty() {
            faults.collect(all.pool())
        } else {
            None
        };
        faults.into_result(descriptors.unwrap_or_default())
    }

    /// The set of all `.proto` files and what they import; also watches what they import.
    fn compiled(&mut self) -> Result<FileDescriptorSet, ConfigError> {
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
        let set = compiler.file_descriptor_set();
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

// === impl Files ===

impl Files {
    /// Adds a file unless there is one of its name.
    fn add(&mut self, file: FileDescriptorProto, origin: Option<&Arc<str>>) {
        if let Entry::Vacant(place) = self.origins.entry(file.name().to_owned()) {
            place.insert(origin.cloned());
            self.set.file.push(file);
        }
    }

    fn pool(self) -> Result<Descriptors, ConfigError> {
        let built = DescriptorPool::from_file_descriptor_set(self.set).and_then(Descriptors::new);
        built.map_err(|error| {
            let name = error.file().unwrap_or_default();
            let origin = self.origins.get(name).cloned().flatten();
            let file = origin.unwrap_or_else(|| name.into());
            ConfigError::at(&file, None, error.to_string())
        })
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
            && !files.is_empty()
            && let Some(descriptors) = faults.collect(files.compile())
        {
            described.listed = descriptors.clone();
            described.descriptors = descriptors;
        }
        described.paths = files.into_paths();
        (described, faults)
    }

    /// What a stack says about its services, where that is in force.
    pub(super) fn reflected(&self) -> Option<&Reflected> {
        self.reflected.as_ref().map(|(_, reflected)| &**reflected)
    }

    /// Adds what `stack` says to the listed files. Where both define something, the files win.
    ///
    /// # Errors
    /// Descriptors that do not fit together; then nothing has changed.
    pub(super) fn reflect(&mut self, stack: Stack, found: Arc<Reflected>) -> Result<(), String> {
        // The crate panics in place of some errors.
        let extended = catch_unwind(AssertUnwindSafe(|| self.listed.extended(&found.files)));
        self.descriptors = match extended {
            Ok(Ok(extended)) => extended,
            Ok(Err(error)) => return Err(format!("its descriptors do not fit together: {error}")),
            Err(_) => return Err("its descriptors cannot be read".to_owned()),
        };
        self.reflected = Some((stack, found));
        Ok(())
    }

    /// Takes over what the stack to be asked has said to `own`.
    pub(super) fn keep_reflected(&mut self, own: &Self, asked: Option<Stack>) {
        if let Some((stack, found)) = &own.reflected
            && asked == Some(*stack)
            && let Err(why) = self.reflect(*stack, found.clone())
        {
            tracing::warn!(why, "descriptors of server reflection do not fit the files");
        }
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

fn check_syntax(file: &FileDescriptorProto, origin: &Arc<str>) -> Result<(), ConfigError> {
    if !is_edition(file) {
        return Ok(());
    }
    let message = format!(
        "{} is written in an edition, which is not available yet; only proto2 and proto3 are",
        file.name()
    );
    Err(ConfigError::at(origin, None, message))
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
