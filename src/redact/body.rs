//! Redacts whole bodies: the shape stays, the values are masked.

use super::{Redactor, Values, values};
use crate::{
    compare::xml,
    value::{
        charset, coding,
        format::{Format, Reading},
        grpc::{self, Limits, MessageType},
    },
};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value as Json;

/// The maximum depth of XML and messages, the same as that of `serde_json`, because they are written as JSON.
const MAX_DEPTH: usize = 127;

// === impl Redactor ===

impl Redactor {
    /// Redacts a body that was sent with these headers; `None` if it is empty. JSON and forms keep their shape. XML and
    /// messages of a known type are written as the JSON that their places refer to. Other text is reported only where
    /// values are shown, everything else by its length.
    pub fn body(
        &self,
        headers: &HeaderMap,
        body: &Bytes,
        message_type: Option<&MessageType>,
    ) -> Option<String> {
        if body.is_empty() {
            return None;
        }
        let mode = self.config.values;
        let Reading {
            format, charset, ..
        } = Reading::of(headers);
        let charset = charset.as_deref();
        let Ok(plain) = coding::decode(headers, body, self.config.max_read) else {
            let is_plain = coding::codings(headers).is_empty();
            let class = if is_plain { format.name() } else { "encoded" };
            return Some(self.bytes(class, body, mode));
        };
        let redacted = match (format, mode) {
            (Format::Json, _) => self.json_body(&plain),
            (Format::Ndjson | Format::JsonSeq, _) => self.documents(&plain),
            (Format::Xml, _) => self.xml_body(&plain, charset),
            (Format::Form, _) => std::str::from_utf8(&plain)
                .ok()
                .map(|text| self.pairs(text)),
            (Format::Text, Values::Shown) => charset::decode(&plain, charset)
                .ok()
                .map(|text| self.lines(&text)),
            (Format::Grpc, _) => message_type.and_then(|of| {
                let limits = Limits {
                    max_text: self.config.max_read,
                    max_depth: MAX_DEPTH,
                };
                self.json_body(&grpc::legible(headers, &plain, of, limits)?)
            }),
            (Format::Text | Format::Bytes, _) => None,
        };
        let redacted = redacted.unwrap_or_else(|| self.bytes(format.name(), &plain, mode));
        Some(cut(redacted, self.config.max_body))
    }

    fn json_body(&self, body: &[u8]) -> Option<String> {
        let json = serde_json::from_slice(body).ok()?;
        Some(self.document(&json))
    }

    fn xml_body(&self, body: &[u8], charset: Option<&str>) -> Option<String> {
        let text = xml::decode(body, charset).ok()?;
        let source = xml::Source::read(&text, MAX_DEPTH).ok()?;
        let [json] = xml::json([&source], self.config.max_read).ok()?;
        self.json_body(&json)
    }

    fn document(&self, json: &Json) -> String {
        self.tree(json, self.config.values, self.config.max_body)
    }

    fn documents(&self, body: &[u8]) -> Option<String> {
        let mut redacted = String::new();
        // Only `json-seq` uses the record separator; for every other parser it becomes white space.
        let spaced = |byte: &u8| if *byte == 0x1E { b'\n' } else { *byte };
        let body: Vec<u8> = body.iter().map(spaced).collect();
        for document in serde_json::Deserializer::from_slice(&body).into_iter::<Json>() {
            redacted.push_str(&self.document(&document.ok()?));
            redacted.push('\n');
            if redacted.len() > self.config.max_body {
                break;
            }
        }
        Some(redacted)
    }

    /// The document as JSON text, each leaf redacted by the names above it. Stops soon after `max` bytes.
    pub(super) fn tree(&self, json: &Json, mode: Values, max: usize) -> String {
        let mut text = String::new();
        self.write(&mut text, json, mode, max);
        text
    }

