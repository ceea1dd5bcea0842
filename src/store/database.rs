//! The database under the store: SQLite in one file, or in memory where no path is given; the same schema either way.
//!
//! One thread writes, a transaction for what has come in a quarter of a second; whoever has something to write hands
//! it over and goes on. Reads wait for the disk: they belong where waiting holds nobody up. A disk that fails is never
//! an error to anybody else: writes are kept, in bounds, and tried again, and the condition is told.

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

/// The database of the process. Shared by clones.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    path: Option<PathBuf>,
    queue: Arc<Queue>,
    /// Without a file the same connection as the writer's.
    reader: SharedConnection,
    condition: Condition,
    gauges: Gauges,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Held for as long as the process lives.
    _lock: Option<Arc<Lock>>,
}

type SharedConnection = Arc<Mutex<Connection>>;

/// Is asked in every round of the writer, four times a second, what there is to write: for what is written as a whole
/// again and again. What is written must be the same however often it is written.
pub trait Source: Send + 'static {
    /// Writes what has changed since the last commit. Called again where the transaction failed.
    ///
    /// # Errors
    /// Those of the database. What was written in this call is undone then.
    fn write(&mut self, database: &Connection) -> rusqlite::Result<()>;

    /// What the database did not take of the last write, though it took the rest.
    fn refused(&mut self) -> Option<rusqlite::Error> {
        None
    }

    /// What was written last is in the database for good.
    fn committed(&mut self) {}

    /// The database was corrupt or was removed, and is a new and empty one: everything has to be written again.
    fn begun_anew(&mut self) {}
}

/// Why there is no database. Everything else that may fail leaves one in memory, and is told.
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

/// There are too many writes that the database has not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store is too far behind")]
pub struct Behind;

/// What the writer may still try once the process ends.
const LAST_WORDS: Duration = Duration::from_secs(3);

// === impl OpenError ===

impl OpenError {
    /// Whether another configuration, and nothing else, can help.
    pub fn is_of_the_configuration(&self) -> bool {
        match self {
            Self::NoFolder(_) | Self::NoFile(_) | Self::Newer { .. } => true,
            Self::InUse(_) | Self::Failed(_) => false,
        }
    }
}

// === impl Database ===

impl Database {
    /// Opens the file at `path`, making it where there is none, and brings its schema up to date; `None`: in memory.
    /// A file that is damaged or foreign is set aside under another name. One that cannot be opened, because the
    /// disk fails, leaves the process with a database in memory.
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

    /// As if the file at `path` could not be opened, because of `error`: in memory.
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

    /// Reads the file at `path` without writing it, where it cannot be opened otherwise.
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

    /// The file; `None`: everything is in memory.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Hands over something to write, and never waits. It runs in a transaction with others, and again where that
    /// failed. `bytes`: about what it holds, for the bound on what waits.
    ///
    /// # Errors
    /// [`Behind`]: it is not written, and counted as dropped.
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

    /// From now on `source` is asked in every round.
    pub fn add_source(&self, source: impl Source) {
        self.0.queue.add_source(Box::new(source));
    }

    /// Has the next round begin at once.
    pub fn hasten(&self) {
        self.0.queue.hasten();
    }

    /// Reads. Waits for the disk, and for whoever else reads: not for a thread that serves.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        read(&locked(&self.0.reader))
    }

    /// Waits until everything that was handed over before is written, at most `within`. `false`: it is not; at once
    /// where the disk fails. Not for a thread that serves.
    pub fn settle(&self, within: Duration) -> bool {
        self.0.queue.settle(within)
    }

    /// Waits until everything that was handed over before, and every source, is in the file; at most `within`. `false`:
    /// that may not survive the process. Not for a thread that serves.
    pub fn keeps(&self, within: Duration) -> bool {
        self.path().is_some() && self.settle(within) && self.0.gauges.store_failing() == 0
    }

    /// Says in `/readyz` what is not as it should be, until the process ends.
    pub fn tell(&self, sentence: String) {
        self.0.condition.lasts(sentence);
    }

    /// What is not as it should be, each in a sentence.
    pub fn impairments(&self) -> Vec<String> {
        self.0.condition.sentences()
    }

    /// Asks every source a last time, writes all there is, and ends the writer; what comes later is refused. Where the
    /// disk fails, what could not be written in a few seconds is given up, loudly. Waits: not for a thread that serves.
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

/// A panic elsewhere leaves a connection that rolls back what was begun.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
