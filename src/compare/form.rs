//! Compares forms: the values of one name are compared in order; the order of different names does not matter.
//!
//! Names and values are percent-decoded bytes. They need not be UTF-8, and are never replaced: reports may be lossy,
//! the comparison is not.

use super::{findings::Findings, values};
use crate::{
    rules::Action,
    value::difference::{Place, Value},
};
use percent_encoding::percent_decode;
use std::collections::BTreeMap;

/// All values of each name.
type Fields = BTreeMap<Vec<u8>, Vec<Vec<u8>>>;

/// Compares two bodies of type `application/x-www-form-urlencoded`. The rules in `ignoring` apply and ignore the whole
/// body.
pub(super) fn compare(old: &[u8], new: &[u8], ignoring: &[usize], findings: &mut Findings<'_>) {
    let (olds, news) = (fields(old), fields(new));
    let of_new = news.keys().filter(|name| !olds.contains_key(*name));
    for name in olds.keys().chain(of_new) {
        let of = |fields: &'_ Fields| fields.get(name).cloned().unwrap_or_default();
        let (old, new) = (of(&olds), of(&news));
        let name = values::spelled(name);
        let rules = [ignoring, findings.rules.at_form(&name)].concat();
        let mut ids = rules.iter().map(|rule| &findings.rule(*rule).action);
        if old != new || ids.any(Action::is_bijection) {
            let place = || Place::Form(name);
            values::compare(place, &rules, (&old, &new), Value::Text, findings);
        }
    }
}

fn fields(body: &[u8]) -> Fields {
    let mut fields = Fields::new();
    let pairs = body.split(|byte| *byte == b'&');
    for pair in pairs.filter(|pair| !pair.is_empty()) {
        let equals = pair.iter().position(|byte| *byte == b'=');
        let (name, value) = match equals {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        };
        fields
            .entry(decoded(name))
            .or_default()
            .push(decoded(value));
    }
    fields
}

fn decoded(part: &[u8]) -> Vec<u8> {
    let space = |byte: &u8| if *byte == b'+' { b' ' } else { *byte };
    let spaced: Vec<u8> = part.iter().map(space).collect();
    percent_decode(&spaced).collect()
}
