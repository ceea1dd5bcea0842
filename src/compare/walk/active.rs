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
    extent: Extent,
}

/// How much of a place is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Extent {
    Nothing,
    /// What is below and selected.
    Below,
    /// All of it: there is no `compare.only`, or this is at or below one of its places.
    #[default]
    Whole,
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
    /// The nodes of old and of new that `compare.only` selects, sorted.
    only: [Vec<Id>; 2],
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

    /// How much of this place is compared.
    pub(super) fn extent(&self) -> Extent {
        self.scope.extent
    }

    /// Has this place compared to another extent, and returns the one before.
    pub(super) fn extend(&mut self, extent: Extent) -> Extent {
        mem::replace(&mut self.scope.extent, extent)
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
            extent: self.extent(),
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
                let nodes = query.select(document);
                if findings.rules.only() == Some(*rule) {
                    selected.only[side].extend(nodes);
                    continue;
                }
                for node in nodes {
                    selected.nodes[side].entry(node).or_default().push(*rule);
                    is_any = true;
                }
            }
            let action = &findings.rule(*rule).action;
            selected.pairs_ids |= is_any && action.is_bijection();
            selected.renames |= is_any && matches!(action, Action::Rename(_));
        }
        selected
            .only
            .iter_mut()
            .for_each(|nodes| nodes.sort_unstable());
        selected
    }

    /// Whether nothing is selected.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.iter().all(HashMap::is_empty) && self.only.iter().all(Vec::is_empty)
    }

    /// How much of a node, and of what is below, `compare.only` selects.
    fn extent(&self, side: usize, document: &Document<'_>, id: Id) -> Extent {
        let only = &self.only[side];
        let next = only.partition_point(|selected| *selected < id);
        match only.get(next) {
            Some(selected) if *selected == id => Extent::Whole,
            Some(selected) if *selected < document.next(id) => Extent::Below,
            _ => Extent::Nothing,
        }
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
        if self.findings.rules.only().is_some() {
            self.active.scope.extent = Extent::Below;
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
        let extent = self.extent_from(base, old, new);
        let active = &mut self.active;
        let scope = Scope {
            states: base..active.states.len(),
            rules: active.rules.len()..active.rules.len(),
            ignoring: active.ignoring.len(),
            extent,
        };
        let before = mem::replace(&mut active.scope, scope);
        if extent == Extent::Nothing {
            active.ignoring.extend(self.findings.rules.only());
            return before;
        }
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

    /// How much is compared of a place with the states from `base` on, given the place above.
    fn extent_from(&self, base: usize, old: Option<Id>, new: Option<Id>) -> Extent {
        let Some(only) = self.findings.rules.only() else {
            return Extent::Whole;
        };
        if self.active.extent() != Extent::Below {
            return self.active.extent();
        }
        let tree = self.findings.rules.tree();
        let of_state = |state: &State| match *state {
            state if tree.rules(state).contains(&only) => Extent::Whole,
            state if tree.selects(state) => Extent::Below,
            _ => Extent::Nothing,
        };
        let of_node =
            |side, document, id: Option<Id>| Some(self.selected.extent(side, document, id?));
        let states = self.active.states[base..].iter().map(of_state);
        let old = of_node(0, self.pair.old, old);
        let new = of_node(1, self.pair.new, new);
        states
            .chain(old)
            .chain(new)
            .max()
            .unwrap_or(Extent::Nothing)
    }

    fn admit(&mut self, rule: usize) {
        if Some(rule) != self.findings.rules.only() && self.findings.applies(rule) {
            match self.findings.rule(rule).action {
                Action::Ignore => self.active.ignoring.push(rule),
                _ => self.active.rules.push(rule),
            }
        }
    }
}
