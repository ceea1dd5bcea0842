//! Walks two documents and the tree of rules together, in one pass.
//!
//! Both documents are valid, so members with the same spelling are equal and are not walked at all. A walk either
//! reports every difference to the [`Findings`], or probes whether there is one, which is how the elements of arrays
//! are paired. Probes and digests only decide what is compared with what. Every pair is walked and reported in the end,
//! so a wrong guess can make a place coarser, but never hides a difference.
//!
//! Outside the places of `compare.only` nothing is walked: two members are equal if they have the same spelling, and
//! otherwise one difference that its rule masks. Above its places, members are walked only to get there.
//!
//! Where renumbered ids may be paired, values with the same spelling are walked too, because their pairs count for
//! later places. Unordered arrays wait for what the rest of the documents reveals about the ids in them.

mod active;
mod align;
mod arrays;
mod consistent;
mod deferred;
mod digest;
mod duplicates;
mod hashes;
mod match_key;
mod matching;
mod objects;
mod only;
mod place;
mod rename;
mod trees;

use super::findings::Findings;
use crate::{
    rules::{Action, Move, Same},
    stack::Stack,
    value::{
        Numbers,
        difference::{Kind, Step},
        json::{Class, Document, Id},
        number::Decimal,
    },
};
use active::{Active, Extent, Selected};
use arrays::Element;
use std::time::Instant;

/// The maximum number of nodes visited in search of near elements; beyond it, elements are paired in order.
const PATIENCE: usize = 1 << 18;

/// Two documents, and how they are compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Documents<'d> {
    pub old: &'d Document<'d>,
    pub new: &'d Document<'d>,
    pub numbers: Numbers,
    pub deadline: Option<Instant>,
}

/// A walk at one place of both documents.
#[derive(Debug)]
pub(super) struct Walk<'w, 'c> {
    pair: Documents<'w>,
    findings: &'w mut Findings<'c>,
    mode: Mode,
    /// The path to the root, if the documents were parsed from texts in others.
    above: Vec<Step>,
    path: Vec<Crumb>,
    active: Active,
    selected: Selected,
    members: objects::Members,
    candidates: Vec<usize>,
    /// How many more nodes may be visited in search of near elements.
    patience: usize,
    within: Within,
    later: Vec<deferred::DeferredArray<'c>>,
    doubt: deferred::Resolution,
    /// The ids paired in a probe, if they are requested.
    met: Option<Vec<consistent::IdPair>>,
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
    Reporting,
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

/// Compares two documents and reports every difference. `body` holds the applicable rules that ignore the whole body.
pub(super) fn compare(pair: Documents<'_>, findings: &mut Findings<'_>, body: Vec<usize>) {
    let selected = Selected::of(pair, findings);
    let mut walk = Walk {
        active: Active::below(body),
        selected,
        ..Walk::new(pair, findings)
    };
    walk.start();
    walk.whole(Document::ROOT, Document::ROOT);
}

// === impl Walk ===

impl<'w, 'c> Walk<'w, 'c> {
    fn new(pair: Documents<'w>, findings: &'w mut Findings<'c>) -> Self {
        Self {
            pair,
            findings,
            mode: Mode::Reporting,
            above: Vec::new(),
            path: Vec::new(),
            active: Active::default(),
            selected: Selected::default(),
            members: objects::Members::default(),
            candidates: Vec::new(),
            patience: PATIENCE,
            within: Within::default(),
            later: Vec::new(),
            doubt: deferred::Resolution::default(),
            met: None,
        }
    }

    /// Compares the nodes of this place.
    fn nodes(&mut self, old: Id, new: Id) {
        let (olds, news) = (self.pair.old, self.pair.new);
        let is_alike = self.is_spelled_alike(old, new);
        if is_alike && !self.meets() {
            return;
        }
        let kind = match (olds.class(old), news.class(new)) {
            (Class::Object, Class::Object) | (Class::Array, Class::Array) => {
                if self.active.extent() != Extent::Nothing {
                    return self.containers(old, new);
                }
                Kind::Value
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
        let above = self.active.ignoring.len();
        // Under `{same: any}`, everything inside is ignored.
        for at in 0..self.active.rules().len() {
            let rule = self.active.rules()[at];
            if self.findings.rule(rule).action == Action::Same(Same::Any) {
                self.active.ignoring.push(rule);
            }
        }
        match self.pair.old.class(old) {
            Class::Object => self.objects(old, new),
            _ => self.arrays(old, new),
        }
        self.active.ignoring.truncate(above);
    }

    fn same_number(&self, old: Id, new: Id) -> bool {
        let (olds, news) = (self.pair.old, self.pair.new);
        // Equal spellings were handled before.
        self.pair.numbers == Numbers::Numeric
            && Decimal::parse(olds.raw(old))
                .is_some_and(|number| Some(number) == Decimal::parse(news.raw(new)))
    }

    /// Whether members are equal because they have the same spelling, or because the parser found them equal.
    fn is_spelled_alike(&self, old: Id, new: Id) -> bool {
        let (olds, news) = (self.pair.old, self.pair.new);
        olds.spelling(old) == news.spelling(new) || news.equals(new, (olds, old))
    }

    fn is_probing(&self) -> bool {
        self.mode != Mode::Reporting
    }

    /// Whether a probe has its answer.
    fn is_done(&self) -> bool {
        self.mode == Mode::Probing(Likeness::Unlike)
    }

    /// Whether ids here or below may have to be recorded.
    fn meets(&self) -> bool {
        let tree = self.findings.rules.tree();
        let mut states = self.active.states().iter();
        self.active.extent() != Extent::Nothing
            && (self.selected.pairs_ids || states.any(|state| tree.meets(*state)))
    }

    /// Whether any rule may matter here or below.
    fn is_ruled(&self) -> bool {
        !self.active.states().is_empty()
            || !self.active.ignoring.is_empty()
            || !self.selected.is_empty()
    }

    /// Compares two elements.
    fn elements(&mut self, old: Element, new: Element) {
        if self.is_spelled_alike(old.id, new.id) && !self.meets() {
            return;
        }
        let step = Move::Index(Some(old.index), Some(new.index));
        let before = self.enter(step, Some(old.id), Some(new.id));
        self.path.push(Crumb::Index(old.index));
        self.nodes(old.id, new.id);
        self.path.pop();
        self.leave(before);
    }

    /// Reports an element that only one side has.
    fn lone_element(&mut self, side: Stack, Element { index, id }: Element) {
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

/// The kind and nodes of a difference where only one side has a node.
fn sides(side: Stack, id: Id) -> (Kind, Option<Id>, Option<Id>) {
    match side {
        Stack::Old => (Kind::Missing, Some(id), None),
        Stack::New => (Kind::Extra, None, Some(id)),
    }
}
