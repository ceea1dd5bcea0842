//! The rules that apply at the place of the walk.

use super::{Documents, Walk};
use crate::{
    compare::findings::Findings,
    rules::{Action, Move, State},
    value::json::{Document, Id},
};
use std::{collections::HashMap, mem, ops::Range};

/// The states of the tree of rules, and the rules, at all places on the path.
#[derive(Debug, Default)]
pub(super) struct Active {
    states: Vec<State>,
    rules: Vec<usize>,
    /// The rules that ignore this place or one above it.
    pub ignoring: Vec<usize>,
    scope: Scope,
}

/// The parts of the lists that belong to this place.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    states: Range<usize>,
    rules: Range<usize>,
    /// How many rules ignore a place above.
    ignoring: usize,
}

/// What rules select by more than the path.
#[derive(Debug, Default)]
pub(super) struct Selected {
    /// The selected nodes of old and of new, with the rules.
    nodes: [HashMap<Id, Vec<usize>>; 2],
    /// Whether one of the rules pairs ids, at any place.
    pub pairs_ids: bool,
    /// Whether one of them renames members.
    pub renames: bool,
}

// === impl Active ===

impl Active {
    /// Below rules that ignore the whole body.
    pub(super) fn below(ignoring: Vec<usize>) -> Self {
        Self {
            ignoring,
            ..Self::default()
        }
    }

    /// The states at this place.
    pub(super) fn states(&self) -> &[State] {
        &self.states[self.scope.states.clone()]
    }

    /// The rules at this place, except those that ignore it.
    pub(super) fn rules(&self) -> &[usize] {
        &self.rules[self.scope.rules.clone()]
    }

    /// Whether a rule ignores this place itself.
    pub(super) fn is_ignored_here(&self) -> bool {
        self.scope.ignoring < self.ignoring.len()
    }

    /// The lists without what belongs to places above only.
    pub(super) fn here(&self) -> Self {
        let (states, rules) = (self.states().to_vec(), self.rules().to_vec());
        let scope = Scope {
            states: 0..states.len(),
            rules: 0..rules.len(),
            ignoring: self.ignoring.len(),
        };
        Self {
            states,
            rules,
            ignoring: self.ignoring.clone(),
            scope,
        }
    }
}

// === impl Selected ===

impl Selected {
    pub(super) fn of(documents: Documents<'_>, findings: &mut Findings<'_>) -> Self {
        let mut selected = Self::default();
        for (rule, query) in findings.rules.queries() {
            if !findings.applies(*rule) {
                continue;
            }
            let mut is_any = false;
            for (side, document) in [documents.old, documents.new].into_iter().enumerate() {
                for node in query.select(document) {
                    selected.nodes[side].entry(node).or_default().push(*rule);
                    is_any = true;
                }
            }
            let action = &findings.rule(*rule).action;
            selected.pairs_ids |= is_any && action.is_bijection();
            selected.renames |= is_any && matches!(action, Action::Rename(_));
        }
        selected
    }

    /// Whether nothing is selected.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.iter().all(HashMap::is_empty)
    }
}

// === impl Walk ===

impl Walk<'_, '_> {
    /// Starts at the root of both documents.
    pub(super) fn start(&mut self) {
        let tree = self.findings.rules.tree();
        if !tree.is_empty() {
            tree.start(&mut self.active.states);
        }
        self.settle(0, Some(Document::ROOT), Some(Document::ROOT));
    }

    /// Steps to a member, and returns the previous scope.
    pub(super) fn enter(&mut self, step: Move<'_>, old: Option<Id>, new: Option<Id>) -> Scope {
        let states = &mut self.active.states;
        let base = states.len();
        let tree = self.findings.rules.tree();
        for at in self.active.scope.states.clone() {
            tree.advance(states[at], &step, base, states);
        }
        self.settle(base, old, new)
    }

    /// Steps back to where [`enter`](Self::enter) was called.
    pub(super) fn leave(&mut self, before: Scope) {
        let active = &mut self.active;
        active.states.truncate(active.scope.states.start);
        active.rules.truncate(active.scope.rules.start);
        active.ignoring.truncate(active.scope.ignoring);
        active.scope = before;
    }

    /// Makes the states from `base` on those of this place, and collects the rules that apply.
    fn settle(&mut self, base: usize, old: Option<Id>, new: Option<Id>) -> Scope {
        let active = &mut self.active;
        let scope = Scope {
            states: base..active.states.len(),
            rules: active.rules.len()..active.rules.len(),
            ignoring: active.ignoring.len(),
        };
        let before = mem::replace(&mut active.scope, scope);
        let tree = self.findings.rules.tree();
        for at in self.active.scope.states.clone() {
            for rule in tree.rules(self.active.states[at]) {
                self.admit(*rule);
            }
        }
        for (side, id) in [old, new].into_iter().enumerate() {
            let selecting = id.and_then(|id| self.selected.nodes[side].get(&id));
            for rule in selecting.cloned().unwrap_or_default() {
                self.admit(rule);
            }
        }
        self.active.scope.rules.end = self.active.rules.len();
        before
    }

    fn admit(&mut self, rule: usize) {
        if self.findings.applies(rule) {
            match self.findings.rule(rule).action {
                Action::Ignore => self.active.ignoring.push(rule),
                _ => self.active.rules.push(rule),
            }
        }
    }
}
