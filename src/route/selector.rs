//! Which requests an entry of `routes` or a declaration of `reads` matches: by method, path, headers, JSON fields of
//! the body.

use super::{Head, JsonBody, template::Template};
use crate::{
    rules::InvalidPath,
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, Fields, Key, reference},
};
use http::{HeaderName, Method, header};
use jsonpath_rust::{
    parser::{model::JpQuery, parse_json_path},
    query::js_path_process,
};
use regex::Regex;
use serde_json::{Value, json};
use std::{borrow::Cow, collections::BTreeSet, sync::LazyLock};

/// Conditions on a request. All must hold; an absent condition always holds.
///
/// If a header has several values, or a JSONPath selects several nodes, the pattern must match each of them, and at
/// least one must exist. It is unknown which of them a stack uses.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    pub(crate) methods: Vec<Method>,
    pub(crate) path: Option<Path>,
    pub(crate) headers: Vec<(HeaderName, Regex)>,
    pub(crate) json: Vec<(JpQuery, Regex)>,
}

/// Whether a request is selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    Fits,
    Misses,
    /// The head matches; the absent body decides.
    ByBody,
}

#[derive(Clone, Debug)]
pub(crate) enum Path {
    Template(Template),
    Pattern(Regex),
}

/// Which part of a [`Selector`] holds a capture.
#[derive(Clone, Copy, Debug)]
pub(super) enum Capture {
    Path,
    Header(usize),
    Json(usize),
}

// === impl Selector ===

impl Selector {
    /// Takes the fields `methods`, `path`, `header` and `json`; `read_method` reads one of the methods.
    pub(crate) fn take(
        fields: &mut Fields<'_>,
        read_method: fn(&Cursor<'_>) -> Result<Method, ConfigError>,
    ) -> Self {
        let methods = fields.optional("methods", |at| read_methods(at, read_method));
        let path = fields.optional("path", Path::read);
        let headers = fields.optional("header", |at| read_patterns(at, read_header_name));
        let json = fields.optional("json", |at| read_patterns(at, read_json_path));
        let selector = Self {
            methods: methods.unwrap_or_default(),
            path,
            headers: headers.unwrap_or_default(),
            json: json.unwrap_or_default(),
        };
        if selector.is_empty() && fields.faults.is_empty() {
            let message = "expected at least one of methods, path, header, json";
            fields.faults.push(fields.at.fault(message));
        }
        selector
    }

    /// Selects calls of gRPC by their paths.
    pub(crate) fn of_calls(path: Regex) -> Self {
        static CONTENT_TYPE: LazyLock<Regex> = LazyLock::new(|| {
            let pattern = Regex::new(r"(?i)^\s*application/grpc(\+[^;]*)?\s*(;|$)");
            pattern.expect("the pattern must be valid")
        });
        Self {
            methods: vec![Method::POST],
            path: Some(Path::Pattern(path)),
            headers: vec![(header::CONTENT_TYPE, CONTENT_TYPE.clone())],
            json: Vec::new(),
        }
    }

    /// Adds the schemas of the fields that [`take`](Self::take) takes.
    pub(crate) fn describe(fields: &mut Value) {
        let patterns = |names: Value, description: &str| {
            json!({
                "description": description,
                "type": "object",
                "propertyNames": names,
                "additionalProperties": reference("pattern"),
            })
        };
        fields["methods"] = json!({
            "description": "Methods in upper case.",
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Z-]+$"},
        });
        fields["path"] = json!({
            "description": "A template such as /users/{id}, or a pattern that begins with ^.",
            "type": "string",
            "pattern": "^[/^]",
        });
        let about = "Patterns by header name; captures, (?<op>…), may stand in the route's name.";
        fields["header"] = patterns(reference("header"), about);
        let about = "Patterns by JSONPath into the body.";
        fields["json"] = patterns(json!({"pattern": r"^\$"}), about);
    }

    /// Whether the request is selected. Without a `body`, JSON fields are undecided.
    pub(crate) fn fit(&self, head: &Head<'_>, body: Option<&JsonBody<'_>>) -> Fit {
        if !self.fits_head(head) {
            return Fit::Misses;
        }
        match body {
            _ if self.json.is_empty() => Fit::Fits,
            None => Fit::ByBody,
            Some(body) if self.fits_body(body) => Fit::Fits,
            Some(_) => Fit::Misses,
        }
    }

    pub(super) fn template(&self) -> Option<&Template> {
        match &self.path {
            Some(Path::Template(template)) => Some(template),
            _ => None,
        }
    }

    /// Where `name` is captured: in the path, else a header, else the body.
    pub(super) fn capture(&self, name: &str) -> Option<Capture> {
        let has = |pattern: &Regex| pattern.capture_names().flatten().any(|own| own == name);
        let in_path = self.path.as_ref().is_some_and(|path| match path {
            Path::Template(template) => template.has(name),
            Path::Pattern(pattern) => has(pattern),
        });
        if in_path {
            return Some(Capture::Path);
        }
        let header = self.headers.iter().position(|(_, pattern)| has(pattern));
        let json = || self.json.iter().position(|(_, pattern)| has(pattern));
        header
            .map(Capture::Header)
            .or_else(|| json().map(Capture::Json))
    }

