//! Computes digests: equal for values that are equal under the rules, and most likely different for all others.
//!
//! A value is represented by what rules make of it, without what they ignore. If no single value can represent all
//! equal ones (a tolerance, renumbered ids), all have the same digest and must be compared.

use super::{
    Documents, Walk,
    active::{Extent, Scope},
    arrays::Element,
    hashes::{constant_hash, hash, mix, text_hash},
    match_key::MatchKey,
};
use crate::{
    rules::{Action, Move, Same, Subject},
    stack::Stack,
    value::{
        Numbers,
        json::{Class, Document, Id, Text, name_hash},
        number::Decimal,
    },
};

/// The hashes of an array and an object without members.
const ARRAY: u64 = 5;
const OBJECT: u64 = 7;

/// The hash of what counts as absent.
const ABSENT: u64 = 12;

/// Represents a node when elements are paired.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Digest {
    pub hash: u64,
    /// Computed without rules: equal values stay equal, whatever rules make of them.
    pub bare: u64,
    /// Equal hashes do not prove equality under the rules, so the values must be compared.
    pub near: bool,
    /// Close in elements that are most likely near each other.
    pub rank: f64,
}

// === impl Walk ===

impl<'w, 'c> Walk<'w, 'c> {
    /// The digest of an element of the array at this place.
    pub(super) fn element_digest(&mut self, side: Stack, element: Element) -> Digest {
        let Element { index, id } = element;
        let before = self.enter_one(side, index_of(side, index), id);
        let digest = self.digest(side, id);
        self.leave(before);
        digest.unwrap_or(Digest::NOTHING)
    }

    /// The digest of an element's member of that name; `None` if it has none.
    pub(super) fn key_digest(
        &mut self,
        side: Stack,
        element: Element,
        name: &str,
    ) -> Option<Digest> {
        let Element { index, id } = element;
        let before = self.enter_one(side, index_of(side, index), id);
        // The key says which elements belong together, whether or not it is compared.
        self.active.extend(Extent::Whole);
        let digest = self.member_digest(side, id, name);
        self.leave(before);
        digest
    }

    /// The digest of a member of the node at this place, after the rules for both.
    fn member_digest(&mut self, side: Stack, id: Id, name: &str) -> Option<Digest> {
        let document = self.document(side);
        if document.class(id) == Class::String {
            let Subject::Tree(tree) = self.transformed(side, id) else {
                return None;
            };
            let parsed = Document::parse(tree.text.as_bytes(), usize::MAX).ok()?;
            return self.inside_one(&parsed, |inside| {
                inside.member_digest(side, Document::ROOT, name)
            });
        }
        let value = match document.member(id, name) {
            Some(value) => value,
            None => self.renamed_to(side, id, name)?,
        };
        let before = self.enter_one(side, Move::Name(name), value);
        let digest = self.digest(side, value);
        self.leave(before);
        digest
    }

    /// The member of an object that counts under that name.
    fn renamed_to(&mut self, side: Stack, object: Id, name: &str) -> Option<Id> {
        if !self.renames() {
            return None;
        }
        let mut members = self.document(side).members(object);
        members.find_map(|(key, value)| {
            let (_, to) = self.renaming(side, (key, value), |on| on.covers(side))?;
            (to == name).then_some(value)
        })
    }

    /// `None` if the node is ignored, or holds nothing that is compared.
    fn digest(&mut self, side: Stack, id: Id) -> Option<Digest> {
        if self.active.is_ignored_here() {
            return None;
        }
        let document = self.document(side);
        let is_ruled = !self.active.rules().is_empty();
        let is_passed = self.active.extent() == Extent::Below;
        match document.class(id) {
            _ if is_ruled && self.here(|action| *action == Action::Same(Same::Any)) => {
                Some(Digest::plain(8))
            }
            Class::Array | Class::Object => {
                let digest = match document.class(id) {
                    Class::Array => self.array_digest(side, id),
                    _ => self.object_digest(side, id),
                };
                let is_empty = [ARRAY, OBJECT].map(Digest::plain).contains(&digest);
                if is_ruled && self.is_as_good_as_absent(side, id) {
                    Some(Digest::absent(digest.bare))
                } else {
                    Some(digest).filter(|_| !is_passed || !is_empty)
                }
            }
            _ if is_ruled => self.ruled_digest(side, id),
            _ if is_passed => None,
            _ => Some(Digest::plain(self.bare(document, id))),
        }
    }

