//! The thread that writes.

use super::{
    LAST_WORDS, SharedConnection, Source,
    condition::Condition,
    file::{self, Trouble},
    locked,
    queue::{Job, Queue},
};
use crate::telemetry::{Gauges, Signal};
use rusqlite::{Connection, ErrorCode};
use std::{
    collections::VecDeque,
    mem,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Everything that the thread has.
pub(super) struct Writer {
    pub(super) place: Place,
    pub(super) reader: SharedConnection,
    pub(super) queue: Arc<Queue>,
    pub(super) condition: Condition,
    pub(super) gauges: Gauges,
    pub(super) sources: Vec<Box<dyn Source>>,
    /// Files set aside so far.
    pub(super) set_aside: u32,
}

/// Where is written.
pub(super) enum Place {
    File { path: PathBuf, writer: Connection },
    Memory(SharedConnection),
}

/// How a round went.
enum Attempt {
    Committed,
    /// The disk may be better later.
    Failed(rusqlite::Error),
    /// It will not.
    Damaged(rusqlite::Error),
}

/// From one round to the next, where nobody waits.
const PERIOD: Duration = Duration::from_millis(250);

/// Before a round that failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// The same, once the process ends.
const SHORT_PAUSE: Duration = Duration::from_millis(100);

/// A disk that damages one file after the other is not to be filled with them.
const MAX_SET_ASIDE: u32 = 3;

// === impl Writer ===

impl Writer {
    pub(super) fn run(mut self) {
        loop {
            let mut round = self.queue.next(PERIOD);
            self.sources.append(&mut round.sources);
            let bytes = round.jobs.iter().map(|job| job.bytes).sum();
            if !self.commit(&mut round.jobs) {
                let left = round.jobs.len() + self.queue.left();
                tracing::error!(
                    left,
                    "the store could not be written at the end: what was found out last is lost"
                );
                self.gauges.export_dropped(Signal::Store, left as u64);
                return;
            }
            self.queue.written(bytes);
            if round.is_last {
                self.place.write_back();
                return;
            }
        }
    }

    /// Writes the round, and tries again for as long as that takes; `false`: the process ends, and it was given up.
    fn commit(&mut self, jobs: &mut VecDeque<Job>) -> bool {
        let mut give_up = None;
        loop {
            match self.attempt(jobs) {
                Attempt::Committed => {
                    self.condition.works();
                    return true;
                }
                Attempt::Damaged(error) => self.begin_anew(&error),
                Attempt::Failed(error) => self.condition.fails(&error),
            }
            let pause = if give_up.is_some() {
                SHORT_PAUSE
            } else {
                PAUSE
            };
            if self.queue.failed(pause) {
                let now = Instant::now();
                if now > *give_up.get_or_insert(now + LAST_WORDS) {
                    return false;
                }
                thread::sleep(SHORT_PAUSE);
            }
        }
    }

    fn attempt(&mut self, jobs: &mut VecDeque<Job>) -> Attempt {
        let (sources, gauges) = (&mut self.sources, &self.gauges);
        let result = self.place.with(|connection| {
            let mut good = vec![false; sources.len()];
            let mut transaction = connection.transaction()?;
            for (source, good) in sources.iter_mut().zip(&mut good) {
                *good = apart(&mut transaction, gauges, |to| source.write(to))?;
            }
            for job in jobs.iter_mut() {
                apart(&mut transaction, gauges, |to| (job.write)(to))?;
            }
            transaction.commit()?;
            Ok(good)
        });
        match result {
            Ok(good) => {
                let sources = self.sources.iter_mut().zip(good);
                for (source, _) in sources.filter(|(_, is_good)| *is_good) {
                    source.committed();
                }
                jobs.clear();
                Attempt::Committed
            }
            Err(error) if file::is_damage(&error) => Attempt::Damaged(error),
            Err(error) => Attempt::Failed(error),
        }
    }

    /// Sets the damaged file aside while the process runs, and begins a new one.
    fn begin_anew(&mut self, error: &rusqlite::Error) {
        self.condition.fails(error);
        let Place::File { path, writer } = &mut self.place else {
            return;
        };
        if self.set_aside >= MAX_SET_ASIDE {
            return;
        }
        self.set_aside += 1;
        let mut begun = || -> Result<_, Trouble> {
            let mut reader = locked(&self.reader);
            // Both are closed before the file is renamed: closed later, they would take the new one's log with them.
            drop(mem::replace(writer, Connection::open_in_memory()?));
            drop(mem::replace(&mut *reader, Connection::open_in_memory()?));
            let aside = file::set_aside(path)?;
            *writer = file::begin(path)?;
            *reader = file::read_only(path)?;
            Ok(aside)
        };
        match begun() {
            Ok(aside) => {
                self.condition.set_aside(&aside);
                for source in &mut self.sources {
                    source.begun_anew();
                }
            }
            Err(error) => tracing::error!(%error, "no new store can be begun"),
        }
    }
}

/// Runs one write in a savepoint, so that one which can never succeed takes no other along. `Err`: the disk fails.
fn apart(
    transaction: &mut rusqlite::Transaction<'_>,
    gauges: &Gauges,
    write: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<bool> {
    let savepoint = transaction.savepoint()?;
    match write(&savepoint) {
        Ok(()) => {
            savepoint.commit()?;
            Ok(true)
        }
        Err(error) if is_of_the_disk(&error) => Err(error),
        Err(error) => {
            // Dropped, the savepoint is rolled back.
            drop(savepoint);
            tracing::error!(%error, "the store refuses a write, which is lost");
            gauges.export_dropped(Signal::Store, 1);
            Ok(false)
        }
    }
}

/// Whether another attempt may succeed, or the file is damaged: everything but a fault of the write itself.
fn is_of_the_disk(error: &rusqlite::Error) -> bool {
    let of_the_write = [
        ErrorCode::Unknown,
        ErrorCode::ConstraintViolation,
        ErrorCode::TypeMismatch,
        ErrorCode::TooBig,
        ErrorCode::ApiMisuse,
        ErrorCode::ParameterOutOfRange,
        ErrorCode::InternalMalfunction,
    ];
    error
        .sqlite_error_code()
        .is_some_and(|code| !of_the_write.contains(&code))
}

// === impl Place ===

impl Place {
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } => Some(path),
            Self::Memory(_) => None,
        }
    }

    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        match self {
            Self::File { writer, .. } => work(writer),
            Self::Memory(shared) => work(&mut locked(shared)),
        }
    }

    /// Leaves one whole file without a log beside it.
    fn write_back(&mut self) {
        let Self::File { writer, .. } = self else {
            return;
        };
        let written = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = written {
            tracing::warn!(%error, "the log of the store stays beside it, for the next start to read");
        }
    }
}
