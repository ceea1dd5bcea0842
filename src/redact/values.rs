//! Redacts single values.

use super::{Redactor, Telling};
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
        let telling = match (&difference.place, difference.kind) {
            // A status or the name of a format is not secret, and a reader needs it first.
            (_, Kind::Status | Kind::Format) => Telling::Shown,
            (Place::Header(name) | Place::Trailer(name), _) => self.header_telling(name),
            (Place::Form(name), _) => self.telling(name),
            (Place::Node(steps), _) => self.step_telling(steps),
            _ => self.config.values.telling(),
        };
        match value {
            Value::Json(json) if difference.kind == Kind::Type => self.literal(json, telling),
            Value::Json(json) => self.json(json, telling),
            Value::Text(text) if is_of_text(&difference.place) && telling == Telling::Shown => {
                cut(&self.lines(text), self.config.max_value)
            }
            Value::Text(text) => self.text(text, telling),
            Value::Summary { class, length } => format!("{class}({length} bytes)"),
            Value::Unreadable { why, length } => format!("{why} ({length} bytes)"),
        }
    }

    /// A JSON value where the other side has another type: a string keeps its quotes, so that `"1"` does not look like
    /// `1`.
    fn literal(&self, json: &Json, telling: Telling) -> String {
        match (json, telling) {
            (Json::String(_), Telling::Shown) => cut(&json.to_string(), self.config.max_value),
            _ => self.json(json, telling),
        }
    }

    /// A JSON value on one line; members that `fields` matches are masked even where values are shown.
    pub(super) fn json(&self, json: &Json, telling: Telling) -> String {
        match (json, telling) {
            (Json::String(text), _) => self.text(text, telling),
            (_, Telling::Shown) => {
                let max_bytes = self.config.max_value.saturating_mul(4);
                cut(&self.tree(json, telling, max_bytes), self.config.max_value)
            }
            (_, Telling::Masked) => class(json),
            (_, Telling::Hashed) => {
                format!("{}#{}", class(json), self.hash(json.to_string().as_bytes()))
            }
        }
    }

    pub(super) fn text(&self, text: &str, telling: Telling) -> String {
        match telling {
            Telling::Shown => cut(text, self.config.max_value),
            Telling::Masked => format!("string({})", text.chars().count()),
            Telling::Hashed => {
                let length = text.chars().count();
                format!("string({length})#{}", self.hash(text.as_bytes()))
            }
        }
    }

    /// Unstructured text: a line that names a secret is masked, because the secret may be on that line.
    pub(super) fn lines(&self, text: &str) -> String {
        let lines = text.split('\n').map(|line| {
            if self.names_secret(line) {
                Cow::Owned(self.text(line, Telling::Masked))
            } else {
                Cow::Borrowed(line)
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Bytes are never shown.
    pub(super) fn bytes(&self, class: &str, bytes: &[u8], telling: Telling) -> String {
        let length = bytes.len();
        match telling {
            Telling::Shown | Telling::Masked => format!("{class}({length} bytes)"),
            Telling::Hashed => format!("{class}({length} bytes)#{}", self.hash(bytes)),
        }
    }

    /// 64 bits of SipHash-2-4 (Aumasson and Bernstein, 2012), a keyed function: without the key a value cannot be
    /// confirmed by hashing guesses.
    fn hash(&self, bytes: &[u8]) -> String {
        format!("{:016x}", self.digest(bytes))
    }

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

    fn may_tell(&self, place: &Place) -> bool {
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
        for (json, told) in [
            (json!(null), "null"),
            (json!(true), "boolean"),
            (serde_json::from_str("9.90").unwrap(), "number(4)"),
            (json!("größe"), "string(5)"),
            (json!([1, 2, 3]), "array(3)"),
            (json!({"a": {"b": 1}}), "object(1)"),
        ] {
            assert_eq!(redactor.value(&node("price"), &Value::Json(json)), told);
        }
    }

    #[test]
    fn a_shown_value_is_cut_between_characters() {
        let redactor = redactor(Values::Shown);
        let told = redactor.value(&node("name"), &Value::Text("grüße aus Köln".to_owned()));
        assert_eq!(told, "grüße au…");
    }

    #[test]
    fn values_of_unlike_types_are_json_text() {
        let place = || node("price").place;
        let (by_type, by_value) = (at(place(), Kind::Type), at(place(), Kind::Value));
        let shown = redactor(Values::Shown);
        for (json, told) in [
            (json!(1), "1"),
            (json!("1"), "\"1\""),
            (json!(null), "null"),
            (json!("null"), "\"null\""),
            (json!("grüße"), "\"grüße\""),
            (json!("grüße aus Köln"), "\"grüße a…"),
        ] {
            assert_eq!(shown.value(&by_type, &Value::Json(json)), told);
        }
        assert_eq!(shown.value(&by_value, &Value::Json(json!("1"))), "1");
        let masked = redactor(Values::Masked);
        let told = |json| masked.value(&by_type, &Value::Json(json));
        assert_eq!(
            (told(json!("1")), told(json!(1))),
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
    fn a_hashed_value_can_be_told_from_another_and_depends_on_the_key() {
        let redactor = redactor(Values::Hashed);
        let told = |text: &str| redactor.value(&node("name"), &Value::Text(text.to_owned()));
        assert_eq!(told("anna"), told("anna"));
        assert_ne!(told("anna"), told("hans"));
        let other = Redactor::new(redactor.config.clone(), HashKey([8; 16]));
        let by_other = other.value(&node("name"), &Value::Text("anna".to_owned()));
        assert_ne!(told("anna"), by_other);
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
    fn a_line_that_names_a_secret_is_masked_even_where_values_are_shown() {
        let redactor = redactor(Values::Shown);
        let lines = at(Place::Lines { first: 1, last: 2 }, Kind::Text);
        let told = redactor.value(&lines, &Value::Text("a=1\npassword=hunter2".to_owned()));
        assert_eq!(told, "a=1\nstri…");
    }
}
