//! Compares objects: members are paired by name, in any order.

use super::Walk;
use crate::{stack::Stack, value::json::Id};

/// Objects with more members than this are searched with a hash table.
const FEW: usize = 16;

/// The needed members of the new objects on the path.
///
/// One list for the whole walk, used as a stack: an object appends its members at the end.
#[derive(Debug, Default)]
pub(super) struct Members {
    list: Vec<Member>,
    /// For an object with many members: positions in `list`, found by hash; `u32::MAX` is free.
    table: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    hash: u32,
    key: Id,
    met: bool,
}

/// The parts of the lists that belong to one object.
#[derive(Clone, Copy, Debug)]
struct Span {
    list: usize,
    table: usize,
}

// === impl Walk ===

impl Walk<'_, '_> {
    /// Compares two objects.
    pub(super) fn objects(&mut self, old: Id, new: Id) {
        if self.renames() {
            return self.renamed_objects(old, new);
        }
        let (olds, news) = (self.pair.old, self.pair.new);
        let (mut key, end) = olds.inside(old);
        let (mut ahead, new_end) = news.inside(new);
        // Both sides usually have the same members in the same order.
        while key < end && ahead < new_end && self.is_named_alike(key, ahead) {
            self.same_named(key, key + 1, ahead + 1);
            if self.is_done() {
                return;
            }
            key = olds.next(key + 1);
            ahead = news.next(ahead + 1);
        }
        if key == end && ahead == new_end {
            return;
        }
        let span = self.index(ahead, new_end);
        while key < end && !self.is_done() {
            match self.find(span, key) {
                Some(found) => self.same_named(key, key + 1, found + 1),
                None => self.lone_member(Stack::Old, key),
            }
            key = olds.next(key + 1);
        }
        let mut at = span.list;
        while let Some(member) = self
            .members
            .list
            .get(at)
            .copied()
            .filter(|_| !self.is_done())
        {
            if !member.met {
                self.lone_member(Stack::New, member.key);
            }
            at += 1;
        }
        self.members.list.truncate(span.list);
        self.members.table.truncate(span.table);
    }

    fn is_named_alike(&self, old: Id, new: Id) -> bool {
        let (olds, news) = (self.pair.old, self.pair.new);
        olds.hash(old) == news.hash(new) && olds.text(old) == news.text(new)
    }

    /// Lists the members of a new object from a key on.
    fn index(&mut self, mut key: Id, end: Id) -> Span {
        let news = self.pair.new;
        let Members { list, table } = &mut self.members;
        let span = Span {
            list: list.len(),
            table: table.len(),
        };
        while key < end {
            list.push(Member {
                hash: news.hash(key),
                key,
                met: false,
            });
            key = news.next(key + 1);
        }
        let members = &list[span.list..];
        if members.len() > FEW {
            let slots = (members.len() * 2).next_power_of_two();
            table.resize(span.table + slots, u32::MAX);
            for (at, member) in members.iter().enumerate() {
                let mut slot = member.hash as usize & (slots - 1);
                while table[span.table + slot] != u32::MAX {
                    slot = (slot + 1) & (slots - 1);
                }
                table[span.table + slot] = at as u32;
            }
        }
        span
    }

    /// The key in the new object with the same name as an old key; marks it as met.
    fn find(&mut self, span: Span, key: Id) -> Option<Id> {
        let hash = self.pair.old.hash(key);
        let slots = self.members.table.len() - span.table;
        let found = if slots == 0 {
            let members = self.members.list[span.list..].iter();
            let mut alike = members
                .enumerate()
                .filter(|(_, member)| member.hash == hash);
            alike.find_map(|(at, member)| self.is_named_alike(key, member.key).then_some(at))?
        } else {
            let mut slot = hash as usize & (slots - 1);
            loop {
                let at = self.members.table[span.table + slot];
                if at == u32::MAX {
                    return None;
                }
                let member = self.members.list[span.list + at as usize];
                if member.hash == hash && self.is_named_alike(key, member.key) {
                    break at as usize;
                }
                slot = (slot + 1) & (slots - 1);
            }
        };
        let member = &mut self.members.list[span.list + found];
        member.met = true;
        Some(member.key)
    }
}
