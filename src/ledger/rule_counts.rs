//! How often each rule was evaluated, and how often it masked a difference.

use super::locks::locked;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// Counts by rule id, since the process or its continued epoch began. Clones share them.
///
/// Ids come only from rule files, so their number is that of rules ever configured.
#[derive(Clone, Debug, Default)]
pub struct RuleCounts(Arc<Mutex<BTreeMap<Arc<str>, RuleCount>>>);

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
        let mut all = locked(&self.0);
        match all.get_mut(rule) {
            Some(counted) => {
                counted.applied += count.applied;
                counted.masked += count.masked;
            }
            None => {
                all.insert(rule.into(), count);
            }
        }
    }

    /// The counts of one rule; zero if it was never evaluated.
    pub fn get(&self, rule: &str) -> RuleCount {
        locked(&self.0).get(rule).copied().unwrap_or_default()
    }

    /// The counts of every rule that was ever evaluated, sorted by id.
    pub fn all(&self) -> Vec<(Arc<str>, RuleCount)> {
        let all = locked(&self.0);
        all.iter()
            .map(|(rule, count)| (rule.clone(), *count))
            .collect()
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
