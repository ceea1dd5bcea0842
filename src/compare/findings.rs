//! What a comparison has found: differences, and what each rule did about them.

use super::{Comparing, Difference, Explain, Masked, Options, RuleUse};
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
    masked: Vec<Masked>,
    options: &'c Options,
}

/// The accounts, closed.
#[derive(Debug)]
pub(super) struct Found {
    pub differences: Vec<Difference>,
    pub count: usize,
    /// By index of the rule.
    pub uses: Vec<RuleUse>,
    pub masked: Vec<Masked>,
}

// === impl Findings ===

impl<'c> Findings<'c> {
    pub(super) fn new(comparing: &'c Comparing, facts: Facts<'c>, today: Date) -> Self {
        Self {
            rules: &comparing.rules,
            facts,
            today,
            applies: Vec::new(),
            uses: HashMap::new(),
            differences: Vec::new(),
            count: 0,
            masked: Vec::new(),
            options: &comparing.options,
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

    /// Puts a difference to the rules at its place, and takes it down unless one masked it. `candidates` all
    /// apply; `suffices` says whether an action makes the two values equal.
    pub(super) fn judge(
        &mut self,
        candidates: &mut Vec<usize>,
        suffices: impl Fn(&Action) -> bool,
        difference: impl FnOnce() -> Difference,
    ) {
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
                return self.mask(index, difference);
            }
        }
        self.count += 1;
        if self.differences.len() < self.options.max_differences {
            self.differences.push(difference());
        }
    }

    /// Like [`judge`](Self::judge), for the rules of a place that is not in a document.
    pub(super) fn judge_at(
        &mut self,
        rules: &[usize],
        suffices: impl Fn(&Action) -> bool,
        difference: impl FnOnce() -> Difference,
    ) {
        let mut candidates: Vec<usize> = rules.to_vec();
        candidates.retain(|rule| self.applies(*rule));
        self.judge(&mut candidates, suffices, difference);
    }

    fn mask(&mut self, rule: usize, difference: impl FnOnce() -> Difference) {
        let is_kept = self.options.explain == Explain::Places
            && self.masked.len() < self.options.max_differences;
        if is_kept {
            let difference = difference();
            self.masked.push(Masked { rule, difference });
        }
    }

    pub(super) fn close(self) -> Found {
        let mut uses: Vec<_> = self.uses.into_values().collect();
        uses.sort_unstable_by_key(|account| account.rule);
        Found {
            differences: self.differences,
            count: self.count,
            uses,
            masked: self.masked,
        }
    }
}
