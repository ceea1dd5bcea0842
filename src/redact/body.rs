//! What is told of whole bodies: their shape, with the values in it masked.

use super::{Redactor, Telling, values};
use crate::compare::{coding, format};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value as Json;

/// What a body is, as far as telling of it goes.
#[derive(Clone, Copy)]
enum Format {
    Json,
    /// One JSON document a line.
    Lines,
    Form,
    Text,
    /// Told by class and length only.
    Other(&'static str),
}

// === impl Redactor ===

impl Redactor {
    /// What is told of a body that was sent with these headers; `None` of an empty one. The shape of JSON is kept. Of
    /// what is neither JSON nor a form, text is told only where values are shown, everything else by its length.
    pub fn body(&self, headers: &HeaderMap, body: &Bytes) -> Option<String> {
        if body.is_empty() {
            return None;
        }
        let telling = self.config.values.telling();
        let format = Format::of(headers);
        let Ok(plain) = coding::decode(headers, body, self.config.max_read) else {
            let is_plain = coding::codings(headers).is_empty();
            let class = if is_plain { format.name() } else { "encoded" };
            return Some(self.bytes(class, body, telling));
        };
        let told = match (format, telling) {
            (Format::Json, _) => self.json_body(&plain),
            (Format::Lines, _) => self.documents(&plain),
            (Format::Form, _) => std::str::from_utf8(&plain)
                .ok()
                .map(|text| self.pairs(text)),
            (Format::Text, Telling::Shown) => std::str::from_utf8(&plain)
                .ok()
                .map(|text| self.lines(text)),
            (Format::Text | Format::Other(_), _) => None,
        };
        let told = told.unwrap_or_else(|| self.bytes(format.name(), &plain, telling));
        Some(cut(told, self.config.max_body))
    }

    fn json_body(&self, body: &[u8]) -> Option<String> {
        let json = serde_json::from_slice(body).ok()?;
        Some(self.document(&json))
    }

    fn document(&self, json: &Json) -> String {
        self.tree(json, self.config.values.telling(), self.config.max_body)
    }

    fn documents(&self, body: &[u8]) -> Option<String> {
        let mut told = String::new();
        for document in serde_json::Deserializer::from_slice(body).into_iter::<Json>() {
            told.push_str(&self.document(&document.ok()?));
            told.push('\n');
            if told.len() > self.config.max_body {
                break;
            }
        }
        Some(told)
    }

    /// The document as JSON text, each leaf told by the names above it. Stops soon after `max` bytes.
    pub(super) fn tree(&self, json: &Json, telling: Telling, max: usize) -> String {
        let mut text = String::new();
        self.write(&mut text, json, telling, max);
        text
    }

    fn write(&self, out: &mut String, json: &Json, telling: Telling, max: usize) {
        if out.len() > max {
            return;
        }
        match json {
            Json::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    separate(out, index);
                    self.write(out, item, telling, max);
                    if out.len() > max {
                        return;
                    }
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    separate(out, index);
                    self.member(out, (name, value), telling, max);
                    if out.len() > max {
                        return;
                    }
                }
                out.push('}');
            }
            leaf => self.leaf(out, leaf, telling),
        }
    }

    fn member(&self, out: &mut String, (name, value): (&str, &Json), telling: Telling, max: usize) {
        quote(out, &self.name(name));
        out.push(':');
        match self.telling(name) {
            // Not even the shape of what hangs below a secret name.
            Telling::Masked if self.names_secret(name) => quote(out, &values::class(value)),
            _ => self.write(out, value, telling, max),
        }
    }

    fn leaf(&self, out: &mut String, leaf: &Json, telling: Telling) {
        match (leaf, telling) {
            (Json::String(text), _) => quote(out, &self.text(text, telling)),
            (Json::Null | Json::Bool(_), Telling::Masked | Telling::Hashed) => {
                quote(out, &values::class(leaf));
            }
            (_, Telling::Shown) => out.push_str(&leaf.to_string()),
            (_, _) => quote(out, &self.json(leaf, telling)),
        }
    }
}

// === impl Format ===

