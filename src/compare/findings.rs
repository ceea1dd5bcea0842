//! The findings of a comparison: differences, and what each rule did about them.

use super::{
    CompareConfig, Compared, Comparison, Explain, Masked, Options, RuleUse,
    bijection::{Bijections, Meeting, Tables},
    candidate::{Candidate, Reading},
};
use crate::{
    outcome::{Reason, Via},
    rules::{Action, Facts, Rule, RuleSet, Subject},
    stack::Stack,
    value::{Difference, json::Document},
};
use jiff::civil::Date;
use std::collections::HashMap;

/// Judges differences, and counts what each rule did.
///
/// The rules at the place of a difference apply in file order: first the transforms, one after the other, then those
/// that judge. Each rule that was looked at counts the difference as applied. The first after which the values are
/// equal counts it as masked, and no further rule is looked at.
#[derive(Debug)]
pub(super) struct Findings<'c> {
    pub rules: &'c RuleSet,
    facts: Facts<'c>,
    today: Date,
    /// Whether each rule applies in this check; `None` until it is needed.
    applies: Vec<Option<bool>>,
    uses: HashMap<usize, RuleUse>,
    differences: Vec<Difference>,
    pub count: usize,
    /// Whether messages had to be compared as bytes.
    pub undescribed: bool,
    masked: Vec<Masked>,
    options: &'c Options,
    pub reading: Reading,
    tables: Tables<'c>,
}

/// The result of applying rules to a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RuleVerdict {
    /// The number of rules that were looked at.
    pub count: usize,
    pub outcome: Outcome,
    /// The number of bijections whose table was full.
    pub full: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// By the last rule that was looked at.
    Masked,
    /// The last rule produced two arrays or two objects, which have to be compared member by member.
    Apart,
    Left,
}

// === impl Findings ===

impl<'c> Findings<'c> {
    pub(super) fn new(
        comparing: &'c CompareConfig,
        facts: Facts<'c>,
        today: Date,
        epoch: &'c mut Bijections,
    ) -> Self {
        Self {
            rules: &comparing.rules,
            facts,
            today,
            applies: Vec::new(),
            uses: HashMap::new(),
            differences: Vec::new(),
            count: 0,
            undescribed: false,
            masked: Vec::new(),
            options: &comparing.options,
            reading: Reading::of(&comparing.options),
            tables: Tables::new(epoch),
        }
    }

