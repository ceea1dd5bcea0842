//! Rules that transform a whole body before it is read as its format.
//!
//! Bodies that are equal under the other rules stay as they are. Remaining differences are reported for the transformed
//! bodies.

use super::{Bodies, Body};
use crate::{
    compare::findings::Findings,
    outcome::Reason,
    rules::{Action, Parse, Subject, Transform},
    stack::Stack,
    value::{
        Difference,
        format::{Format, Reading},
        json::Document,
    },
};
use bytes::Bytes;

// === impl Bodies ===

impl Bodies<'_> {
    /// Compares two bodies under all rules.
    ///
    /// # Errors
    /// Why they cannot be compared.
    pub(super) fn rewrite_and_compare(
        &mut self,
        findings: &mut Findings<'_>,
    ) -> Result<(), Reason> {
        let mut rules = findings.rules.at_body().to_vec();
        rules.retain(|rule| findings.rule(*rule).action.is_transform() && findings.applies(*rule));
        for rule in rules {
            let Some(difference) = self.first_difference(findings)? else {
                break;
            };
            if let Action::Transform(transform) = &findings.rule(rule).action {
                self.transform(transform, findings.reading.max_depth);
            }
            let is_equal = self.first_difference(findings)?.is_none();
            findings.rewritten(rule, is_equal.then_some(difference));
        }
        self.compare(findings)
    }

    /// The first difference of the current bodies.
    fn first_difference(&self, findings: &Findings<'_>) -> Result<Option<Difference>, Reason> {
        let mut epoch = findings.epoch();
        let mut trial = findings.trial(self.comparing, &mut epoch);
        self.compare(&mut trial)?;
        Ok(trial.into_first())
    }

    fn transform(&mut self, transform: &Transform, max_depth: usize) {
        let sides = [(Stack::Old, &mut self.old), (Stack::New, &mut self.new)];
        for (side, body) in sides {
            if transform.on().covers(side)
                && body.undecodable.is_none()
                && let Some((bytes, format)) = made(transform, body, max_depth)
            {
                body.bytes = bytes;
                body.reading = Reading {
                    format,
                    charset: Some("utf-8".to_owned()),
                    coding: String::new(),
                };
            }
        }
    }
}

/// The body transformed by a rule, in UTF-8, and its new format; `None` if the body is not text.
fn made(transform: &Transform, body: &Body, max_depth: usize) -> Option<(Bytes, Format)> {
    let text = body.characters()?;
    if *transform == Transform::Parse(Parse::Json) {
        let is_json = Document::parse(text.as_bytes(), max_depth).is_ok();
        return is_json.then(|| (text.into_owned().into(), Format::Json));
    }
    let is_base64 = *transform == Transform::Parse(Parse::Base64);
    // An encoded body often ends with a newline.
    let text = if is_base64 { text.trim() } else { &*text };
    let (bytes, format) = match transform.apply(Subject::Text(text.into()), max_depth) {
        // A body that cannot be read stays as it is, including white space at its ends.
        Subject::Text(same) if is_base64 && same == text => return None,
        Subject::Text(text) if is_base64 => (text.into_owned().into_bytes(), Format::Text),
        Subject::Text(text) => (text.into_owned().into_bytes(), body.reading.format),
        Subject::Bytes(bytes) => (bytes, Format::Bytes),
        Subject::Tree(tree) => (tree.text.into_bytes(), Format::Json),
        _ => return None,
    };
    Some((bytes.into(), format))
}
