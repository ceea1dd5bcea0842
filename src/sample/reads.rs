//! Decides which requests are reads. Only reads are sent twice; nothing else is ever replayed.

mod calls;
mod disguise;
mod graphql;
mod parameters;
#[cfg(test)]
mod tests;

use crate::{
    route::{Fit, Head, JsonBody, Selector},
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, Fields, Form, Setting, built_in},
    value::{
        content_type::ContentType,
        format::Format,
        grpc::{self, Descriptors},
    },
};
pub(crate) use calls::Calls;
use disguise::Override;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use std::{collections::HashSet, sync::Arc};

/// The section `reads`. A request is a read if it fits one declaration completely and no stack can interpret it
/// otherwise.
///
/// - A request that asks for another method than its own, in a header, the query string or the body, is no read.
/// - A declaration with a path fits no path with dot segments or encoded separators. One with a header fits no request
///   that has this header twice.
/// - A declaration that inspects the body requires strict JSON under one content type that says so. A body that names a
///   member twice in one object (ignoring case), or also in the query string, is no read.
/// - A call of gRPC is a read only if its body is exactly one message, and no descriptor says that the method takes a
///   stream.
#[derive(Clone, Debug)]
pub struct Reads {
    declarations: Vec<Declaration>,
    /// Paths of methods that take a stream.
    streams: Arc<HashSet<String>>,
}

/// The methods that a read may have: safe ones, and POST, which searches and remote calls use.
const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "QUERY"];

/// Classification by the head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    Read,
    NotRead,
    /// [`Reads::admits_body`] decides.
    ByBody,
}

#[derive(Clone, Debug)]
struct Declaration {
    selector: Selector,
    /// Whether it must be a GraphQL request that runs a query.
    is_graphql: bool,
    /// The methods of gRPC that it declares.
    calls: Option<Calls>,
}

// === impl Reads ===

impl Reads {
    /// Parses the section `reads`.
    ///
    /// # Errors
    /// Every fault of every declaration. Each must name methods, because a declaration for all of them would declare
    /// DELETE to be a read.
    pub fn read(at: &Cursor<'_>) -> Result<Self, ConfigErrors> {
        let declarations = at.each(Declaration::read)?;
        Ok(Self {
            declarations,
            streams: Arc::default(),
        })
    }

    /// Excludes calls whose methods take a stream. Such a stream cannot be replayed.
    #[must_use]
    pub(crate) fn without_streams(&self, descriptors: &Descriptors) -> Self {
        let streams = descriptors
            .calls()
            .filter(|(_, call)| call.request.is_stream);
        Self {
            declarations: self.declarations.clone(),
            streams: Arc::new(streams.map(|(path, _)| path.to_owned()).collect()),
        }
    }

    /// What each declaration selects, in order.
    pub(crate) fn selectors(&self) -> impl Iterator<Item = &Selector> {
        self.declarations
            .iter()
            .map(|declaration| &declaration.selector)
    }

    /// The methods of gRPC that each declaration names, if it does.
    pub(crate) fn calls(&self) -> impl Iterator<Item = Option<&Calls>> {
        self.declarations
            .iter()
            .map(|declaration| declaration.calls.as_ref())
    }

    /// Classifies a request before its body has come.
    pub fn classify(&self, head: &Head<'_>) -> Declared {
        let mut declared = Declared::NotRead;
        for declaration in &self.declarations {
            if declaration.calls.is_some() && self.streams.contains(head.path) {
                continue;
            }
            match declaration.classify(head) {
                Declared::Read => return Declared::Read,
                Declared::ByBody => declared = Declared::ByBody,
                Declared::NotRead => {}
            }
        }
        declared
    }

    /// Whether a request is a read for the one stack that answers it. That its body may ask for another method matters only
    /// where it is sent a second time.
    pub(crate) fn is_read_by_head(&self, head: &Head<'_>) -> bool {
        let is_stream = self.streams.contains(head.path);
        self.declarations
            .iter()
            .filter(|declaration| declaration.calls.is_none() || !is_stream)
            .filter(|declaration| !declaration.is_graphql && declaration.selector.json.is_empty())
            .any(|declaration| declaration.classify(head) != Declared::NotRead)
    }

