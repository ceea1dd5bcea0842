//! The store's database: SQLite in one file, or in memory if no path is given, with the same schema.
//!
//! One thread writes, in one transaction per quarter of a second. Other threads queue their writes and continue. Reads
//! block on the disk, so call them from threads that may block. A failing disk is never an error for other parts:
//! writes are kept, within bounds, and retried, and the condition is reported.

mod backend;
mod file;
mod health;
mod lock;
mod queue;
mod schema;
mod writer;

use crate::ledger::{Gauges, Signal};
use backend::{Filed, Place};
use health::Condition;
use lock::Lock;
use queue::{Job, Queue};
use rusqlite::Connection;
use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};
use writer::Writer;
pub(super) use writer::apart;

/// The database of the process. Clones share it.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    path: Option<PathBuf>,
    queue: Arc<Queue>,
    /// Without a file, this is the writer's connection.
    reader: SharedConnection,
    condition: Condition,
    gauges: Gauges,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Held for the lifetime of the process.
    _lock: Option<Arc<Lock>>,
}

type SharedConnection = Arc<Mutex<Connection>>;

/// State that is written as a whole, repeatedly. The writer calls it in every round, four times a second. Writing must
/// be idempotent.
pub trait Source: Send + 'static {
    /// Writes what has changed since the last commit. Called again if the transaction failed.
    ///
    /// # Errors
    /// Those of the database. The writes of this call are then rolled back.
    fn write(&mut self, database: &Connection) -> rusqlite::Result<()>;

    /// An error that affected only a part of the last write.
    fn refused(&mut self) -> Option<rusqlite::Error> {
        None
    }

    /// The last write was committed.
    fn committed(&mut self) {}

    /// The database was corrupt or removed, and is now new and empty: everything must be written again.
    fn begun_anew(&mut self) {}
}

/// Why no database can be opened. Any other failure falls back to a database in memory and is reported.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("store.path: the folder {} does not exist", .0.display())]
    NoFolder(PathBuf),
    #[error("store.path: {} is no file", .0.display())]
    NoFile(PathBuf),
    #[error("store.path: {} is used by another process, and one file serves one process", .0.display())]
    InUse(PathBuf),
    #[error(
        "store.path: {} is of version {found}, written by a newer twinread; this one knows versions up to {known}",
        .path.display()
    )]
    Newer {
        path: PathBuf,
        found: u32,
        known: u32,
    },
    #[error("cannot start the store")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Too many writes are queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store is too far behind")]
pub struct Behind;

/// How long the writer keeps trying during shutdown.
const LAST_WORDS: Duration = Duration::from_secs(3);

// === impl OpenError ===

impl OpenError {
    /// Whether only a changed configuration can help.
    pub fn is_of_the_configuration(&self) -> bool {
        match self {
            Self::NoFolder(_) | Self::NoFile(_) | Self::Newer { .. } => true,
            Self::InUse(_) | Self::Failed(_) => false,
        }
    }
}

// === impl Database ===

