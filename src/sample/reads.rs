//! Which requests are reads: those that may be sent twice. Nothing else is ever replayed.

use crate::{
    document::{At, Faults, Fields, Node},
    route::{Fit, Head, JsonBody, Selector},
};
use serde_json::Value;
use std::sync::Arc;

/// The section `reads`: a request is a read if one of the declarations fits it whole.
///
/// A declaration that asks for fields of the body reads it as strict JSON: what is not JSON, or names a member twice
/// in one object (case aside), is not a read. A request that asks in a header for another method than its own is a
/// read only by a declaration with a condition on that header. Neither is a request whose query string names a member
/// of the body that made it a read.
#[derive(Clone, Debug)]
pub struct Reads(Vec<Selector>);

/// What the head of a request tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    Read,
    NotRead,
    /// [`Reads::admits_body`] decides.
    ByBody,
}

/// Headers by which frameworks let a request stand for another method.
const METHOD_OVERRIDES: [&str; 3] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

// === impl Reads ===

impl Reads {
    /// Reads the section `reads`.
    ///
    /// # Errors
    /// Every fault of every declaration. Each has to name methods: a declaration for all of them would
    /// declare DELETE to be a read.
    pub fn read(at: &At<'_>) -> Result<Self, Faults> {
        at.each(|at| {
            let mut fields = Fields::of(at.clone());
            let selector = Selector::take(&mut fields);
            if !fields.has_faults() && !selector.has_methods() {
                fields.fault(at.fault("`methods` is missing"));
            }
            fields.finish().into_result(selector)
        })
        .map(Self)
    }

    /// What can be told of a request before its body has come.
    pub fn classify(&self, head: &Head<'_>) -> Declared {
        let mut declared = Declared::NotRead;
        for selector in &self.0 {
            match selector.fit(head, None) {
                Fit::Fits if is_as_it_says(head, selector) => return Declared::Read,
                Fit::ByBody if is_as_it_says(head, selector) => declared = Declared::ByBody,
                _ => {}
            }
        }
        declared
    }

    /// Whether a request that was [`Declared::ByBody`] is a read, by its whole body.
    pub fn admits_body(&self, head: &Head<'_>, body: &[u8]) -> bool {
        let body = JsonBody::new(body);
        let mut selectors = self.0.iter();
        selectors.any(|selector| {
            let by_head = selector.fit(head, None) == Fit::Fits;
            selector.fit(head, Some(&body)) == Fit::Fits
                && is_as_it_says(head, selector)
                && (by_head || !is_said_twice(head, &body))
        })
    }
}

impl Default for Reads {
    /// `[{methods: [GET, HEAD]}]`.
    fn default() -> Self {
        let file = Arc::from("default");
        let node = Node::parse(&file, "[{methods: [GET, HEAD]}]");
        let node = node.expect("the default must be a document");
        Self::read(&At::root(&file, &node)).expect("the default must be valid")
    }
}

fn is_as_it_says(head: &Head<'_>, selector: &Selector) -> bool {
    // Almost always: one walk over the names costs less than looking up each.
    let mut names = head.headers.keys();
    if !names.any(|name| METHOD_OVERRIDES.contains(&name.as_str())) {
        return true;
    }
    METHOD_OVERRIDES.iter().all(|name| {
        let mut values = head.headers.get_all(*name).iter();
        let own = head.method.as_str().as_bytes();
        selector.has_header(name) || values.all(|value| value.as_bytes().eq_ignore_ascii_case(own))
    })
}

