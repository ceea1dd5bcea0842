//! Requests with names in them: `GET /users/{id}?part={part}`.

use crate::{pipeline::ReadRequest, route::Routes};
use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// A method and a target in which `{name}` stands for a value, and `{name*}` for a path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pattern {
    method: Method,
    parts: Vec<Part>,
    names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    /// By its place in `names`. With slashes kept or not.
    Value(usize, &'static AsciiSet),
}

/// What is encoded in a value: all but the unreserved characters.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const PATH: &AsciiSet = &VALUE.remove(b'/');

// === impl Pattern ===

impl Pattern {
    /// The requests of a route of the configuration, or of a method and a target.
    ///
    /// # Errors
    /// Why requests cannot be made of it.
    pub(crate) fn of_route(name: &str, routes: &Routes) -> Result<Self, String> {
        if let Some(found) = routes.request_template(name) {
            let (methods, template) = found.map_err(|why| format!("route {name}: {why}"))?;
            let method = match methods {
                [first, ..] if !methods.contains(&Method::GET) => first.clone(),
                _ => Method::GET,
            };
            return Self::new(method, &template);
        }
        let parsed = Self::parse(name);
        parsed.map_err(|why| format!("`{name}` is no route of the configuration, and {why}"))
    }

    /// Parses `GET /users/{id}`.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let none = "no method and path such as `GET /users/{id}`";
        let (method, target) = text.split_once(' ').ok_or(none)?;
        let is_method = !method.is_empty() && method.chars().all(|c| c.is_ascii_uppercase());
        if !is_method || !target.starts_with('/') {
            return Err(none.to_owned());
        }
        Self::new(method.parse().map_err(|_| none)?, target)
    }

    fn new(method: Method, target: &str) -> Result<Self, String> {
        let (mut parts, mut names) = (Vec::new(), Vec::<String>::new());
        let mut left = target;
        while let Some((before, rest)) = left.split_once('{') {
            let (name, after) = rest.split_once('}').ok_or("`{` is not closed by `}`")?;
            let (name, set) = match name.strip_suffix('*') {
                Some(name) => (name, PATH),
                None => (name, VALUE),
            };
            let known = names.iter().position(|own| own == name);
            let index = known.unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            });
            parts.extend([Part::Text(before.to_owned()), Part::Value(index, set)]);
            left = after;
        }
        parts.push(Part::Text(left.to_owned()));
        Ok(Self {
            method,
            parts,
            names,
        })
    }

    /// The names, in the order in which values are given.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The request with these values; `None` if it is none.
    pub(crate) fn request(&self, values: &[String]) -> Option<ReadRequest> {
        let mut target = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => target.push_str(text),
                Part::Value(index, set) => {
                    let value = values.get(*index)?;
                    // A stack would take it for a step in the path.
                    if matches!(value.as_str(), "." | "..") {
                        return None;
                    }
                    target.extend(utf8_percent_encode(value, set));
                }
            }
        }
        Some(ReadRequest {
            method: self.method.clone(),
            uri: target.parse::<Uri>().ok()?,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded_where_they_stand() {
        let pattern = Pattern::parse("GET /a/{id}/{rest*}?q={id}").unwrap();
        assert_eq!(pattern.names(), ["id", "rest"]);
        let values = ["a/b c", "x/ü"].map(str::to_owned);
        let request = pattern.request(&values).unwrap();
        assert_eq!(request.uri, "/a/a%2Fb%20c/x/%C3%BC?q=a%2Fb%20c");
        assert!(pattern.request(&values[..1]).is_none());
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for wrong in ["get-user", "get /a", "GET a", "GET /{a", ""] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }
}
