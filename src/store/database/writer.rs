//! The thread that writes to the database.

use super::{
    SharedConnection, Source,
    health::Health,
    locked,
    open::{self, StoreFile, Trouble},
};
use crate::{
    budget::Held,
    ledger::{Gauges, Signal},
};
use rusqlite::{Connection, ErrorCode};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

/// What callers send to the writer. Once the last sender is dropped, it writes a last time and ends.
pub(super) enum Command {
    Write(Job),
    Add(Box<dyn Source>),
    /// Reports when all earlier writes are committed; dropped if that fails.
    Settle(Sender<()>),
}

/// One write. It may run several times.
pub(super) struct Job {
    pub(super) write: Write,
    /// Its share of what may be queued.
    pub(super) _held: Held,
}

type Write = Box<dyn FnMut(&Connection) -> rusqlite::Result<()> + Send>;

pub(super) struct Writer {
    pub(super) commands: Receiver<Command>,
    pub(super) connection: SharedConnection,
    pub(super) health: Health,
    pub(super) gauges: Gauges,
    pub(super) sources: Vec<Box<dyn Source>>,
    pub(super) jobs: Vec<Job>,
    /// Who waits for the round.
    pub(super) settling: Vec<Sender<()>>,
    /// Whether the last round failed.
    pub(super) is_failing: bool,
    /// Whether the file was set aside because it is damaged, after which nothing is written.
    pub(super) is_set_aside: bool,
    /// Dropped after the connection.
    pub(super) file: Option<Arc<StoreFile>>,
}

/// Whether there will be another round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    Regular,
    Last,
}

/// Interval between rounds if nobody waits.
const PERIOD: Duration = Duration::from_millis(250);

/// Pause before a failed round is retried.
const PAUSE: Duration = Duration::from_secs(1);

/// The same during shutdown.
const SHORT_PAUSE: Duration = Duration::from_millis(100);

/// How long the writer keeps trying during shutdown.
const LAST_ATTEMPTS: Duration = Duration::from_secs(3);

// === impl Writer ===

impl Writer {
    pub(super) fn run(mut self) {
        let mut pause = PERIOD;
        let mut give_up = None;
        loop {
            let round = self.receive(pause);
            let is_written = self.write();
            self.is_failing = !is_written;
            match (round, is_written) {
                (Round::Regular, true) => pause = PERIOD,
                (Round::Regular, false) => pause = PAUSE,
                (Round::Last, true) => return self.checkpoint(),
                (Round::Last, false) => {
                    let now = Instant::now();
                    if now > *give_up.get_or_insert(now + LAST_ATTEMPTS) {
                        return self.give_up();
                    }
                    thread::sleep(SHORT_PAUSE);
                }
            }
        }
    }

    /// Collects the input of the next round, for `pause` or until somebody waits for it.
    fn receive(&mut self, pause: Duration) -> Round {
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.commands.recv_timeout(left) {
                Ok(Command::Write(job)) => self.jobs.push(job),
                Ok(Command::Add(source)) => {
                    self.sources.push(source);
                    return Round::Regular;
                }
                // Answered at once by dropping it: the disk fails, and a wait would not end in time.
                Ok(Command::Settle(_)) if self.is_failing => {}
                Ok(Command::Settle(settling)) => {
                    self.settling.push(settling);
                    return Round::Regular;
                }
                Err(RecvTimeoutError::Timeout) => return Round::Regular,
                Err(RecvTimeoutError::Disconnected) => return Round::Last,
            }
        }
    }

    /// Writes the round; `false` if it must be retried.
    fn write(&mut self) -> bool {
        let settling = std::mem::take(&mut self.settling);
        if self.is_set_aside {
            return false;
        }
        self.health.begins();
        match self.attempt() {
            Ok(refused) => {
                match refused {
                    Some(refused) => self.health.fails(refused.to_string()),
                    None => self.health.works(),
                }
                for settled in settling {
                    // Whoever no longer waits misses nothing.
                    let _ = settled.send(());
                }
                true
            }
            Err(trouble) => {
                let mut why = trouble.to_string();
                if let (Trouble::Damaged(_), Some(file)) = (trouble, &self.file) {
                    match open::set_aside(&file.path) {
                        Ok(aside) => {
                            self.is_set_aside = true;
                            let consequence = "and nothing is stored until a restart";
                            self.health.set_aside(&aside, consequence);
                        }
                        Err(error) => why = format!("{why}; it cannot be set aside: {error}"),
                    }
                }
                self.health.fails(why);
                false
            }
        }
    }

    /// Writes all sources and jobs in one transaction. Returns the error of a source that keeps its data and tries again,
    /// if any.
    fn attempt(&mut self) -> Result<Option<rusqlite::Error>, Trouble> {
        if let Some(file) = &self.file {
            file.check()?;
        }
        let mut refused = None;
        let mut good = Vec::new();
        let mut connection = locked(&self.connection);
        let transaction = connection.transaction()?;
        for source in &mut self.sources {
            let written = apart(&transaction, |to| source.write(to))?;
            good.push(written.is_ok());
            let error = written.err().or_else(|| source.refused());
            refused = refused.or(error);
        }
        for job in &mut self.jobs {
            if let Err(error) = apart(&transaction, |to| (job.write)(to))? {
                tracing::error!(%error, "the store refuses a write, which is lost");
                self.gauges.export_dropped(Signal::Store, 1);
            }
        }
        transaction.commit()?;
        drop(connection);
        for (source, is_good) in self.sources.iter_mut().zip(good) {
            if is_good {
                source.committed();
            }
        }
        self.jobs.clear();
        Ok(refused)
    }

    /// Moves the write-ahead log into the file.
    fn checkpoint(&self) {
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        let written = locked(&self.connection).query_row(checkpoint, [], |_| Ok(()));
        if let Err(error) = written {
            tracing::warn!(%error, "the log of the store stays next to it, for the next start to read");
        }
    }

    fn give_up(&self) {
        let left = self.jobs.len();
        tracing::error!(
            left,
            "the store could not be written at the end: what was found out last is lost"
        );
        self.gauges.export_dropped(Signal::Store, left as u64);
    }
}

/// Runs one write in a savepoint, so that a write that can never succeed does not fail the others. Such a write is
/// rolled back and returned as `Ok(Err)`, as is one that panics.
///
/// # Errors
/// If the disk fails.
pub(in crate::store) fn apart(
    to: &Connection,
    write: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<rusqlite::Result<()>> {
    to.execute_batch("SAVEPOINT apart")?;
    let panicked = |_| {
        Err(rusqlite::Error::ToSqlConversionFailure(
            "it panicked".into(),
        ))
    };
    let written = catch_unwind(AssertUnwindSafe(|| write(to))).unwrap_or_else(panicked);
    match &written {
        Ok(()) => to.execute_batch("RELEASE apart")?,
        Err(error) if is_of_the_disk(error) => return written.map(Ok),
        Err(_) => to.execute_batch("ROLLBACK TO apart; RELEASE apart")?,
    }
    Ok(written)
}

/// Whether a retry may succeed or the file is damaged, as opposed to a fault of the write itself.
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
