//! Receives reports, and queues what they showed for writing.
//!
//! In a flood, documents are made only of the examples that stay. The others only count, as if they had been stored and
//! evicted.

use super::{
    Store,
    record::{self, MISMATCH, Record},
};
use crate::{ledger::Signal, pipeline::Sent};
use std::{collections::HashMap, sync::Arc};
use tokio::{sync::mpsc, task};

/// What retains an example. Without a class, the route and outcome do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Holder {
    route: Arc<str>,
    outcome: i64,
    class: Option<i64>,
}

/// How many examples of one batch each holder retains.
pub(super) type Taken = HashMap<Holder, usize>;

/// Reports that are prepared together.
const BATCH: usize = 2_048;

// === impl Store ===

impl Store {
    /// Stores reports until the senders are gone. Runs on its own thread, because it compresses and may wait for a slow
    /// disk.
    pub async fn run(self, reports: mpsc::Receiver<Sent>) {
        let listening = task::spawn_blocking(move || self.listen(reports));
        if let Err(error) = listening.await {
            tracing::error!(%error, "no further mismatches are stored");
        }
    }

    /// Does the same on this thread.
    pub fn listen(&self, mut reports: mpsc::Receiver<Sent>) {
        let mut received = Vec::new();
        while reports.blocking_recv_many(&mut received, BATCH) > 0 {
            let records = self.records(&received);
            self.gauges
                .store_waiting
                .subtract((received.len() - records.len()) as u64);
            received.clear();
            self.queue(records);
        }
    }

    /// Waits while the database is behind.
    fn queue(&self, records: Vec<Record>) {
        let count = records.len() as u64;
        if count > 0 && self.intake.send(records).is_err() {
            tracing::debug!("the store is closed");
            self.gauges.export_dropped(Signal::Store, count);
            self.gauges.store_waiting.subtract(count);
        }
    }

    /// The checks that showed something, in order of arrival.
    fn records(&self, reports: &[Sent]) -> Vec<Record> {
        let mut room = HashMap::new();
        let reports = reports.iter().rev();
        let mut records: Vec<_> = reports
            .filter_map(|report| {
                let mut record = Record::of(report)?;
                if self.has_room(&record, &mut room) {
                    record.document = Some(record::document(report, self.process));
                }
                Some(record)
            })
            .collect();
        records.reverse();
        records
    }

    /// Whether some holder of the example has not enough newer ones. `taken` counts those.
    pub(super) fn has_room(&self, record: &Record, taken: &mut Taken) -> bool {
        let mut classes: Vec<_> = match record.outcome {
            MISMATCH => record.classes.iter().map(|class| Some(class.id)).collect(),
            _ => Vec::new(),
        };
        if classes.is_empty() {
            classes.push(None);
        }
        let mut has_room = false;
        for class in classes {
            let holder = Holder {
                route: record.route.clone(),
                outcome: record.outcome,
                class,
            };
            let taken = taken.entry(holder).or_default();
            has_room |= *taken < self.keep_per_class;
            *taken += 1;
        }
        has_room
    }
}
