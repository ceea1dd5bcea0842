//! Makes the typical mistakes that docs/troubleshooting.md lists, and holds what it quotes to what is printed.

use super::quoted::{assert_printed, page};
use crate::support::{Reply, Sidecar, Stack, answer, eventually, run_in, twinread};
use regex::Regex;
use std::net::{SocketAddr, TcpListener};

const BODY: &str = r#"{"id": 1}"#;

/// The rows of the table: the mistake, and each text that is quoted of what one sees.
fn listed() -> Vec<(String, Vec<String>)> {
    let page = page("docs/troubleshooting.md");
    let section = page
        .split("\n## ")
        .find(|section| section.starts_with("Ten typical mistakes"));
    let rows = section
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1);
    let quoted = Regex::new("`` ?(.+?) ?``|`([^`]+)`").unwrap();
    rows.map(|row| {
        let cells: Vec<_> = row.split(" | ").collect();
        assert_eq!(cells.len(), 4, "mistake, text, cause and remedy: {row}");
        let texts = quoted.captures_iter(cells[1]).map(|text| {
            text.iter()
                .skip(1)
                .flatten()
                .next()
                .unwrap()
                .as_str()
                .to_owned()
        });
        (
            cells[0].trim_start_matches("| ").to_owned(),
            texts.collect(),
        )
    })
    .collect()
}

/// What the person sees who makes this mistake.
fn make(mistake: &str) -> String {
    match mistake {
        "wrong port" => wrong_port(),
        "wrong field" => check(
            "old: {url: 'http://127.0.0.1:9001'}\nnew: {url: 'http://127.0.0.1:9002'}\nsampel: {rate: 0.2}\n",
        ),
        "wrong rule path" => wrong_rule_path(),
        "new stack down" => new_stack_down(),
        "old stack down" => old_stack_down(),
        "admin port in use" => admin_port_in_use(),
        "certificate not found" => check(
            "listen_tls: {cert: cert.pem, key: key.pem}\n\
             old: {url: 'http://127.0.0.1:9001'}\nnew: {url: 'http://127.0.0.1:9002'}\n",
        ),
        "POST search not declared" => undeclared_search(),
        "huge bodies" => huge_bodies(),
        "wrong token" => wrong_token(),
        other => panic!("nothing makes the mistake `{other}`"),
    }
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

fn printed(arguments: &[&str], files: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let output = run_in(folder.path(), arguments);
    String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap()
}

fn check(config: &str) -> String {
    printed(&["check", "twinread.yaml"], &[("twinread.yaml", config)])
}

fn status(sidecar: &Sidecar, more: &[&str]) -> String {
    let admin = format!("http://{}", sidecar.admin);
    let mut command = twinread();
    let output = command
        .args(["status", "--once", "--admin", &admin])
        .args(more)
        .output()
        .unwrap();
    String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap()
}

fn wrong_port() -> String {
    let admin = format!("http://{}", nobody());
    printed(&["status", "--admin", &admin], &[])
}

fn wrong_rule_path() -> String {
    let rules = "rules:\n  - id: price\n    why: rounded\n    at: price\n    do: {round: 2}\n";
    printed(&["rules", "check", "rules.yaml"], &[("rules.yaml", rules)])
}

fn new_stack_down() -> String {
    let sidecar = Sidecar::start(Stack::json(BODY).addr, nobody(), "");
    let mut caller = sidecar.caller();
    let mut read = |count| (0..count).for_each(|_| assert_eq!(caller.get("/users/1").status, 200));
    read(10);
    eventually("the circuit breaker opens", || {
        (sidecar.metric("twinread_breaker_open", "") > 0.0).then_some(())
    });
    read(9);
    sidecar.judged(19);
    status(&sidecar, &[])
}

fn old_stack_down() -> String {
    let sidecar = Sidecar::start(nobody(), Stack::json(BODY).addr, "");
    let answer = sidecar.caller().get("/users/1");
    answer.head + &String::from_utf8(answer.body).unwrap()
}

fn admin_port_in_use() -> String {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = taken.local_addr().unwrap().to_string();
    let stacks = [
        "--old",
        "http://127.0.0.1:9001",
        "--new",
        "http://127.0.0.1:9002",
    ];
    let run = ["run", "--listen", "127.0.0.1:0", "--admin", &admin];
    printed(&[&run[..], &stacks].concat(), &[])
}

fn undeclared_search() -> String {
    let (old, new) = (Stack::json(BODY), Stack::json(BODY));
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    let mut caller = sidecar.caller();
    for _ in 0..20 {
        caller.send("POST /search HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
    }
    eventually("the searches are counted", || {
        (sidecar.metric("twinread_live_requests_total", "") >= 20.0).then_some(())
    });
    status(&sidecar, &[])
}

fn huge_bodies() -> String {
    let stack = |letter: &str| {
        let body = format!("\"{}\"", letter.repeat(2 << 20));
        Stack::replying(Reply::Write(answer("200 OK", &body)))
    };
    let (old, new) = (stack("a"), stack("b"));
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    let mut caller = sidecar.caller();
    (0..20).for_each(|_| assert_eq!(caller.get("/export").status, 200));
    sidecar.judged(20);
    status(&sidecar, &[])
}

fn wrong_token() -> String {
    let (old, new) = (Stack::json(BODY), Stack::json(BODY));
    let sidecar = Sidecar::start(old.addr, new.addr, "admin_token: s3cret\n");
    status(&sidecar, &["--token", "wrong"])
}

#[test]
fn ten_typical_mistakes_show_what_the_page_quotes() {
    let listed = listed();
    assert_eq!(listed.len(), 10);
    for (mistake, texts) in listed {
        assert!(!texts.is_empty(), "nothing is quoted: {mistake}");
        let seen = make(&mistake);
        texts.iter().for_each(|text| assert_printed(text, &seen));
    }
}

#[test]
fn a_listener_whose_port_is_taken_is_named_with_its_place() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let stacks = "old: {url: 'http://127.0.0.1:1'}\nnew: {url: 'http://127.0.0.1:2'}\n";
    for (text, flag, expected) in [
        (
            format!("admin: 127.0.0.1:0\nlisten: {addr}\n"),
            None,
            "twinread.yaml:4:9: listen: ",
        ),
        (
            format!("listen: 127.0.0.1:0\nadmin: {addr}\n"),
            None,
            "twinread.yaml:4:8: admin: ",
        ),
        (
            "admin: 127.0.0.1:0\n".to_owned(),
            Some(format!("--listen={addr}")),
            "",
        ),
    ] {
        std::fs::write(
            folder.path().join("twinread.yaml"),
            format!("{stacks}{text}"),
        )
        .unwrap();
        let mut arguments = vec!["run", "--config=twinread.yaml"];
        arguments.extend(flag.as_deref());
        let output = run_in(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(69), "{output:?}");
        let shown = String::from_utf8(output.stderr).unwrap();
        let expected =
            format!("twinread: {expected}cannot listen on {addr}: Address already in use");
        assert!(shown.contains(&expected), "{expected} in {shown}");
    }
}
