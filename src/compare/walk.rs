//! Walks two documents and the tree of rules together, in one pass.
//!
//! Both documents are valid, so members with the same spelling are equal and are not walked at all. A walk either
//! reports every difference to the [`Findings`], or probes whether there is one, which is how the elements of arrays
//! are paired. Probes and digests only decide what is compared with what. Every pair is walked and reported in the end,
//! so a wrong guess can make a place coarser, but never hides a difference.
//!
//! Where renumbered ids may be paired, values with the same spelling are walked too, because their pairs count for
//! later places. Unordered arrays wait for what the rest of the documents reveals about the ids in them.

mod align;
mod arrays;
mod consistent;
mod deferred;
mod digest;
mod duplicates;
mod match_key;
mod matching;
mod objects;
mod place;
mod rename;
mod trees;

use super::findings::Findings;
use crate::{
    rules::{Action, Move, Same, State},
    stack::Stack,
    value::{
        Numbers,
        difference::{Kind, Step},
        json::{Class, Document, Id},
        number::Decimal,
    },
};
use std::{collections::HashMap, ops::Range, time::Instant};

/// The maximum number of nodes visited in search of near elements; beyond it, elements are paired in order.
const PATIENCE: usize = 1 << 18;

/// Two documents, and how they are compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'d> {
    pub old: &'d Document<'d>,
    pub new: &'d Document<'d>,
    pub numbers: Numbers,
    pub deadline: Option<Instant>,
}

/// A walk at one place of both documents.
#[derive(Debug)]
pub(super) struct Walk<'w, 'c> {
    pair: Pair<'w>,
    findings: &'w mut Findings<'c>,
    mode: Mode,
    /// The path to the root, if the documents were parsed from texts in others.
    above: Vec<Step>,
    path: Vec<Crumb>,
    scope: Scope,
    /// The states of all places on the path; the scope says which belong to this place.
    states: Vec<State>,
    /// The rules that apply at those places; the scope says which belong to this place.
    rules: Vec<usize>,
    /// The rules that ignore this place or one above it.
    ignoring: Vec<usize>,
    /// Nodes that queries select, with the rules.
    picked: [HashMap<Id, Vec<usize>>; 2],
    /// What these rules do, at any place.
    anywhere: Anywhere,
    members: objects::Members,
    candidates: Vec<usize>,
    /// How many more nodes may be visited in search of near elements.
    patience: usize,
    within: Within,
    later: Vec<deferred::DeferredArray<'c>>,
    doubt: deferred::Resolution,
    /// The ids paired in a probe, if they are requested.
    met: Option<Vec<consistent::Met>>,
}

/// What the rules that are not in the tree do.
#[derive(Clone, Copy, Debug, Default)]
struct Anywhere {
    meets: bool,
    renames: bool,
}

/// The nesting level of documents within documents.
#[derive(Clone, Copy, Debug, Default)]
struct Within {
    documents: usize,
    /// Levels down to the root.
    depth: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Telling,
    /// Nothing is reported or counted.
    Probing(Likeness),
}

/// What a probe has found so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    Equal,
    /// Rules masked every difference.
    EqualByRules,
    Unlike,
}

/// A step of the path; a name is the key in that document.
#[derive(Clone, Copy, Debug)]
enum Crumb {
    Key(Stack, Id),
    /// A member with the name that a rule gives it.
    Renamed(usize),
    Index(usize),
}

/// The parts of the walk's lists that belong to a place.
#[derive(Clone, Debug, Default)]
struct Scope {
    states: Range<usize>,
    rules: Range<usize>,
    ignoring: usize,
}

/// Compares two documents and reports every difference. `body` holds the applicable rules at the whole body.
pub(super) fn documents(pair: Pair<'_>, findings: &mut Findings<'_>, body: Vec<usize>) {
    let picked = [pair.old, pair.new].map(|document| picked(findings, document));
    let anywhere = Anywhere::of(&picked, findings);
    let mut walk = Walk {
        pair,
        findings,
        mode: Mode::Telling,
        above: Vec::new(),
        path: Vec::new(),
        scope: Scope::default(),
        states: Vec::new(),
        rules: Vec::new(),
        ignoring: body,
        picked,
        anywhere,
        members: objects::Members::default(),
        candidates: Vec::new(),
        patience: PATIENCE,
        within: Within::default(),
        later: Vec::new(),
        doubt: deferred::Resolution::default(),
        met: None,
    };
    walk.start();
    walk.whole(Document::ROOT, Document::ROOT);
}

