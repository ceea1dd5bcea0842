//! Each stack's formatting of the same answer: the differences between the two that mean nothing.

use super::{
    PLANTED,
    catalogue::{Body, Page},
};
use crate::stack::Stack;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderValue, Response, header};
use serde_json::{Number, Value};
use std::io::Write;

/// Values that differ between any two answers, whatever their content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    /// Unique among the answers of one stack.
    pub request: u64,
    /// Milliseconds since 1970, by the stack's own clock.
    pub unix_ms: u64,
}

/// Formats `page` as `stack` does, its defects included.
pub(crate) fn write(stack: Stack, mut page: Page, stamp: Stamp) -> Response<Bytes> {
    if stack == Stack::New {
        for planted in PLANTED {
            planted.plant(&mut page);
        }
    }
    if page.route == "health"
        && let Body::Json(body) = &mut page.body
    {
        body["served_at"] = stamp.unix_ms.into();
    }
    let (content_type, body) = match &page.body {
        Body::Text(text) => ("text/plain; charset=utf-8", text.clone().into()),
        Body::Json(value) => ("application/json", json(stack, value)),
        Body::Gzip(value) => ("application/json", gzip(stack, &json(stack, value))),
    };
    let mut response = Response::new(body);
    *response.status_mut() = page.status;
    *response.headers_mut() = page.headers;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if matches!(page.body, Body::Gzip(_)) {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let request = HeaderValue::try_from(format!("{stack}-{}", stamp.request));
    headers.insert("x-request-id", request.expect("letters and digits only"));
    response
}

fn json(stack: Stack, value: &Value) -> Bytes {
    let written = match stack {
        Stack::Old => serde_json::to_vec(value),
        Stack::New => serde_json::to_vec_pretty(&rewrite(value)),
    };
    Bytes::from(written.expect("a value is always written"))
}

/// The same document with its members in another order, its numbers respelled, and its two unordered lists reversed.
fn rewrite(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().rev();
            let members = members.map(|(name, value)| (name.clone(), rewrite_member(name, value)));
            Value::Object(members.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(rewrite).collect()),
        Value::Number(number) => Value::Number(respell(number)),
        other => other.clone(),
    }
}

fn rewrite_member(name: &str, value: &Value) -> Value {
    let mut value = rewrite(value);
    match (name, &mut value) {
        ("shelves" | "warehouses", Value::Array(items)) => items.reverse(),
        ("average", Value::Number(average)) => *average = two_decimals(average),
        _ => {}
    }
    value
}

/// `7` becomes `7.0`, `0.15` becomes `0.150`.
fn respell(number: &Number) -> Number {
    let text = number.to_string();
    let suffix = if text.contains('.') { "0" } else { ".0" };
    let respelled = text + suffix;
    respelled.parse().expect("one more digit is still a number")
}

/// The new stack keeps ratings to two decimals; a rule accepts that.
fn two_decimals(number: &Number) -> Number {
    let text = number.to_string();
    let kept = text.find('.').map_or(text.len(), |point| point + 3);
    let kept = text.get(..kept).unwrap_or(&text);
    kept.parse().expect("fewer digits are still a number")
}

fn gzip(stack: Stack, body: &[u8]) -> Bytes {
    let level = match stack {
        Stack::Old => Compression::best(),
        Stack::New => Compression::fast(),
    };
    let mut encoder = GzEncoder::new(Vec::new(), level);
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    Bytes::from(written.expect("writing to memory does not fail"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::catalogue::page;

    const STAMP: Stamp = Stamp {
        request: 1,
        unix_ms: 1_700_000_000_000,
    };

    #[test]
    fn the_two_stacks_spell_a_healthy_answer_differently() {
        let old = write(Stack::Old, page("/categories", None), STAMP);
        let new = write(Stack::New, page("/categories", None), STAMP);

        assert_ne!(old.body(), new.body());
        assert!(
            old.body()
                .starts_with(br#"{"categories":[{"name":"kitchen","tax":0.25,"#)
        );
        let new = String::from_utf8(new.body().to_vec()).unwrap();
        assert!(new.contains("\"tax\": 0.250"), "{new}");
    }

    #[test]
    fn exact_numbers_lose_nothing_when_respelled() {
        let value: Value = serde_json::from_str("9007199254740993").unwrap();

        assert_eq!(rewrite(&value).to_string(), "9007199254740993.0");
    }
}
