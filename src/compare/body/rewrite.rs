//! Rules that make another body of a body, before it is read as its format.
//!
//! Bodies that are equal under the other rules stay as they are. What is left to differ is told of the bodies as the
//! rules made them.

use super::{Body, Whole};
use crate::{
    compare::{Comparing, Context, Difference, findings::Findings, format::Format, json::Document},
    rules::{Action, Parse, Subject, Transform},
    stack::Stack,
};
use bytes::Bytes;

/// Two bodies, and how they are read.
struct Bodies {
    old: Body,
    new: Body,
    formats: [Format; 2],
}

/// Compares two bodies under all rules.
pub(super) fn compare(
    (old, new): (Body, Body),
    formats: [Format; 2],
    comparison: (&Context<'_>, &Comparing),
    findings: &mut Findings<'_>,
) {
    let mut bodies = Bodies { old, new, formats };
    let mut rules = findings.rules.at_body().to_vec();
    rules.retain(|rule| findings.rule(*rule).action.is_transform() && findings.applies(*rule));
    for rule in rules {
        let Some(difference) = bodies.first_difference(comparison, findings) else {
            break;
        };
        if let Action::Transform(transform) = &findings.rule(rule).action {
            bodies.transform(transform, findings.reading.max_depth);
        }
        let is_equal = bodies.first_difference(comparison, findings).is_none();
        findings.rewritten(rule, is_equal.then_some(difference));
    }
    bodies.compare(comparison, findings);
}

// === impl Bodies ===

impl Bodies {
    fn compare(
        &self,
        (context, comparing): (&Context<'_>, &Comparing),
        findings: &mut Findings<'_>,
    ) {
        let mut whole = Whole {
            old: &self.old,
            new: &self.new,
            findings,
        };
        whole.compare(self.formats, context, comparing);
    }

    /// What would be told first of the bodies as they are.
    fn first_difference(
        &self,
        comparison: (&Context<'_>, &Comparing),
        findings: &Findings<'_>,
    ) -> Option<Difference> {
        let mut epoch = findings.epoch();
        let mut trial = findings.trial(comparison.1, &mut epoch);
        self.compare(comparison, &mut trial);
        trial.close().differences.into_iter().next()
    }

    fn transform(&mut self, transform: &Transform, max_depth: usize) {
        let [old, new] = &mut self.formats;
        let sides = [
            (Stack::Old, &mut self.old, old),
            (Stack::New, &mut self.new, new),
        ];
        for (side, body, format) in sides {
            if transform.on().covers(side) && !body.undecodable {
                apply(transform, body, format, max_depth);
            }
        }
    }
}

/// Makes of a body what a rule makes of it; what is no text stays as it is.
fn apply(transform: &Transform, body: &mut Body, format: &mut Format, max_depth: usize) {
    let Ok(text) = std::str::from_utf8(&body.bytes) else {
        return;
    };
    if *transform == Transform::Parse(Parse::Json) {
        if Document::parse(&body.bytes, max_depth).is_ok() {
            *format = Format::Json;
        }
        return;
    }
    let is_base64 = *transform == Transform::Parse(Parse::Base64);
    // An encoded body ends with a line's end more often than not.
    let text = if is_base64 { text.trim() } else { text };
    let made = transform.apply(Subject::Text(text.into()), max_depth);
    let (bytes, read_as) = match made {
        // What cannot be read stays as it is, its ends included.
        Subject::Text(same) if is_base64 && same == text => return,
        Subject::Text(text) if is_base64 => (text.into_owned().into_bytes(), Format::Text),
        Subject::Text(text) => (text.into_owned().into_bytes(), *format),
        Subject::Bytes(bytes) => (bytes, Format::Bytes),
        Subject::Tree(tree) => (tree.text.into_bytes(), Format::Json),
        _ => return,
    };
    body.bytes = Bytes::from(bytes);
    *format = read_as;
}