    /// Whether a whole request is a read.
    pub(crate) fn admits(&self, head: &Head<'_>, body: &[u8]) -> bool {
        match self.classify(head) {
            Declared::Read => true,
            Declared::NotRead => false,
            Declared::ByBody => self.admits_body(head, body),
        }
    }

    /// Whether a request classified as [`Declared::ByBody`] is a read, by its whole body.
    pub fn admits_body(&self, head: &Head<'_>, body: &[u8]) -> bool {
        let json = JsonBody::new(body);
        let method_override = Override::of(head.method, head.headers);
        self.declarations
            .iter()
            .filter(|declaration| declaration.calls.is_none() || !self.streams.contains(head.path))
            .any(|declaration| declaration.admits(head, body, &json))
            && !method_override.is_in(body, || json.json())
    }
}

impl Default for Reads {
    fn default() -> Self {
        built_in(Self::DEFAULT, Self::read)
    }
}

impl Setting for Reads {
    const DEFAULT: &'static str = "[{methods: [GET, HEAD]}]";
    const FORM: Form<Self> = Form {
        read: |at, _| Self::read(at),
        schema: |_| {
            let mut fields = json!({
                "graphql": {
                    "description": "Requests of GraphQL of which the operation that is run is a query: by the document \
                                    in the body, parsed.",
                    "enum": ["query"],
                },
                "grpc": {
                    "description": "Methods of gRPC as service/method, in place of all other fields: * stands for any \
                                    text, {a,b} for one of these. A call is a read if it is one message.",
                    "type": "string",
                    "pattern": "^[A-Za-z0-9_.*,{}]+/[A-Za-z0-9_.*,{}]+$",
                },
            });
            Selector::describe(&mut fields);
            fields["methods"]["items"] = json!({"enum": METHODS});
            json!({"type": "array", "items": {
                "type": "object",
                "anyOf": [
                    {"required": ["methods"], "not": {"required": ["grpc"]}},
                    {"required": ["grpc"], "maxProperties": 1},
                ],
                "additionalProperties": false,
                "properties": fields,
            }})
        },
    };
}

// === impl Declaration ===

impl Declaration {
    fn read(at: &Cursor<'_>) -> Result<Self, ConfigErrors> {
        let mut fields = Fields::of(at.clone());
        if at.node.get("grpc").is_some_and(|grpc| !grpc.is_null()) {
            return Self::read_calls(fields);
        }
        let _ = fields.take("grpc");
        let selector = Selector::take(&mut fields, read_method);
        let graphql = fields.optional("graphql", |at| match at.text()? {
            "query" => Ok(()),
            _ => Err(at.expected("query")),
        });
        if fields.faults.is_empty() && selector.methods.is_empty() {
            fields.faults.push(at.fault("`methods` is missing"));
        }
        let mut headers = selector.headers.iter();
        if headers.any(|(name, _)| disguise::is_override(name.as_str())) {
            let message = "a request that asks for another method is never a read";
            fields.faults.push(at.fault(message));
        }
        fields.finish().into_result(Self {
            selector,
            is_graphql: graphql.is_some(),
            calls: None,
        })
    }

    /// Methods of gRPC say all that a request needs.
    fn read_calls(mut fields: Fields<'_>) -> Result<Self, ConfigErrors> {
        let calls = fields.required("grpc", Calls::read);
        for name in ["methods", "path", "header", "json", "graphql"] {
            if let Some(at) = fields.take(name) {
                fields
                    .faults
                    .push(at.fault("`grpc` leaves no choice of it"));
            }
        }
        fields.finish().into_result(())?;
        let calls = calls.expect("a field that is missing is a fault");
        Ok(Self {
            selector: calls.selector(),
            is_graphql: false,
            calls: Some(calls),
        })
    }

