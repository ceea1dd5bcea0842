//! Settings: each is a struct field that states its facts once. Reader, schema and defaults come from there.

use super::{ConfigErrors, Cursor, Fields, Node};
use serde_json::{Map, Value, json};
use std::{fmt, str::FromStr, sync::Arc};

/// How a value is read, and the schema of what is accepted.
#[derive(Debug)]
pub struct Form<T> {
    pub read: fn(&Cursor<'_>, Range) -> Result<T, ConfigErrors>,
    pub schema: fn(Range) -> Value,
}

/// The least and the greatest value, as in `1ms..1h`. Empty if the type has no other bounds than its own.
#[derive(Clone, Copy, Debug)]
pub struct Range(pub &'static str);

/// A type that a setting can have.
pub(crate) trait Setting: Sized {
    const FORM: Form<Self>;

    /// As in YAML, where the field does not say it; empty if there is none.
    const DEFAULT: &'static str = "";

    /// Reads a value that needs no range.
    fn of_node(at: &Cursor<'_>) -> Result<Self, ConfigErrors> {
        (Self::FORM.read)(at, Range(""))
    }
}

/// The type of a setting's field: a [`Setting`], or an `Option` of one, which may be null.
pub(crate) trait Slot: Sized {
    type Value: Setting;

    fn of(value: Self::Value) -> Self;

    /// What null stands for; `None` if null stands for the default.
    fn null() -> Option<Self>;
}

/// A closed set of words.
pub(crate) trait Choice: Copy + Sized + 'static {
    const WORDS: &'static [(&'static str, Self)];

    fn from_word(text: &str) -> Option<Self> {
        let mut words = Self::WORDS.iter();
        let found = words.find(|(word, _)| *word == text);
        found.map(|(_, value)| *value)
    }
}

/// A struct of settings; the macro `settings!` implements it.
pub(crate) trait Section: Sized {
    /// Takes the fields of the section; `None` if one has a fault.
    fn take(fields: &mut Fields<'_>) -> Option<Self>;

    fn describe(members: &mut Members);

    /// # Errors
    /// Every fault of every field.
    fn read(at: &Cursor<'_>) -> Result<Self, ConfigErrors> {
        let mut fields = Fields::of(at.clone());
        let section = Self::take(&mut fields);
        fields.finish().into_result(())?;
        Ok(section.expect("a field that cannot be read is a fault"))
    }

    /// The section of a document that says nothing. It must have a default for each field.
    fn defaults() -> Self {
        built_in("{}", Self::read)
    }

    /// The JSON Schema of the section. `x-twinread-change` says how a setting changes, `x-twinread-null` where null is
    /// not the default, `writeOnly` marks a secret.
    fn schema() -> Value {
        let mut members = Members::default();
        Self::describe(&mut members);
        let Members {
            properties,
            required,
        } = members;
        let mut schema = json!({"type": "object", "additionalProperties": false});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema["properties"] = properties.into();
        schema
    }
}

/// What a field says about its setting, apart from name, type and description.
#[derive(Debug)]
pub(crate) struct Facts<T> {
    /// As in YAML; empty if there is none.
    pub default: &'static str,
    pub range: &'static str,
    pub change: Change,
    /// Whether no fault may show the value.
    pub secret: bool,
    pub form: Form<T>,
}

/// How a setting can change while the process runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Change {
    /// Through the API, or in the file.
    Runtime,
    /// In the file only.
    File,
    /// Not at all, unless the section around it can.
    #[default]
    Restart,
}

/// The schemas of a section's members.
#[derive(Debug, Default)]
pub(crate) struct Members {
    properties: Map<String, Value>,
    required: Vec<&'static str>,
}

