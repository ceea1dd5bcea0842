//! One file serves one process, whatever names it has; and whether it still stands where it stood.

use super::{
    OpenError,
    file::{Trouble, beside},
    locked,
};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    sync::Mutex,
};

/// Keeps other processes from the file until it is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub(super) struct Lock {
    /// By the file's name, while one file makes room for another.
    _name: File,
    /// By the file itself, which may have several names. SQLite's locks are of another kind; they end when this is closed,
    /// so that no connection may outlive it.
    file: Mutex<File>,
}

/// What stands where the locked file stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    InPlace,
    Gone,
    Another,
}

// === impl Lock ===

impl Lock {
    /// Locks the `file` that stands at `path`.
    pub(super) fn take(path: &Path, file: File) -> Result<Self, Trouble> {
        let name = private(&beside(path, ".lock"))?;
        for locked in [&name, &file] {
            claim(locked, path)?;
        }
        Ok(Self {
            _name: name,
            file: Mutex::new(file),
        })
    }

    /// Makes a file at `path`, where there is none, and locks it in the place of the one before.
    pub(super) fn take_new(&self, path: &Path) -> Result<(), Trouble> {
        let file = options().create_new(true).open(path)?;
        claim(&file, path)?;
        *locked(&self.file) = file;
        Ok(())
    }

    pub(super) fn standing(&self, path: &Path) -> Standing {
        let identity = |found: &fs::Metadata| (found.dev(), found.ino());
        match (fs::metadata(path), locked(&self.file).metadata()) {
            (Ok(found), Ok(own)) if identity(&found) != identity(&own) => Standing::Another,
            (Err(error), _) if error.kind() == io::ErrorKind::NotFound => Standing::Gone,
            // Where it cannot be told, writing tells what is wrong.
            _ => Standing::InPlace,
        }
    }
}

fn claim(file: &File, path: &Path) -> Result<(), Trouble> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Trouble::Refused(OpenError::InUse(path.to_owned()))),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Opens or makes a file that only its owner can read.
pub(super) fn private(path: &Path) -> io::Result<File> {
    options().create(true).truncate(false).open(path)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}
