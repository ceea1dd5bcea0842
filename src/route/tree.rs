//! Indexes entries by the segments of their path templates, so that naming costs the length of the path.

use super::template::{Segment, Template, split};
use std::collections::HashMap;

/// Indices of entries. Finds entries whose template matches a path, and those without a template.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    root: Branch,
    /// Entries without a template, which may match any path.
    anywhere: Vec<usize>,
}

#[derive(Clone, Debug, Default)]
struct Branch {
    literals: HashMap<String, Branch>,
    one: Option<Box<Branch>>,
    /// Templates that end here, and templates that match the rest from here.
    ends: Vec<usize>,
    rests: Vec<usize>,
}

// === impl Tree ===

impl Tree {
    pub(super) fn insert(&mut self, index: usize, template: Option<&Template>) {
        let Some(template) = template else {
            return self.anywhere.push(index);
        };
        let mut branch = &mut self.root;
        for segment in &template.segments {
            branch = match segment {
                Segment::Literal(literal) => branch.literals.entry(literal.clone()).or_default(),
                Segment::One(_) => branch.one.get_or_insert_default(),
                Segment::Rest(_) => return branch.rests.push(index),
            };
        }
        branch.ends.push(index);
    }

    /// Calls `found` for every entry that may match `path`, in no particular order.
    pub(super) fn visit(&self, path: &str, found: &mut impl FnMut(usize)) {
        if let Some(inner) = path.strip_prefix('/') {
            self.root.visit(Some(inner), found);
        }
        self.anywhere.iter().copied().for_each(found);
    }
}

// === impl Branch ===

impl Branch {
    fn visit(&self, left: Option<&str>, found: &mut impl FnMut(usize)) {
        let Some(left) = left else {
            return self.ends.iter().copied().for_each(found);
        };
        let (part, rest) = split(left);
        if !self.literals.is_empty()
            && let Some(branch) = self.literals.get(part)
        {
            branch.visit(rest, found);
        }
        if let Some(branch) = &self.one
            && !part.is_empty()
        {
            branch.visit(rest, found);
        }
        self.rests.iter().copied().for_each(found);
    }
}
