//! The writer's queue: bounded, and pushing never waits.

use super::{Behind, Source, locked};
use rusqlite::Connection;
use std::{
    collections::VecDeque,
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// May be called several times.
pub(super) type Write = Box<dyn FnMut(&Connection) -> rusqlite::Result<()> + Send>;

/// One write.
pub(super) struct Job {
    pub(super) bytes: usize,
    pub(super) write: Write,
}

/// Connects callers and the writer.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Signals that a round should begin at once.
    wake: Condvar,
    /// Signals that a round ended or failed.
    ended: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    bytes: usize,
    sources: Vec<Box<dyn Source>>,
    haste: Haste,
    is_closing: bool,
    /// Number of rounds begun, and the last one written.
    begun: u64,
    written: u64,
    /// The current round has failed.
    is_failing: bool,
}

/// Whether the next round starts without waiting for its period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Haste {
    #[default]
    Leisurely,
    Awaited,
}

/// The input of one round.
pub(super) struct Round {
    pub(super) jobs: VecDeque<Job>,
    /// Sources added since the last round.
    pub(super) sources: Vec<Box<dyn Source>>,
    pub(super) is_last: bool,
}

/// Limits on queued writes, by number and by bytes.
const MAX_JOBS: usize = 10_000;
const MAX_BYTES: usize = 32 << 20;

// === impl Queue ===

impl Queue {
    pub(super) fn push(&self, job: Job) -> Result<(), Behind> {
        let mut waiting = locked(&self.waiting);
        let bytes = waiting.bytes + job.bytes;
        if waiting.is_closing || waiting.jobs.len() >= MAX_JOBS || bytes > MAX_BYTES {
            return Err(Behind);
        }
        waiting.bytes = bytes;
        waiting.jobs.push_back(job);
        Ok(())
    }

    pub(super) fn add_source(&self, source: Box<dyn Source>) {
        locked(&self.waiting).sources.push(source);
    }

    pub(super) fn hasten(&self) {
        locked(&self.waiting).haste = Haste::Awaited;
        self.wake.notify_all();
    }

    /// See [`Database::settle`](super::Database::settle).
    pub(super) fn settle(&self, within: Duration) -> bool {
        let mut waiting = locked(&self.waiting);
        // The current round may have begun before the caller's write.
        let round = waiting.begun + 1;
        waiting.haste = Haste::Awaited;
        self.wake.notify_all();
        let until = Instant::now() + within;
        while waiting.written < round {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || waiting.is_failing || waiting.has_ended() {
                return false;
            }
            waiting = wait(&self.ended, waiting, left);
        }
        true
    }

    pub(super) fn close(&self) {
        locked(&self.waiting).is_closing = true;
        self.wake.notify_all();
    }

    /// Waits for the next round: for `period`, or until someone waits for it.
    pub(super) fn next(&self, period: Duration) -> Round {
        let until = Instant::now() + period;
        let mut waiting = locked(&self.waiting);
        while waiting.haste == Haste::Leisurely && !waiting.is_closing {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            waiting = wait(&self.wake, waiting, left);
        }
        waiting.begun += 1;
        waiting.haste = Haste::Leisurely;
        Round {
            jobs: mem::take(&mut waiting.jobs),
            sources: mem::take(&mut waiting.sources),
            is_last: waiting.is_closing,
        }
    }

    /// Records that the round is written. `bytes` is the size of its jobs.
    pub(super) fn written(&self, bytes: usize) {
        let mut waiting = locked(&self.waiting);
        waiting.written = waiting.begun;
        waiting.bytes -= bytes;
        waiting.is_failing = false;
        self.ended.notify_all();
    }

    /// Records that the round failed, and waits for `pause`. Returns `true` if the process ends.
    pub(super) fn failed(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut waiting = locked(&self.waiting);
        waiting.is_failing = true;
        self.ended.notify_all();
        while !waiting.is_closing {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            waiting = wait(&self.wake, waiting, left);
        }
        waiting.is_closing
    }

    /// The number of queued jobs.
    pub(super) fn left(&self) -> usize {
        locked(&self.waiting).jobs.len()
    }
}

// === impl Waiting ===

impl Waiting {
    /// Whether the last round is written and no other will begin.
    fn has_ended(&self) -> bool {
        self.is_closing && self.written == self.begun
    }
}

fn wait<'m>(
    condvar: &Condvar,
    waiting: MutexGuard<'m, Waiting>,
    left: Duration,
) -> MutexGuard<'m, Waiting> {
    let waited = condvar.wait_timeout(waiting, left);
    waited.unwrap_or_else(PoisonError::into_inner).0
}