    fn classify(&self, head: &Head<'_>) -> Declared {
        if self.selector.fit(head, None) == Fit::Misses || self.is_ambiguous(head) {
            return Declared::NotRead;
        }
        let method_override = Override::of(head.method, head.headers);
        if method_override == Override::Hidden || self.wants_json(head) && !is_json(head.headers) {
            return Declared::NotRead;
        }
        if self.looks_into_body() || method_override != Override::Never {
            Declared::ByBody
        } else {
            Declared::Read
        }
    }

    fn admits(&self, head: &Head<'_>, body: &[u8], json: &JsonBody<'_>) -> bool {
        self.classify(head) != Declared::NotRead
            && self.selector.fit(head, Some(json)) == Fit::Fits
            && (self.selector.json.is_empty() || !is_said_twice(head, json))
            && (!self.is_graphql || runs_query(head, body, json))
            && (self.calls.is_none() || grpc::is_one_message(body))
    }

    /// Whether a stack may interpret the request by something that the declaration does not check.
    fn is_ambiguous(&self, head: &Head<'_>) -> bool {
        let is_twice = |name| disguise::values(head.headers, name).nth(1).is_some();
        disguise::overrides_method(head.headers, head.query)
            || self.selector.path.is_some() && disguise::moves(head.path)
            || self
                .selector
                .headers
                .iter()
                .any(|(name, _)| is_twice(name.as_str()))
    }

    fn looks_into_body(&self) -> bool {
        !self.selector.json.is_empty() || self.is_graphql || self.calls.is_some()
    }

    fn wants_json(&self, head: &Head<'_>) -> bool {
        // A GraphQL GET has everything in its query string.
        !self.selector.json.is_empty() || self.is_graphql && !head.method.is_safe()
    }
}

fn read_method(at: &Cursor<'_>) -> Result<Method, ConfigError> {
    let method = at.text().ok().filter(|text| METHODS.contains(text));
    method.and_then(|text| text.parse().ok()).ok_or_else(|| {
        at.expected("GET, HEAD, POST or QUERY, because no other request is ever replayed")
    })
}

fn runs_query(head: &Head<'_>, body: &[u8], json: &JsonBody<'_>) -> bool {
    if head.method.is_safe() {
        body.is_empty() && graphql::gets_query(head.query)
    } else {
        graphql::posts_query(head.query, json.json())
    }
}

/// Whether every parser takes the body for JSON: one content type, UTF-8, not encoded.
fn is_json(headers: &HeaderMap) -> bool {
    let mut content_types = disguise::values(headers, "content-type");
    let (first, second) = (content_types.next(), content_types.next());
    let is_json = first.is_some_and(|value| {
        let media_type = value.to_str().unwrap_or_default().split(';').next();
        let charset = ContentType::parse(value).map(|parsed| parsed.charset().map(str::to_owned));
        Format::of(media_type.unwrap_or_default().trim()) == Format::Json
            && charset.is_some_and(|charset| charset.is_none_or(|charset| charset == "utf-8"))
    });
    let mut codings = disguise::values(headers, "content-encoding");
    is_json && second.is_none() && codings.next().is_none()
}

/// Whether the query string also names a member of the body. `POST /graphql?query=mutation…` may execute its query
/// string, whatever its body says.
fn is_said_twice(head: &Head<'_>, body: &JsonBody<'_>) -> bool {
    let Some(query) = head.query else {
        return false;
    };
    let Some(members) = body.json().and_then(Value::as_object) else {
        return !query.is_empty();
    };
    let mut names = query
        .split(['&', ';'])
        .map(|part| part.split_once('=').map_or(part, |(name, _)| name));
    // An encoded name is not decoded, but assumed to match.
    names.any(|name| {
        name.contains(['%', '+'])
            || members
                .keys()
                .any(|member| member.eq_ignore_ascii_case(parameters::bare(name)))
    })
}
