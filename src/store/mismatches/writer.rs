//! Brings examples into the database: bounded, and written in the same rounds as everything else.

use super::{
    record::Record,
    retention::{Gone, Shelf},
};
use crate::{
    ledger::{Bound, Gauges},
    store::{Config, Source, document::Stamp},
};
use rusqlite::Connection;
use std::{
    mem,
    sync::mpsc::Receiver,
    time::{Duration, Instant, SystemTime},
};

/// Receives records, and writes them once the database can.
#[derive(Debug)]
pub(super) struct Intake {
    heard: Receiver<Vec<Record>>,
    /// Received, but not committed.
    waiting: Vec<Record>,
    bytes: usize,
    bounds: Config,
    gauges: Gauges,
    gone: Gone,
    room: Room,
}

/// Whether something must be removed although nothing arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// Not before this time.
    Until(Instant),
    /// More was left than may be removed at once.
    Wanted,
}

/// Bytes that may wait for a failing disk. Beyond them, nothing is received until it recovers.
const MAX_WAITING: usize = 8 << 20;

/// How often expired examples are removed.
const PERIOD: Duration = Duration::from_secs(60);

/// Examples that may be removed per round, in addition to twice the arriving ones, so that a lowered limit is reached
/// step by step.
const MAY_GO: usize = 1_000;

// === impl Intake ===

impl Intake {
    pub(super) fn new(heard: Receiver<Vec<Record>>, bounds: Config, gauges: Gauges) -> Self {
        Self {
            heard,
            waiting: Vec::new(),
            bytes: 0,
            bounds,
            gauges,
            gone: Gone::default(),
            room: Room::Wanted,
        }
    }

    fn take(&mut self) {
        while self.bytes < MAX_WAITING
            && let Ok(records) = self.heard.try_recv()
        {
            self.bytes += records.iter().map(Record::bytes).sum::<usize>();
            self.waiting.extend(records);
        }
    }
}

impl Source for Intake {
    fn write(&mut self, database: &Connection) -> rusqlite::Result<()> {
        self.take();
        let is_due = match self.room {
            Room::Until(next) => next <= Instant::now(),
            Room::Wanted => true,
        };
        self.gone = Gone::default();
        if self.waiting.is_empty() && !is_due {
            return Ok(());
        }
        let may_go = 2 * self.waiting.len() + MAY_GO;
        let mut shelf = Shelf::new(database, &self.bounds, may_go as i64);
        shelf.put(&self.waiting)?;
        let has_room = shelf.make_room(Stamp(SystemTime::now()).millis())?;
        self.gone = shelf.gone;
        self.room = if has_room {
            Room::Until(Instant::now() + PERIOD)
        } else {
            Room::Wanted
        };
        Ok(())
    }

    fn committed(&mut self) {
        self.gauges.leave_store(self.waiting.len() as u64);
        self.waiting.clear();
        self.bytes = 0;
        let gone = mem::take(&mut self.gone);
        self.gauges
            .bound_reached_times(Bound::Mismatches, gone.examples);
        self.gauges
            .bound_reached_times(Bound::Classes, gone.classes);
    }
}
