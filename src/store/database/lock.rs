//! Locks one file for one process, whatever its names, and checks that it is still at its path.

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

/// Excludes other processes from the file until dropped, or until the process ends in any way.
#[derive(Debug)]
pub(super) struct Lock {
    /// Locks the file's name while one file replaces another.
    _name: File,
    /// Locks the file itself, which may have several names. SQLite's own POSIX locks end when this is closed, so that
    /// no connection may outlive it.
    file: Mutex<File>,
}

/// What is at the path of the locked file now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    InPlace,
    Gone,
    Another,
}

// === impl Lock ===

impl Lock {
    /// Locks the `file` at `path`.
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

    /// Creates a missing file at `path`, and locks it instead of the previous one.
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
            // If the state is unknown, the next write reports what is wrong.
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

/// Opens or creates a file that only its owner can access.
pub(super) fn private(path: &Path) -> io::Result<File> {
    options().create(true).truncate(false).open(path)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}
