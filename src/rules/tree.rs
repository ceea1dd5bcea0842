//! One tree over places, which a comparison walks together with the documents.
//!
//! The tree is an automaton whose states share prefixes: `$.items[*].id` and `$.items[*].price` separate only at their
//! last step. A walk is in a set of states, usually none or one, so rules at other places cost nothing.

use super::{
    Action, Rule, Target,
    query::{Reach, Segment, Selector},
};
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// A state of a walk through a document.
pub type State = u32;

/// The maximum number of states that one query may need at once; queries that need more are not compiled.
const MAX_BRANCHES: usize = 64;

/// All queries that the path to a node decides.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
}

/// One step from a node of both documents to one of its members.
#[derive(Clone, Copy, Debug)]
pub enum Move<'k> {
    /// To the member of that name.
    Name(&'k str),
    /// The index in old and in new, if the element is in both: a rule at either applies.
    Index(Option<usize>, Option<usize>),
}

#[derive(Debug, Default)]
struct Node {
    names: HashMap<Box<str>, State, FixedState>,
    any: Option<State>,
    indices: HashMap<usize, State, FixedState>,
    slices: Vec<(Slice, State)>,
    /// Entered together with this one.
    deep: Option<State>,
    /// Stays active for all descendants.
    stays: bool,
    rules: Vec<usize>,
    /// Whether a bijection is here or below, so that ids have to be recorded.
    meets: bool,
    /// Whether a member of this node may count under another name.
    renames: bool,
    /// Whether a place of `compare.only` is here or below.
    selects: bool,
}

/// Every `step`-th index from `start` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slice {
    start: usize,
    end: usize,
    step: usize,
}

// === impl Node ===

impl Node {
    /// The states that one step can lead to.
    fn next(&self) -> impl Iterator<Item = State> {
        let names = self.names.values().chain(self.indices.values()).copied();
        let slices = self.slices.iter().map(|(_, next)| *next);
        names.chain(slices).chain(self.any)
    }
}

// === impl Tree ===

impl Tree {
    const ROOT: State = 0;

    /// Adds a rule at the nodes that a query selects. Returns false if the query has selectors that depend on more than
    /// the path to a node, or needs too many states.
    pub fn insert(&mut self, segments: &[Segment], rule: usize) -> bool {
        let selectors = segments.iter().flat_map(|segment| &segment.selectors);
        if !selectors.into_iter().all(is_compiled) || branches(segments) > MAX_BRANCHES {
            return false;
        }
        let mut states = vec![Self::ROOT];
        for segment in segments {
            if segment.reach == Reach::Descendants {
                states = states.into_iter().map(|state| self.deep(state)).collect();
            }
            let mut next = Vec::new();
            for state in states {
                next.extend(
                    segment
                        .selectors
                        .iter()
                        .filter_map(|selector| self.grow(state, selector)),
                );
            }
            next.sort_unstable();
            next.dedup();
            states = next;
        }
        for state in states {
            self.nodes[state as usize].rules.push(rule);
        }
        true
    }

    /// Computes what is below each state, once all rules are added.
    pub fn seal(&mut self, rules: &[Rule]) {
        // A state is always added after the states that lead to it.
        for at in (0..self.nodes.len()).rev() {
            let node = &self.nodes[at];
            let is_rename = |action: &Action| matches!(action, Action::Rename(_));
            let renames = node.next().any(|next| self.does(next, rules, is_rename));
            let meets = self.does(at as State, rules, Action::is_bijection)
                || (node.next().chain(node.deep)).any(|next| self.meets(next));
            let selects = (self.rules(at as State).iter())
                .any(|rule| matches!(rules[*rule].at, Target::Outside(_)))
                || (node.next().chain(node.deep)).any(|next| self.selects(next));
            let node = &mut self.nodes[at];
            node.meets = meets;
            node.renames = renames;
            node.selects = selects;
        }
    }

    fn does(&self, state: State, rules: &[Rule], does: impl Fn(&Action) -> bool) -> bool {
        let mut here = self.rules(state).iter();
        here.any(|rule| does(&rules[*rule].action))
    }

    /// Whether a bijection is at a state or below, so that ids have to be recorded.
    pub fn meets(&self, state: State) -> bool {
        self.nodes[state as usize].meets
    }

    /// Whether a place of `compare.only` is at a state or below.
    pub fn selects(&self, state: State) -> bool {
        self.nodes[state as usize].selects
    }

