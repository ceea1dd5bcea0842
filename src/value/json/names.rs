//! The keys of objects: reads and predicts them, and detects duplicates.

use super::{
    Class, Id, Node, Text,
    parse::Parser,
    reference::{NOWHERE, begin_alike},
};
use foldhash::fast::FixedState;
use std::{hash::BuildHasher, ops::Range};

const HASHES: FixedState = FixedState::with_seed(0x7477_696e);

/// A key.
#[derive(Clone, Copy, Debug)]
struct Name {
    hash: u32,
    escaped: bool,
    /// The key of the same name in the other document.
    like: Id,
}

// === impl Parser ===

impl Parser<'_> {
    /// Reads a key and the colon after it.
    pub(super) fn key(&mut self) -> Result<(), &'static str> {
        if self.peek() != Some(b'"') {
            return Err("expected a key");
        }
        let start = self.at;
        let name = match self.foreseen() {
            Some(name) => name,
            None => self.unforeseen()?,
        };
        let id = self.push(Class::Key, start, name.escaped);
        let node = &mut self.nodes[id as usize];
        let open = self.open.last_mut().expect("a key stands in an object");
        node.extra = name.hash;
        let (word, bit) = ((name.hash >> 6 & 3) as usize, 1 << (name.hash & 63));
        open.suspect |= open.seen[word] & bit != 0;
        open.seen[word] |= bit;
        if name.like == NOWHERE {
            node.next = 0;
            open.is_alike = false;
            self.expected = NOWHERE;
        } else {
            node.next = name.like.wrapping_sub(open.met);
            open.met = name.like;
            self.expected = name.like + 1;
        }
        self.space();
        if self.peek() != Some(b':') {
            return Err("expected a colon");
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a key that is spelled as predicted.
    fn foreseen(&mut self) -> Option<Name> {
        let rest = &self.bytes[self.at..];
        let open = self.open.last_mut()?;
        let mut model = open.model.clone();
        if open.like != NOWHERE {
            let like = match self.nodes.get(model.start as usize) {
                Some(key) if !model.is_empty() && key.next != 0 => open.met.wrapping_add(key.next),
                _ => self.reference.member_behind(open.like, open.met),
            };
            if let Some(key) = self.reference.key_at(open.like, like, rest) {
                open.model.start = behind(&self.nodes, &model);
                self.at += key.len();
                return Some(Name::of(key, like));
            }
        }
        // One key may have been left out.
        for _ in 0..2 {
            let key = *self
                .nodes
                .get(model.start as usize)
                .filter(|_| !model.is_empty())?;
            model.start = behind(&self.nodes, &model);
            if begin_alike(rest, &self.bytes[key.start as usize..], key.len()) {
                open.model = model;
                self.at += key.len();
                return Some(Name::of(&key, self.reference.find(open.like, rest)));
            }
        }
        None
    }

    fn unforeseen(&mut self) -> Result<Name, &'static str> {
        let start = self.at;
        let escaped = self.string()?;
        let name = &self.source[start + 1..self.at - 1];
        let open = self.open.last().expect("a key stands in an object");
        Ok(Name {
            hash: hash(Text::of(name, escaped)),
            escaped,
            like: self.reference.find(open.like, &self.bytes[start..]),
        })
    }

    /// A key with the same name as an earlier one of the object. Never takes quadratic time.
    pub(super) fn repeated_key(&self, object: Id) -> Option<Id> {
        let members = self.nodes[object as usize].extra as usize;
        let model = object + 1..self.nodes[object as usize].next;
        let keys = std::iter::successors(Some(model), |model| {
            Some(behind(&self.nodes, model)..model.end)
        });
        let mut keys: Vec<_> = keys
            .take_while(|model| !model.is_empty())
            .map(|model| (self.nodes[model.start as usize].extra, model.start))
            .collect();
        debug_assert_eq!(keys.len(), members);
        keys.sort_unstable();
        keys.chunk_by(|one, other| one.0 == other.0)
            .filter(|alike| alike.len() > 1)
            .find_map(|alike| {
                let mut names: Vec<_> = alike
                    .iter()
                    .map(|(_, key)| (self.code_points(*key), *key))
                    .collect();
                names.sort_unstable();
                let mut pairs = names.windows(2);
                let again = pairs.find(|pair| pair[0].0 == pair[1].0)?;
                Some(again[1].1)
            })
    }

    fn code_points(&self, key: Id) -> Vec<u32> {
        let node = &self.nodes[key as usize];
        let name = &self.source[node.start as usize + 1..node.end as usize - 1];
        Text::of(name, node.escaped).code_points().collect()
    }
}

// === impl Name ===

impl Name {
    fn of(key: &Node, like: Id) -> Self {
        Self {
            hash: key.extra,
            escaped: key.escaped,
            like,
        }
    }
}

/// The key after the first of `keys`, which are the remaining ones of an object.
fn behind(nodes: &[Node], keys: &Range<Id>) -> Id {
    if keys.is_empty() {
        keys.end
    } else {
        nodes[keys.start as usize + 1].next
    }
}

/// The hash of a key with that name.
pub fn name_hash(name: &str) -> u32 {
    hash(Text::Plain(name))
}

fn hash(text: Text<'_>) -> u32 {
    let hash = HASHES.hash_one(text);
    (hash ^ (hash >> 32)) as u32
}
