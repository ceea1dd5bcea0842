//! Brings examples into the database: bounded, and written in the same rounds as everything else.

use super::{
    record::Record,
    retention::{Dropped, Retention},
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
pub(super) struct MismatchWriter {
    received: Receiver<Vec<Record>>,
    /// Received, but not committed.
    waiting: Vec<Record>,
    bytes: usize,
    limits: Config,
    gauges: Gauges,
    dropped: Dropped,
    /// When something must be removed although nothing arrives; `None`: at once, because more was left than may be
    /// removed in one round.
    next_removal: Option<Instant>,
}

/// Bytes that may wait for a failing disk. Beyond them, nothing is received until it recovers.
const MAX_WAITING: usize = 8 << 20;

/// How often expired examples are removed.
const PERIOD: Duration = Duration::from_secs(60);

/// Examples that may be removed per round, in addition to twice the arriving ones, so that a lowered limit is reached
/// step by step.
const MAX_REMOVALS: usize = 1_000;

// === impl MismatchWriter ===

impl MismatchWriter {
    pub(super) fn new(received: Receiver<Vec<Record>>, limits: Config, gauges: Gauges) -> Self {
        Self {
            received,
            waiting: Vec::new(),
            bytes: 0,
            limits,
            gauges,
            dropped: Dropped::default(),
            next_removal: None,
        }
    }

    fn take(&mut self) {
        while self.bytes < MAX_WAITING
            && let Ok(records) = self.received.try_recv()
        {
            self.bytes += records.iter().map(Record::bytes).sum::<usize>();
            self.waiting.extend(records);
        }
    }
}

impl Source for MismatchWriter {
    fn write(&mut self, database: &Connection) -> rusqlite::Result<()> {
        self.take();
        let is_due = self.next_removal.is_none_or(|next| next <= Instant::now());
        self.dropped = Dropped::default();
        if self.waiting.is_empty() && !is_due {
            return Ok(());
        }
        let removals = 2 * self.waiting.len() + MAX_REMOVALS;
        let mut retention = Retention::new(database, &self.limits, removals as i64);
        retention.add(&self.waiting)?;
        let has_room = retention.make_room(Stamp(SystemTime::now()).millis())?;
        self.dropped = retention.dropped;
        self.next_removal = has_room.then(|| Instant::now() + PERIOD);
        Ok(())
    }

    fn committed(&mut self) {
        self.gauges
            .store_waiting
            .subtract(self.waiting.len() as u64);
        self.waiting.clear();
        self.bytes = 0;
        let dropped = mem::take(&mut self.dropped);
        self.gauges
            .bound_reached_times(Bound::Mismatches, dropped.examples);
        self.gauges
            .bound_reached_times(Bound::Classes, dropped.classes);
    }
}
