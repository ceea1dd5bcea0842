//! Documents within documents: texts that a rule reads as JSON, a URL or a query.

use super::{Documents, Likeness, Mode, Walk, Within};
use crate::{
    compare::candidate::Candidate,
    rules::Subject,
    value::json::{self, Document, Id},
};
use std::mem;

/// The maximum nesting of documents within documents.
pub(super) const MAX_WITHIN: usize = 8;

// === impl Walk ===

impl<'w, 'c> Walk<'w, 'c> {
    /// Walks the containers that rules made of the values of this place, under the rules below it. Returns whether
    /// every difference in them is masked.
    pub(super) fn is_alike_inside(
        &mut self,
        case: &Candidate<'_>,
        nodes: (Option<Id>, Option<Id>),
    ) -> bool {
        let reported = self.findings.count;
        self.inside(case, nodes, |walk, old, new| walk.whole(old, new));
        match self.mode {
            Mode::Reporting => self.findings.count == reported,
            Mode::Probing(likeness) => likeness != Likeness::Unlike,
        }
    }

    /// Walks equal documents in equal texts to record the ids in them.
    pub(super) fn meet_inside(&mut self, case: &Candidate<'_>, (old, new): (Id, Id)) {
        self.inside(case, (Some(old), Some(new)), |walk, old, new| {
            let pair = walk.pair;
            // Rules that change only one side may have made them different, although the texts are equal.
            if json::are_equal(pair.old, pair.new, pair.numbers) {
                walk.whole(old, new);
            }
        });
    }

    fn inside(
        &mut self,
        case: &Candidate<'_>,
        (old, new): (Option<Id>, Option<Id>),
        walk: impl FnOnce(&mut Walk<'_, 'c>, Id, Id),
    ) {
        let (olds, news) = (parsed(case.olds.first()), parsed(case.news.first()));
        let root = |parsed: &Option<Document<'_>>, id: Option<Id>| match parsed {
            Some(_) => Document::ROOT,
            None => id.unwrap_or(Document::ROOT),
        };
        let roots = (root(&olds, old), root(&news, new));
        let pair = Documents {
            old: olds.as_ref().unwrap_or(self.pair.old),
            new: news.as_ref().unwrap_or(self.pair.new),
            ..self.pair
        };
        self.nested(pair, |nested| walk(nested, roots.0, roots.1));
    }

    /// Walks other documents at the same place, under the same rules.
    pub(super) fn nested<R>(
        &mut self,
        pair: Documents<'_>,
        walk: impl FnOnce(&mut Walk<'_, 'c>) -> R,
    ) -> R {
        let above = if self.is_probing() {
            Vec::new()
        } else {
            self.steps()
        };
        let mut nested = Walk {
            mode: self.mode,
            above,
            active: mem::take(&mut self.active),
            patience: self.patience,
            doubt: self.doubt,
            met: self.met.take(),
            within: Within {
                documents: self.within.documents + 1,
                depth: self.within.depth + self.path.len(),
            },
            ..Walk::new(pair, &mut *self.findings)
        };
        let result = walk(&mut nested);
        let Walk {
            mode,
            active,
            patience,
            met,
            ..
        } = nested;
        self.mode = mode;
        self.active = active;
        self.patience = patience;
        self.met = met;
        result
    }
}

fn parsed<'t>(subject: Option<&'t Subject<'_>>) -> Option<Document<'t>> {
    match subject {
        // Its depth was checked when it was first parsed.
        Some(Subject::Tree(tree)) => Document::parse(tree.text.as_bytes(), usize::MAX).ok(),
        _ => None,
    }
}
