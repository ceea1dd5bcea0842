//! JSON over borrowed bytes: a flat tape of nodes, without copying or rounding.
//!
//! A [`Document`] holds the nodes in document order. A container is followed by its members, and knows the index of the
//! node after its last member. A member of an object is a key node and a value node. Numbers and strings stay text:
//! [`number`](super::number) and [`Text`] interpret them.

mod equal;
mod names;
mod parse;
mod records;
mod reference;
mod scan;
mod text;

pub use equal::are_equal;
pub use names::name_hash;
pub use records::Framing;
pub use text::Text;

use super::difference::{MAX_VALUE, Step, Value};

/// The problem of an object with two members of one name; reported at the second.
pub const KEY_TWICE: &str = "a key is given twice";

/// The index of a node on its tape.
pub type Id = u32;

/// A JSON text that passed every check of RFC 8259, without duplicate keys. Or a sequence of such texts, which is an
/// array.
#[derive(Debug)]
pub struct Document<'b> {
    source: &'b str,
    nodes: Vec<Node>,
    framing: Framing,
    /// The other document, if this one was read with its help.
    reference: Option<&'b Document<'b>>,
    /// Containers that equal one of the other document, in document order; none is within another.
    equals: Vec<(Id, Id)>,
}

/// Why a text is not a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON at byte {at}: {problem}")]
pub struct Invalid {
    /// Offset from 0.
    pub at: usize,
    /// What is wrong, for people.
    pub problem: &'static str,
}

/// The type of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `null`
    Null,
    /// `false`
    False,
    /// `true`
    True,
    /// A number of any size.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
    /// The name of a member; its value is the next node.
    Key,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// The bytes of the node, including quotes and brackets.
    start: u32,
    end: u32,
    /// The node after this one and its content. For a key: the distance between its counterpart in the other document
    /// and the previous counterpart, 0 if unknown.
    next: Id,
    /// For a container: the number of members. For a key: a hash of its unescaped name.
    extra: u32,
    /// The number of enclosing containers.
    depth: u16,
    class: Class,
    /// For a string or key: whether it has escapes.
    escaped: bool,
}

// === impl Document ===

impl<'b> Document<'b> {
    /// The value of the whole text.
    pub const ROOT: Id = 0;

    /// The type of a node.
    pub fn class(&self, id: Id) -> Class {
        self.node(id).class
    }

    /// The raw text of the node.
    pub fn raw(&self, id: Id) -> &'b str {
        let node = self.node(id);
        &self.source[node.start as usize..node.end as usize]
    }

    /// The raw bytes of the node.
    pub fn spelling(&self, id: Id) -> &'b [u8] {
        self.node(id).spelling(self.source.as_bytes())
    }

    /// Whether the parser found this value equal to one of the other document, in any order of members. Few values are
    /// checked: `false` means unknown.
    pub fn equals(&self, id: Id, (other, like): (&Document<'_>, Id)) -> bool {
        self.reference
            .is_some_and(|reference| std::ptr::eq(reference, other))
            && self.equals.binary_search(&(id, like)).is_ok()
    }

    /// The text of a string or key.
    pub fn text(&self, id: Id) -> Text<'b> {
        let raw = self.raw(id);
        Text::of(&raw[1..raw.len() - 1], self.node(id).escaped)
    }

    /// The number of members of a container.
    pub fn len(&self, id: Id) -> usize {
        match self.class(id) {
            Class::Array | Class::Object => self.node(id).extra as usize,
            _ => 0,
        }
    }

    /// The hash of a key: equal names have equal hashes.
    pub fn hash(&self, key: Id) -> u32 {
        self.node(key).extra
    }

    /// The first node inside a container, and the node after its last.
    pub fn inside(&self, id: Id) -> (Id, Id) {
        (id + 1, self.next(id))
    }

    /// The node after this value and its content.
    pub fn next(&self, id: Id) -> Id {
        self.node(id).next
    }

    /// The elements of an array in order; none for other nodes.
    pub fn elements(&self, array: Id) -> impl Iterator<Item = Id> {
        let (first, end) = match self.class(array) {
            Class::Array => self.inside(array),
            _ => (array, array),
        };
        let follow = move |id: &Id| Some(self.next(*id)).filter(|next| *next < end);
        std::iter::successors(Some(first).filter(|id| *id < end), follow)
    }

    /// The keys and values of an object in order; none for other nodes.
    pub fn members(&self, object: Id) -> impl Iterator<Item = (Id, Id)> {
        let (first, end) = match self.class(object) {
            Class::Object => self.inside(object),
            _ => (object, object),
        };
        let follow = move |key: &Id| Some(self.next(key + 1)).filter(|next| *next < end);
        std::iter::successors(Some(first).filter(|key| *key < end), follow)
            .map(|key| (key, key + 1))
    }

    /// The member of an object with that name.
    pub fn member(&self, object: Id, name: &str) -> Option<Id> {
        self.members(object)
            .find(|(key, _)| self.text(*key) == Text::Plain(name))
            .map(|(_, value)| value)
    }

    /// The node at the end of these steps.
    pub fn find(&self, steps: &[Step]) -> Option<Id> {
        steps.iter().try_fold(Self::ROOT, |id, step| match step {
            Step::Name(name) => self.member(id, name),
            Step::Index(index) => self.elements(id).nth(*index),
        })
    }

    /// The value of the node for a [`Difference`](super::difference::Difference).
    pub fn value(&self, id: Id) -> Value {
        let raw = self.raw(id);
        let small = Some(raw).filter(|raw| raw.len() <= MAX_VALUE);
        let parse = |raw: &str| match self.framing {
            Framing::Lines | Framing::Sequence if id == Self::ROOT => self.records(),
            _ => serde_json::from_str(raw).ok(),
        };
        // Values that serde_json cannot hold (lone surrogates, extreme nesting) are summarized too.
        match small.and_then(parse) {
            Some(value) => Value::Json(value),
            None => Value::Summary {
                class: self.class(id).name(),
                length: raw.len(),
            },
        }
    }

    fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }
}

// === impl Node ===

impl Node {
    fn spelling<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[self.start as usize..self.end as usize]
    }

    fn len(&self) -> usize {
        (self.end - self.start) as usize
    }
}

// === impl Class ===

impl Class {
    /// The name of the type in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::False | Self::True => "boolean",
            Self::Number => "number",
            Self::String | Self::Key => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}