    /// Findings of the same check that are not reported, without the rules that ignore the whole body.
    pub(super) fn trial<'t>(
        &self,
        comparing: &'t CompareConfig,
        epoch: &'t mut Bijections,
    ) -> Findings<'t>
    where
        'c: 't,
    {
        let mut trial = Findings::new(comparing, self.facts, self.today, epoch);
        trial.tables.check = self.tables.check.clone();
        for rule in self.rules.at_body() {
            if self.rule(*rule).action == Action::Ignore {
                trial.applies(*rule);
                trial.applies[*rule] = Some(false);
            }
        }
        trial
    }

    /// A copy of the pairs of the epoch.
    pub(super) fn epoch(&self) -> Bijections {
        self.tables.epoch.clone()
    }

    /// Whether a rule applies in this check. Computed on first use, because most rules are never needed.
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

    pub(super) fn rule(&self, index: usize) -> &'c Rule {
        &self.rules.rules()[index]
    }

    /// Sorts rules into the order in which they are looked at.
    pub(super) fn arrange(&self, candidates: &mut Vec<usize>) {
        candidates.retain(|rule| !matches!(self.rule(*rule).action, Action::Rename(_)));
        candidates.sort_unstable_by_key(|rule| (!self.rule(*rule).action.is_transform(), *rule));
        candidates.dedup();
    }

    /// Applies rules to a candidate. All of them apply in this check and are in order. Nothing is counted yet. Rules in
    /// `covering` are at a place above, and mask everything below it.
    pub(super) fn look(
        &self,
        candidates: &[usize],
        covering: &[usize],
        case: &mut Candidate<'_>,
    ) -> RuleVerdict {
        let mut full = 0;
        for (at, index) in candidates.iter().enumerate() {
            let rule = self.rule(*index);
            let ended = |outcome| RuleVerdict {
                count: at + 1,
                outcome,
                full,
            };
            if let Action::Transform(transform) = &rule.action {
                case.transform(transform);
                if case.is_equal() {
                    return ended(Outcome::Masked);
                }
                if case.is_walked() {
                    return ended(Outcome::Apart);
                }
                continue;
            }
            if covering.contains(index) || case.suffices(&rule.action) {
                return ended(Outcome::Masked);
            }
            match self.meeting(rule, case) {
                Some(Meeting::Known | Meeting::Fresh) => return ended(Outcome::Masked),
                Some(Meeting::Full) => full += 1,
                _ => {}
            }
        }
        RuleVerdict {
            count: candidates.len(),
            outcome: Outcome::Left,
            full,
        }
    }

    fn meeting(&self, rule: &Rule, case: &Candidate<'_>) -> Option<Meeting> {
        match &rule.action {
            Action::Bijection(_) => Some(self.tables.meeting(rule, &case.ids()?)),
            _ => None,
        }
    }

    /// Counts the rules that were looked at, and records the difference.
    pub(super) fn settle(
        &mut self,
        looked: RuleVerdict,
        candidates: &[usize],
        case: Option<&Candidate<'_>>,
        difference: impl FnOnce() -> Difference,
    ) {
        let looked_at = &candidates[..looked.count];
        looked_at
            .iter()
            .for_each(|rule| self.account(*rule).applied += 1);
        (0..looked.full).for_each(|_| self.tables.refuse());
        match (looked.outcome, looked_at.last()) {
            (Outcome::Masked, Some(rule)) => {
                case.into_iter().for_each(|case| self.remember(*rule, case));
                self.mask(*rule, difference);
            }
            (Outcome::Left, _) | (_, None) => self.report(difference),
            (Outcome::Apart, Some(_)) => {}
        }
    }

    /// Records a difference that no rule masked.
    pub(super) fn report(&mut self, difference: impl FnOnce() -> Difference) {
        self.count += 1;
        if self.differences.len() < self.options.max_differences {
            self.differences.push(difference());
        }
    }

    /// The new id that a value of one side belongs to, if it is known.
    pub(super) fn new_of(&self, rule: &Rule, side: Stack, subject: &Subject<'_>) -> Option<u128> {
        let id = subject.id(self.reading.numbers)?;
        self.tables.new_of(rule, side, id)
    }

    /// Records the ids paired at a place, if the rule is a bijection.
    pub(super) fn remember(&mut self, rule: usize, case: &Candidate<'_>) {
        let rule = self.rule(rule);
        if let Action::Bijection(_) = rule.action
            && let Some(ids) = case.ids()
        {
            self.tables.record(rule, &ids);
        }
    }

    /// Whether something of two compared documents was selected, if `compare.only` has left out something that differs.
    pub(super) fn is_selected(&mut self, documents: [&Document<'_>; 2]) -> Result<(), Reason> {
        let account = self.rules.only().and_then(|only| self.uses.get(&only));
        let leaves_out = account.is_some_and(|account| account.masked > 0);
        let (rules, options) = (self.rules, self.options);
        match &options.only {
            // The places may be in texts that rules have read.
            Some(only)
                if leaves_out
                    && !only.selects_any(&documents)
                    && !rules.parsing().any(|rule| self.applies(rule)) =>
            {
                Err(Reason::NothingSelected)
            }
            _ => Ok(()),
        }
    }

    /// Counts a rule that changed more than one value, with the difference that it masked, if any.
    pub(super) fn rewritten(&mut self, rule: usize, masked: Option<Difference>) {
        self.account(rule).applied += 1;
        if let Some(difference) = masked {
            self.mask(rule, || difference);
        }
    }

    /// Judges a place that is not in a document.
    pub(super) fn judge(
        &mut self,
        rules: &[usize],
        mut case: Candidate<'_>,
        difference: impl FnOnce() -> Difference,
    ) {
        let candidates = self.applicable(rules);
        let looked = self.look(&candidates, &[], &mut case);
        self.settle(looked, &candidates, Some(&case), difference);
    }

    /// Those of some rules that apply in this check, in the order in which they are looked at.
    fn applicable(&mut self, rules: &[usize]) -> Vec<usize> {
        let mut applicable = rules.to_vec();
        applicable.retain(|rule| self.applies(*rule));
        self.arrange(&mut applicable);
        applicable
    }

    /// Masks a difference by the first of some rules that ignore it, or reports it if there are none.
    pub(super) fn ignore(&mut self, rules: &[usize], difference: impl FnOnce() -> Difference) {
        match rules.first() {
            Some(rule) => {
                self.account(*rule).applied += 1;
                self.mask(*rule, difference);
            }
            None => self.report(difference),
        }
    }

    /// Records the ids at a place that is not in a document and does not differ.
    pub(super) fn meet(&mut self, rules: &[usize], mut case: Candidate<'_>) {
        for rule in self.applicable(rules) {
            match &self.rule(rule).action {
                Action::Transform(transform) => case.transform(transform),
                _ => self.remember(rule, &case),
            }
        }
    }

    fn account(&mut self, rule: usize) -> &mut RuleUse {
        self.uses.entry(rule).or_insert(RuleUse {
            rule,
            applied: 0,
            masked: 0,
        })
    }

    /// Counts a difference as masked by a rule.
    fn mask(&mut self, rule: usize, difference: impl FnOnce() -> Difference) {
        self.account(rule).masked += 1;
        let is_kept = self.options.explain == Explain::Places
            && self.masked.len() < self.options.max_differences;
        if is_kept {
            let difference = difference();
            self.masked.push(Masked { rule, difference });
        }
    }

    /// The result, given why the bodies could not be compared, if so.
    pub(super) fn close(self, bodies: Result<(), Reason>) -> Comparison {
        let mut rules: Vec<_> = self.uses.into_values().collect();
        rules.sort_unstable_by_key(|account| account.rule);
        let result = match bodies {
            _ if self.count > 0 => Compared::Different {
                differences: self.differences,
                count: self.count,
            },
            Err(reason) => Compared::NotCompared(reason),
            Ok(()) if rules.iter().any(|account| account.masked > 0) => Compared::Equal(Via::Rules),
            Ok(()) => Compared::Equal(Via::Exact),
        };
        Comparison {
            result,
            rules,
            masked: self.masked,
            uncompared: bodies.err(),
            undescribed: self.undescribed,
        }
    }

    /// The first difference that no rule masks.
    pub(super) fn into_first(self) -> Option<Difference> {
        self.differences.into_iter().next()
    }
}
