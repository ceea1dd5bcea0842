//! What a comparison has found: differences, and what each rule did about them.

use super::{Difference, RuleUse};
use crate::rules::{Action, Facts, RuleSet};
use jiff::civil::Date;
use std::collections::HashMap;

/// Judges what is unlike, and keeps the accounts.
///
/// A difference is put to the rules at its place in the order of their files. Those that are looked at count
/// it as applied; the first that suffices counts it as masked, and no further rule is looked at.
#[derive(Debug)]
pub(super) struct Findings<'c> {
    pub rules: &'c RuleSet,
    facts: Facts<'c>,
    today: Date,
    /// Whether each rule applies in this check, as far as it was asked.
    applies: Vec<Option<bool>>,
    uses: HashMap<usize, RuleUse>,
    differences: Vec<Difference>,
    count: usize,
    max: usize,
}

/// The accounts, closed.
#[derive(Debug)]
pub(super) struct Found {
    pub differences: Vec<Difference>,
    pub count: usize,
    /// By index of the rule.
    pub uses: Vec<RuleUse>,
}

// === impl Findings ===

impl<'c> Findings<'c> {
    /// `max` differences are kept; more are only counted.
    pub(super) fn new(rules: &'c RuleSet, facts: Facts<'c>, today: Date, max: usize) -> Self {
        Self {
            rules,
            facts,
            today,
            applies: Vec::new(),
            uses: HashMap::new(),
            differences: Vec::new(),
            count: 0,
            max,
        }
    }

    /// Whether a rule applies in this check. Found out when it is first asked: most rules never are.
    pub(super) fn applies(&mut self, rule: usize) -> bool {
        let rules = self.rules.rules();
        if self.applies.is_empty() {
            self.applies.resize(rules.len(), None);
        }
        *self.applies[rule].get_or_insert_with(|| {
            let rule = &rules[rule];
            rule.expires.is_none_or(|day| self.today <= day) && rule.when.holds(&self.facts)
        })
    }

    /// Puts a difference to the rules at its place, and says whether one masked it. `candidates` all apply;
    /// `suffices` says whether an action makes the two values equal.
    pub(super) fn judge(
        &mut self,
        candidates: &mut Vec<usize>,
        suffices: impl Fn(&Action) -> bool,
    ) -> bool {
        candidates.sort_unstable();
        candidates.dedup();
        for index in candidates.drain(..) {
            let masked = suffices(&self.rules.rules()[index].action);
            let account = self.uses.entry(index).or_insert(RuleUse {
                rule: index,
                applied: 0,
                masked: 0,
            });
            account.applied += 1;
            account.masked += u64::from(masked);
            if masked {
                return true;
            }
        }
        false
    }

    /// Like [`judge`](Self::judge), for the rules of a place that is not in a document.
    pub(super) fn judge_at(&mut self, rules: &[usize], suffices: impl Fn(&Action) -> bool) -> bool {
        let mut candidates: Vec<usize> = rules.to_vec();
        candidates.retain(|rule| self.applies(*rule));
        self.judge(&mut candidates, suffices)
    }

    /// Takes down a difference that no rule masked.
    pub(super) fn report(&mut self, difference: impl FnOnce() -> Difference) {
        self.count += 1;
        if self.differences.len() < self.max {
            self.differences.push(difference());
        }
    }

    pub(super) fn close(self) -> Found {
        let mut uses: Vec<_> = self.uses.into_values().collect();
        uses.sort_unstable_by_key(|account| account.rule);
        Found {
            differences: self.differences,
            count: self.count,
            uses,
        }
    }
}
