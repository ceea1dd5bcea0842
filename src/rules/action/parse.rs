//! The action `parse`: reads a text as something else.
//!
//! A text that cannot be read that way stays as it is.

use super::Subject;
use crate::value::number::Decimal;
use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use fluent_uri::UriRef;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// What a text is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parse {
    /// A JSON text.
    Json,
    /// Base64 in either alphabet, with or without padding: a text, or bytes that are no text.
    Base64,
    /// A number as JSON spells it, with blanks around it allowed.
    Number,
    /// A URL: an object of its parts.
    Url,
    /// A query string: an object of its names.
    Query,
}

/// Accepts base64 with or without padding.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: [GeneralPurpose; 2] = [
    GeneralPurpose::new(&STANDARD, LENIENT),
    GeneralPurpose::new(&URL_SAFE, LENIENT),
];

// === impl Parse ===

impl Parse {
    pub(super) const NAMED: [(&'static str, Self); 5] = [
        ("json", Self::Json),
        ("base64", Self::Base64),
        ("number", Self::Number),
        ("url", Self::Url),
        ("query", Self::Query),
    ];

    /// Reads a text; JSON in it at most `max_depth` deep.
    pub fn read(self, text: Cow<'_, str>, max_depth: usize) -> Subject<'_> {
        let read = match self {
            Self::Json => Subject::json(&text, max_depth),
            Self::Base64 => base64(text.as_bytes()).map(|bytes| match String::from_utf8(bytes) {
                Ok(text) => Subject::Text(text.into()),
                Err(error) => Subject::Bytes(error.into_bytes()),
            }),
            Self::Number if Decimal::parse(text.trim()).is_some() => {
                Some(Subject::Number(text.trim().to_owned().into()))
            }
            Self::Number => None,
            Self::Url => url(&text).and_then(|url| Subject::json(&url.to_string(), max_depth)),
            Self::Query => Subject::json(&query(&text).to_string(), max_depth),
        };
        read.unwrap_or(Subject::Text(text))
    }
}

/// Decodes base64 in either alphabet.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    BASE64.iter().find_map(|engine| engine.decode(text).ok())
}

/// The parts of a URI reference, relative or not, normalized according to RFC 3986; the query by its names.
fn url(text: &str) -> Option<Value> {
    let url = UriRef::parse(text).ok()?.normalize();
    let mut parts = Map::new();
    let mut part = |name: &str, value: Option<Value>| {
        parts.extend(value.map(|value| (name.to_owned(), value)));
    };
    let scheme = url.scheme();
    part("scheme", scheme.map(|scheme| scheme.as_str().into()));
    let mut path = url.path().as_str();
    if let Some(authority) = url.authority() {
        let port = authority.port_to_u16().ok()?;
        let port = port.or_else(|| scheme.and_then(|scheme| scheme.default_port()));
        let user = authority.userinfo();
        part("userinfo", user.map(|user| user.as_str().into()));
        part("host", Some(authority.host().into()));
        part("port", port.map(Value::from));
        path = if path.is_empty() { "/" } else { path };
    }
    part("path", Some(path.into()));
    part("query", url.query().map(|text| query(text.as_str())));
    part("fragment", url.fragment().map(|text| text.as_str().into()));
    Some(parts.into())
}

/// Maps each name to its value, or to the list of its values.
fn query(text: &str) -> Value {
    let mut names: Map<String, Value> = Map::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = Value::from(decoded(value));
        match names.get_mut(&decoded(name)) {
            None => drop(names.insert(decoded(name), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = vec![first.take(), value].into(),
        }
    }
    names.into()
}

/// Text that is not UTF-8 after decoding stays encoded, so that different bytes stay different.
fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(decoded) => decoded.into_owned(),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parse: Parse, text: &str) -> Subject<'_> {
        parse.read(text.into(), 8)
    }

    fn tree(parse: Parse, text: &str) -> String {
        match read(parse, text) {
            Subject::Tree(tree) => tree.text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn urls_and_queries_become_objects() {
        assert_eq!(
            tree(
                Parse::Url,
                "HTTPS://Example.com/a/../%7eb?x=1&y=%20&x=2#top"
            ),
            r#"{"scheme":"https","host":"example.com","port":443,"path":"/~b","query":{"x":["1","2"],"y":" "},"fragment":"top"}"#
        );
        for (text, parts) in [
            (
                "/a/%7eb?y=2&x=1",
                r#"{"path":"/a/~b","query":{"y":"2","x":"1"}}"#,
            ),
            (
                "items?page=2#end",
                r#"{"path":"items","query":{"page":"2"},"fragment":"end"}"#,
            ),
            ("?page=2", r#"{"path":"","query":{"page":"2"}}"#),
            ("//CDN.example", r#"{"host":"cdn.example","path":"/"}"#),
            (
                "mailto:a@b.example",
                r#"{"scheme":"mailto","path":"a@b.example"}"#,
            ),
        ] {
            assert_eq!(tree(Parse::Url, text), parts, "{text}");
        }
        assert_eq!(
            tree(Parse::Query, "a=1+2&b&a=%C3%A9"),
            r#"{"a":["1 2","é"],"b":""}"#
        );
        assert_eq!(tree(Parse::Query, "a=%FF"), r#"{"a":"%FF"}"#);
    }

    #[test]
    fn what_cannot_be_read_stays_what_it_is() {
        for (parse, text) in [
            (Parse::Json, "{"),
            (Parse::Json, "[[[[[[[[[1]]]]]]]]]"),
            (Parse::Base64, "a*b"),
            (Parse::Number, "1,5"),
            (Parse::Url, "http://[::1"),
            (Parse::Url, "12:30"),
            (Parse::Url, "a b"),
        ] {
            assert_eq!(read(parse, text), Subject::Text(text.into()), "{parse:?}");
        }
    }

    #[test]
    fn base64_is_text_or_bytes_in_either_alphabet() {
        assert_eq!(read(Parse::Base64, "w6k"), Subject::Text("é".into()));
        assert_eq!(read(Parse::Base64, "w6k="), Subject::Text("é".into()));
        assert_eq!(
            read(Parse::Base64, "_-8="),
            Subject::Bytes(vec![0xff, 0xef])
        );
        assert_eq!(
            read(Parse::Base64, "/+8="),
            Subject::Bytes(vec![0xff, 0xef])
        );
    }

    #[test]
    fn numbers_are_read_from_texts() {
        assert_eq!(read(Parse::Number, " 9.90"), Subject::Number("9.90".into()));
    }
}
