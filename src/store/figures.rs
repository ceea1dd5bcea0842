//! Stores counters: epochs, tallies by route and minute, counts of rules, and pairs of ids.
//!
//! Totals are written, not increments, so that a repeated write counts nothing twice. A minute's count is the
//! difference to the stored total. Minutes become hours after two days.

mod fold;
mod past;
mod rows;

pub(crate) use past::Past;

use super::{Source, database::apart};
use crate::{
    ledger::{EpochState, Ledger, RuleCount, RuleCounts, snapshot::ChangeStamp},
    pipeline::{Fresh, Pairs},
};
use jiff::Timestamp;
use rusqlite::Connection;
use std::{
    collections::HashMap,
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

/// The sources of the figures.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub ledger: Ledger,
    pub rule_counts: RuleCounts,
    pub pairs: Pairs,
}

/// Stores [`Counted`] in a database.
#[derive(Debug)]
pub(crate) struct FigureStore {
    counted: Counted,
    keep: Duration,
    /// What is written. If a transaction fails, everything is written again.
    stored: Marks,
    /// Whether the last write is not committed.
    is_writing: bool,
    /// Taken from the tables, not yet stored.
    fresh: Vec<Fresh>,
    /// How many of them the open transaction writes.
    fresh_written: usize,
    /// Why a part of the current write failed.
    refused: Option<rusqlite::Error>,
    folded: Option<Instant>,
}

/// Shows whether something has changed since it was written.
#[derive(Debug, Default)]
struct Marks {
    /// Whether it has ended, and whether its version is known.
    epochs: HashMap<u64, [bool; 2]>,
    tallies: HashMap<(u64, Arc<str>), ChangeStamp>,
    rules: HashMap<(u64, Arc<str>), RuleCount>,
}

/// Interval between two passes over old figures.
const FOLD: Duration = Duration::from_secs(600);

// === impl FigureStore ===

impl FigureStore {
    /// `keep` is how long the figures of a past minute, hour or epoch are stored.
    pub(crate) fn new(counted: Counted, keep: Duration) -> Self {
        Self {
            counted,
            keep,
            stored: Marks::default(),
            is_writing: false,
            fresh: Vec::new(),
            fresh_written: 0,
            refused: None,
            folded: None,
        }
    }

    /// Writes one part of the figures, so that a refused part does not fail the others.
    fn part(
        &mut self,
        to: &Connection,
        write: impl FnOnce(&Self, &mut Marks) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut written = Marks::default();
        match apart(to, |_| write(self, &mut written))? {
            Ok(()) => self.stored.extend(written),
            Err(refused) => self.refused = Some(refused),
        }
        Ok(())
    }

    fn write_epoch(&mut self, to: &Connection, epoch: &EpochState) -> rusqlite::Result<()> {
        self.part(to, |figures, written| {
            let (number, now) = (epoch.number, figures.counted.ledger.now());
            let mark = [epoch.epoch.until.is_some(), epoch.epoch.version.is_some()];
            if figures.stored.epochs.get(&number) != Some(&mark) {
                rows::put_epoch(to, epoch)?;
                written.epochs.insert(number, mark);
            }
            for route in &epoch.routes {
                rows::put_tally(to, number, now, route)?;
                let key = (number, route.route.clone());
                written.tallies.insert(key, route.mark());
            }
            Ok(())
        })
    }

    fn write_rules(&mut self, to: &Connection, epoch: u64) -> rusqlite::Result<()> {
        self.part(to, |figures, written| {
            for (rule, count) in figures.counted.rule_counts.all() {
                let key = (epoch, rule);
                if figures.stored.rules.get(&key) != Some(&count) {
                    rows::put_rule(to, epoch, &key.1, count)?;
                    written.rules.insert(key, count);
                }
            }
            Ok(())
        })
    }

    fn write_pairs(&mut self, to: &Connection) -> rusqlite::Result<()> {
        let mut count = 0;
        self.part(to, |figures, _| {
            let mut fresh = figures.fresh.iter();
            fresh.try_for_each(|fresh| rows::put_pairs(to, fresh))?;
            count = figures.fresh.len();
            Ok(())
        })?;
        self.fresh_written = count;
        Ok(())
    }

    fn fold(&mut self, to: &Connection) -> rusqlite::Result<()> {
        if self.folded.is_some_and(|folded| folded.elapsed() < FOLD) {
            return Ok(());
        }
        let ledger = self.counted.ledger.clone();
        let oldest = ledger.now().checked_sub(self.keep);
        ledger.forget_ended(oldest.unwrap_or(Timestamp::MIN));
        let kept = ledger.numbers();
        self.part(to, |figures, _| {
            fold::fold(to, ledger.now(), figures.keep)?;
            fold::keep_epochs(to, &kept)
        })?;
        self.stored.retain(&kept);
        self.folded = Some(Instant::now());
        Ok(())
    }
}

impl Source for FigureStore {
    fn write(&mut self, to: &Connection) -> rusqlite::Result<()> {
        if mem::replace(&mut self.is_writing, true) {
            self.stored = Marks::default();
        }
        self.refused = None;
        // Before the epochs are read, so that they include those of the new pairs.
        self.fresh.append(&mut self.counted.pairs.take_fresh());
        let stored = &self.stored.tallies;
        let is_stored = |epoch: u64, route: &Arc<str>, mark: ChangeStamp| {
            stored.get(&(epoch, route.clone())) == Some(&mark)
        };
        let epochs = self.counted.ledger.states(is_stored);
        for epoch in &epochs {
            self.write_epoch(to, epoch)?;
        }
        // An epoch that has begun since then is not written yet.
        if let Some(present) = epochs.last() {
            self.write_rules(to, present.number)?;
        }
        self.write_pairs(to)?;
        self.fold(to)
    }

    fn refused(&mut self) -> Option<rusqlite::Error> {
        self.refused.take()
    }

    fn committed(&mut self) {
        self.is_writing = false;
        self.fresh.drain(..mem::take(&mut self.fresh_written));
    }
}

// === impl Marks ===

impl Marks {
    fn extend(&mut self, more: Self) {
        self.epochs.extend(more.epochs);
        self.tallies.extend(more.tallies);
        self.rules.extend(more.rules);
    }

    /// Keeps the marks of these epochs only.
    fn retain(&mut self, numbers: &[u64]) {
        self.epochs.retain(|number, _| numbers.contains(number));
        self.tallies
            .retain(|(number, _), _| numbers.contains(number));
        self.rules.retain(|(number, _), _| numbers.contains(number));
    }
}

#[cfg(test)]
mod tests;
