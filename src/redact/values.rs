//! Redacts single values.

use super::{Redactor, Values};
use crate::{
    advise::suggest::Prints,
    value::{Difference, Kind, Place, Value},
};
use serde_json::Value as Json;
use siphasher::sip::SipHasher24;
use std::{borrow::Cow, hash::Hasher as _};

/// Marks where a text was cut.
const CUT: char = '…';

// === impl Redactor ===

impl Redactor {
    /// Redacts the value of one side of a difference.
    pub fn value(&self, difference: &Difference, value: &Value) -> String {
        let mode = match (&difference.place, difference.kind) {
            // A status or the name of a format is not secret, and a reader needs it first.
            (_, Kind::Status | Kind::Format) => Values::Shown,
            (Place::Header(name) | Place::Trailer(name), _) => self.header_mode(name),
            (Place::Form(name), _) => self.mode_of(name),
            (Place::Node(steps), _) => self.mode_of_steps(steps),
            _ => self.config.values,
        };
        match value {
            // Where the other side has another type, quotes keep `"1"` from looking like `1`.
            Value::Json(json @ Json::String(_))
                if difference.kind == Kind::Type && mode == Values::Shown =>
            {
                cut(&json.to_string(), self.config.max_value)
            }
            Value::Json(json) => self.json(json, mode),
            Value::Text(text) if is_of_text(&difference.place) && mode == Values::Shown => {
                cut(&self.lines(text), self.config.max_value)
            }
            Value::Text(text) => self.text(text, mode),
            Value::Summary { class, length } => format!("{class}({length} bytes)"),
            Value::Unreadable { why, length } => format!("{why} ({length} bytes)"),
        }
    }

    /// A JSON value on one line; members that `fields` matches are masked even where values are shown.
    pub(super) fn json(&self, json: &Json, mode: Values) -> String {
        match (json, mode) {
            (Json::String(text), _) => self.text(text, mode),
            (_, Values::Shown) => {
                let max_bytes = self.config.max_value.saturating_mul(4);
                cut(&self.tree(json, mode, max_bytes), self.config.max_value)
            }
            (_, Values::Masked) => class(json),
            (_, Values::Hashed) => self.hidden(class(json), json.to_string().as_bytes(), mode),
        }
    }

    pub(super) fn text(&self, text: &str, mode: Values) -> String {
        if mode == Values::Shown {
            return cut(text, self.config.max_value);
        }
        let class = format!("string({})", text.chars().count());
        self.hidden(class, text.as_bytes(), mode)
    }

    /// Unstructured text: a line that names a secret is masked, because the secret may be on that line.
    pub(super) fn lines(&self, text: &str) -> String {
        let lines = text.split('\n').map(|line| {
            if self.names_secret(line) {
                Cow::Owned(self.text(line, Values::Masked))
            } else {
                Cow::Borrowed(line)
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Bytes are never shown.
    pub(super) fn bytes(&self, class: &str, bytes: &[u8], mode: Values) -> String {
        let class = format!("{class}({} bytes)", bytes.len());
        self.hidden(class, bytes, mode)
    }

    /// The class of a value, with its hash if values are hashed.
    fn hidden(&self, class: String, bytes: &[u8], mode: Values) -> String {
        match mode {
            Values::Shown | Values::Masked => class,
            Values::Hashed => format!("{class}#{:016x}", self.digest(bytes)),
        }
    }

    /// 64 bits of SipHash-2-4 (Aumasson and Bernstein, 2012), a keyed function: without the key a value cannot be
    /// confirmed by hashing guesses.
    fn digest(&self, bytes: &[u8]) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key.0);
        hasher.write(bytes);
        hasher.finish()
    }
}

impl Prints for Redactor {
    fn print(&self, value: &Value) -> u64 {
        let text = match value {
            Value::Json(Json::String(text)) | Value::Text(text) => Cow::Borrowed(text.as_str()),
            Value::Json(json) => Cow::Owned(json.to_string()),
            Value::Summary { class, length } => Cow::Owned(format!("{class} {length}")),
            Value::Unreadable { why, length } => Cow::Owned(format!("{why} {length}")),
        };
        self.digest(text.as_bytes())
    }

    fn may_show(&self, place: &Place) -> bool {
        *self.place(place) == *place
    }
}

fn is_of_text(place: &Place) -> bool {
    matches!(place, Place::Lines { .. } | Place::Body)
}

/// Type and length of a JSON value; the length of a number is that of its text.
pub(super) fn class(json: &Json) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(_) => "boolean".to_owned(),
        Json::Number(number) => format!("number({})", number.as_str().len()),
        Json::String(text) => format!("string({})", text.chars().count()),
        Json::Array(items) => format!("array({})", items.len()),
        Json::Object(members) => format!("object({})", members.len()),
    }
}

