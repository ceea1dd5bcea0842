//! Above the places of `compare.only`: nodes that have no counterpart, or one of another type.
//!
//! Such a node is no difference in itself. What is selected below it is missing or extra, and the rest is left out.

use super::{Element, Walk, active::Extent};
use crate::{
    rules::Subject,
    stack::Stack,
    value::{
        Kind,
        json::{Class, Document, Id},
    },
};

// === impl Walk ===

impl Walk<'_, '_> {
    /// Whether a difference of that kind at this place is none in itself. The order of an array that holds selected
    /// places is.
    pub(super) fn is_only_passed(&self, kind: Kind) -> bool {
        self.active.extent() == Extent::Below && kind != Kind::Order
    }

    /// Reports what is selected below nodes that are not compared with each other. If they hold nothing at all, their
    /// difference is left out.
    pub(super) fn apart(&mut self, kind: Kind, old: Option<Id>, new: Option<Id>) {
        let sides = [(Stack::Old, old), (Stack::New, new)];
        let mut is_any = false;
        for (side, id) in sides {
            is_any |= id.is_some_and(|id| self.lone(side, id));
        }
        if !is_any {
            self.leave_out(kind, old, new);
        }
    }

    /// Reports the members of a node that only one side has. Returns whether it has any.
    fn lone(&mut self, side: Stack, id: Id) -> bool {
        let document = self.document(side);
        match document.class(id) {
            Class::Object => self.lone_object(side, id),
            Class::Array => {
                for (index, id) in document.elements(id).enumerate() {
                    self.lone_element(side, Element { index, id });
                }
            }
            _ => return self.lone_text(side, id),
        }
        document.len(id) > 0
    }

    /// The same for a text that a rule reads as a document.
    fn lone_text(&mut self, side: Stack, id: Id) -> bool {
        let Subject::Tree(tree) = self.transformed(side, id) else {
            return false;
        };
        // Its depth was checked when it was first parsed.
        let parsed = Document::parse(tree.text.as_bytes(), usize::MAX);
        parsed.is_ok_and(|parsed| {
            self.inside_one(&parsed, |inside| inside.lone(side, Document::ROOT))
        })
    }
}
