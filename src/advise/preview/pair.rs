//! Builds two answers that contain one stored difference at its place, and nothing else.

use super::{Example, ExampleDifference, essence};
use crate::{
    compare::Answer,
    value::{Kind, Place, Step, format::Format},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value as Json, json};

/// The highest array index for which an array is built.
const MAX_INDEX: usize = 1_000;

/// `None` if the place cannot be built.
pub(super) fn of(
    example: &Example<'_>,
    at: &Place,
    difference: &ExampleDifference<'_>,
) -> Option<(Answer, Answer)> {
    let [old, new] = match difference.shown {
        Some(shown) => shown.clone(),
        None => stand_ins(difference.kind),
    };
    let side = |index: usize, value: Option<Json>| {
        let kind = media_type(at, essence(example.content_types[index]));
        let mut answer = Answer::ok(HeaderValue::from_str(kind).ok()?, Bytes::new());
        answer.status = StatusCode::from_u16(example.statuses[index]).ok()?;
        put(&mut answer, at, value)?;
        Some(answer)
    };
    side(0, old).zip(side(1, new))
}

/// Values that differ in the same way.
fn stand_ins(kind: Kind) -> [Option<Json>; 2] {
    match kind {
        Kind::Missing => [Some(json!("old")), None],
        Kind::Extra => [None, Some(json!("new"))],
        Kind::Order => [Some(json!(["a", "b"])), Some(json!(["b", "a"]))],
        Kind::Type => [Some(json!("old")), Some(json!(true))],
        _ => [Some(json!("old")), Some(json!("new"))],
    }
}

/// The media type under which a body with this place is read.
fn media_type<'t>(at: &Place, reported: &'t str) -> &'t str {
    match at {
        Place::Node(_) if Format::of(reported) != Format::Json => "application/json",
        Place::Lines { .. } | Place::Byte(_) | Place::Body => "text/plain",
        Place::Form(_) => "application/x-www-form-urlencoded",
        _ => reported,
    }
}

fn put(answer: &mut Answer, at: &Place, value: Option<Json>) -> Option<()> {
    match at {
        Place::Status => {}
        Place::Header(name) => put_values(&mut answer.headers, name, value)?,
        Place::Trailer(name) => put_values(&mut answer.trailers, name, value)?,
        Place::Node(steps) => answer.body = document(steps, value)?.to_string().into(),
        Place::Lines { .. } | Place::Byte(_) | Place::Body => {
            answer.body = value
                .as_ref()
                .map_or("", |text| text.as_str().unwrap_or("?"))
                .to_owned()
                .into();
        }
        Place::Form(name) => answer.body = form(name, value)?.into(),
    }
    Some(())
}

fn put_values(headers: &mut HeaderMap, name: &str, value: Option<Json>) -> Option<()> {
    let name = HeaderName::try_from(name).ok()?;
    headers.remove(&name);
    for value in all(value) {
        headers.append(&name, HeaderValue::from_str(value.as_str()?).ok()?);
    }
    Some(())
}

/// Several values of one name are shown as a list.
fn all(value: Option<Json>) -> Vec<Json> {
    match value {
        Some(Json::Array(values)) => values,
        value => value.into_iter().collect(),
    }
}

fn form(name: &str, value: Option<Json>) -> Option<String> {
    let pairs = all(value).into_iter().map(|value| {
        let [name, value] = [name, value.as_str()?]
            .map(|part| utf8_percent_encode(part, NON_ALPHANUMERIC).to_string());
        Some(format!("{name}={value}"))
    });
    Some(pairs.collect::<Option<Vec<_>>>()?.join("&"))
}

/// A document with a value at the end of these steps, or without one there.
fn document(steps: &[Step], value: Option<Json>) -> Option<Json> {
    let mut built = value;
    for step in steps.iter().rev() {
        built = Some(match step {
            Step::Name(name) => match built {
                Some(value) => json!({name: value}),
                None => json!({}),
            },
            Step::Index(index) if *index <= MAX_INDEX => {
                let mut elements = vec![Json::Null; *index];
                elements.extend(built);
                Json::Array(elements)
            }
            Step::Index(_) => return None,
        });
    }
    built
}