impl Database {
    /// Opens the file at `path`, creates it if missing, and migrates its schema; `None` opens a database in memory. A
    /// damaged or foreign file is renamed. If the disk fails, falls back to a database in memory.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: Option<&Path>, gauges: Gauges) -> Result<Self, OpenError> {
        let condition = Condition::new(gauges.clone());
        let opened = match path {
            Some(path) => match file::open_locked(path) {
                Ok(opened) => Some(opened),
                Err(file::Trouble::Refused(refused)) => return Err(refused),
                Err(file::Trouble::Disk(error)) => {
                    condition.cannot_open(path, &*error);
                    None
                }
            },
            None => {
                condition.in_memory();
                None
            }
        };
        match opened {
            Some(opened) => {
                if let Some(set_aside) = &opened.set_aside {
                    condition.set_aside(set_aside);
                }
                let (lock, reader) = (opened.lock.clone(), opened.reader.clone());
                let place = Place::File(Filed::new(opened));
                Self::start(place, reader, (condition, gauges), Some(lock))
            }
            None => Self::start_in_memory(condition, gauges),
        }
    }

    /// Opens a database in memory, as if opening the file at `path` had failed with `error`.
    ///
    /// # Errors
    /// [`OpenError::Failed`].
    pub fn open_in_place_of(
        path: &Path,
        error: &rusqlite::Error,
        gauges: Gauges,
    ) -> Result<Self, OpenError> {
        let condition = Condition::new(gauges.clone());
        condition.cannot_open(path, error);
        Self::start_in_memory(condition, gauges)
    }

    /// Reads the file at `path` without writing, for a file that cannot be opened otherwise.
    ///
    /// # Errors
    /// Those of the database, and of `read`.
    pub fn peek<T>(
        path: &Path,
        read: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        file::peek(path, read)
    }

    fn start_in_memory(condition: Condition, gauges: Gauges) -> Result<Self, OpenError> {
        let connection = file::in_memory().map_err(|error| OpenError::Failed(error.into()))?;
        let shared = Arc::new(Mutex::new(connection));
        let place = Place::Memory(shared.clone());
        Self::start(place, shared, (condition, gauges), None)
    }

    fn start(
        place: Place,
        reader: SharedConnection,
        (condition, gauges): (Condition, Gauges),
        lock: Option<Arc<Lock>>,
    ) -> Result<Self, OpenError> {
        let queue = Arc::new(Queue::default());
        let path = place.path().map(Path::to_owned);
        let writer = Writer {
            place,
            queue: queue.clone(),
            condition: condition.clone(),
            gauges: gauges.clone(),
            sources: Vec::new(),
        };
        let spawned = thread::Builder::new()
            .name("twinread-store".to_owned())
            .spawn(move || writer.run());
        let failed = |error: io::Error| OpenError::Failed(error.into());
        Ok(Self(Arc::new(Inner {
            path,
            queue,
            reader,
            condition,
            gauges,
            writer: Mutex::new(Some(spawned.map_err(failed)?)),
            _lock: lock,
        })))
    }

    /// The file; `None` if everything is in memory.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Queues a write without waiting. It runs in a transaction with others, and again if that failed. `bytes` is its
    /// approximate size, which counts against the limit on queued writes.
    ///
    /// # Errors
    /// [`Behind`]: the write is dropped, and counted as dropped.
    pub fn write(
        &self,
        bytes: usize,
        write: impl FnMut(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), Behind> {
        let job = Job {
            bytes,
            write: Box::new(write),
        };
        let taken = self.0.queue.push(job);
        if taken.is_err() {
            self.0.gauges.export_dropped(Signal::Store, 1);
        }
        taken
    }

    /// Adds a source for all later rounds.
    pub fn add_source(&self, source: impl Source) {
        self.0.queue.add_source(Box::new(source));
    }

    /// Starts the next round at once.
    pub fn hasten(&self) {
        self.0.queue.hasten();
    }

    /// Runs `read`. Blocks on the disk and on other readers; call it from a thread that may block.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        read(&locked(&self.0.reader))
    }

    /// Waits until all earlier writes are committed, at most `within`. Returns `false` if they are not, at once if the
    /// disk fails. Call it from a thread that may block.
    pub fn settle(&self, within: Duration) -> bool {
        self.0.queue.settle(within)
    }

    /// Waits until all earlier writes and every source are in the file, at most `within`. Returns `false` if they may
    /// not survive a restart. Call it from a thread that may block.
    pub fn keeps(&self, within: Duration) -> bool {
        self.path().is_some() && self.settle(within) && self.0.gauges.store_failing() == 0
    }

    /// Adds a problem to `/readyz` until the process ends.
    pub fn tell(&self, sentence: String) {
        self.0.condition.lasts(sentence);
    }

    /// The current problems, one sentence each.
    pub fn impairments(&self) -> Vec<String> {
        self.0.condition.sentences()
    }

    /// Writes all sources and queued writes a last time and stops the writer. Later writes are refused. If the disk
    /// fails, gives up after a few seconds and logs the loss. Call it from a thread that may block.
    pub fn close(&self) {
        self.0.close();
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}

// === impl Inner ===

impl Inner {
    fn close(&self) {
        self.queue.close();
        let writer = locked(&self.writer).take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the writer of the store panicked");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

/// A panic elsewhere leaves a connection that rolls back its open transaction.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
