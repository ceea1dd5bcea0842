//! A value as rules see it: a leaf of a document, a value of a header, or what a rule made of either.

use crate::value::{
    Numbers,
    json::{self, Class, Document, Id},
    number::Decimal,
};
use serde_json::Value as Json;
use std::{borrow::Cow, fmt};
use xxhash_rust::xxh3::xxh3_128;

/// A value as rules see it: a leaf of a document, a value of a header, or what a rule made of either.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject<'v> {
    /// JSON null.
    Null,
    /// A JSON boolean.
    Boolean(bool),
    /// As spelled.
    Number(Cow<'v, str>),
    /// A text without lone surrogates.
    Text(Cow<'v, str>),
    /// Bytes that are not text.
    Bytes(Vec<u8>),
    /// An array or object in a document, with the number of its members.
    Container(Class, usize),
    /// An array or object that a rule parsed from a text, as valid JSON.
    Tree(Tree),
    /// A string with lone surrogates: no rule changes it.
    Opaque,
}

/// The JSON text of an array or object.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// Valid JSON.
    pub text: String,
    /// [`Class::Array`] or [`Class::Object`].
    pub class: Class,
    /// The number of elements or members.
    pub members: usize,
}

// === impl Subject ===

impl<'v> Subject<'v> {
    /// The value of a node.
    pub fn of(document: &Document<'v>, id: Id) -> Self {
        match document.class(id) {
            Class::Null => Self::Null,
            Class::False => Self::Boolean(false),
            Class::True => Self::Boolean(true),
            Class::Number => Self::Number(document.raw(id).into()),
            Class::String | Class::Key => match document.text(id).exact() {
                Some(text) => Self::Text(text),
                None => Self::Opaque,
            },
            class @ (Class::Array | Class::Object) => Self::Container(class, document.len(id)),
        }
    }

    /// Reads a JSON text; `None` if it is not JSON.
    pub fn json(text: &str, max_depth: usize) -> Option<Self> {
        let document = Document::parse(text.as_bytes(), max_depth).ok()?;
        Some(match document.class(Document::ROOT) {
            class @ (Class::Array | Class::Object) => Self::Tree(Tree {
                text: text.to_owned(),
                class,
                members: document.len(Document::ROOT),
            }),
            _ => match Subject::of(&document, Document::ROOT) {
                Subject::Number(number) => Self::Number(number.into_owned().into()),
                Subject::Text(text) => Self::Text(text.into_owned().into()),
                Subject::Null => Self::Null,
                Subject::Boolean(flag) => Self::Boolean(flag),
                _ => return None,
            },
        })
    }

    /// Whether two values are equal. Arrays and objects can be equal here only if they were parsed from texts.
    pub fn equals(&self, other: &Self, numbers: Numbers) -> bool {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => {
                one == other
                    || numbers == Numbers::Numeric
                        && Decimal::parse(one)
                            .is_some_and(|number| Some(number) == Decimal::parse(other))
            }
            (Self::Tree(one), Self::Tree(other)) => one.equals(other, numbers),
            (Self::Container(..) | Self::Opaque, _) => false,
            (one, other) => one == other,
        }
    }

    /// Whether it equals one of the values that a rule file lists. Listed arrays and objects are empty.
    pub fn is_listed(&self, listed: &[Subject<'static>]) -> bool {
        listed.iter().any(|value| match value {
            Self::Tree(tree) => self.container() == Some(tree.class) && self.is_empty(),
            value => value.equals(self, Numbers::Numeric),
        })
    }

    /// The type, if it is an array or object.
    pub fn container(&self) -> Option<Class> {
        match self {
            Self::Container(class, _) => Some(*class),
            Self::Tree(tree) => Some(tree.class),
            _ => None,
        }
    }

    /// Whether this is an array or object without members.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Container(_, members) => *members == 0,
            Self::Tree(tree) => tree.members == 0,
            _ => false,
        }
    }

    /// A text that is the same for equal scalars only; `None` for other values.
    pub fn key(&self, numbers: Numbers) -> Option<String> {
        Some(match self {
            Self::Null => "null".to_owned(),
            Self::Boolean(flag) => flag.to_string(),
            Self::Number(text) => match Decimal::parse(text) {
                Some(number) if numbers == Numbers::Numeric => format!("#{}", number.canonical()),
                _ => format!("#{text}"),
            },
            Self::Text(text) => format!("\"{text}"),
            Self::Bytes(bytes) => format!("\\{bytes:?}"),
            Self::Container(..) | Self::Tree(_) | Self::Opaque => return None,
        })
    }

    /// The hash of an id in the tables of a bijection: ids are texts or numbers.
    pub fn id(&self, numbers: Numbers) -> Option<u128> {
        match self {
            Self::Number(_) | Self::Text(_) => Some(xxh3_128(self.key(numbers)?.as_bytes())),
            _ => None,
        }
    }
}

impl<'v> From<&'v Json> for Subject<'v> {
    fn from(json: &'v Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(flag) => Self::Boolean(*flag),
            Json::Number(number) => Self::Number(number.as_str().into()),
            Json::String(text) => Self::Text(text.into()),
            Json::Array(elements) => Self::Container(Class::Array, elements.len()),
            Json::Object(members) => Self::Container(Class::Object, members.len()),
        }
    }
}

impl fmt::Display for Subject<'_> {
    /// As in rule files, which can hold the value of a leaf, and an empty array or object.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(flag) => flag.fmt(f),
            Self::Number(text) => f.write_str(text),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Tree(tree) => f.write_str(&tree.text),
            Self::Bytes(_) | Self::Container(..) | Self::Opaque => Ok(()),
        }
    }
}

// === impl Tree ===

impl Tree {
    /// An array or object without members.
    pub fn empty(class: Class) -> Self {
        let text = if class == Class::Array { "[]" } else { "{}" };
        Self {
            text: text.to_owned(),
            class,
            members: 0,
        }
    }

    fn equals(&self, other: &Self, numbers: Numbers) -> bool {
        let one = Document::parse(self.text.as_bytes(), usize::MAX).ok();
        let other = Document::parse(other.text.as_bytes(), usize::MAX).ok();
        one.zip(other)
            .is_some_and(|(one, other)| json::are_equal(&one, &other, numbers))
    }
}
