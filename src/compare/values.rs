//! Compares all values of one name: of a header, a trailer, a field of a form.

use super::{candidate::Candidate, findings::Findings};
use crate::{
    rules::Subject,
    value::difference::{Difference, Kind, Place, Value},
};

/// Compares the values of one name in order, and judges a difference by the rules at their place. `value` makes what is
/// reported of a text.
pub(super) fn compare<V: AsRef<[u8]>>(
    place: impl FnOnce() -> Place,
    rules: &[usize],
    (olds, news): (&[V], &[V]),
    value: fn(String) -> Value,
    findings: &mut Findings<'_>,
) {
    let is_equal = (olds.iter().map(AsRef::as_ref)).eq(news.iter().map(AsRef::as_ref));
    let kind = match (olds.is_empty(), news.is_empty()) {
        (false, true) => Kind::Missing,
        (true, false) => Kind::Extra,
        _ if !is_equal && sorted(olds) == sorted(news) => Kind::Order,
        _ => Kind::Value,
    };
    let case = Candidate::whole(kind, subjects(olds), subjects(news), findings.reading);
    if is_equal {
        return findings.meet(rules, case);
    }
    findings.judge(rules, case, || Difference {
        place: place(),
        kind,
        old: reported(olds, value),
        new: reported(news, value),
    });
}

fn subjects<V: AsRef<[u8]>>(values: &[V]) -> Vec<Subject<'_>> {
    let bytes = values.iter().map(AsRef::as_ref);
    bytes
        .map(|bytes| match std::str::from_utf8(bytes) {
            Ok(text) => Subject::Text(text.into()),
            Err(_) => Subject::Bytes(bytes.to_vec()),
        })
        .collect()
}

/// Bytes as text. What is not UTF-8 becomes `\xff`, because replacement characters would make different values look
/// equal.
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
fn reported<V: AsRef<[u8]>>(values: &[V], value: fn(String) -> Value) -> Option<Value> {
    match values {
        [] => None,
        [one] => Some(value(spelled(one.as_ref()))),
        many => {
            let many = many.iter().map(|value| spelled(value.as_ref()));
            Some(Value::Json(many.collect()))
        }
    }
}
