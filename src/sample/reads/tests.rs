//! Tests of which requests are reads.

use super::*;
use crate::spanned_yaml::Node;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::sync::Arc;

fn reads(text: &str) -> Result<Reads, ConfigErrors> {
    let file = Arc::from("f.yaml");
    let node = Node::parse(&file, text)?;
    Reads::read(&Cursor::root(&file, &node))
}

fn dynamodb() -> Reads {
    reads(r"[{methods: [POST], header: {x-amz-target: '^DynamoDB_\d+\.(GetItem|Query)$'}}]")
        .unwrap()
}

fn by_json() -> Reads {
    reads(
        r"[{methods: [GET]}, {methods: [POST], path: /graphql, json: {$.query: '^\s*(query|\{)'}}]",
    )
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
        "_method[]=DELETE",
        "_method%00=DELETE",
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
    let by_body = |headers: &[(&'static str, &str)]| declared(&by_json(), "POST /graphql", headers);
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
fn ambiguous_path_fits_no_declaration_with_a_path() {
    let reads =
        reads("[{methods: [POST], path: '/search/{x}'}, {methods: [GET], path: '/a/*'}]").unwrap();
    let text = [("content-type", "text/plain")];
    assert_eq!(declared(&reads, "POST /search/a", &text), Declared::Read);
    for path in [
        "..",
        "%2e%2e",
        "..%2f",
        "a%5cb",
        "..;",
        ".;v=1",
        "..%00",
        "%c0%ae%c0%ae",
    ] {
        for request in [format!("POST /search/{path}"), format!("GET /a/{path}/b")] {
            assert_eq!(
                declared(&reads, &request, &text),
                Declared::NotRead,
                "{request}"
            );
        }
    }
    // Without a path condition, it does not matter which resource a GET reads.
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
    for query in [
        "query=mutation{b}",
        "a=1&Query",
        "%71uery=mutation{b}",
        "query[]=mutation{b}",
    ] {
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

#[test]
fn call_of_grpc_is_a_read_if_it_is_named_and_is_one_message() {
    let reads = reads("[{methods: [GET]}, {grpc: 'shop.v1.Catalogue/{Get,List}*'}]").unwrap();
    let grpc = ("content-type", "application/grpc");
    let called = |path: &str| declared(&reads, &format!("POST {path}"), &[grpc]);
    for path in ["Get", "GetItem", "ListItems"] {
        assert_eq!(
            called(&format!("/shop.v1.Catalogue/{path}")),
            Declared::ByBody,
            "{path}"
        );
    }
    for path in [
        "/shop.v1.Catalogue/Put",
        "/shop.v1.Catalogue/XGet",
        "/shop.v1.Catalogue/Get/More",
        "/shopxv1.Catalogue/Get",
        "/v2/shop.v1.Catalogue/Get",
        "/shop.v1.Catalogue/../Get",
        "/shop.v1.Catalogue/%47et",
    ] {
        assert_eq!(called(path), Declared::NotRead, "{path}");
    }
    let get = "POST /shop.v1.Catalogue/Get";
    for content_type in ["application/grpc+proto", "Application/gRPC; a=b"] {
        let declared = declared(&reads, get, &[("content-type", content_type)]);
        assert_eq!(declared, Declared::ByBody, "{content_type}");
    }
    for headers in [
        &[][..],
        &[("content-type", "application/json")],
        &[("content-type", "application/grpc-web")],
        &[grpc, grpc],
        &[grpc, ("x-http-method-override", "PUT")],
    ] {
        assert_eq!(
            declared(&reads, get, headers),
            Declared::NotRead,
            "{headers:?}"
        );
    }

    let headers = HeaderMap::from_iter([(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    )]);
    let head = Head {
        method: &Method::POST,
        path: "/shop.v1.Catalogue/Get",
        query: None,
        headers: &headers,
    };
    let one = b"\0\0\0\0\x02ab";
    assert!(reads.admits_body(&head, one));
    assert!(!reads.admits_body(&head, b""));
    assert!(!reads.admits_body(&head, &one[..6]));
    assert!(!reads.admits_body(&head, &one.repeat(2)));
}

#[test]
fn method_that_takes_a_stream_is_no_read() {
    use crate::value::tests::wire::{SHOP, described};
    let reads = reads("[{grpc: 'shop.v1.Catalogue/*'}]").unwrap();
    let reads = reads.without_streams(&described(SHOP));
    let grpc = ("content-type", "application/grpc");
    for (method, expected) in [("Get", Declared::ByBody), ("Put", Declared::NotRead)] {
        let request = format!("POST /shop.v1.Catalogue/{method}");
        assert_eq!(declared(&reads, &request, &[grpc]), expected, "{method}");
    }
}

#[test]
fn wrong_patterns_of_calls_are_refused() {
    for pattern in [
        "Get",
        "a/b/c",
        "/Get",
        "a.B/",
        "a.B/{Get",
        "a.B/Get}",
        "a.B/{{a},b}",
        "a.B/{a/b}",
        "a.B/(x)",
    ] {
        let faults = reads(&format!("[{{grpc: '{pattern}'}}]"))
            .unwrap_err()
            .to_string();
        assert!(
            faults.contains("[0].grpc: expected service/method"),
            "{pattern}: {faults}"
        );
    }
    let faults = reads("[{grpc: 'a.B/C', methods: [POST]}]")
        .unwrap_err()
        .to_string();
    assert!(
        faults.contains("[0].methods: `grpc` leaves no choice of it"),
        "{faults}"
    );
}