/// At most `max` characters of `text`, with a mark if some are left out.
fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((end, _)) => {
            let mut short = text[..end].to_owned();
            short.push(CUT);
            short
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        redact::{Config, HashKey, Values},
        value::Step,
    };
    use serde_json::json;

    fn redactor(values: Values) -> Redactor {
        let config = Config {
            values,
            max_value: 8,
            ..Config::default()
        };
        Redactor::new(config, HashKey([7; 16]))
    }

    fn at(place: Place, kind: Kind) -> Difference {
        Difference {
            place,
            kind,
            old: None,
            new: None,
        }
    }

    fn node(name: &str) -> Difference {
        let steps = vec![Step::Name(name.to_owned()), Step::Index(0)];
        at(Place::Node(steps), Kind::Value)
    }

    #[test]
    fn a_masked_value_is_its_class_and_length() {
        let redactor = redactor(Values::Masked);
        for (json, redacted) in [
            (json!(null), "null"),
            (json!(true), "boolean"),
            (serde_json::from_str("9.90").unwrap(), "number(4)"),
            (json!("größe"), "string(5)"),
            (json!([1, 2, 3]), "array(3)"),
            (json!({"a": {"b": 1}}), "object(1)"),
        ] {
            assert_eq!(redactor.value(&node("price"), &Value::Json(json)), redacted);
        }
    }

    #[test]
    fn a_shown_value_is_cut_between_characters() {
        let redactor = redactor(Values::Shown);
        let redacted = redactor.value(&node("name"), &Value::Text("grüße aus Köln".to_owned()));
        assert_eq!(redacted, "grüße au…");
    }

    #[test]
    fn values_of_unlike_types_are_json_text() {
        let place = || node("price").place;
        let (by_type, by_value) = (at(place(), Kind::Type), at(place(), Kind::Value));
        let shown = redactor(Values::Shown);
        for (json, redacted) in [
            (json!(1), "1"),
            (json!("1"), "\"1\""),
            (json!(null), "null"),
            (json!("null"), "\"null\""),
            (json!("grüße"), "\"grüße\""),
            (json!("grüße aus Köln"), "\"grüße a…"),
        ] {
            assert_eq!(shown.value(&by_type, &Value::Json(json)), redacted);
        }
        assert_eq!(shown.value(&by_value, &Value::Json(json!("1"))), "1");
        let masked = redactor(Values::Masked);
        let redacted = |json| masked.value(&by_type, &Value::Json(json));
        assert_eq!(
            (redacted(json!("1")), redacted(json!(1))),
            ("string(1)".into(), "number(1)".into())
        );
        let secret = at(Place::Node(vec![Step::Name("token".into())]), Kind::Type);
        assert_eq!(shown.value(&secret, &Value::Json(json!("1"))), "string(1)");
    }

    #[test]
    fn what_a_field_names_is_masked_even_where_values_are_shown() {
        let redactor = redactor(Values::Shown);
        let secret = Value::Text("hunter2".to_owned());
        assert_eq!(redactor.value(&node("oldPassword"), &secret), "string(7)");
        assert_eq!(redactor.value(&node("name"), &secret), "hunter2");
        let header = at(Place::Header("Authorization".to_owned()), Kind::Value);
        assert_eq!(redactor.value(&header, &secret), "string(7)");
    }

    #[test]
    fn hashed_values_differ_by_value_and_key() {
        let redactor = redactor(Values::Hashed);
        let redacted = |text: &str| redactor.value(&node("name"), &Value::Text(text.to_owned()));
        assert_eq!(redacted("anna"), redacted("anna"));
        assert_ne!(redacted("anna"), redacted("hans"));
        let other = Redactor::new(redactor.config.clone(), HashKey([8; 16]));
        let by_other = other.value(&node("name"), &Value::Text("anna".to_owned()));
        assert_ne!(redacted("anna"), by_other);
    }

    #[test]
    fn statuses_and_names_of_formats_are_shown() {
        let redactor = redactor(Values::Masked);
        let status = at(Place::Status, Kind::Status);
        assert_eq!(redactor.value(&status, &Value::Json(json!(503))), "503");
        let format = at(Place::Body, Kind::Format);
        assert_eq!(
            redactor.value(&format, &Value::Text("json".to_owned())),
            "json"
        );
    }

    #[test]
    fn line_naming_a_secret_is_masked_even_if_values_are_shown() {
        let redactor = redactor(Values::Shown);
        let lines = at(Place::Lines { first: 1, last: 2 }, Kind::Text);
        let redacted = redactor.value(&lines, &Value::Text("a=1\npassword=hunter2".to_owned()));
        assert_eq!(redacted, "a=1\nstri…");
    }
}
