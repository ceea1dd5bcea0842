//! How often each rule was evaluated, and how often it masked a difference.

use super::locks::{read, write};
use std::{
    collections::HashMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Counts by rule id, since the process or its continued epoch began. Clones share them.
///
/// Ids come only from rule files, so their number is that of rules ever configured.
#[derive(Clone, Debug, Default)]
pub struct RuleCounts(Arc<RwLock<HashMap<Arc<str>, Arc<Counts>>>>);

#[derive(Debug, Default)]
struct Counts {
    applied: AtomicU64,
    masked: AtomicU64,
}

/// The counts of one rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RuleCount {
    /// How often it was evaluated.
    pub applied: u64,
    /// Differences that would have been reported without it.
    pub masked: u64,
}

// === impl RuleCounts ===

impl RuleCounts {
    /// Adds to the counts of one rule.
    pub fn add(&self, rule: &str, count: RuleCount) {
        let counts = self.counts(rule);
        counts.applied.fetch_add(count.applied, Ordering::Relaxed);
        counts.masked.fetch_add(count.masked, Ordering::Relaxed);
    }

    /// Adds the counts of another process.
    pub fn restore(&self, figures: impl IntoIterator<Item = (Arc<str>, RuleCount)>) {
        for (rule, count) in figures {
            self.add(&rule, count);
        }
    }

    /// The counts of one rule; zero if it was never evaluated.
    pub fn get(&self, rule: &str) -> RuleCount {
        let all = read(&self.0);
        all.get(rule)
            .map_or_else(RuleCount::default, |counts| counts.get())
    }

    /// The counts of every rule that was ever evaluated, sorted by id.
    pub fn all(&self) -> Vec<(Arc<str>, RuleCount)> {
        let all = read(&self.0);
        let mut all: Vec<_> = all
            .iter()
            .map(|(rule, counts)| (rule.clone(), counts.get()))
            .collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    fn counts(&self, rule: &str) -> Arc<Counts> {
        let all = read(&self.0);
        if let Some(counts) = all.get(rule) {
            return counts.clone();
        }
        drop(all);
        let mut all = write(&self.0);
        all.entry(Arc::from(rule)).or_default().clone()
    }
}

// === impl Counts ===

impl Counts {
    fn get(&self) -> RuleCount {
        RuleCount {
            applied: self.applied.load(Ordering::Relaxed),
            masked: self.masked.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_add_up_by_rule() {
        let counts = RuleCounts::default();
        let once = RuleCount {
            applied: 1,
            masked: 2,
        };
        counts.add("b", once);
        counts.clone().add("b", once);
        counts.add("a", RuleCount::default());
        assert_eq!(counts.get("b").masked, 4);
        assert_eq!(counts.get("c"), RuleCount::default());
        let ids: Vec<_> = counts.all().into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, ["a".into(), "b".into()]);
    }
}
