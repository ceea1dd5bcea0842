//! Walks two documents and the tree of rules together, in one pass.
//!
//! Both documents are valid, so members that are spelled alike are equal and are not walked at all. A walk
//! either tells every difference to the [`Findings`], or probes whether there is any, which is how the elements of
//! arrays find each other. Probes and digests only decide what is held against what: every pair is walked and
//! told in the end, so a wrong guess can cost a finer place, never a difference.
//!
//! Where ids that were renumbered may meet, what is spelled alike is walked as well: that they met counts for the
//! places that follow. Arrays without order wait for what the rest of the documents tells of the ids in them.

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

/// How many nodes one comparison looks at in search of elements near each other; past it they are paired as
/// they come.
const PATIENCE: usize = 1 << 18;

/// Two documents, and how they are compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'d> {
    pub old: &'d Document<'d>,
    pub new: &'d Document<'d>,
    pub numbers: Numbers,
    pub deadline: Option<Instant>,
}

/// A walk, standing at one place of both documents.
#[derive(Debug)]
pub(super) struct Walk<'w, 'c> {
    pair: Pair<'w>,
    findings: &'w mut Findings<'c>,
    mode: Mode,
    /// The way to the root, where the documents were themselves read from texts in others.
    above: Vec<Step>,
    path: Vec<Crumb>,
    scope: Scope,
    /// The states of all places on the way here; the scope says which are of this place.
    states: Vec<State>,
    /// Likewise the rules at those places that apply.
    rules: Vec<usize>,
    /// The rules that ignore this place or one above it.
    ignoring: Vec<usize>,
    /// Nodes that rules were found to select, one by one.
    picked: [HashMap<Id, Vec<usize>>; 2],
    /// What these rules do, at whatever place.
    anywhere: Anywhere,
    members: objects::Members,
    candidates: Vec<usize>,
    /// How many more nodes may be looked at in the search for elements near each other.
    patience: usize,
    within: Within,
    later: Vec<deferred::DeferredArray<'c>>,
    doubt: deferred::Resolution,
    /// What meets in a probe, where that is asked for.
    met: Option<Vec<consistent::Met>>,
}

/// What rules do that are not in the tree.
#[derive(Clone, Copy, Debug, Default)]
struct Anywhere {
    meets: bool,
    renames: bool,
}

/// How deep in documents within documents the walk is.
#[derive(Clone, Copy, Debug, Default)]
struct Within {
    documents: usize,
    /// Levels down to the root.
    depth: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Telling,
    /// Nothing is told or counted.
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

/// A step on the way here; a name is the key in that document.
#[derive(Clone, Copy, Debug)]
enum Crumb {
    Key(Stack, Id),
    /// By the name that a rule gives it.
    Renamed(usize),
    Index(usize),
}

/// What of the walk's lists belongs to a place.
#[derive(Clone, Debug, Default)]
struct Scope {
    states: Range<usize>,
    rules: Range<usize>,
    ignoring: usize,
}

/// Compares two documents and tells every difference. `body` are rules at the whole body that apply.
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

/// The nodes that rules select by more than the way to them.
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
        // Where anything will do as long as it is there, what is in it is ignored.
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
        // Spelled alike was equal already.
        numbers == Numbers::Numeric
            && Decimal::parse(olds.raw(old))
                .is_some_and(|number| Some(number) == Decimal::parse(news.raw(new)))
    }

    /// Members that are spelled alike are equal, whatever is in them; so are those that were found to be when
    /// they were read.
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

    /// Whether ids may meet here or below that are to be remembered.
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

    /// Steps to a member, and says where the walk stood.
    fn enter(&mut self, step: Move<'_>, old: Option<Id>, new: Option<Id>) -> Scope {
        let base = self.states.len();
        let tree = self.findings.rules.tree();
        for at in self.scope.states.clone() {
            tree.advance(self.states[at], &step, base, &mut self.states);
        }
        self.settle(base, old, new)
    }

    /// Makes the states from `base` on those of this place, and gathers the rules that apply.
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

    /// An element that only one side has.
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

    /// A member that only one side has.
    fn lone_member(&mut self, side: Stack, key: Id) {
        let (_, old, new) = sides(side, key + 1);
        let name = self.document(side).text(key).to_str();
        self.member((&*name, Crumb::Key(side, key)), old, new);
    }

    /// Compares what two objects have under one name.
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

/// What it is that only one side has a node.
fn sides(side: Stack, id: Id) -> (Kind, Option<Id>, Option<Id>) {
    match side {
        Stack::Old => (Kind::Missing, Some(id), None),
        Stack::New => (Kind::Extra, None, Some(id)),
    }
}
