//! Places that have any number of texts: headers, trailers, form fields.

use super::{
    case::{Case, Trees},
    difference::{Difference, Kind, Place, Value},
    findings::Findings,
};
use crate::rules::Subject;

/// Compares the values of one name, in their order, and puts what differs to the rules at it.
pub(super) fn compare(
    (olds, news): (&[Vec<u8>], &[Vec<u8>]),
    rules: &[usize],
    place: impl Fn() -> Place,
    findings: &mut Findings<'_>,
) {
    let kind = match (olds.is_empty(), news.is_empty()) {
        (false, true) => Kind::Missing,
        (true, false) => Kind::Extra,
        _ if olds != news && sorted(olds) == sorted(news) => Kind::Order,
        _ => Kind::Value,
    };
    let case = Case {
        kind,
        olds: olds.iter().map(|value| subject(value)).collect(),
        news: news.iter().map(|value| subject(value)).collect(),
        trees: Trees::Whole,
        reading: findings.reading,
    };
    if olds == news {
        return findings.meet(rules, case);
    }
    findings.judge(rules, case, || Difference {
        place: place(),
        kind,
        old: told(olds),
        new: told(news),
    });
}

fn subject(value: &[u8]) -> Subject<'_> {
    match std::str::from_utf8(value) {
        Ok(text) => Subject::Text(text.into()),
        Err(_) => Subject::Bytes(value.to_vec()),
    }
}

fn sorted(values: &[Vec<u8>]) -> Vec<&[u8]> {
    let mut values: Vec<_> = values.iter().map(Vec::as_slice).collect();
    values.sort_unstable();
    values
}

/// One value as text, several as a list.
fn told(values: &[Vec<u8>]) -> Option<Value> {
    let text = |value: &Vec<u8>| String::from_utf8_lossy(value).into_owned();
    match values {
        [] => None,
        [one] => Some(Value::Text(text(one))),
        many => Some(Value::Json(many.iter().map(text).collect())),
    }
}
