//! A declared read is replayed only as what it matched: a request that a stack may interpret otherwise is not sampled.

use crate::support::{LivePath, Stack};
use std::sync::Arc;
use twinread::testing::{
    sample::Reads,
    spanned_yaml::{Cursor, Node},
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const JSON: &str = "Content-Type: application/json\r\n";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// A query and a mutation; the operation's name selects one.
const TWO: &str = r#""query": "query A {a} mutation B {pay}""#;

async fn sidecar(stack: &Stack, declared: &str) -> LivePath {
    let file = Arc::from("f");
    let node = Node::parse(&file, declared).unwrap();
    let reads = Arc::new(Reads::read(&Cursor::root(&file, &node)).unwrap());
    LivePath::plan(stack.addr, stack.addr)
        .sample_all()
        .live(|live| live.reads = reads)
        .start()
        .await
}

/// Sends each of them, and asserts which are sampled.
async fn assert_sampled(declared: &str, requests: &[(&str, &str, String, bool)]) {
    let stack = Stack::answering(OK);
    let mut sidecar = sidecar(&stack, declared).await;
    let mut caller = sidecar.caller().await;
    for (line, headers, body, is_read) in requests {
        let length = body.len();
        let head =
            format!("{line} HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {length}\r\n\r\n");
        let before = sidecar.sampled();
        caller.send(head + body).await.message().await;
        if *is_read {
            let sample = sidecar.sample().await;
            assert_eq!(sample.request.body, *body);
        }
        let sampled = sidecar.sampled() - before;
        assert_eq!(sampled, u64::from(*is_read), "{line} {headers} {body}");
    }
    assert_eq!(stack.requests().len(), requests.len(), "all are forwarded");
}

const GRAPHQL: &str = "[{methods: [GET, POST], path: /graphql, graphql: query}]";

#[tokio::test]
async fn a_graphql_request_is_a_read_if_it_runs_a_query() {
    let post = "POST /graphql";
    let plain = |text: &str| format!(r#"{{"query": "{text}"}}"#);
    let named = |name: &str| format!(r#"{{{TWO}, "operationName": "{name}"}}"#);
    let unnamed = || format!("{{{TWO}}}");
    let b = "POST /graphql?operationName=B";
    let mutation = "POST /graphql?query=mutation%7Bpay%7D";
    assert_sampled(
        GRAPHQL,
        &[
            (post, JSON, plain("{a}"), true),
            (post, JSON, plain("mutation {pay}"), false),
            (post, JSON, named("A"), true),
            (post, JSON, named("B"), false),
            (post, JSON, unnamed(), false),
            ("POST /graphql?operationName=A", JSON, unnamed(), true),
            (b, JSON, unnamed(), false),
            (b, JSON, named("A"), false),
            (mutation, JSON, named("A"), false),
            ("GET /graphql?query=%7Ba%7D", "", String::new(), true),
            (
                "GET /graphql?query=mutation%7Bpay%7D",
                "",
                String::new(),
                false,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_not_one_graphql_document_is_no_read() {
    let deep = format!(r#"{{"query": "{{a(x: {}"}}"#, "[".repeat(9_000));
    let form = r#"{"query": "{a}"}&query=mutation{pay}"#;
    // Some grammars end the comment at the line separator.
    let hidden = r##"{"query": "#\u2028mutation A {pay(x:\"\"\"\nquery A {a} #\"\"\")}"}"##;
    for (content_type, body) in [
        (JSON, r#"[{"query": "{a}"}]"#),
        (JSON, r#"{"query": "{a}", "query": "mutation {pay}"}"#),
        (
            JSON,
            r#"{"extensions": {"persistedQuery": {"sha256Hash": "ab"}}}"#,
        ),
        (JSON, deep.as_str()),
        (JSON, hidden),
        (FORM, form),
        ("", r#"{"query": "{a}"}"#),
    ] {
        let request = ("POST /graphql", content_type, body.to_owned(), false);
        assert_sampled(GRAPHQL, &[request]).await;
    }
    let line = "POST /graphql?query%00=mutation%7Bpay%7D";
    let request = (line, JSON, r#"{"query": "{a}"}"#.to_owned(), false);
    assert_sampled(GRAPHQL, &[request]).await;
}

#[tokio::test]
async fn a_json_read_needs_one_json_content_type_and_no_coding() {
    let declared = r"[{methods: [POST], path: /graphql, json: {$.query: '^\s*(query|\{)'}}]";
    let body = || r#"{"query": "{a}"}"#.to_owned();
    let both = format!("{JSON}{FORM}");
    let coded = format!("{JSON}Content-Encoding: gzip\r\n");
    let alike = format!("{JSON}Content_Type: text/plain\r\n");
    let post = "POST /graphql";
    assert_sampled(
        declared,
        &[
            (post, JSON, body(), true),
            (post, FORM, body() + "&query=mutation{pay}", false),
            (post, &both, body(), false),
            (post, &coded, body(), false),
            (post, &alike, body(), false),
            (post, "", body(), false),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_method_override_is_no_read_in_any_spelling() {
    let declared = "[{methods: [GET]}, {methods: [POST], path: /search}]";
    let none = String::new;
    let typed = |value: &str| format!("Content-Type: {value}\r\n");
    let cut_form = typed("application/x-www-form-urlencoded, x");
    let cut_json = typed("application/json x");
    let far_json = typed("text/plain; a=\"/json\"");
    assert_sampled(
        declared,
        &[
            ("GET /", "", none(), true),
            ("GET /", "X-HTTP-Method-Override: DELETE\r\n", none(), false),
            ("GET /", "X_HTTP_Method_Override: DELETE\r\n", none(), false),
            ("GET /", "x-http_method: DELETE\r\n", none(), false),
            ("GET /?_method=DELETE", "", none(), false),
            ("GET /?%5Fmethod=DELETE", "", none(), false),
            ("GET /?_method[]=DELETE", "", none(), false),
            ("GET /?_method%00=DELETE", "", none(), false),
            ("POST /search", FORM, "q=a".to_owned(), true),
            ("POST /search", FORM, "q=a&_method=DELETE".to_owned(), false),
            (
                "POST /search",
                &cut_form,
                "_method=DELETE".to_owned(),
                false,
            ),
            (
                "POST /search",
                &cut_json,
                r#"{"_method": 1}"#.to_owned(),
                false,
            ),
            (
                "POST /search",
                &far_json,
                r#"{"_method": 1}"#.to_owned(),
                false,
            ),
            ("POST /search", JSON, r#"{"q": "a"}"#.to_owned(), true),
            (
                "POST /search",
                JSON,
                r#"{"q": "a", "_method": "DELETE"}"#.to_owned(),
                false,
            ),
            ("POST /search?_method=DELETE", FORM, "q=a".to_owned(), false),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_a_path_or_header_could_also_mean_is_no_read() {
    let declared = "[{methods: [POST], path: '/search/{x}'}, \
                    {methods: [POST], path: /db, header: {x-target: '^Get'}}]";
    let text = "Content-Type: text/plain\r\n";
    let got = format!("{text}X-Target: GetItem\r\n");
    let twice = format!("{got}X-Target: GetItem\r\n");
    let alike = format!("{got}X_Target: PutItem\r\n");
    let mut requests = vec![
        ("POST /search/a", text, "q".to_owned(), true),
        ("POST /db", &got, "q".to_owned(), true),
        ("POST /db", &twice, "q".to_owned(), false),
        ("POST /db", &alike, "q".to_owned(), false),
    ];
    for path in [
        "POST /search/..",
        "POST /search/%2e%2E",
        "POST /search/..%2fpay",
        "POST /search/..%5cpay",
        "POST /search/..;",
        "POST /search/..;v=1",
        "POST /search/..%00",
        "POST /search/..%20",
        "POST /search/%2e%2e%09",
        "POST /search/..%3f",
        "POST /search/..%23x",
        "POST /search/%c0%ae%c0%ae",
        "POST /search/;",
        "POST /search/;x",
        "POST /search/%20",
        "POST /search/%00",
        "POST /search/..%u002fpay",
    ] {
        requests.push((path, text, "q".to_owned(), false));
    }
    assert_sampled(declared, &requests).await;
}