    /// The digest of a leaf without rules.
    fn bare(&self, document: &Document<'_>, id: Id) -> u64 {
        match document.class(id) {
            Class::Number => self.number_hash(document.raw(id)),
            Class::String | Class::Key => text_hash(document.text(id)),
            class => constant_hash(class),
        }
    }

    /// The digest of a leaf with rules.
    fn ruled_digest(&mut self, side: Stack, id: Id) -> Option<Digest> {
        let document = self.document(side);
        let bare = self.bare(document, id);
        let subject = self.transformed(side, id);
        let mut stands = Vec::new();
        let mut optional = None;
        for rule in self.arranged() {
            let rule = self.findings.rule(rule);
            match &rule.action {
                Action::Transform(_) => {}
                Action::Optional(absent) => {
                    let is_absent = subject.is_listed(absent);
                    optional = Some(optional.unwrap_or(false) || is_absent);
                }
                Action::Bijection(_) => {
                    stands.push(match self.findings.new_of(rule, side, &subject) {
                        Some(id) => MatchKey::For(hash(&id)),
                        None => MatchKey::by(&rule.action, &subject),
                    });
                }
                action => stands.push(MatchKey::by(action, &subject)),
            }
        }
        let judging = stands.len();
        stands.retain(|stand| !matches!(stand, MatchKey::Itself));
        // A value that counts as absent may also equal others by another rule: all of them are left out then.
        if optional.is_some_and(|is_absent| is_absent || !stands.is_empty()) {
            return Some(Digest::absent(bare));
        }
        if let Subject::Tree(tree) = &subject {
            let parsed = Document::parse(tree.text.as_bytes(), usize::MAX).ok()?;
            return Some(Digest {
                bare,
                ..self.inside_one(&parsed, |inside| inside.digest(side, Document::ROOT))?
            });
        }
        if self.active.extent() == Extent::Below {
            return None;
        }
        let hash = match stands[..] {
            [] => self.subject_hash(&subject).unwrap_or(bare),
            [MatchKey::For(hash)] if judging == 1 => mix(9, hash),
            _ => {
                let ranks = stands.iter().map(MatchKey::rank);
                return Some(Digest::near(bare, ranks.fold(0.0, f64::max)));
            }
        };
        Some(Digest {
            bare,
            ..Digest::plain(hash)
        })
    }

