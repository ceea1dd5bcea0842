//! Lines of JSON: logs, vegeta's targets, and recordings of twinread's own.

use super::{Reason, Recorded, RecordedRequest, header_map, logs::request_line};
use crate::{
    background::offer::RecordedAnswer,
    pipeline::{ReportedAnswer, ReportedRequest},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{
    HeaderName, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING},
};
use jsonpath_rust::{JsonPath as _, parser::parse_json_path};
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, str::FromStr};

/// Where the parts of a request stand in the objects of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mapping {
    paths: BTreeMap<Part, String>,
    /// Headers that the configuration sets for both stacks, so that they need not be recorded.
    pub(crate) supplied: Vec<HeaderName>,
}

/// A part of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Method,
    /// With the query or without.
    Path,
    Query,
    Body,
    Header(String),
}

/// Tried where the mapping has nothing: Caddy's fields first.
const METHODS: [&str; 4] = [
    "$.request.method",
    "$.method",
    "$.request_method",
    "$.http_method",
];
const PATHS: [&str; 6] = [
    "$.request.uri",
    "$.request_uri",
    "$.uri",
    "$.url",
    "$.path",
    "$.request.path",
];
const QUERIES: [&str; 3] = ["$.query", "$.query_string", "$.args"];

// === impl Mapping ===

impl Mapping {
    /// From texts such as `path=$.request.path`.
    ///
    /// # Errors
    /// The text that is none.
    pub(crate) fn of(texts: &[String]) -> Result<Self, String> {
        let mut mapping = Self::default();
        for text in texts {
            let (part, path) = text.split_once('=').ok_or_else(|| wrong(text))?;
            let part = part.parse().map_err(|()| wrong(text))?;
            if parse_json_path(path).is_err() {
                return Err(format!("`{path}` is no JSONPath"));
            }
            mapping.paths.insert(part, path.to_owned());
        }
        Ok(mapping)
    }

    fn find(&self, part: &Part, usual: &[&str], json: &Value) -> Option<String> {
        if let Some(path) = self.paths.get(part) {
            return text(json, path);
        }
        usual.iter().find_map(|path| text(json, path))
    }
}

impl FromStr for Part {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text {
            "method" => Self::Method,
            "path" => Self::Path,
            "query" => Self::Query,
            "body" => Self::Body,
            _ => Self::Header(text.strip_prefix("header.").ok_or(())?.to_owned()),
        })
    }
}

fn wrong(text: &str) -> String {
    format!(
        "`{text}` is not PART=JSONPATH, such as path=$.request.path; PART is method, path, query, body or header.NAME"
    )
}

/// The first text or number that the path selects.
fn text(json: &Value, path: &str) -> Option<String> {
    match *json.query(path).ok()?.first()? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A line of an access log.
pub(super) fn log(line: &str, mapping: &Mapping) -> Result<Recorded, Reason> {
    let json: Value = serde_json::from_str(line).map_err(|_| Reason::Malformed)?;
    if let (Some(request), true) = (json["request"].as_str(), mapping.paths.is_empty()) {
        return request_line(request);
    }
    let target = mapping.find(&Part::Path, &PATHS, &json);
    let mut target = target.ok_or(Reason::NoRequest)?;
    let query = mapping.find(&Part::Query, &QUERIES, &json);
    if let Some(query) = query.filter(|query| !query.is_empty() && !target.contains('?')) {
        target = format!("{target}?{}", query.trim_start_matches('?'));
    }
    let method = mapping.find(&Part::Method, &METHODS, &json);
    let body = mapping.find(&Part::Body, &[], &json);
    let headers = mapping.paths.iter().filter_map(|(part, path)| match part {
        Part::Header(name) => Some((name.clone(), text(&json, path)?)),
        _ => None,
    });
    Ok(Recorded::request(RecordedRequest {
        // It may have been a write.
        method: method.ok_or(Reason::NoRequest)?,
        target,
        headers: headers.collect(),
        body: body.unwrap_or_default().into(),
    }))
}

#[derive(Deserialize)]
struct Target {
    method: String,
    url: String,
    body: Option<String>,
    #[serde(default)]
    header: BTreeMap<String, Vec<String>>,
}

pub(super) fn vegeta(line: &str) -> Result<Recorded, Reason> {
    let target: Target = serde_json::from_str(line).map_err(|_| Reason::Malformed)?;
    let body = BASE64_STANDARD.decode(target.body.unwrap_or_default());
    let headers = target.header.into_iter();
    let headers = headers.flat_map(|(name, values)| {
        let values = values.into_iter();
        values
            .map(move |value| (name.clone(), value))
            .collect::<Vec<_>>()
    });
    Ok(Recorded::request(RecordedRequest {
        method: target.method,
        target: target.url,
        headers: headers.collect(),
        body: body.map_err(|_| Reason::Malformed)?.into(),
    }))
}

/// A recording, or a stored example.
#[derive(Deserialize)]
struct Own {
    request: ReportedRequest,
    old: Option<ReportedAnswer>,
}

pub(super) fn own(line: &str, mapping: &Mapping) -> Result<Recorded, Reason> {
    let own: Own = serde_json::from_str(line).map_err(|_| Reason::Malformed)?;
    let read = own
        .request
        .rebuild(&mapping.supplied)
        .map_err(|_| Reason::Redacted)?;
    let headers = read
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
    Ok(Recorded {
        request: RecordedRequest {
            method: read.method.to_string(),
            target: read.uri.to_string(),
            headers: headers.collect(),
            body: read.body.clone(),
        },
        answer: own.old.map_or(Err(Reason::NoAnswer), answer),
    })
}

/// The body is decoded.
fn answer(reported: ReportedAnswer) -> Result<RecordedAnswer, Reason> {
    if !reported.masked.is_empty() {
        return Err(Reason::Redacted);
    }
    let mut headers = header_map(&reported.headers);
    for name in [CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    Ok(RecordedAnswer {
        status: StatusCode::from_u16(reported.status).map_err(|_| Reason::Malformed)?,
        headers,
        body: reported.body.unwrap_or_default().into(),
    })
}