impl Format {
    fn of(headers: &HeaderMap) -> Self {
        let media_type = format::media_type(headers).to_ascii_lowercase();
        match media_type.as_str() {
            "application/json" => Self::Json,
            "application/x-ndjson" | "application/jsonl" => Self::Lines,
            "application/x-www-form-urlencoded" => Self::Form,
            _ if media_type.ends_with("+json")
                || media_type.starts_with("application/x-amz-json") =>
            {
                Self::Json
            }
            _ if media_type.ends_with("/xml") || media_type.ends_with("+xml") => Self::Other("xml"),
            _ if media_type.starts_with("text/") => Self::Text,
            _ => Self::Other("bytes"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Lines => "ndjson",
            Self::Form => "form",
            Self::Text => "text",
            Self::Other(name) => name,
        }
    }
}

fn separate(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

fn quote(out: &mut String, text: &str) {
    out.push_str(&Json::from(text).to_string());
}

/// At most `max` bytes of `text`, never within a character.
fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::{Config, HashKey, Values};
    use http::{HeaderValue, header};

    fn told(values: Values, content_type: &'static str, body: &[u8]) -> Option<String> {
        let config = Config {
            values,
            max_body: 100,
            ..Config::default()
        };
        let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))];
        let headers = headers.into_iter().collect();
        Redactor::new(config, HashKey([7; 16])).body(&headers, &Bytes::copy_from_slice(body))
    }

    #[test]
    fn the_shape_of_json_is_kept_and_its_leaves_are_masked() {
        let body = br#"{"name": "Anna", "card": {"no": 4711}, "tags": ["a", null, 1.50, true]}"#;
        let masked = told(Values::Masked, "application/json; charset=utf-8", body).unwrap();
        assert_eq!(
            masked,
            r#"{"name":"string(4)","card":"object(1)","tags":["string(1)","null","number(4)","boolean"]}"#
        );
        let shown = told(Values::Shown, "application/problem+json", body).unwrap();
        assert_eq!(
            shown,
            r#"{"name":"Anna","card":"object(1)","tags":["a",null,1.50,true]}"#
        );
    }

    #[test]
    fn what_is_not_json_is_told_by_its_length() {
        for (content_type, body, expected) in [
            ("application/json", &b"{\"a\": "[..], "json(6 bytes)"),
            ("text/plain", b"hunter2", "text(7 bytes)"),
            ("image/png", b"\x89PNG", "bytes(4 bytes)"),
            ("application/xml", b"<a/>", "xml(4 bytes)"),
            (
                "application/x-www-form-urlencoded",
                b"a=1&b=xyz",
                "a=string(1)&b=string(3)",
            ),
            (
                "application/x-ndjson",
                b"{\"a\":1}\n[2]\n",
                "{\"a\":\"number(1)\"}\n[\"number(1)\"]\n",
            ),
        ] {
            assert_eq!(told(Values::Masked, content_type, body).unwrap(), expected);
        }
        assert_eq!(told(Values::Masked, "text/plain", b""), None);
    }

    #[test]
    fn text_is_shown_where_values_are() {
        assert_eq!(
            told(Values::Shown, "text/plain", b"hello").unwrap(),
            "hello"
        );
    }

    #[test]
    fn a_large_body_is_cut() {
        let body = format!("[{}1]", "1,".repeat(10_000));
        let masked = told(Values::Masked, "application/json", body.as_bytes()).unwrap();
        assert!(masked.len() <= 104, "{}", masked.len());
        assert!(masked.ends_with('…'));
    }

    #[test]
    fn an_encoded_body_is_told_as_what_it_encodes() {
        use std::io::Write as _;
        let redactor = Redactor::new(Config::default(), HashKey([7; 16]));
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(br#"{"name":"Anna"}"#).unwrap();
        let body = Bytes::from(encoder.finish().unwrap());
        let headers = [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            ),
            (header::CONTENT_ENCODING, HeaderValue::from_static("gzip")),
        ];
        let mut headers: HeaderMap = headers.into_iter().collect();
        let told = redactor.body(&headers, &body).unwrap();
        assert_eq!(told, r#"{"name":"string(4)"}"#);

        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
        let told = redactor.body(&headers, &body).unwrap();
        assert_eq!(told, format!("encoded({} bytes)", body.len()));
    }

    #[test]
    fn a_body_that_would_take_long_to_read_is_told_by_its_length() {
        let config = Config {
            max_read: 4,
            ..Config::default()
        };
        let redactor = Redactor::new(config, HashKey([7; 16]));
        let headers = [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )];
        let body = Bytes::from_static(b"[1, 2]");
        let told = redactor
            .body(&headers.into_iter().collect(), &body)
            .unwrap();
        assert_eq!(told, "json(6 bytes)");
    }
}
