//! Which requests are reads: those that may be sent twice. Nothing else is ever replayed.

mod disguise;
mod graphql;
mod parameters;

use crate::{
    compare::{content_type::ContentType, format::Format},
    document::{At, Fault, Faults, Fields, Node},
    route::{Fit, Head, JsonBody, Selector},
};
use disguise::Override;
use http::HeaderMap;
use serde_json::Value;
use std::sync::Arc;

/// The section `reads`: a request is a read if one of the declarations fits it whole, and no stack can take it for
/// something else.
///
/// - A request that asks for another method than its own, in a header, the query string or the body, is no read.
/// - A declaration with a path fits no path that has dot segments or encoded separators; one with a header fits no
///   request that has this header twice.
/// - A declaration that looks into the body wants it to be strict JSON, under one content type that says so: what names a
///   member twice in one object (case aside), or in the query string as well, is no read.
#[derive(Clone, Debug)]
pub struct Reads(Vec<Declaration>);

/// What the head of a request tells.
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
    graphql: GraphQl,
}

/// Whether the request has to be one of GraphQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GraphQl {
    /// Of which the operation that is run is a query.
    Query,
    Any,
}

// === impl Reads ===

impl Reads {
    /// Reads the section `reads`.
    ///
    /// # Errors
    /// Every fault of every declaration. Each has to name methods: a declaration for all of them would
    /// declare DELETE to be a read.
    pub fn read(at: &At<'_>) -> Result<Self, Faults> {
        at.each(Declaration::read).map(Self)
    }

    /// What can be told of a request before its body has come.
    pub fn classify(&self, head: &Head<'_>) -> Declared {
        let mut declared = Declared::NotRead;
        for declaration in &self.0 {
            match declaration.classify(head) {
                Declared::Read => return Declared::Read,
                Declared::ByBody => declared = Declared::ByBody,
                Declared::NotRead => {}
            }
        }
        declared
    }

    /// Whether a request that was [`Declared::ByBody`] is a read, by its whole body.
    pub fn admits_body(&self, head: &Head<'_>, body: &[u8]) -> bool {
        let json = JsonBody::new(body);
        let place = Override::of(head.method, head.headers);
        self.0
            .iter()
            .any(|declaration| declaration.admits(head, (body, &json)))
            && !place.is_in(body, || json.json())
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

// === impl Declaration ===

impl Declaration {
    fn read(at: &At<'_>) -> Result<Self, Faults> {
        let mut fields = Fields::of(at.clone());
        let selector = Selector::take(&mut fields);
        let graphql = fields.optional("graphql", GraphQl::read);
        if !fields.has_faults() && !selector.has_methods() {
            fields.fault(at.fault("`methods` is missing"));
        }
        if selector
            .headers()
            .any(|name| disguise::is_override(name.as_str()))
        {
            fields.fault(at.fault("a request that asks for another method is never a read"));
        }
        fields.finish().into_result(Self {
            selector,
            graphql: graphql.unwrap_or(GraphQl::Any),
        })
    }

    fn classify(&self, head: &Head<'_>) -> Declared {
        if self.selector.fit(head, None) == Fit::Misses || self.is_ambiguous(head) {
            return Declared::NotRead;
        }
        let place = Override::of(head.method, head.headers);
        if place == Override::Hidden || self.wants_json(head) && !is_json(head.headers) {
            return Declared::NotRead;
        }
        match self.looks_into_body() || place != Override::Never {
            true => Declared::ByBody,
            false => Declared::Read,
        }
    }

    fn admits(&self, head: &Head<'_>, (body, json): (&[u8], &JsonBody<'_>)) -> bool {
        self.classify(head) != Declared::NotRead
            && self.selector.fit(head, Some(json)) == Fit::Fits
            && !(self.selector.has_json() && is_said_twice(head, json))
            && match self.graphql {
                GraphQl::Any => true,
                GraphQl::Query if head.method.is_safe() => {
                    body.is_empty() && graphql::gets_query(head.query)
                }
                GraphQl::Query => graphql::posts_query(head.query, json.json()),
            }
    }

    /// Whether a stack may go by something else than what the declaration goes by.
    fn is_ambiguous(&self, head: &Head<'_>) -> bool {
        let is_twice = |name| disguise::values(head.headers, name).nth(1).is_some();
        disguise::overrides_method(head.headers, head.query)
            || self.selector.has_path() && disguise::moves(head.path)
            || self.selector.headers().any(|name| is_twice(name.as_str()))
    }

    fn looks_into_body(&self) -> bool {
        self.selector.has_json() || self.graphql == GraphQl::Query
    }

    fn wants_json(&self, head: &Head<'_>) -> bool {
        // A GET of GraphQL has everything in its query string.
        self.selector.has_json() || self.graphql == GraphQl::Query && !head.method.is_safe()
    }
}

// === impl GraphQl ===

impl GraphQl {
    fn read(at: &At<'_>) -> Result<Self, Fault> {
        match at.text()? {
            "query" => Ok(Self::Query),
            _ => Err(at.expected("query")),
        }
    }
}

/// Whether the body is JSON, to whoever reads it: one content type, UTF-8, not encoded.
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

