//! The format of rule tests: pairs of answers, and the differences to expect between them.

use crate::{
    compare::Answer,
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, Data, Fields, Key, Node, closest},
    value::Kind,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use std::sync::Arc;
use strum::VariantArray as _;

/// The contents of a `NAME.test.yaml`.
#[derive(Debug)]
pub(super) struct Suite {
    /// The rules under test, unless they are those of the neighbouring `NAME.yaml`.
    pub(super) rules: Option<Vec<Key>>,
    pub(super) cases: Vec<Case>,
}

/// A pair of answers to one read, and the expected result of comparing them.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: Key,
    pub(super) route: String,
    pub(super) method: Method,
    pub(super) old: Answer,
    pub(super) new: Answer,
    /// Exactly these, in any order.
    pub(super) differences: Vec<Expected>,
    /// Exactly how many differences each rule masks; `None`: any number.
    pub(super) masked: Option<Vec<(Key, u64)>>,
}

/// A difference that must be found.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(super) struct Expected {
    pub(super) place: String,
    pub(super) kind: Kind,
}

// === impl Suite ===

impl Suite {
    /// # Errors
    /// Every fault of the file.
    pub(super) fn read(file: &Arc<str>, text: &str) -> Result<Self, ConfigErrors> {
        let node = Node::parse(file, text)?;
        let mut fields = Fields::of(Cursor::root(file, &node));
        let rules = fields.optional("rules", |at| at.each(|at| Ok(marked(at)?)));
        let cases = fields.required("cases", |at| match at.each(Case::read)? {
            cases if cases.is_empty() => Err(at.fault("expected at least one case").into()),
            cases => Ok::<_, ConfigErrors>(cases),
        });
        fields.finish().by_place().into_result(Self {
            rules,
            cases: cases.unwrap_or_default(),
        })
    }
}

// === impl Case ===

impl Case {
    fn read(at: &Cursor<'_>) -> Result<Self, ConfigErrors> {
        let mut fields = Fields::of(at.clone());
        let name = fields.required("name", marked);
        let route = fields.optional("route", |at| at.text().map(str::to_owned));
        let method = fields.optional("method", Cursor::method);
        let old = fields.required("old", answer);
        let new = fields.required("new", answer);
        let differences = fields.required("differences", |at| at.each(Expected::read));
        let masked = fields.optional("masked", masked);
        let read = || {
            Some(Self {
                name: name?,
                route: route.unwrap_or_default(),
                method: method.unwrap_or(Method::GET),
                old: old?,
                new: new?,
                differences: differences?,
                masked,
            })
        };
        let read = read();
        fields.finish().into_result(())?;
        Ok(read.expect("a field that is missing is a fault"))
    }
}

// === impl Expected ===

impl Expected {
    fn read(at: &Cursor<'_>) -> Result<Self, ConfigErrors> {
        let mut fields = Fields::of(at.clone());
        let place = fields.required("place", |at| at.text().map(str::to_owned));
        let kind = fields.required("kind", kind);
        let read = place.zip(kind).map(|(place, kind)| Self { place, kind });
        fields.finish().into_result(())?;
        Ok(read.expect("a field that is missing is a fault"))
    }
}

fn kind(at: &Cursor<'_>) -> Result<Kind, ConfigError> {
    let text = at.text()?;
    let kinds = Kind::VARIANTS.iter().copied();
    let names: Vec<_> = kinds.clone().map(Kind::name).collect();
    kinds
        .clone()
        .find(|kind| kind.name() == text)
        .ok_or_else(|| match closest(text, names.iter().copied()) {
            Some(meant) => at.fault(format!("unknown kind `{text}`, did you mean `{meant}`?")),
            None => at.expected(format!("one of {}", names.join(", "))),
        })
}

fn marked(at: &Cursor<'_>) -> Result<Key, ConfigError> {
    Ok(Key {
        name: at.text()?.to_owned(),
        mark: at.node.mark,
    })
}

/// `{rule id: count}`
fn masked(at: &Cursor<'_>) -> Result<Vec<(Key, u64)>, ConfigErrors> {
    let mut faults = ConfigErrors::default();
    let mut masked = Vec::new();
    for (key, at) in at.entries()? {
        let count = at.integer_within(1, u64::MAX);
        masked.extend(faults.collect(count).map(|count| (key.clone(), count)));
    }
    faults.into_result(masked)
}

/// `{status, headers, trailers, type, body}`, or `json` in place of `body`.
fn answer(at: &Cursor<'_>) -> Result<Answer, ConfigErrors> {
    let mut fields = Fields::of(at.clone());
    let status = fields.optional("status", |at| {
        let code = at.integer_within(100, 599)? as u16;
        Ok::<_, ConfigError>(StatusCode::from_u16(code).expect("100 to 599 are statuses"))
    });
    let mut headers = fields.optional("headers", headers).unwrap_or_default();
    let trailers = fields.optional("trailers", self::headers);
    let media_type = fields.optional("type", |at| {
        if headers.contains_key(CONTENT_TYPE) {
            Err(at.fault("`content-type` stands in `headers` already"))
        } else {
            header_value(at)
        }
    });
    let text = fields.optional("body", |at| at.text().map(str::to_owned));
    // Null is a JSON value like others.
    let json = fields.take("json").map(|at| at.node.to_json().to_string());
    if text.is_some() && json.is_some() {
        fields
            .faults
            .push(at.fault("expected `body` or `json`, found both"));
    }
    let json_type = HeaderValue::from_static("application/json");
    if let Some(media_type) = media_type.or(json.as_ref().map(|_| json_type)) {
        headers.entry(CONTENT_TYPE).or_insert(media_type);
    }
    fields.finish().into_result(Answer {
        status: status.unwrap_or(StatusCode::OK),
        headers,
        body: text.or(json).unwrap_or_default().into(),
        trailers: trailers.unwrap_or_default(),
    })
}

/// Headers by name, each with one value or a list of them.
fn headers(at: &Cursor<'_>) -> Result<HeaderMap, ConfigErrors> {
    let mut faults = ConfigErrors::default();
    let mut headers = HeaderMap::new();
    for (key, at) in at.entries()? {
        let name = HeaderName::from_bytes(key.name.as_bytes())
            .map_err(|_| at.fault("expected the name of a header"));
        let values = match &at.node.data {
            Data::List(_) => at.each(|at| Ok(header_value(at)?)),
            _ => header_value(&at)
                .map(|value| vec![value])
                .map_err(ConfigErrors::from),
        };
        let (name, values) = (faults.collect(name), faults.collect(values));
        let Some(name) = name else { continue };
        for value in values.unwrap_or_default() {
            headers.append(&name, value);
        }
    }
    faults.into_result(headers)
}

fn header_value(at: &Cursor<'_>) -> Result<HeaderValue, ConfigError> {
    HeaderValue::from_str(at.text()?).map_err(|_| at.expected("the value of a header"))
}
