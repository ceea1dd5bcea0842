//! `access_log`: which live requests are logged, and what a line says.

use crate::support::{Reply, Sidecar, Stack, answer, eventually, json};
use serde_json::Value;
use std::io::{Read as _, Write as _};

const LINE: &str = "live request";

/// Fails below `/fails`, gives no answer below `/gone`, and breaks it off below `/half`.
fn stack() -> Stack {
    Stack::start(|request| match request.split(' ').nth(1).unwrap() {
        "/fails" => Reply::Write(answer("503 Service Unavailable", "{}")),
        "/gone" => Reply::NOTHING,
        "/half" => Reply::Close("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_owned()),
        _ => json("{}"),
    })
}

fn sidecar(access_log: &str) -> Sidecar {
    let more = format!(
        "access_log: {access_log}\nroutes: [{{name: get-item, methods: [GET], path: '/items/{{id}}'}}]\n"
    );
    Sidecar::start(stack().addr, stack().addr, &more)
}

/// Sends one request each that is answered, fails, gets no answer, half of one, is refused, and cannot be read.
fn ask(sidecar: &Sidecar) {
    for path in ["/items/7?token=abc", "/fails", "/gone", "/reset-token/8c1f"] {
        sidecar.caller().get(path);
    }
    let mut caller = sidecar.caller();
    assert!(!caller.try_send("GET /half HTTP/1.1\r\nhost: a\r\n\r\n"));
    let connect = "CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n";
    assert_eq!(sidecar.caller().send(connect).status, 405);
    let unreadable = "GET / HTTP/1.1\r\nhost : a\r\n\r\n";
    assert_eq!(sidecar.caller().send(unreadable).status, 400);
}

/// Waits for this many lines. Returns their facts, without the durations.
fn lines(sidecar: &Sidecar, count: usize) -> Vec<String> {
    let lines = eventually("every line is written", || {
        let lines = sidecar.logged(LINE);
        (lines.len() >= count).then_some(lines)
    });
    let facts = |line: &Value| {
        assert_eq!(
            (&line["level"], &line["target"]),
            (&"INFO".into(), &"twinread::access".into())
        );
        if !line["path"].is_null() {
            assert!(line["duration_ms"].as_f64().unwrap() > 0.0, "{line}");
        }
        let names = ["method", "path", "route", "status", "answered_by", "cause"];
        let facts = names.map(|name| match &line[name] {
            Value::String(text) => text.clone(),
            Value::Null => "-".to_owned(),
            other => other.to_string(),
        });
        facts.join(" ")
    };
    let mut facts: Vec<_> = lines.iter().map(facts).collect();
    facts.sort_unstable();
    facts
}

const FINE: [&str; 2] = [
    "GET /items/7 get-item 200 old -",
    "GET /reset-token/string(4) GET /reset-token/{} 200 old -",
];

const FAILED: [&str; 5] = [
    "- - - 400 twinread the head of the request is not acceptable",
    "CONNECT - - 405 twinread CONNECT is not supported",
    "GET /fails GET /fails 503 old -",
    "GET /gone GET /gone 502 twinread connection reset",
    "GET /half GET /half 200 old the answer broke off",
];

#[test]
fn all_is_one_line_for_each_request() {
    let sidecar = sidecar("all");
    ask(&sidecar);
    let mut expected = [&FINE[..], &FAILED].concat();
    expected.sort_unstable();
    assert_eq!(lines(&sidecar, expected.len()), expected);
}

#[test]
fn errors_are_lines_for_failures_alone() {
    let sidecar = sidecar("errors");
    ask(&sidecar);
    assert_eq!(lines(&sidecar, FAILED.len()), FAILED);
}

#[test]
fn a_caller_that_leaves_before_its_answer_has_a_line() {
    let old = Stack::replying(Reply::Hang(String::new()));
    let sidecar = Sidecar::start(old.addr, stack().addr, "access_log: errors\n");
    let mut caller = sidecar.caller();
    caller.write("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("the stack is asked", || {
        (old.request_count() == 1).then_some(())
    });
    drop(caller);
    assert_eq!(
        lines(&sidecar, 1),
        ["GET /slow GET /slow - - the caller left"]
    );
}

