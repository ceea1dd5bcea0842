//! Where the database is: in memory, or in a file that may become damaged or be removed at runtime.

use super::{
    SharedConnection,
    file::{self, Trouble},
    lock::{Lock, Standing},
    locked,
};
use rusqlite::Connection;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub(super) enum Place {
    File(Filed),
    Memory(SharedConnection),
}

/// A file, and whether it can be written.
pub(super) struct Filed {
    path: PathBuf,
    lock: Arc<Lock>,
    reader: SharedConnection,
    state: State,
    /// Files set aside so far.
    set_aside: u32,
}

enum State {
    Open(Connection),
    /// The damaged file must be set aside first.
    Damaged,
    /// A new file must be created.
    Gone(Anew),
}

/// Why a new file was created.
#[derive(Clone, Debug)]
pub(super) enum Anew {
    /// The old file was damaged and is now here.
    SetAside(PathBuf),
    Removed,
}

/// Why nothing can be written now.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotReady {
    #[error("another file was put in its place")]
    Another,
    #[error("no new store can be begun")]
    Begin(#[from] Trouble),
}

/// Limits the damaged files, because a disk that damages each new file must not fill up with them.
const MAX_SET_ASIDE: u32 = 3;

// === impl Place ===

impl Place {
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(file) => Some(&file.path),
            Self::Memory(_) => None,
        }
    }

    /// Makes it writable. Returns why a new file was created, if one was.
    ///
    /// # Errors
    /// [`NotReady`].
    pub(super) fn ready(&mut self) -> Result<Option<Anew>, NotReady> {
        match self {
            Self::File(file) => file.ready(),
            Self::Memory(_) => Ok(None),
        }
    }

    pub(super) fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        match self {
            Self::File(file) => match &mut file.state {
                State::Open(writer) => work(writer),
                State::Damaged | State::Gone(_) => Err(rusqlite::Error::InvalidQuery),
            },
            Self::Memory(shared) => work(&mut locked(shared)),
        }
    }

    /// Marks the file as damaged and stops writing it, unless too many files have been set aside.
    pub(super) fn abandon(&mut self) {
        if let Self::File(file) = self
            && file.set_aside < MAX_SET_ASIDE
        {
            file.set_aside += 1;
            file.close(State::Damaged);
        }
    }

    /// Checkpoints the write-ahead log into the file.
    pub(super) fn write_back(&mut self) {
        let Self::File(Filed {
            state: State::Open(writer),
            ..
        }) = self
        else {
            return;
        };
        let written = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = written {
            tracing::warn!(%error, "the log of the store stays beside it, for the next start to read");
        }
    }
}

// === impl Filed ===

impl Filed {
    pub(super) fn new(opened: file::Opened) -> Self {
        Self {
            path: opened.path,
            lock: opened.lock,
            reader: opened.reader,
            state: State::Open(opened.writer),
            set_aside: 0,
        }
    }

    fn ready(&mut self) -> Result<Option<Anew>, NotReady> {
        match (self.lock.standing(&self.path), &self.state) {
            (Standing::Another, _) => return Err(NotReady::Another),
            (Standing::Gone, State::Open(_) | State::Damaged) => {
                self.close(State::Gone(Anew::Removed));
            }
            (Standing::InPlace, State::Damaged) => {
                let aside = file::set_aside(&self.path).map_err(Trouble::from)?;
                self.state = State::Gone(Anew::SetAside(aside));
            }
            (Standing::InPlace, State::Open(_)) | (_, State::Gone(_)) => {}
        }
        let State::Gone(anew) = &self.state else {
            return Ok(None);
        };
        let anew = anew.clone();
        let writer = file::begin(&self.path, &self.lock)?;
        *locked(&self.reader) = file::read_only(&self.path).map_err(Trouble::from)?;
        self.state = State::Open(writer);
        Ok(Some(anew))
    }

    /// Closes both connections before a new file takes the name. Closed later, they would delete the new file's log.
    fn close(&mut self, state: State) {
        self.state = state;
        match Connection::open_in_memory() {
            Ok(nothing) => *locked(&self.reader) = nothing,
            Err(error) => tracing::error!(%error, "a connection to the old store stays open"),
        }
    }
}
