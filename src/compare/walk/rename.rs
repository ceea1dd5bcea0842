//! Members that count under another name.
//!
//! Members with one name on both sides are a pair. Of the rest, a member that a rule renames counts under its new name,
//! unless its object already has a member of that name.

use super::{Crumb, Likeness, Mode, Walk, active::Extent};
use crate::{
    rules::{Action, Move, On},
    stack::Stack,
    value::json::{Id, Text},
};
use std::collections::{HashMap, HashSet};

/// A member, and the name under which it counts.
#[derive(Clone, Copy, Debug)]
struct Named<'n> {
    name: Text<'n>,
    key: Id,
    /// The rule that renames it.
    by: Option<usize>,
}

// === impl Walk ===

impl<'w, 'c: 'w> Walk<'w, 'c> {
    /// Whether members of the objects here may count under another name.
    pub(super) fn renames(&self) -> bool {
        let tree = self.findings.rules.tree();
        let mut states = self.active.states().iter();
        self.selected.renames || states.any(|state| tree.renames(*state))
    }

    /// Compares two objects whose members may count under another name.
    pub(super) fn renamed_objects(&mut self, old: Id, new: Id) {
        let olds = self.named(Stack::Old, old, Some(new));
        let news = self.named(Stack::New, new, Some(old));
        let by_name: HashMap<Text<'_>, Named<'_>> =
            news.iter().map(|member| (member.name, *member)).collect();
        let names: HashSet<Text<'_>> = olds.iter().map(|member| member.name).collect();
        let news = news.iter().filter(|member| !names.contains(&member.name));
        let pairs = olds
            .iter()
            .map(|old| (Some(*old), by_name.get(&old.name).copied()));
        for (old, new) in pairs.chain(news.map(|new| (None, Some(*new)))) {
            if self.is_done() {
                return;
            }
            self.renamed_member(old, new);
        }
    }

    /// Reports the members of an object that only one side has.
    pub(super) fn lone_object(&mut self, side: Stack, object: Id) {
        for member in self.named(side, object, None) {
            match side {
                Stack::Old => self.renamed_member(Some(member), None),
                Stack::New => self.renamed_member(None, Some(member)),
            }
        }
    }

    fn renamed_member(&mut self, old: Option<Named<'_>>, new: Option<Named<'_>>) {
        let sides = [(Stack::Old, old), (Stack::New, new)];
        let is_paired = old.is_some() && new.is_some();
        let mut crumb = None;
        for (side, member) in sides {
            let Some((member, rule)) = member.and_then(|member| Some((member, member.by?))) else {
                continue;
            };
            crumb = Some(Crumb::Renamed(rule));
            match &mut self.mode {
                Mode::Probing(likeness) if is_paired => {
                    *likeness = (*likeness).max(Likeness::EqualByRules);
                }
                Mode::Probing(_) => {}
                Mode::Reporting => {
                    let masked = is_paired.then(|| self.difference_of(side, member.key));
                    self.findings.rewritten(rule, masked);
                }
            }
        }
        let (side, any) = match (old, new) {
            (Some(old), _) => (Stack::Old, old),
            (None, Some(new)) => (Stack::New, new),
            (None, None) => return,
        };
        let crumb = crumb.unwrap_or(Crumb::Key(side, any.key));
        let step = (&*any.name.to_str(), crumb);
        let value = |member: Option<Named<'_>>| member.map(|member| member.key + 1);
        self.member(step, value(old), value(new));
    }

    /// The members of an object by the names under which they count. `other` is the object on the other side.
    fn named(&mut self, side: Stack, object: Id, other: Option<Id>) -> Vec<Named<'w>> {
        let (document, others) = (self.document(side), self.document(side.other()));
        let shared = other.map_or_else(HashSet::new, |other| names(others, other));
        let mut own = names(document, object);
        let mut named = Vec::new();
        for (key, value) in document.members(object) {
            let mut member = Named {
                name: document.text(key),
                key,
                by: None,
            };
            if !shared.contains(&member.name)
                && let Some((rule, to)) = self.renaming(side, (key, value), |on| on.covers(side))
                && own.insert(Text::Plain(to))
            {
                member.name = Text::Plain(to);
                member.by = Some(rule);
            }
            named.push(member);
        }
        named
    }

    /// The first rule that renames a member, of the rules on the requested sides, and its new name.
    pub(super) fn renaming(
        &mut self,
        side: Stack,
        (key, value): (Id, Id),
        is_asked: impl Fn(On) -> bool,
    ) -> Option<(usize, &'c str)> {
        let name = self.document(side).text(key).to_str();
        // What counts is whether the new name is selected.
        let extent = self.active.extend(Extent::Whole);
        let before = self.enter_one(side, Move::Name(&name), value);
        let here = self.active.rules().iter();
        let renaming = here.filter_map(|rule| match &self.findings.rule(*rule).action {
            Action::Rename(rename) if is_asked(rename.on) => Some((*rule, rename.to.as_str())),
            _ => None,
        });
        let first = renaming.min();
        self.leave(before);
        self.active.extend(extent);
        first
    }
}

fn names<'w>(document: &'w crate::value::json::Document<'w>, object: Id) -> HashSet<Text<'w>> {
    let members = document.members(object);
    members.map(|(key, _)| document.text(key)).collect()
}
