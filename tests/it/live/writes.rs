//! Writes of callers are recorded while under way, for the shadow's checks.

use crate::support::{LivePath, Reply, Stack, until};
use http::{HeaderMap, Method};
use std::{sync::Arc, time::Instant};
use twinread::testing::{
    live::Checks,
    route::{Access, Head, Routes},
    sample::Reads,
    spanned_yaml::{Cursor, Node},
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn parse<T>(text: &str, read: impl Fn(&Cursor<'_>) -> T) -> T {
    let file = Arc::from("f");
    let node = Node::parse(&file, text).unwrap();
    read(&Cursor::root(&file, &node))
}

fn request(method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    let json = if body.starts_with('{') {
        "Content-Type: application/json\r\n"
    } else {
        ""
    };
    format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{json}Content-Length: {length}\r\n\r\n{body}")
}

/// Whether a read of this path, or with this body, is known to race a write.
fn is_written(sidecar: &LivePath, path: &str, body: &str) -> bool {
    let head = Head {
        method: &Method::GET,
        path,
        query: None,
        headers: &HeaderMap::new(),
    };
    let routes = sidecar.live.get().routes.clone();
    let keys = || routes.keys(&head, Some(body.as_bytes()), Access::Read);
    sidecar.writes.touch(keys, Instant::now())
}

#[tokio::test]
async fn only_what_is_neither_safe_nor_declared_a_read_is_a_write() {
    let stack = Stack::answering(OK);
    let reads = "[{methods: [GET, HEAD]}, {methods: [POST], path: /search}, \
                  {methods: [POST], path: /graphql, json: {$.query: '^query'}}]";
    let reads = Arc::new(parse(reads, Reads::read).unwrap());
    let sidecar = LivePath::plan(stack.addr, stack.addr)
        .sample_all()
        .live(|live| live.reads = reads)
        .start()
        .await;
    let mut caller = sidecar.caller().await;
    for (method, path, body, expected) in [
        ("GET", "/a", "", false),
        ("HEAD", "/b", "", false),
        ("OPTIONS", "/c", "", false),
        ("POST", "/search", "", false),
        ("POST", "/graphql", r#"{"query": "query"}"#, false),
        ("POST", "/graphql", r#"{"query": "mutation"}"#, true),
        ("POST", "/d", "x", true),
        ("PUT", "/users/7?x=1", "", true),
        ("DELETE", "/users/8", "", true),
        ("PATCH", "/users/9", "x", true),
        ("MERGE", "/e", "", true),
    ] {
        caller.send(request(method, path, body)).await;
        match method {
            "HEAD" => caller.head().await.unwrap(),
            _ => caller.message().await,
        };
        let path = path.split('?').next().unwrap();
        let text = format!("{method} {path}");
        if expected {
            until(&text, || is_written(&sidecar, path, "")).await
        } else {
            assert!(!is_written(&sidecar, path, ""), "{text}")
        }
    }
    assert!(!is_written(&sidecar, "/users/1", ""));
}

#[tokio::test]
async fn write_counts_before_its_answer_and_if_its_caller_gives_up() {
    let stack = Stack::replying(Reply::Hang(String::new()));
    let sidecar = LivePath::sampling(stack.addr).await;
    let mut caller = sidecar.caller().await;
    caller.send(request("PUT", "/users/7", "")).await;
    until("the write", || is_written(&sidecar, "/users/7", "")).await;

    let routes = "[{name: put, path: /items, json: {$.id: '^(?<id>.+)$'}}, {name: get, path: '/items/{id}'}]";
    let routes = Arc::new(parse(routes, Routes::read).unwrap());
    sidecar.set(|live| live.routes = routes);
    let mut caller = sidecar.caller().await;
    caller.send(request("POST", "/items", r#"{"id": 5}"#)).await;
    until("both are with the stack", || stack.requests().len() == 2).await;
    assert!(
        !is_written(&sidecar, "/items/5", ""),
        "its body may be to come"
    );
    drop(caller);
    until("the end", || is_written(&sidecar, "/items/5", "")).await;
    assert!(!is_written(&sidecar, "/items/6", ""));
}

#[tokio::test]
async fn while_checks_are_paused_nothing_is_noted() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::plan(stack.addr, stack.addr)
        .live(|live| live.checks = Checks::Paused)
        .start()
        .await;
    let mut caller = sidecar.caller().await;
    caller.send(request("PUT", "/a", "")).await.message().await;
    sidecar.set(|live| live.checks = Checks::Running);
    caller.send(request("PUT", "/b", "")).await.message().await;
    until("the later one", || is_written(&sidecar, "/b", "")).await;
    assert!(!is_written(&sidecar, "/a", ""));
}