/// The nodes that rules select by more than the path.
fn picked(findings: &mut Findings<'_>, document: &Document<'_>) -> HashMap<Id, Vec<usize>> {
    let mut picked: HashMap<Id, Vec<usize>> = HashMap::new();
    for (rule, query) in findings.rules.queries() {
        if findings.applies(*rule) {
            for node in query.select(document) {
                picked.entry(node).or_default().push(*rule);
            }
        }
    }
    picked
}

// === impl Walk ===

impl<'w> Walk<'w, '_> {
    fn start(&mut self) {
        let tree = self.findings.rules.tree();
        if !tree.is_empty() {
            tree.start(&mut self.states);
        }
        self.settle(0, Some(Document::ROOT), Some(Document::ROOT));
    }

    /// Compares the nodes of this place.
    fn nodes(&mut self, old: Id, new: Id) {
        let Pair {
            old: olds,
            new: news,
            ..
        } = self.pair;
        let is_alike = self.is_spelled_alike(old, new);
        if is_alike && !self.meets() {
            return;
        }
        let kind = match (olds.class(old), news.class(new)) {
            (Class::Object, Class::Object) | (Class::Array, Class::Array) => {
                return self.containers(old, new);
            }
            _ if is_alike => return self.meet(old, new),
            (Class::Number, Class::Number) if self.same_number(old, new) => {
                return self.meet(old, new);
            }
            (Class::String, Class::String) if olds.text(old) == news.text(new) => {
                return self.meet(old, new);
            }
            (Class::False | Class::True, Class::False | Class::True) => Kind::Value,
            (one, other) if one == other => Kind::Value,
            _ => Kind::Type,
        };
        self.differ(kind, Some(old), Some(new));
    }

    /// Compares two arrays or two objects.
    fn containers(&mut self, old: Id, new: Id) {
        let above = self.ignoring.len();
        // Under `{same: any}`, everything inside is ignored.
        for at in self.scope.rules.clone() {
            let rule = self.rules[at];
            if matches!(self.findings.rule(rule).action, Action::Same(Same::Any)) {
                self.ignoring.push(rule);
            }
        }
        match self.pair.old.class(old) {
            Class::Object => self.objects(old, new),
            _ => self.arrays(old, new),
        }
        self.ignoring.truncate(above);
    }

    fn same_number(&self, old: Id, new: Id) -> bool {
        let Pair {
            old: olds,
            new: news,
            numbers,
            ..
        } = self.pair;
        // Equal spellings were handled before.
        numbers == Numbers::Numeric
            && Decimal::parse(olds.raw(old))
                .is_some_and(|number| Some(number) == Decimal::parse(news.raw(new)))
    }

    /// Whether members are equal because they have the same spelling, or because the parser found them equal.
    fn is_spelled_alike(&self, old: Id, new: Id) -> bool {
        let Pair {
            old: olds,
            new: news,
            ..
        } = self.pair;
        olds.spelling(old) == news.spelling(new) || news.equals(new, (olds, old))
    }

    fn is_probing(&self) -> bool {
        self.mode != Mode::Telling
    }

    /// Whether a probe has its answer.
    fn is_done(&self) -> bool {
        self.mode == Mode::Probing(Likeness::Unlike)
    }

    /// Whether ids here or below may have to be recorded.
    fn meets(&self) -> bool {
        let tree = self.findings.rules.tree();
        let mut states = self.states[self.scope.states.clone()].iter();
        self.anywhere.meets || states.any(|state| tree.meets(*state))
    }

    /// Whether any rule may matter here or below.
    fn is_ruled(&self) -> bool {
        !self.scope.states.is_empty()
            || !self.ignoring.is_empty()
            || self.picked.iter().any(|picked| !picked.is_empty())
    }

    /// Steps to a member, and returns the previous scope.
    fn enter(&mut self, step: Move<'_>, old: Option<Id>, new: Option<Id>) -> Scope {
        let base = self.states.len();
        let tree = self.findings.rules.tree();
        for at in self.scope.states.clone() {
            tree.advance(self.states[at], &step, base, &mut self.states);
        }
        self.settle(base, old, new)
    }

    /// Makes the states from `base` on those of this place, and collects the rules that apply.
    fn settle(&mut self, base: usize, old: Option<Id>, new: Option<Id>) -> Scope {
        let scope = Scope {
            states: base..self.states.len(),
            rules: self.rules.len()..self.rules.len(),
            ignoring: self.ignoring.len(),
        };
        let before = std::mem::replace(&mut self.scope, scope);
        let tree = self.findings.rules.tree();
        for at in self.scope.states.clone() {
            for rule in tree.rules(self.states[at]) {
                self.admit(*rule);
            }
        }
        for (side, id) in [old, new].into_iter().enumerate() {
            let picked = id.and_then(|id| self.picked[side].get(&id));
            for rule in picked.cloned().unwrap_or_default() {
                self.admit(rule);
            }
        }
        self.scope.rules.end = self.rules.len();
        before
    }

    fn admit(&mut self, rule: usize) {
        if self.findings.applies(rule) {
            match self.findings.rules.rules()[rule].action {
                Action::Ignore => self.ignoring.push(rule),
                _ => self.rules.push(rule),
            }
        }
    }

    /// Steps back to where [`enter`](Self::enter) was called.
    fn leave(&mut self, before: Scope) {
        self.states.truncate(self.scope.states.start);
        self.rules.truncate(self.scope.rules.start);
        self.ignoring.truncate(self.scope.ignoring);
        self.scope = before;
    }

    /// Compares two elements, each with its index.
    fn elements(&mut self, old: (usize, Id), new: (usize, Id)) {
        if self.is_spelled_alike(old.1, new.1) && !self.meets() {
            return;
        }
        let step = Move::Index(Some(old.0), Some(new.0));
        let before = self.enter(step, Some(old.1), Some(new.1));
        self.path.push(Crumb::Index(old.0));
        self.nodes(old.1, new.1);
        self.path.pop();
        self.leave(before);
    }

    /// Reports an element that only one side has.
    fn lone_element(&mut self, side: Stack, (index, id): (usize, Id)) {
        let (kind, old, new) = sides(side, id);
        let step = Move::Index(old.map(|_| index), new.map(|_| index));
        let before = self.enter(step, old, new);
        self.path.push(Crumb::Index(index));
        self.differ(kind, old, new);
        self.path.pop();
        self.leave(before);
    }

    /// Compares two members of the same name.
    fn same_named(&mut self, key: Id, old: Id, new: Id) {
        if self.is_spelled_alike(old, new) && !self.meets() {
            return;
        }
        let name = self.pair.old.text(key).to_str();
        let step = (&*name, Crumb::Key(Stack::Old, key));
        self.member(step, Some(old), Some(new));
    }

    /// Reports a member that only one side has.
    fn lone_member(&mut self, side: Stack, key: Id) {
        let (_, old, new) = sides(side, key + 1);
        let name = self.document(side).text(key).to_str();
        self.member((&*name, Crumb::Key(side, key)), old, new);
    }

    /// Compares the members of two objects under one name.
    fn member(&mut self, (name, crumb): (&str, Crumb), old: Option<Id>, new: Option<Id>) {
        let before = self.enter(Move::Name(name), old, new);
        self.path.push(crumb);
        match (old, new) {
            (Some(old), Some(new)) => self.nodes(old, new),
            (Some(_), None) => self.differ(Kind::Missing, old, new),
            _ => self.differ(Kind::Extra, old, new),
        }
        self.path.pop();
        self.leave(before);
    }

    fn document(&self, side: Stack) -> &'w Document<'w> {
        match side {
            Stack::Old => self.pair.old,
            Stack::New => self.pair.new,
        }
    }
}

// === impl Anywhere ===

impl Anywhere {
    fn of(picked: &[HashMap<Id, Vec<usize>>; 2], findings: &Findings<'_>) -> Self {
        let rules = picked.iter().flat_map(HashMap::values).flatten();
        let mut anywhere = Self::default();
        for rule in rules {
            let action = &findings.rule(*rule).action;
            anywhere.meets |= matches!(action, Action::Bijection(_));
            anywhere.renames |= matches!(action, Action::Rename(_));
        }
        anywhere
    }
}

/// The kind and nodes of a difference where only one side has a node.
fn sides(side: Stack, id: Id) -> (Kind, Option<Id>, Option<Id>) {
    match side {
        Stack::Old => (Kind::Missing, Some(id), None),
        Stack::New => (Kind::Extra, None, Some(id)),
    }
}
