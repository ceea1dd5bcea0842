//! A request body that is parsed as JSON on first use.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::{cell::OnceCell, collections::HashSet, fmt};

/// A body, parsed at most once.
#[derive(Debug)]
pub(crate) struct JsonBody<'b> {
    bytes: &'b [u8],
    parsed: OnceCell<Option<Value>>,
}

/// Deserializes JSON in which no object has two members of one name.
struct Unique;

struct UniqueVisitor;

// === impl JsonBody ===

impl<'b> JsonBody<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self {
            bytes,
            parsed: OnceCell::new(),
        }
    }

    /// The document; `None` if the body is not exactly one JSON text, or an object has two members of one name.
    ///
    /// Parsers disagree on which of two such members counts, and some match names ignoring case. A body that repeats a
    /// name, ignoring case, could thus mean one thing here and another at the stack.
    pub(crate) fn json(&self) -> Option<&Value> {
        self.parsed
            .get_or_init(|| {
                serde_json::from_slice::<Unique>(self.bytes).ok()?;
                serde_json::from_slice(self.bytes).ok()
            })
            .as_ref()
    }
}

// === impl Unique ===

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor)
    }
}

// === impl UniqueVisitor ===

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate names")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unique, A::Error> {
        while items.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Unique, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            // Converting to upper and then lower case also folds letters such as the long s.
            if !names.insert(name.to_uppercase().to_lowercase()) {
                return Err(serde::de::Error::custom("a name is given twice"));
            }
            members.next_value::<Unique>()?;
        }
        Ok(Unique)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_given_twice_is_no_document() {
        for body in [
            r#"{"query": "query", "query": "mutation"}"#,
            r#"{"query": "query", "qu\u0065ry": "mutation"}"#,
            r#"{"query": "query", "Query": "mutation"}"#,
            r#"{"keys": 1, "\u212aeys": 1}"#,
            r#"{"keys": 1, "key\u017f": 1}"#,
            r#"[{"a": {"b": 1, "b": 1}}]"#,
        ] {
            assert_eq!(JsonBody::new(body.as_bytes()).json(), None, "{body}");
        }
    }

    #[test]
    fn what_is_not_one_json_text_is_no_document() {
        for body in ["", " ", "{", "{} {}", "{'a': 1}", "\u{feff}{}", "NaN"] {
            assert_eq!(JsonBody::new(body.as_bytes()).json(), None, "{body}");
        }
        assert_eq!(JsonBody::new(b"\"\xff\"").json(), None);
    }

    #[test]
    fn other_documents_are_read() {
        for body in [
            r#"{"a": {"b": 1}, "b": [1, 1.5e400, null, true, "x"]}"#,
            "null",
            "-0.0",
        ] {
            assert!(JsonBody::new(body.as_bytes()).json().is_some(), "{body}");
        }
    }
}
