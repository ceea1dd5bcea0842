//! All values of one name: of a header, a trailer, a field of a form.

use super::{
    difference::{Difference, Kind, Place, Value},
    findings::Findings,
};
use crate::rules::{Action, Members};

/// Compares the values of one name, which are known to be unlike, and puts the difference to the rules at their place.
pub(super) fn compare<V: AsRef<[u8]>>(
    place: impl FnOnce() -> Place,
    rules: &[usize],
    (olds, news): (&[V], &[V]),
    findings: &mut Findings<'_>,
) {
    let kind = match (olds.is_empty(), news.is_empty()) {
        (_, true) => Kind::Missing,
        (true, _) => Kind::Extra,
        _ if sorted(olds) == sorted(news) => Kind::Order,
        _ => Kind::Value,
    };
    let masked = findings.judge_at(rules, |action| match action {
        Action::Ignore => true,
        Action::Unordered(Members::AsSet) => kind == Kind::Order,
        _ => false,
    });
    if !masked {
        findings.report(|| Difference {
            place: place(),
            kind,
            old: told(olds),
            new: told(news),
        });
    }
}

/// Bytes as text; what is not UTF-8 as `\xff`, for a replacement character would tell unlike values alike.
pub(super) fn spelled(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

fn sorted<V: AsRef<[u8]>>(values: &[V]) -> Vec<&[u8]> {
    let mut values: Vec<_> = values.iter().map(AsRef::as_ref).collect();
    values.sort_unstable();
    values
}

/// One value as text, several as a list.
fn told<V: AsRef<[u8]>>(values: &[V]) -> Option<Value> {
    match values {
        [] => None,
        [one] => Some(Value::Text(spelled(one.as_ref()))),
        many => {
            let many = many.iter().map(|value| spelled(value.as_ref()));
            Some(Value::Json(many.collect()))
        }
    }
}