/// Whether the query string names a member of the body too: `POST /graphql?query=mutation…` may well do what its query
/// string says, whatever its body says.
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
    // A name that is spelled in another way is not looked into, but taken for the worst.
    names.any(|name| {
        name.contains(['%', '+'])
            || members
                .keys()
                .any(|member| member.eq_ignore_ascii_case(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderName, HeaderValue, Method};

    fn reads(text: &str) -> Result<Reads, Faults> {
        let file = Arc::from("f.yaml");
        let node = Node::parse(&file, text)?;
        Reads::read(&At::root(&file, &node))
    }

    fn dynamodb() -> Reads {
        reads(r"[{methods: [POST], header: {x-amz-target: '^DynamoDB_\d+\.(GetItem|Query)$'}}]")
            .unwrap()
    }

    fn graphql() -> Reads {
        reads(r"[{methods: [GET]}, {methods: [POST], path: /graphql, json: {$.query: '^\s*(query|\{)'}}]")
            .unwrap()
    }

    fn declared(reads: &Reads, request: &str, headers: &[(&'static str, &str)]) -> Declared {
        let (method, path) = request.split_once(' ').unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let head = Head {
            method: &method.parse().unwrap(),
            path,
            query: None,
            headers: &map,
        };
        reads.classify(&head)
    }

    #[test]
    fn only_get_and_head_are_reads_by_default() {
        let reads = Reads::default();
        for method in ["GET", "HEAD"] {
            assert_eq!(
                declared(&reads, &format!("{method} /"), &[]),
                Declared::Read
            );
        }
        for method in [
            "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "QUERY",
        ] {
            let declared = declared(&reads, &format!("{method} /"), &[]);
            assert_eq!(declared, Declared::NotRead, "{method}");
        }
    }

    #[test]
    fn a_header_declares_a_read_only_if_all_its_values_do() {
        let reads = dynamodb();
        let get = ("x-amz-target", "DynamoDB_20120810.GetItem");
        let put = ("x-amz-target", "DynamoDB_20120810.PutItem");
        let late = ("x-amz-target", "DynamoDB_20120810.GetItemX");
        assert_eq!(declared(&reads, "POST /", &[get]), Declared::Read);
        assert_eq!(declared(&reads, "PUT /", &[get]), Declared::NotRead);
        for headers in [&[][..], &[put], &[get, put], &[put, get], &[late]] {
            assert_eq!(declared(&reads, "POST /", headers), Declared::NotRead);
        }
    }

    #[test]
    fn another_method_asked_for_in_a_header_is_not_a_read() {
        let default = Reads::default();
        for name in METHOD_OVERRIDES {
            assert_eq!(
                declared(&default, "GET /", &[(name, "DELETE")]),
                Declared::NotRead
            );
            assert_eq!(
                declared(&default, "GET /", &[(name, "get")]),
                Declared::Read
            );
        }
        let asked =
            reads("[{methods: [POST], header: {x-http-method-override: '^GET$'}}]").unwrap();
        let over = ("x-http-method-override", "GET");
        assert_eq!(declared(&asked, "POST /", &[over]), Declared::Read);
    }

    #[test]
    fn what_the_query_string_says_too_is_not_a_read() {
        let reads = graphql();
        let admits = |query| {
            let head = Head {
                method: &Method::POST,
                path: "/graphql",
                query,
                headers: &HeaderMap::new(),
            };
            reads.admits_body(&head, br#"{"query": "{a}"}"#)
        };
        assert!(admits(None));
        assert!(admits(Some("tenant=5&debug")));
        for query in ["query=mutation{b}", "a=1&Query", "%71uery=mutation{b}"] {
            assert!(!admits(Some(query)), "{query}");
        }
    }

    #[test]
    fn a_body_declares_a_read_only_beyond_doubt() {
        let reads = graphql();
        assert_eq!(declared(&reads, "POST /graphql", &[]), Declared::ByBody);
        assert_eq!(declared(&reads, "POST /", &[]), Declared::NotRead);
        let head = Head {
            method: &Method::POST,
            path: "/graphql",
            query: None,
            headers: &HeaderMap::new(),
        };
        for body in [
            r#"{"query": "{me}"}"#,
            r#"{"query": " query Q {me}", "x": [1]}"#,
        ] {
            assert!(reads.admits_body(&head, body.as_bytes()), "{body}");
        }
        for body in [
            "",
            "query {me}",
            r#"{"query": "mutation {x}"}"#,
            r#"{"query": "query {x}", "query": "mutation {x}"}"#,
            r#"{"query": "query {x}", "QUERY": "mutation {x}"}"#,
            r#"{"query": ["query {x}"]}"#,
            r#"[{"query": "query {x}"}]"#,
            r#"{"query": "query {x}"} {"query": "mutation {x}"}"#,
        ] {
            assert!(!reads.admits_body(&head, body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn all_nodes_that_a_path_selects_have_to_fit() {
        let reads = reads(r"[{methods: [POST], json: {'$[*].op': '^read$'}}]").unwrap();
        let head = Head {
            method: &Method::POST,
            path: "/",
            query: None,
            headers: &HeaderMap::new(),
        };
        assert!(reads.admits_body(&head, br#"[{"op": "read"}, {"op": "read"}]"#));
        assert!(!reads.admits_body(&head, br#"[{"op": "read"}, {"op": "drop"}]"#));
        assert!(!reads.admits_body(&head, b"[]"));
    }

    #[test]
    fn a_declaration_without_methods_is_refused() {
        let faults = reads("[{path: /x}, {method: [GET]}]").unwrap_err();
        let text = faults.to_string();
        assert!(text.contains("[0]: `methods` is missing"), "{text}");
        assert!(text.contains("did you mean `methods`?"), "{text}");
    }
}
