//! Stores counters: epochs, tallies by route and minute, counts of rules, and pairs of ids.
//!
//! Totals are written, not increments, so that a repeated write counts nothing twice. A minute's count is the
//! difference to the stored total. Minutes become hours after two days.

mod fold;
mod past;
mod rows;

pub use past::Past;

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
pub struct Counted {
    pub ledger: Ledger,
    pub rule_counts: RuleCounts,
    pub pairs: Pairs,
}

/// Stores [`Counted`] in a database.
#[derive(Debug)]
pub struct Figures {
    counted: Counted,
    keep: Duration,
    /// What has been committed.
    stored: Marks,
    /// What the open transaction writes.
    written: Marks,
    /// Taken from the tables, not yet stored.
    fresh: Vec<Fresh>,
    /// Why a part of the current write failed.
    refused: Option<rusqlite::Error>,
    folded: Option<Instant>,
}

/// Shows whether something has changed since it was written.
#[derive(Debug, Default)]
struct Marks {
    epochs: HashMap<u64, EpochMark>,
    tallies: HashMap<(u64, Arc<str>), ChangeStamp>,
    rules: HashMap<(u64, Arc<str>), RuleCount>,
    /// How many of the fresh ones.
    fresh: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EpochMark {
    has_ended: bool,
    has_version: bool,
}

/// Interval between two passes over old figures.
const FOLD: Duration = Duration::from_secs(600);

// === impl Figures ===

impl Figures {
    /// `keep` is how long the figures of a past minute, hour or epoch are stored.
    pub fn new(counted: Counted, keep: Duration) -> Self {
        Self {
            counted,
            keep,
            stored: Marks::default(),
            written: Marks::default(),
            fresh: Vec::new(),
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
            Ok(()) => self.written.extend(written),
            Err(refused) => self.refused = Some(refused),
        }
        Ok(())
    }

    fn write_epoch(&mut self, to: &Connection, epoch: &EpochState) -> rusqlite::Result<()> {
        self.part(to, |figures, written| {
            let (number, now) = (epoch.number, figures.counted.ledger.now());
            let mark = EpochMark::of(epoch);
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
        self.part(to, |figures, written| {
            written.fresh = figures.fresh.len();
            let mut fresh = figures.fresh.iter();
            fresh.try_for_each(|fresh| rows::put_pairs(to, fresh))
        })
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

impl Source for Figures {
    fn write(&mut self, to: &Connection) -> rusqlite::Result<()> {
        self.written = Marks::default();
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
        let mut written = mem::take(&mut self.written);
        self.fresh.drain(..mem::take(&mut written.fresh));
        self.stored.extend(written);
    }
}

// === impl Marks ===

impl Marks {
    fn extend(&mut self, more: Self) {
        self.epochs.extend(more.epochs);
        self.tallies.extend(more.tallies);
        self.rules.extend(more.rules);
        self.fresh += more.fresh;
    }

    /// Keeps the marks of these epochs only.
    fn retain(&mut self, numbers: &[u64]) {
        self.epochs.retain(|number, _| numbers.contains(number));
        self.tallies
            .retain(|(number, _), _| numbers.contains(number));
        self.rules.retain(|(number, _), _| numbers.contains(number));
    }
}

// === impl EpochMark ===

impl EpochMark {
    fn of(epoch: &EpochState) -> Self {
        Self {
            has_ended: epoch.epoch.until.is_some(),
            has_version: epoch.epoch.version.is_some(),
        }
    }
}

#[cfg(test)]
mod tests;