    fn by_json() -> Reads {
        reads(r"[{methods: [GET]}, {methods: [POST], path: /graphql, json: {$.query: '^\s*(query|\{)'}}]")
            .unwrap()
    }

    fn json() -> HeaderMap {
        let json = HeaderValue::from_static("application/json");
        HeaderMap::from_iter([(http::header::CONTENT_TYPE, json)])
    }

    fn declared(reads: &Reads, request: &str, headers: &[(&'static str, &str)]) -> Declared {
        let (method, target) = request.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
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
            query: (!query.is_empty()).then_some(query),
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
        let sent = ("content-type", "application/x-amz-json-1.0");
        let get = ("x-amz-target", "DynamoDB_20120810.GetItem");
        let put = ("x-amz-target", "DynamoDB_20120810.PutItem");
        let late = ("x-amz-target", "DynamoDB_20120810.GetItemX");
        assert_eq!(declared(&reads, "POST /", &[sent, get]), Declared::Read);
        assert_eq!(declared(&reads, "PUT /", &[sent, get]), Declared::NotRead);
        for headers in [
            &[sent][..],
            &[sent, put],
            &[sent, get, put],
            &[sent, put, get],
            &[sent, late],
        ] {
            assert_eq!(declared(&reads, "POST /", headers), Declared::NotRead);
        }
    }

    #[test]
    fn a_request_for_another_method_is_never_a_read() {
        let reads = reads("[{methods: [GET]}, {methods: [POST], path: /search}]").unwrap();
        for name in [
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
            "x_http_method_override",
            "x-http_method",
        ] {
            for request in ["GET /", "POST /search"] {
                let declared = declared(&reads, request, &[(name, "GET")]);
                assert_eq!(declared, Declared::NotRead, "{request} {name}");
            }
        }
        for query in [
            "_method=DELETE",
            "a=1&_METHOD=x",
            "%5fmethod=x",
            "a;_method=x",
            "x-http-method-override=PUT",
        ] {
            let declared = declared(&reads, &format!("GET /?{query}"), &[]);
            assert_eq!(declared, Declared::NotRead, "{query}");
        }
        assert_eq!(
            declared(&reads, "GET /?method=x&q=_method", &[]),
            Declared::Read
        );
    }

    #[test]
    fn a_method_in_the_body_makes_no_read() {
        let reads = reads("[{methods: [POST], path: /search}]").unwrap();
        let admits = |content_type: &'static str, body: &str| {
            let mut headers = json();
            headers.insert("content-type", HeaderValue::from_static(content_type));
            let head = Head {
                method: &Method::POST,
                path: "/search",
                query: None,
                headers: &headers,
            };
            match reads.classify(&head) {
                Declared::NotRead => false,
                Declared::Read => true,
                Declared::ByBody => reads.admits_body(&head, body.as_bytes()),
            }
        };
        let form = "application/x-www-form-urlencoded";
        assert!(admits(form, "q=a&payment_method=x"));
        assert!(admits("application/json", r#"{"q": "_method"}"#));
        assert!(admits("application/json", "not json"));
        assert!(admits("application/x-amz-json-1.0", r#"{"_method": "x"}"#));
        for (content_type, body) in [
            (form, "q=a&_method=DELETE"),
            (form, "q=a&%5Fmethod=DELETE"),
            ("", "_method=DELETE"),
            ("application/json", r#"{"q": 1, "_method": "DELETE"}"#),
            (
                "application/ld+json",
                r#"{"q": 1, "\u005fMethod": "DELETE"}"#,
            ),
            ("application/json", r#"{"q": 1, '_method': "DELETE"}"#),
            ("multipart/form-data; boundary=x", "--x"),
        ] {
            assert!(!admits(content_type, body), "{content_type} {body}");
        }
    }

    #[test]
    fn a_header_or_content_type_given_twice_makes_no_read() {
        let get = ("x-amz-target", "DynamoDB_20120810.GetItem");
        let other = ("x_amz_target", "DynamoDB_20120810.PutItem");
        for headers in [[get, get], [get, other]] {
            assert_eq!(declared(&dynamodb(), "POST /", &headers), Declared::NotRead);
        }
        let json = ("content-type", "application/json");
        let by_body =
            |headers: &[(&'static str, &str)]| declared(&by_json(), "POST /graphql", headers);
        for content_type in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/x-amz-json-1.0",
        ] {
            assert_eq!(by_body(&[("content-type", content_type)]), Declared::ByBody);
        }
        for headers in [
            &[][..],
            &[json, json],
            &[json, ("content_type", "application/x-www-form-urlencoded")],
            &[("content-type", "application/x-www-form-urlencoded")],
            &[("content-type", "text/plain")],
            &[("content-type", "application/json; charset=utf-7")],
            &[json, ("content-encoding", "gzip")],
        ] {
            assert_eq!(by_body(headers), Declared::NotRead, "{headers:?}");
        }
    }

    #[test]
    fn a_path_that_may_lead_elsewhere_fits_no_declaration_with_a_path() {
        let reads =
            reads("[{methods: [POST], path: '/search/{x}'}, {methods: [GET], path: '/a/*'}]")
                .unwrap();
        let text = [("content-type", "text/plain")];
        assert_eq!(declared(&reads, "POST /search/a", &text), Declared::Read);
        for path in ["..", "%2e%2e", "..%2f", "a%5cb", "..;", ".;v=1"] {
            for request in [format!("POST /search/{path}"), format!("GET /a/{path}/b")] {
                assert_eq!(
                    declared(&reads, &request, &text),
                    Declared::NotRead,
                    "{request}"
                );
            }
        }
        // Which resource a GET reads is nobody's business where the declaration does not say.
        assert_eq!(
            declared(&Reads::default(), "GET /a%2fb", &[]),
            Declared::Read
        );
    }

    #[test]
    fn graphql_is_decided_by_its_document() {
        let reads = reads("[{methods: [GET, POST], path: /graphql, graphql: query}]").unwrap();
        let admits = |method: Method, query, body: &str| {
            let headers = json();
            let head = Head {
                method: &method,
                path: "/graphql",
                query,
                headers: &headers,
            };
            assert_eq!(reads.classify(&head), Declared::ByBody);
            reads.admits_body(&head, body.as_bytes())
        };
        let two = |name| {
            format!(r#"{{"query": "query A {{a}} mutation B {{pay}}", "operationName": "{name}"}}"#)
        };
        assert!(admits(Method::POST, None, &two("A")));
        assert!(!admits(Method::POST, None, &two("B")));
        assert!(!admits(Method::POST, Some("operationName=B"), &two("A")));
        assert!(!admits(Method::POST, Some("query={a}"), ""));
        assert!(admits(Method::GET, Some("query={a}"), ""));
        assert!(!admits(Method::GET, Some("query={a}"), &two("A")));
        assert!(!admits(Method::GET, Some("query=mutation{pay}"), ""));
    }

    #[test]
    fn what_the_query_string_says_too_is_not_a_read() {
        let reads = by_json();
        let admits = |query| {
            let head = Head {
                method: &Method::POST,
                path: "/graphql",
                query,
                headers: &json(),
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
        let reads = by_json();
        let sent = [("content-type", "application/json")];
        assert_eq!(declared(&reads, "POST /graphql", &sent), Declared::ByBody);
        assert_eq!(declared(&reads, "POST /", &sent), Declared::NotRead);
        let head = Head {
            method: &Method::POST,
            path: "/graphql",
            query: None,
            headers: &json(),
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
            headers: &json(),
        };
        assert!(reads.admits_body(&head, br#"[{"op": "read"}, {"op": "read"}]"#));
        assert!(!reads.admits_body(&head, br#"[{"op": "read"}, {"op": "drop"}]"#));
        assert!(!reads.admits_body(&head, b"[]"));
    }

    #[test]
    fn a_declaration_without_methods_is_refused() {
        let faults = reads("[{path: /x}, {method: [GET]}, {methods: [POST], graphql: mutation}, {methods: [POST], header: {x_http_method: a}}]").unwrap_err();
        let text = faults.to_string();
        assert!(
            text.contains("[2].graphql: expected query, found `mutation`"),
            "{text}"
        );
        assert!(
            text.contains("[3]: a request that asks for another method is never a read"),
            "{text}"
        );
        assert!(text.contains("[0]: `methods` is missing"), "{text}");
        assert!(text.contains("did you mean `methods`?"), "{text}");
    }
}