/// Declares a struct of settings. A doc comment is the description of its setting; `#[setting(..)]` states its
/// [`Facts`]. A `#[flatten]` section adds its fields to this one. Members after `..` are no
/// settings. A struct that ends in `: Default` has a default for each field.
macro_rules! settings {
    (
        $(#[$($attribute:tt)*])*
        $vis:vis struct $name:ident $(: $default:ident)? {
            $(#[flatten] $flat_vis:vis $flat:ident: $flat_type:ty,)*
            $(
                $(#[doc = $doc:literal])*
                #[setting $(($($fact:ident: $fact_value:expr),* $(,)?))?]
                $field_vis:vis $field:ident: $type:ty,
            )*
            $(..
                $(
                    $(#[doc = $own_doc:literal])*
                    $own_vis:vis $own:ident: $own_type:ty = $own_value:expr,
                )*
            )?
        }
    ) => {
        $(#[$($attribute)*])*
        $vis struct $name {
            $($flat_vis $flat: $flat_type,)*
            $($(#[doc = $doc])* $field_vis $field: $type,)*
            $($($(#[doc = $own_doc])* $own_vis $own: $own_type,)*)?
        }

        impl $crate::spanned_yaml::Section for $name {
            fn take(fields: &mut $crate::spanned_yaml::Fields<'_>) -> Option<Self> {
                $(let $flat = $crate::spanned_yaml::Section::take(fields);)*
                $(
                    let facts = $crate::spanned_yaml::Facts {
                        $($($fact: $fact_value,)*)?
                        ..$crate::spanned_yaml::Facts::NONE
                    };
                    let $field = fields.setting::<$type>(stringify!($field), &facts);
                )*
                Some(Self {
                    $($flat: $flat?,)*
                    $($field: $field?,)*
                    $($($own: $own_value,)*)?
                })
            }

            fn describe(members: &mut $crate::spanned_yaml::Members) {
                $(<$flat_type as $crate::spanned_yaml::Section>::describe(members);)*
                $(
                    let facts = $crate::spanned_yaml::Facts {
                        $($($fact: $fact_value,)*)?
                        ..$crate::spanned_yaml::Facts::NONE
                    };
                    members.add::<$type>(stringify!($field), concat!($($doc),*), &facts);
                )*
            }
        }

        $(impl $default for $name {
            fn default() -> Self {
                $crate::spanned_yaml::Section::defaults()
            }
        })?

        impl $crate::spanned_yaml::Setting for $name {
            const FORM: $crate::spanned_yaml::Form<Self> = $crate::spanned_yaml::Form {
                read: |at, _| $crate::spanned_yaml::Section::read(at),
                schema: |_| <Self as $crate::spanned_yaml::Section>::schema(),
            };
            const DEFAULT: &'static str = "{}";
        }
    };
}

pub(crate) use settings;

// === impl Range ===

impl Range {
    /// This range, or `other` if this one is empty.
    pub fn or(self, other: Self) -> Self {
        if self.0.is_empty() { other } else { self }
    }

    /// The two ends as they are written; the greatest value is empty if there is none.
    pub fn ends(self) -> Option<(&'static str, &'static str)> {
        self.0.split_once("..")
    }

    /// Both ends of a range of numbers.
    pub fn numbers<N: FromStr<Err: fmt::Debug>>(self) -> (N, N) {
        let (least, greatest) = self.ends().expect("a number must have a range");
        let number = |text: &str| text.parse().expect("the end of a range must be a number");
        (number(least), number(greatest))
    }

    /// `schema` with both ends, in the words that `ends` gives them.
    pub fn described(self, mut schema: Value, [least, greatest]: [&str; 2]) -> Value {
        let spelled = |text: &str| {
            let number = text.parse().map(Value::Number);
            number.unwrap_or_else(|_| text.into())
        };
        let ends = self.ends().into_iter();
        for (name, end) in ends.flat_map(|(from, to)| [(least, from), (greatest, to)]) {
            if !end.is_empty() {
                schema[name] = spelled(end);
            }
        }
        schema
    }
}

// === impl Slot ===

impl<T: Setting> Slot for T {
    type Value = T;

    fn of(value: T) -> Self {
        value
    }

    fn null() -> Option<Self> {
        None
    }
}

impl<T: Setting> Slot for Option<T> {
    type Value = T;

    fn of(value: T) -> Self {
        Some(value)
    }

    fn null() -> Option<Self> {
        Some(None)
    }
}

// === impl Facts ===

impl<T: Setting> Facts<T> {
    pub(crate) const NONE: Self = Self {
        default: T::DEFAULT,
        range: "",
        change: Change::Restart,
        secret: false,
        form: T::FORM,
    };
}

impl<T> Facts<T> {
    fn read(&self, at: &Cursor<'_>) -> Result<T, ConfigErrors> {
        (self.form.read)(at, Range(self.range))
    }
}

// === impl Fields ===

impl Fields<'_> {
    /// Reads the setting `name`; where the document says nothing, it has its default.
    pub(crate) fn setting<S: Slot>(
        &mut self,
        name: &'static str,
        facts: &Facts<S::Value>,
    ) -> Option<S> {
        let null = S::null();
        if facts.default.is_empty() && null.is_none() {
            return self.required(name, |at| facts.read(at)).map(S::of);
        }
        match self.take(name) {
            Some(at) if !at.node.is_null() => {
                let read = facts.read(&at);
                self.faults.collect(read).map(S::of)
            }
            Some(_) if null.is_some() => null,
            _ if facts.default.is_empty() => null,
            _ => Some(S::of(built_in(facts.default, |at| facts.read(at)))),
        }
    }
}

/// Reads a text that is compiled in.
pub(crate) fn built_in<T>(
    text: &str,
    read: impl FnOnce(&Cursor<'_>) -> Result<T, ConfigErrors>,
) -> T {
    let file = Arc::from("default");
    let node = Node::parse(&file, text).expect("a default must be YAML");
    read(&Cursor::root(&file, &node)).unwrap_or_else(|faults| panic!("{text}: {faults}"))
}

// === impl Members ===

impl Members {
    /// Adds the setting `name` with its facts.
    pub(crate) fn add<S: Slot>(&mut self, name: &'static str, doc: &str, facts: &Facts<S::Value>) {
        let mut schema = json!({"description": doc.trim()});
        let form = (facts.form.schema)(Range(facts.range));
        let is_section = form.get("properties").is_some();
        let default = match facts.default {
            _ if is_section => None,
            "" => S::null().map(|_| Value::Null),
            text => Some(built_in(text, |at| Ok(at.node.to_json()))),
        };
        let is_required = if is_section {
            form.get("required").is_some()
        } else {
            default.is_none()
        };
        if is_required {
            self.required.push(name);
        }
        let has_own_null = !facts.default.is_empty() && S::null().is_some();
        let change = match facts.change {
            Change::Runtime => Some("runtime"),
            Change::File => Some("file"),
            Change::Restart => None,
        };
        let facts = [
            ("default", default),
            ("x-twinread-change", change.map(Value::from)),
            ("x-twinread-null", has_own_null.then(|| "own value".into())),
            ("writeOnly", facts.secret.then_some(Value::Bool(true))),
        ];
        let members = schema.as_object_mut().expect("it is built as an object");
        for (keyword, value) in facts {
            members.extend(value.map(|value| (keyword.to_owned(), value)));
        }
        members.extend(form.as_object().cloned().unwrap_or_default());
        self.properties.insert(name.to_owned(), schema);
    }
}

// === impl Choice ===

impl<T: Choice> Setting for T {
    const FORM: Form<Self> = Form {
        read: |at, _| {
            let chosen = at.text().ok().and_then(T::from_word);
            Ok(chosen.ok_or_else(|| at.expected(either(&words::<T>())))?)
        },
        schema: |_| {
            let words = words::<T>();
            if words.contains(&"true") {
                json!({"type": "boolean"})
            } else {
                json!({"enum": words})
            }
        },
    };
}

fn words<T: Choice>() -> Vec<&'static str> {
    T::WORDS.iter().map(|(word, _)| *word).collect()
}

/// `a, b or c`
fn either(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
