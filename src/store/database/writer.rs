//! The thread that writes to the database.

use super::{
    LAST_WORDS, Source,
    backend::{Anew, NotReady, Place},
    file,
    health::{Condition, chain},
    queue::{Job, Queue},
};
use crate::ledger::{Gauges, Signal};
use rusqlite::{Connection, ErrorCode};
use std::{
    collections::VecDeque,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

pub(super) struct Writer {
    pub(super) place: Place,
    pub(super) queue: Arc<Queue>,
    pub(super) condition: Condition,
    pub(super) gauges: Gauges,
    pub(super) sources: Vec<Box<dyn Source>>,
}

/// The result of an attempt to write a round.
enum Attempt {
    /// With the error of a source that keeps its data and tries again, if any.
    Committed(Option<rusqlite::Error>),
    NotReady(NotReady),
    /// A later attempt may succeed.
    Failed(rusqlite::Error),
    /// No later attempt can succeed.
    Damaged(rusqlite::Error),
}

/// Interval between rounds if nobody waits.
const PERIOD: Duration = Duration::from_millis(250);

/// Pause before a failed round is retried.
const PAUSE: Duration = Duration::from_secs(1);

/// The same during shutdown.
const SHORT_PAUSE: Duration = Duration::from_millis(100);

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

    /// Writes the round and retries until it succeeds. Returns `false` if it gave up because the process ends.
    fn commit(&mut self, jobs: &mut VecDeque<Job>) -> bool {
        let mut give_up = None;
        loop {
            match self.attempt(jobs) {
                Attempt::Committed(refused) => {
                    match refused {
                        Some(refused) => self.condition.fails(refused.to_string()),
                        None => self.condition.works(),
                    }
                    return true;
                }
                Attempt::NotReady(error) => self.condition.fails(chain(&error)),
                Attempt::Failed(error) => self.condition.fails(error.to_string()),
                Attempt::Damaged(error) => {
                    self.condition.fails(error.to_string());
                    self.place.abandon();
                }
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
        match self.place.ready() {
            Ok(None) => {}
            Ok(Some(anew)) => self.has_begun(&anew),
            Err(error) => return Attempt::NotReady(error),
        }
        let (sources, gauges) = (&mut self.sources, &self.gauges);
        let result = self.place.with(|connection| {
            let mut good = vec![false; sources.len()];
            let mut refused = None;
            let transaction = connection.transaction()?;
            for (source, good) in sources.iter_mut().zip(&mut good) {
                let written = apart(&transaction, |to| source.write(to))?;
                *good = written.is_ok();
                let error = written.err().or_else(|| source.refused());
                refused = refused.or(error);
            }
            for job in jobs.iter_mut() {
                if let Err(error) = apart(&transaction, |to| (job.write)(to))? {
                    tracing::error!(%error, "the store refuses a write, which is lost");
                    gauges.export_dropped(Signal::Store, 1);
                }
            }
            transaction.commit()?;
            Ok((good, refused))
        });
        match result {
            Ok((good, refused)) => {
                let sources = self.sources.iter_mut().zip(good);
                for (source, _) in sources.filter(|(_, is_good)| *is_good) {
                    source.committed();
                }
                jobs.clear();
                Attempt::Committed(refused)
            }
            Err(error) if file::is_damage(&error) => Attempt::Damaged(error),
            Err(error) => Attempt::Failed(error),
        }
    }

    /// Reports that the file is new and empty.
    fn has_begun(&mut self, anew: &Anew) {
        match anew {
            Anew::SetAside(aside) => self.condition.set_aside(aside),
            Anew::Removed => {
                if let Some(path) = self.place.path() {
                    self.condition.removed(path);
                }
            }
        }
        for source in &mut self.sources {
            source.begun_anew();
        }
    }
}

/// Runs one write in a savepoint, so that a write that can never succeed does not fail the others. Such a write is
/// rolled back and returned as `Ok(Err)`.
///
/// # Errors
/// If the disk fails.
pub(in crate::store) fn apart(
    to: &Connection,
    write: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<rusqlite::Result<()>> {
    to.execute_batch("SAVEPOINT apart")?;
    let written = write(to);
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
