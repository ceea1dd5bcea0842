//! How often each rule was looked at, and how often it masked a difference.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Figures of rules, by rule id, since the process began or, where its epoch goes on, since that did. Shared by clones.
///
/// Ids come from rule files only, so there are as many as were ever configured.
#[derive(Clone, Debug, Default)]
pub struct RuleCounts(Arc<RwLock<HashMap<Arc<str>, Arc<Counts>>>>);

#[derive(Debug, Default)]
struct Counts {
    applied: AtomicU64,
    masked: AtomicU64,
}

/// How often one rule mattered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RuleCount {
    /// It was looked at.
    pub applied: u64,
    /// Differences that would have been reported without it.
    pub masked: u64,
}

// === impl RuleCounts ===

impl RuleCounts {
    /// Adds to the figures of one rule.
    pub fn add(&self, rule: &str, count: RuleCount) {
        let counts = self.counts(rule);
        counts.applied.fetch_add(count.applied, Ordering::Relaxed);
        counts.masked.fetch_add(count.masked, Ordering::Relaxed);
    }

    /// Goes on from figures of another process.
    pub fn restore(&self, figures: impl IntoIterator<Item = (Arc<str>, RuleCount)>) {
        for (rule, count) in figures {
            self.add(&rule, count);
        }
    }

    /// The figures of one rule; zero where it was never looked at.
    pub fn get(&self, rule: &str) -> RuleCount {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(rule)
            .map_or_else(RuleCount::default, |counts| counts.get())
    }

    /// The figures of every rule that was ever looked at, by id.
    pub fn all(&self) -> Vec<(Arc<str>, RuleCount)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = all
            .iter()
            .map(|(rule, counts)| (rule.clone(), counts.get()))
            .collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    fn counts(&self, rule: &str) -> Arc<Counts> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counts) = all.get(rule) {
            return counts.clone();
        }
        drop(all);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
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