    /// Whether members of a node in this state may count under another name.
    pub fn renames(&self, state: State) -> bool {
        self.nodes[state as usize].renames
    }

    /// The states at the root of a document.
    pub fn start(&self, out: &mut Vec<State>) {
        let base = out.len();
        self.enter(Self::ROOT, base, out);
    }

    /// Appends the states that one step leads to from `state` to `out`, except those already in `out` from `base` on.
    pub fn advance(&self, state: State, step: &Move<'_>, base: usize, out: &mut Vec<State>) {
        let node = &self.nodes[state as usize];
        let mut found = |next: State| self.enter(next, base, out);
        match step {
            Move::Name(name) => node
                .names
                .get(*name)
                .into_iter()
                .for_each(|next| found(*next)),
            Move::Index(old, new) => {
                let new = new.filter(|new| Some(*new) != *old);
                for index in old.iter().copied().chain(new) {
                    let slices = node.slices.iter();
                    let slices = slices.filter(|(slice, _)| slice.contains(index));
                    let slices = slices.map(|(_, next)| next);
                    let reached = node.indices.get(&index).into_iter().chain(slices);
                    reached.for_each(|next| found(*next));
                }
            }
        }
        node.any.into_iter().for_each(&mut found);
        if node.stays {
            found(state);
        }
    }

    /// The rules at a state, in order.
    pub fn rules(&self, state: State) -> &[usize] {
        &self.nodes[state as usize].rules
    }

    /// Whether the tree has no rules.
    pub fn is_empty(&self) -> bool {
        self.nodes.len() == 1 && self.nodes[0].rules.is_empty()
    }

    fn enter(&self, state: State, base: usize, out: &mut Vec<State>) {
        for state in [Some(state), self.nodes[state as usize].deep] {
            let fresh = state.filter(|state| !out[base..].contains(state));
            out.extend(fresh);
        }
    }

    fn deep(&mut self, state: State) -> State {
        if let Some(deep) = self.nodes[state as usize].deep {
            return deep;
        }
        let deep = self.add();
        self.nodes[deep as usize].stays = true;
        self.nodes[state as usize].deep = Some(deep);
        deep
    }

    /// The state after a selector; `None` if the selector selects nothing.
    fn grow(&mut self, state: State, selector: &Selector) -> Option<State> {
        let fresh = self.nodes.len() as State;
        let node = &mut self.nodes[state as usize];
        let next = match selector {
            Selector::Name(name) => *node.names.entry(name.as_str().into()).or_insert(fresh),
            Selector::Wildcard => *node.any.get_or_insert(fresh),
            Selector::Index(index) => {
                *(node.indices.entry(usize::try_from(*index).ok()?)).or_insert(fresh)
            }
            Selector::Slice { start, end, step } => {
                let bound = |bound: &Option<i64>, none: usize| {
                    bound.map_or(Some(none), |bound| usize::try_from(bound).ok())
                };
                let slice = Slice {
                    start: bound(start, 0)?,
                    end: bound(end, usize::MAX)?,
                    step: usize::try_from(*step).ok().filter(|step| *step > 0)?,
                };
                match node.slices.iter().find(|(known, _)| *known == slice) {
                    Some((_, next)) => *next,
                    None => {
                        node.slices.push((slice, fresh));
                        fresh
                    }
                }
            }
            Selector::Filter(_) => return None,
        };
        if next == fresh {
            self.add();
        }
        Some(next)
    }

    fn add(&mut self) -> State {
        self.nodes.push(Node::default());
        (self.nodes.len() - 1) as State
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
        }
    }
}

// === impl Slice ===

impl Slice {
    fn contains(&self, index: usize) -> bool {
        (self.start..self.end).contains(&index) && (index - self.start).is_multiple_of(self.step)
    }
}

/// Whether the path to a node decides the selector.
fn is_compiled(selector: &Selector) -> bool {
    match selector {
        Selector::Name(_) | Selector::Wildcard | Selector::Index(0..) => true,
        Selector::Slice { start, end, step } => {
            start.is_none_or(|start| start >= 0) && end.is_none_or(|end| end >= 0) && *step >= 0
        }
        Selector::Index(_) | Selector::Filter(_) => false,
    }
}

fn branches(segments: &[Segment]) -> usize {
    let widths = segments.iter().map(|segment| segment.selectors.len());
    widths.fold(1, usize::saturating_mul)
}