    /// The value of this place after transforms.
    pub(super) fn transformed(&mut self, side: Stack, id: Id) -> Subject<'w> {
        let reading = self.reading();
        let mut subject = Subject::of(self.document(side), id);
        for rule in self.arranged() {
            match &self.findings.rule(rule).action {
                Action::Transform(transform) if transform.on().covers(side) => {
                    subject = transform.apply(subject, reading.max_depth);
                }
                _ => {}
            }
        }
        subject
    }

    /// The rules of this place, in the order in which they are looked at.
    fn arranged(&self) -> Vec<usize> {
        let mut rules = self.active.rules().to_vec();
        self.findings.arrange(&mut rules);
        rules
    }

    /// Visits a document that a rule parsed from the text of this place.
    pub(super) fn inside_one<R>(
        &mut self,
        document: &Document<'_>,
        look: impl FnOnce(&mut Walk<'_, 'c>) -> R,
    ) -> R {
        let pair = Documents {
            old: document,
            new: document,
            ..self.pair
        };
        self.nested(pair, look)
    }

    fn array_digest(&mut self, side: Stack, array: Id) -> Digest {
        let unordered = self.here(|action| matches!(action, Action::Unordered(_)));
        let mut sum = Digest::plain(ARRAY);
        for (index, id) in self.document(side).elements(array).enumerate() {
            let before = self.enter_one(side, index_of(side, index), id);
            match self.digest(side, id) {
                Some(digest) if unordered => sum.add(digest),
                Some(digest) => sum.append(digest),
                None => {}
            }
            self.leave(before);
        }
        sum
    }

    fn object_digest(&mut self, side: Stack, object: Id) -> Digest {
        let document = self.document(side);
        let renames = self.renames();
        let mut sum = Digest::plain(OBJECT);
        for (key, value) in document.members(object) {
            let own = document.text(key).to_str();
            let to = if renames {
                self.renaming(side, (key, value), |_| true)
            } else {
                None
            };
            let to = to.map(|(_, to)| to);
            let before = self.enter_one(side, Move::Name(to.unwrap_or(&own)), value);
            if let Some(digest) = self.digest(side, value) {
                let hash = u64::from(document.hash(key));
                let name = to.map_or(hash, |to| u64::from(name_hash(to)));
                // Whether it counts under its new name depends on the other object.
                sum.near |= to.is_some();
                sum.add_named((name, hash), digest);
            }
            self.leave(before);
        }
        sum
    }

    pub(super) fn enter_one(&mut self, side: Stack, step: Move<'_>, id: Id) -> Scope {
        match side {
            Stack::Old => self.enter(step, Some(id), None),
            Stack::New => self.enter(step, None, Some(id)),
        }
    }

    /// Whether a rule treats the container at this place as absent.
    fn is_as_good_as_absent(&self, side: Stack, id: Id) -> bool {
        let subject = Subject::of(self.document(side), id);
        self.here(|action| match action {
            Action::Optional(absent) => subject.is_listed(absent),
            _ => false,
        })
    }

    /// Whether a rule at this place has such an action.
    fn here(&self, does: impl Fn(&Action) -> bool) -> bool {
        let mut here = self.active.rules().iter();
        here.any(|rule| does(&self.findings.rule(*rule).action))
    }

    fn subject_hash(&self, subject: &Subject<'_>) -> Option<u64> {
        Some(match subject {
            Subject::Null => constant_hash(Class::Null),
            Subject::Boolean(false) => constant_hash(Class::False),
            Subject::Boolean(true) => constant_hash(Class::True),
            Subject::Number(text) => self.number_hash(text),
            Subject::Text(text) => text_hash(Text::Plain(text)),
            Subject::Bytes(bytes) => mix(10, hash(bytes)),
            Subject::Container(..) | Subject::Tree(_) | Subject::Opaque => return None,
        })
    }

    fn number_hash(&self, raw: &str) -> u64 {
        let number = Decimal::parse(raw).filter(|_| self.pair.numbers == Numbers::Numeric);
        mix(4, number.map_or_else(|| hash(raw), |number| hash(&number)))
    }
}

// === impl Digest ===

impl Digest {
    /// Of an element that is ignored, or holds nothing that is compared.
    pub(super) const NOTHING: Self = Self::plain(0);

    const fn plain(hash: u64) -> Self {
        Self {
            hash,
            bare: hash,
            near: false,
            rank: 0.0,
        }
    }

    /// For values that no hash can represent.
    fn near(bare: u64, rank: f64) -> Self {
        Self {
            hash: 3,
            bare,
            near: true,
            rank,
        }
    }

    /// For values that count as absent: they are left out, but must be compared.
    fn absent(bare: u64) -> Self {
        Self {
            hash: ABSENT,
            ..Self::near(bare, 0.0)
        }
    }

    /// Whether this is the digest of a value that counts as absent.
    pub(super) fn is_absent(&self) -> bool {
        self.hash == ABSENT
    }

    /// Adds a member, independent of order.
    fn add(&mut self, member: Self) {
        self.add_named((6, 6), member);
    }

    fn add_named(&mut self, (name, bare): (u64, u64), member: Self) {
        let hash = mix(name, member.hash);
        if !member.is_absent() {
            self.hash = self.hash.wrapping_add(hash);
        }
        self.bare = self
            .bare
            .wrapping_add(if (bare, member.bare) == (name, member.hash) {
                hash
            } else {
                mix(bare, member.bare)
            });
        self.near |= member.near;
        self.rank += member.rank;
    }

    /// Appends the next member.
    fn append(&mut self, member: Self) {
        if !member.is_absent() {
            self.hash = mix(self.hash, member.hash);
        }
        self.bare = mix(self.bare, member.bare);
        self.near |= member.near;
        self.rank += member.rank;
    }
}

fn index_of(side: Stack, index: usize) -> Move<'static> {
    match side {
        Stack::Old => Move::Index(Some(index), None),
        Stack::New => Move::Index(None, Some(index)),
    }
}
