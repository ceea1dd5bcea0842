//! One place: what rules make of it, and what is reported.

use super::{Crumb, Documents, Likeness, Mode, Walk, consistent::IdPair};
use crate::{
    compare::{
        bijection,
        candidate::{Candidate, Reading, Trees},
        findings::Outcome,
    },
    rules::{Action, Rule, Subject},
    stack::Stack,
    value::{
        difference::{Difference, Kind, Place, Step},
        json::{Document, Id},
    },
};

// === impl Walk ===

impl<'w, 'c> Walk<'w, 'c> {
    /// Reports a difference at this place unless a rule masks it.
    pub(super) fn differ(&mut self, kind: Kind, old: Option<Id>, new: Option<Id>) {
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.extend_from_slice(&self.active.ignoring);
        candidates.extend_from_slice(self.active.rules());
        if !candidates.is_empty() {
            self.findings.arrange(&mut candidates);
            // Only the members of arrays decide about order, and no rule transforms those.
            if kind == Kind::Order {
                candidates.retain(|rule| !self.findings.rule(*rule).action.is_transform());
            }
        }
        if candidates.is_empty() {
            self.left(kind, old, new);
        } else {
            self.judge(&candidates, kind, (old, new));
        }
        candidates.clear();
        self.candidates = candidates;
    }

    fn judge(&mut self, candidates: &[usize], kind: Kind, (old, new): (Option<Id>, Option<Id>)) {
        let mut case = self.case(kind, old, new);
        let mut looked = (self.findings).look(candidates, &self.active.ignoring, &mut case);
        if looked.outcome == Outcome::Apart && self.is_alike_inside(&case, (old, new)) {
            looked.outcome = Outcome::Masked;
        }
        if looked.outcome == Outcome::Left && self.is_only_passed(kind) {
            return self.apart(kind, old, new);
        }
        if let Mode::Probing(likeness) = &mut self.mode {
            let found = match looked.outcome {
                Outcome::Masked => Likeness::EqualByRules,
                Outcome::Apart | Outcome::Left => Likeness::Unlike,
            };
            *likeness = (*likeness).max(found);
            if let (Outcome::Masked, Some(rule)) =
                (looked.outcome, candidates[..looked.count].last())
            {
                self.note(*rule, &case);
            }
            return;
        }
        let (pair, place) = (self.pair, (&self.above, &self.path));
        let rules = self.findings.rules.rules();
        let difference = || difference(pair, steps(place, pair, rules), kind, (old, new));
        self.findings
            .settle(looked, candidates, Some(&case), difference);
    }

    /// Counts a difference as left out by `compare.only`.
    pub(super) fn leave_out(&mut self, kind: Kind, old: Option<Id>, new: Option<Id>) {
        let only = self.findings.rules.only();
        self.judge(only.as_slice(), kind, (old, new));
    }

    /// Reports a difference that no rule looks at.
    fn left(&mut self, kind: Kind, old: Option<Id>, new: Option<Id>) {
        if self.is_only_passed(kind) {
            return self.apart(kind, old, new);
        }
        if self.is_probing() {
            self.mode = Mode::Probing(Likeness::Unlike);
            return;
        }
        let (pair, place) = (self.pair, (&self.above, &self.path));
        let rules = self.findings.rules.rules();
        self.findings
            .report(|| difference(pair, steps(place, pair, rules), kind, (old, new)));
    }

    /// The difference that a rename masks: a missing or extra member.
    pub(super) fn difference_of(&self, side: Stack, key: Id) -> Difference {
        let (kind, old, new) = super::sides(side, key + 1);
        let mut steps = self.steps();
        steps.push(Step::Name(
            self.document(side).text(key).to_str().into_owned(),
        ));
        difference(self.pair, steps, kind, (old, new))
    }

    /// The path to this place.
    pub(super) fn steps(&self) -> Vec<Step> {
        let rules = self.findings.rules.rules();
        steps((&self.above, &self.path), self.pair, rules)
    }

    pub(super) fn case(&self, kind: Kind, old: Option<Id>, new: Option<Id>) -> Candidate<'w> {
        let subjects = |document: &Document<'w>, id: Option<Id>| -> Vec<Subject<'w>> {
            id.into_iter().map(|id| Subject::of(document, id)).collect()
        };
        Candidate {
            kind,
            olds: subjects(self.pair.old, old),
            news: subjects(self.pair.new, new),
            trees: Trees::Walked,
            reading: self.reading(),
        }
    }

    /// Records equal ids for the rules at this place.
    pub(super) fn meet(&mut self, old: Id, new: Id) {
        if self.is_probing() && self.met.is_none() || !self.meets() {
            return;
        }
        let mut candidates = self.active.rules().to_vec();
        self.findings.arrange(&mut candidates);
        let mut case = self.case(Kind::Value, Some(old), Some(new));
        for rule in candidates {
            if let Action::Transform(transform) = &self.findings.rule(rule).action {
                case.transform(transform);
                if case.is_walked() {
                    return self.meet_inside(&case, (old, new));
                }
            } else if self.is_probing() {
                self.note(rule, &case);
            } else {
                self.findings.remember(rule, &case);
            }
        }
    }

    /// Collects the ids that a rule would pair, if they are requested.
    fn note(&mut self, rule: usize, case: &Candidate<'_>) {
        if let Some(met) = &mut self.met
            && let Some(table) = bijection::table_key(self.findings.rule(rule))
        {
            let ids = case.ids().unwrap_or_default();
            met.extend(ids.into_iter().map(|(old, new)| IdPair { table, old, new }));
        }
    }

    /// How texts in these documents are read.
    pub(super) fn reading(&self) -> Reading {
        let Reading { numbers, max_depth } = self.findings.reading;
        let depth = self.within.depth + self.path.len();
        Reading {
            numbers,
            max_depth: if self.within.documents < super::trees::MAX_WITHIN {
                max_depth.saturating_sub(depth)
            } else {
                0
            },
        }
    }
}

fn difference(
    pair: Documents<'_>,
    steps: Vec<Step>,
    kind: Kind,
    (old, new): (Option<Id>, Option<Id>),
) -> Difference {
    Difference {
        place: Place::Node(steps),
        kind,
        old: old.map(|id| pair.old.value(id)),
        new: new.map(|id| pair.new.value(id)),
    }
}

fn steps(
    (above, path): (&Vec<Step>, &Vec<Crumb>),
    pair: Documents<'_>,
    rules: &[Rule],
) -> Vec<Step> {
    let own = path.iter().map(|crumb| crumb.step(pair, rules));
    above.iter().cloned().chain(own).collect()
}

// === impl Crumb ===

impl Crumb {
    fn step(self, pair: Documents<'_>, rules: &[Rule]) -> Step {
        match self {
            Self::Key(Stack::Old, key) => Step::Name(pair.old.text(key).to_str().into_owned()),
            Self::Key(Stack::New, key) => Step::Name(pair.new.text(key).to_str().into_owned()),
            Self::Renamed(rule) => match &rules[rule].action {
                Action::Rename(rename) => Step::Name(rename.to.clone()),
                other => unreachable!("no name comes from {other}"),
            },
            Self::Index(index) => Step::Index(index),
        }
    }
}