    fn write(&self, out: &mut String, json: &Json, mode: Values, max: usize) {
        if out.len() > max {
            return;
        }
        match json {
            Json::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    separate(out, index);
                    self.write(out, item, mode, max);
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
                    quote(out, &self.name(name));
                    out.push(':');
                    // A secret name hides even the shape of what is below it.
                    if self.names_secret(name) {
                        quote(out, &values::class(value));
                    } else {
                        self.write(out, value, mode, max);
                    }
                    if out.len() > max {
                        return;
                    }
                }
                out.push('}');
            }
            leaf => self.leaf(out, leaf, mode),
        }
    }

    fn leaf(&self, out: &mut String, leaf: &Json, mode: Values) {
        match (leaf, mode) {
            (Json::String(text), _) => quote(out, &self.text(text, mode)),
            (Json::Null | Json::Bool(_), Values::Masked | Values::Hashed) => {
                quote(out, &values::class(leaf));
            }
            (_, Values::Shown) => out.push_str(&leaf.to_string()),
            (_, _) => quote(out, &self.json(leaf, mode)),
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

    fn redacted(values: Values, content_type: &'static str, body: &[u8]) -> Option<String> {
        let config = Config {
            values,
            max_body: 100,
            ..Config::default()
        };
        let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))];
        let headers = headers.into_iter().collect();
        Redactor::new(config, HashKey([7; 16])).body(&headers, &Bytes::copy_from_slice(body), None)
    }

    #[test]
    fn the_shape_of_json_is_kept_and_its_leaves_are_masked() {
        let body = br#"{"name": "Anna", "card": {"no": 4711}, "tags": ["a", null, 1.50, true]}"#;
        let masked = redacted(Values::Masked, "application/json; charset=utf-8", body).unwrap();
        assert_eq!(
            masked,
            r#"{"name":"string(4)","card":"object(1)","tags":["string(1)","null","number(4)","boolean"]}"#
        );
        let shown = redacted(Values::Shown, "application/problem+json", body).unwrap();
        assert_eq!(
            shown,
            r#"{"name":"Anna","card":"object(1)","tags":["a",null,1.50,true]}"#
        );
    }

    #[test]
    fn the_shape_of_xml_is_kept_and_its_texts_are_masked() {
        let body = b"<u:user xmlns:u='urn:u' id='7'><u:n>Anna</u:n><u:card>4711</u:card></u:user>";
        let masked = redacted(Values::Masked, "text/xml", body).unwrap();
        assert_eq!(
            masked,
            r##"{"user":{"@xmlns":"string(5)","@id":"string(1)","n":{"#text":"string(4)"},"card":"object(1)"}}"##
        );
        let body = "<card>4711</card>"
            .encode_utf16()
            .flat_map(u16::to_le_bytes);
        let shown = redacted(
            Values::Shown,
            "text/xml; charset=utf-16le",
            &body.collect::<Vec<_>>(),
        );
        assert_eq!(shown.unwrap(), r#"{"card":"object(1)"}"#);
    }

    #[test]
    fn what_is_not_json_is_reported_by_its_length() {
        for (content_type, body, expected) in [
            ("application/json", &b"{\"a\": "[..], "json(6 bytes)"),
            ("text/plain", b"hunter2", "text(7 bytes)"),
            ("image/png", b"\x89PNG", "bytes(4 bytes)"),
            ("application/xml", b"<a>", "xml(3 bytes)"),
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
            (
                "application/json-seq",
                b"\x1e1\n\x1e[2]\n",
                "\"number(1)\"\n[\"number(1)\"]\n",
            ),
        ] {
            assert_eq!(
                redacted(Values::Masked, content_type, body).unwrap(),
                expected
            );
        }
        assert_eq!(redacted(Values::Masked, "text/plain", b""), None);
    }

    #[test]
    fn messages_of_a_known_type_are_redacted_by_field() {
        use crate::value::tests::wire::{described, framed, length};
        let proto = "syntax = \"proto3\"; message M { string name = 1; string email = 2; }
                     service S { rpc Get(M) returns (M); }";
        let descriptors = described(proto);
        let of = descriptors.call("/S/Get").map(|call| &call.answer);
        let body = framed(0, [length(1, "Anna"), length(2, "a@b")].concat()).into();
        let grpc = HeaderValue::from_static("application/grpc");
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, grpc)]);
        let config = Config {
            values: Values::Shown,
            ..Config::default()
        };
        let redactor = Redactor::new(config, HashKey([7; 16]));
        let redacted = redactor.body(&headers, &body, of).unwrap();
        assert_eq!(redacted, r#"{"name":"Anna","email":"string(3)"}"#);
        assert_eq!(
            redactor.body(&headers, &body, None).unwrap(),
            "grpc(16 bytes)"
        );
    }

    #[test]
    fn text_is_shown_where_values_are() {
        assert_eq!(
            redacted(Values::Shown, "text/plain", b"hello").unwrap(),
            "hello"
        );
    }

    #[test]
    fn a_large_body_is_cut() {
        let body = format!("[{}1]", "1,".repeat(10_000));
        let masked = redacted(Values::Masked, "application/json", body.as_bytes()).unwrap();
        assert!(masked.len() <= 104, "{}", masked.len());
        assert!(masked.ends_with('…'));
    }

    #[test]
    fn an_encoded_body_is_reported_as_what_it_encodes() {
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
        let redacted = redactor.body(&headers, &body, None).unwrap();
        assert_eq!(redacted, r#"{"name":"string(4)"}"#);

        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
        let redacted = redactor.body(&headers, &body, None).unwrap();
        assert_eq!(redacted, format!("encoded({} bytes)", body.len()));
    }

    #[test]
    fn body_that_takes_long_to_read_is_reported_by_length() {
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
        let redacted = redactor
            .body(&headers.into_iter().collect(), &body, None)
            .unwrap();
        assert_eq!(redacted, "json(6 bytes)");
    }
}
