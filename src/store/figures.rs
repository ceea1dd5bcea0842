//! Keeps what was counted: epochs, tallies by route and minute, figures of rules, ids that have met.
//!
//! Everything is written as it stands, so that nothing is counted twice however often it is written; what was counted
//! in a minute is the difference to what is stored. Minutes become hours after two days.

mod fold;
mod past;
mod rows;

pub use past::Past;

use super::Source;
use crate::{
    handoff::{Fresh, Pairs},
    telemetry::{EpochState, Ledger, RuleCount, RuleCounts, state::Mark},
};
use rusqlite::Connection;
use std::{
    collections::HashMap,
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

/// What the figures are taken from.
#[derive(Clone, Debug)]
pub struct Counted {
    pub ledger: Ledger,
    pub rule_counts: RuleCounts,
    pub pairs: Pairs,
}

/// Keeps [`Counted`] in a database.
#[derive(Debug)]
pub struct Figures {
    counted: Counted,
    keep: Duration,
    /// What the database has for good.
    stored: Marks,
    /// What it gets with the transaction under way.
    written: Marks,
    /// Taken out of the tables, and not stored yet.
    fresh: Vec<Fresh>,
    folded: Option<Instant>,
}

/// Tells whether something has changed since it was written.
#[derive(Debug, Default)]
struct Marks {
    epochs: HashMap<u64, EpochMark>,
    tallies: HashMap<(u64, Arc<str>), Mark>,
    rules: HashMap<(u64, Arc<str>), RuleCount>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EpochMark {
    has_ended: bool,
    has_version: bool,
}

/// Between two looks at what is old.
const FOLD: Duration = Duration::from_secs(600);

// === impl Figures ===

impl Figures {
    /// `keep`: how long the figures of a minute, hour or epoch that is over stay.
    pub fn new(counted: Counted, keep: Duration) -> Self {
        Self {
            counted,
            keep,
            stored: Marks::default(),
            written: Marks::default(),
            fresh: Vec::new(),
            folded: None,
        }
    }

    fn write_epochs(&mut self, to: &Connection) -> rusqlite::Result<()> {
        let now = self.counted.ledger.now();
        let stored = &self.stored;
        let is_stored = |epoch: u64, route: &Arc<str>, mark: Mark| {
            stored.tallies.get(&(epoch, route.clone())) == Some(&mark)
        };
        for epoch in self.counted.ledger.states(is_stored) {
            let mark = EpochMark::of(&epoch);
            if self.stored.epochs.get(&epoch.number) != Some(&mark) {
                rows::put_epoch(to, &epoch)?;
                self.written.epochs.insert(epoch.number, mark);
            }
            for route in &epoch.routes {
                rows::put_tally(to, epoch.number, now, route)?;
                let key = (epoch.number, route.route.clone());
                self.written.tallies.insert(key, route.mark());
            }
        }
        Ok(())
    }

    fn write_rules(&mut self, to: &Connection) -> rusqlite::Result<()> {
        let epoch = self.counted.ledger.number();
        for (rule, count) in self.counted.rule_counts.all() {
            let key = (epoch, rule);
            if self.stored.rules.get(&key) != Some(&count) {
                rows::put_rule(to, epoch, &key.1, count)?;
                self.written.rules.insert(key, count);
            }
        }
        Ok(())
    }

    fn fold(&mut self, to: &Connection) -> rusqlite::Result<()> {
        if self.folded.is_some_and(|folded| folded.elapsed() < FOLD) {
            return Ok(());
        }
        let ledger = &self.counted.ledger;
        fold::fold(to, ledger.now(), self.keep)?;
        let oldest = ledger.oldest();
        fold::forget_epochs(to, oldest)?;
        self.stored.forget(oldest);
        self.folded = Some(Instant::now());
        Ok(())
    }
}

impl Source for Figures {
    fn write(&mut self, to: &Connection) -> rusqlite::Result<()> {
        self.written = Marks::default();
        // Before the epochs are looked at: those in which ids have met are among them then.
        self.fresh.append(&mut self.counted.pairs.take_fresh());
        self.write_epochs(to)?;
        self.write_rules(to)?;
        for fresh in &self.fresh {
            rows::put_pairs(to, fresh)?;
        }
        self.fold(to)
    }

    fn committed(&mut self) {
        self.fresh.clear();
        let written = mem::take(&mut self.written);
        self.stored.epochs.extend(written.epochs);
        self.stored.tallies.extend(written.tallies);
        self.stored.rules.extend(written.rules);
    }

    fn begun_anew(&mut self) {
        self.stored = Marks::default();
        self.fresh.clear();
        self.counted.pairs.forget_taken();
    }
}

// === impl Marks ===

impl Marks {
    fn forget(&mut self, oldest: u64) {
        self.epochs.retain(|number, _| *number >= oldest);
        self.tallies.retain(|(number, _), _| *number >= oldest);
        self.rules.retain(|(number, _), _| *number >= oldest);
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
