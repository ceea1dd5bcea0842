//! The store's database: SQLite in one file, or in memory if no path is given, with the same schema.
//!
//! One thread writes, in one transaction per quarter of a second. Other threads queue their writes and continue. Reads
//! block on the disk, so call them from threads that may block. A failing disk is never an error for other parts:
//! writes are kept, within bounds, and retried, and the condition is reported.

mod health;
mod open;
mod schema;
mod writer;

use crate::{
    budget::Budget,
    ledger::{Gauges, Signal},
};
use health::Health;
pub(crate) use open::peek;
use open::{Opened, StoreFile, Trouble};
use rusqlite::Connection;
use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
pub(super) use writer::apart;
use writer::{Command, Job, Writer};

/// The database of the process. Clones share it.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    /// `None` once it is closed.
    commands: Mutex<Option<Sender<Command>>>,
    /// What may be queued.
    queue: Budget,
    writer: Mutex<Option<WriterThread>>,
    /// Without a file, this is the writer's connection.
    reader: SharedConnection,
    health: Health,
    gauges: Gauges,
    /// Dropped after the connections.
    file: Option<Arc<StoreFile>>,
}

struct WriterThread {
    handle: JoinHandle<()>,
    /// Disconnected when the thread ends.
    ended: Receiver<()>,
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

/// Limits on queued writes: their bytes, and so many of the smallest.
const MAX_BYTES: usize = 32 << 20;
const MAX_JOBS: usize = 10_000;

/// A write that takes longer than this is reported as a failing store.
const HANGING: Duration = Duration::from_secs(5);

/// How long [`Database::close`] waits for a disk that does not answer.
const CLOSING: Duration = Duration::from_secs(5);

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
        let health = Health::new(gauges.clone());
        let opened = match path {
            None => {
                health.in_memory();
                open::in_memory()?
            }
            Some(path) => match open::file(path, &health) {
                Ok(opened) => opened,
                Err(Trouble::Refused(refused)) => return Err(refused),
                Err(trouble) => {
                    health.cannot_open(path, trouble.to_string());
                    open::in_memory()?
                }
            },
        };
        Self::start(opened, health, gauges)
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
        let health = Health::new(gauges.clone());
        health.cannot_open(path, error.to_string());
        Self::start(open::in_memory()?, health, gauges)
    }

    fn start(opened: Opened, health: Health, gauges: Gauges) -> Result<Self, OpenError> {
        let (commands, received) = mpsc::channel();
        let writer = Writer {
            commands: received,
            connection: opened.writer,
            health: health.clone(),
            gauges: gauges.clone(),
            sources: Vec::new(),
            jobs: Vec::new(),
            settling: Vec::new(),
            is_failing: false,
            is_set_aside: false,
            file: opened.file.clone(),
        };
        let (running, ended) = mpsc::channel();
        let spawned = thread::Builder::new()
            .name("twinread-store".to_owned())
            .spawn(move || {
                writer.run();
                drop(running);
            });
        let handle = spawned.map_err(|error: io::Error| OpenError::Failed(error.into()))?;
        Ok(Self(Arc::new(Inner {
            commands: Mutex::new(Some(commands)),
            queue: Budget::new(MAX_BYTES),
            writer: Mutex::new(Some(WriterThread { handle, ended })),
            reader: opened.reader,
            health,
            gauges,
            file: opened.file,
        })))
    }

    /// The file; `None` if everything is in memory.
    pub fn path(&self) -> Option<&Path> {
        self.0.file.as_ref().map(|file| &*file.path)
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
        let mut held = self.0.queue.share();
        let is_queued = held.grow(bytes.max(MAX_BYTES / MAX_JOBS))
            && self.0.send(Command::Write(Job {
                write: Box::new(write),
                _held: held,
            }));
        if is_queued {
            Ok(())
        } else {
            self.0.gauges.export_dropped(Signal::Store, 1);
            Err(Behind)
        }
    }

    /// Adds a source for all later rounds, and starts the next one at once.
    pub fn add_source(&self, source: impl Source) {
        self.0.send(Command::Add(Box::new(source)));
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
        let (written, settled) = mpsc::channel();
        self.0.send(Command::Settle(written)) && settled.recv_timeout(within).is_ok()
    }

    /// Waits until all earlier writes and every source are in the file, at most `within`. Returns `false` if they may
    /// not survive a restart. Call it from a thread that may block.
    pub fn keeps(&self, within: Duration) -> bool {
        self.path().is_some() && self.settle(within) && self.0.gauges.store_failing.get() == 0
    }

    /// Reports a write that hangs as a failing store. Never waits.
    pub fn look_for_a_hanging_write(&self) {
        self.0.health.look(HANGING);
    }

    /// Adds a problem to `/readyz` until the process ends.
    pub fn add_impairment(&self, sentence: String) {
        self.0.health.lasts(sentence);
    }

    /// The current problems, one sentence each.
    pub fn impairments(&self) -> Vec<String> {
        self.0.health.sentences()
    }

    /// Intended states that are worth knowing, one sentence each.
    pub fn notes(&self) -> Vec<&'static str> {
        self.0.health.notes()
    }

    /// Writes all sources and queued writes a last time and stops the writer. Later writes are refused. If the disk
    /// fails or hangs, gives up after a few seconds and logs the loss. Call it from a thread that may block.
    pub fn close(&self) {
        self.0.close(CLOSING);
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

// === impl Inner ===

impl Inner {
    /// Returns `false` if the writer has ended.
    fn send(&self, command: Command) -> bool {
        let commands = locked(&self.commands);
        commands
            .as_ref()
            .is_some_and(|commands| commands.send(command).is_ok())
    }

    fn close(&self, within: Duration) {
        locked(&self.commands).take();
        let Some(writer) = locked(&self.writer).take() else {
            return;
        };
        if writer.ended.recv_timeout(within) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("the disk does not answer: what was found out last is lost");
        } else if writer.handle.join().is_err() {
            tracing::error!("the writer of the store panicked");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close(CLOSING);
    }
}

/// A panic elsewhere leaves a connection that rolls back its open transaction.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