    /// All captures by name.
    pub(super) fn captures(&self) -> Vec<(String, Capture)> {
        let mut patterns: Vec<_> = self.headers.iter().map(|(_, pattern)| pattern).collect();
        patterns.extend(self.json.iter().map(|(_, pattern)| pattern));
        let mut names = BTreeSet::new();
        match &self.path {
            Some(Path::Template(template)) => names.extend(template.names()),
            Some(Path::Pattern(pattern)) => patterns.push(pattern),
            None => {}
        }
        let groups = patterns.iter().flat_map(|pattern| pattern.capture_names());
        names.extend(groups.flatten());
        let captures = names.into_iter().filter_map(|name| {
            let capture = self.capture(name)?;
            Some((name.to_owned(), capture))
        });
        captures.collect()
    }

    /// The captured value of `name` in a matching request.
    pub(super) fn captured<'h>(
        &self,
        (capture, name): (Capture, &str),
        head: &Head<'h>,
        body: Option<&'h JsonBody<'_>>,
    ) -> Option<Cow<'h, str>> {
        match capture {
            Capture::Path => match self.path.as_ref()? {
                Path::Template(template) => template.value(head.path, name).map(Cow::Borrowed),
                Path::Pattern(pattern) => group(pattern, Cow::Borrowed(head.path), name),
            },
            Capture::Header(index) => {
                let (header, pattern) = &self.headers[index];
                let value = head.headers.get(header)?;
                group(
                    pattern,
                    std::str::from_utf8(value.as_bytes()).ok()?.into(),
                    name,
                )
            }
            Capture::Json(index) => {
                let (path, pattern) = &self.json[index];
                let nodes = js_path_process(path, body?.json()?).ok()?;
                group(pattern, scalar(nodes.first()?.val)?, name)
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.methods.is_empty()
            && self.path.is_none()
            && self.headers.is_empty()
            && self.json.is_empty()
    }

    fn fits_head(&self, head: &Head<'_>) -> bool {
        if !self.methods.is_empty() && !self.methods.contains(head.method) {
            return false;
        }
        let fits_path = match &self.path {
            None => true,
            Some(Path::Template(template)) => template.fits(head.path),
            Some(Path::Pattern(pattern)) => pattern.is_match(head.path),
        };
        fits_path
            && self.headers.iter().all(|(name, pattern)| {
                let values = head.headers.get_all(name).iter();
                all_and_one(values, |value| {
                    std::str::from_utf8(value.as_bytes()).is_ok_and(|text| pattern.is_match(text))
                })
            })
    }

    fn fits_body(&self, body: &JsonBody<'_>) -> bool {
        let Some(document) = body.json() else {
            return false;
        };
        self.json.iter().all(|(path, pattern)| {
            let nodes = js_path_process(path, document).unwrap_or_default();
            all_and_one(nodes.iter(), |node| {
                scalar(node.val).is_some_and(|text| pattern.is_match(&text))
            })
        })
    }
}

// === impl Path ===

impl Path {
    fn read(at: &Cursor<'_>) -> Result<Self, ConfigError> {
        match at.text()? {
            text if text.starts_with('^') => at.pattern().map(Self::Pattern),
            _ => Template::read(at).map(Self::Template),
        }
    }
}

fn all_and_one<T>(mut values: impl Iterator<Item = T>, holds: impl Fn(T) -> bool) -> bool {
    values.next().is_some_and(&holds) && values.all(holds)
}

/// The text of a JSON string, number, boolean or null; `None` for arrays and objects.
fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(_) | Value::Bool(_) | Value::Null => Some(Cow::Owned(value.to_string())),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn group<'h>(pattern: &Regex, text: Cow<'h, str>, name: &str) -> Option<Cow<'h, str>> {
    let range = pattern.captures(&text)?.name(name)?.range();
    Some(match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[range]),
        Cow::Owned(text) => Cow::Owned(text[range].to_owned()),
    })
}

fn read_methods(
    at: &Cursor<'_>,
    read: fn(&Cursor<'_>) -> Result<Method, ConfigError>,
) -> Result<Vec<Method>, ConfigErrors> {
    let methods = at.each(|at| Ok(read(at)?))?;
    if methods.is_empty() {
        Err(at.fault("expected at least one method").into())
    } else {
        Ok(methods)
    }
}

fn read_patterns<K>(
    at: &Cursor<'_>,
    read_key: impl Fn(&Cursor<'_>, &Key) -> Result<K, ConfigError>,
) -> Result<Vec<(K, Regex)>, ConfigErrors> {
    let mut faults = ConfigErrors::default();
    let mut patterns = Vec::new();
    for (key, at) in at.entries()? {
        let name = faults.collect(read_key(&at, key));
        let pattern = faults.collect(at.pattern());
        patterns.extend(name.zip(pattern));
    }
    faults.into_result(patterns)
}

fn read_header_name(at: &Cursor<'_>, key: &Key) -> Result<HeaderName, ConfigError> {
    let expected = |_| at.fault_in_key(key, 1, "expected the name of a header");
    key.name.parse().map_err(expected)
}

fn read_json_path(at: &Cursor<'_>, key: &Key) -> Result<JpQuery, ConfigError> {
    parse_json_path(&key.name).map_err(|error| {
        let invalid = InvalidPath::new(&key.name, &error);
        at.fault_in_key(key, invalid.column.unwrap_or(1), invalid)
    })
}