#[test]
fn a_caller_that_leaves_within_its_answer_has_a_line() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
    let old = Stack::replying(Reply::Hang(half.to_owned()));
    let sidecar = Sidecar::start(old.addr, stack().addr, "access_log: errors\n");
    let mut stream = std::net::TcpStream::connect(sidecar.listen).unwrap();
    stream
        .write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"half") {
        let mut bytes = [0; 99];
        let count = stream.read(&mut bytes).unwrap();
        answer.extend_from_slice(&bytes[..count]);
    }
    drop(stream);
    assert_eq!(
        lines(&sidecar, 1),
        ["GET /slow GET /slow 200 old the caller left within the answer"]
    );
}

#[test]
fn whole_answers_of_every_kind_are_no_errors() {
    let old = Stack::start(|request| match request.split(' ').nth(1).unwrap() {
        "/chunked" => Reply::Write(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n".to_owned(),
        ),
        "/trailers" => Reply::Write(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-sum: 1\r\n\r\n"
                .to_owned(),
        ),
        "/empty" => Reply::Write("HTTP/1.1 204 No Content\r\n\r\n".to_owned()),
        "/same" => {
            Reply::Write("HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n".to_owned())
        }
        "/closed" => Reply::Close("HTTP/1.0 200 OK\r\n\r\nall".to_owned()),
        "/head" => Reply::Write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n".to_owned()),
        _ => json("{}"),
    });
    let sidecar = Sidecar::start(old.addr, stack().addr, "access_log: all\n");
    let mut asked = 0;
    for (method, path) in [
        ("GET", "/chunked"),
        ("GET", "/trailers"),
        ("GET", "/empty"),
        ("GET", "/same"),
        ("GET", "/closed"),
        ("HEAD", "/head"),
        ("GET", "/"),
    ] {
        let mut stream = std::net::TcpStream::connect(sidecar.listen).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: close, te\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
        asked += 1;
    }
    let lines = lines(&sidecar, asked);
    assert!(lines.iter().all(|line| line.ends_with(" -")), "{lines:#?}");
}

#[test]
fn a_target_that_is_too_long_is_logged_as_it_is_answered() {
    let more = "access_log: errors\nlimits: {header_bytes: 256KiB}\n";
    let sidecar = Sidecar::start(stack().addr, stack().addr, more);
    let request = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(70_000));
    assert_eq!(sidecar.caller().send(&request).status, 414);
    let expected = "- - - 414 twinread the head of the request is not acceptable";
    assert_eq!(lines(&sidecar, 1), [expected]);
}

#[test]
fn no_line_is_written_unless_the_file_asks_for_it() {
    let sidecar = sidecar("none");
    ask(&sidecar);
    let path = sidecar.folder.path().join("twinread.yaml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("access_log: none", "access_log: all")).unwrap();
    eventually("the new setting is in force", || {
        sidecar.caller().get("/items/later");
        (!sidecar.logged(LINE).is_empty()).then_some(())
    });
    let paths = sidecar.logged(LINE);
    assert!(
        paths.iter().all(|line| line["path"] == "/items/later"),
        "{paths:?}"
    );
}

#[test]
fn a_log_that_nobody_reads_holds_up_nobody() {
    let more = "access_log: all\npaused: true\n";
    let sidecar = Sidecar::start(stack().addr, stack().addr, more);
    let dropped = sidecar.without_reading_its_log(|| {
        // More lines than the pipe and the queue hold.
        let mut caller = sidecar.caller();
        for _ in 0..6_000 {
            assert_eq!(caller.get("/items/7").status, 200);
        }
        sidecar.metric("twinread_export_dropped_total", r#"signal="logs""#)
    });
    assert!(dropped > 0.0, "none was dropped");
    eventually("lines are written again", || {
        (sidecar.logged(LINE).len() > 4_000).then_some(())
    });
}
