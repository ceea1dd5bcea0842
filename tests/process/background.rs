//! Validation in the background: `sweep`, `replay`, `record`, and their evidence at a sidecar.

use crate::support::{Reply, Sidecar, Stack, answer, eventually, twinread};
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};
use tempfile::TempDir;

/// Two stacks, and a folder with the configuration of a sidecar in front of them.
struct Site {
    old: Stack,
    new: Stack,
    folder: TempDir,
}

const ROUTES: &str = "routes:
  - {name: get-item, methods: [GET], path: '/items/{id}', required: true}
  - {name: get-part, methods: [GET], path: '/items/{id}/parts/{part}'}
";

// === impl Site ===

impl Site {
    fn new(old: Stack, new: Stack, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nold: {{url: 'http://{}', max_per_second: 100000}}\n\
             new: {{url: 'http://{}', max_per_second: 100000}}\nlog: {{format: json}}\n{ROUTES}{more}",
            old.addr, new.addr
        );
        fs::write(folder.path().join("twinread.yaml"), config).unwrap();
        Self { old, new, folder }
    }

    /// Both stacks have an item for every number. The new one lacks those that end in 13, has those that old lacks, which
    /// end in 57, and has another price for those that end in 99.
    fn shop(more: &str) -> Self {
        let old = Stack::start(|request| match number(request) {
            Some(id) if id % 100 == 57 => missing(),
            Some(id) => item(id, 1),
            None => missing(),
        });
        let new = Stack::start(|request| match number(request) {
            Some(id) if id % 100 == 13 => missing(),
            Some(id) if id % 100 == 99 => item(id, 2),
            Some(id) => item(id, 1),
            None => missing(),
        });
        Self::new(old, new, &format!("recheck: {{after: [20ms]}}\n{more}"))
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = twinread();
        command
            .args(arguments)
            .args(["--config", &self.path("twinread.yaml")]);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The document that it prints, and its exit code.
    fn json(&self, arguments: &[&str]) -> (Value, i32) {
        let output = self.run(&[arguments, &["--json"]].concat());
        let document = serde_json::from_slice(&output.stdout);
        let document = document.unwrap_or_else(|_| panic!("{output:?}"));
        (document, output.status.code().unwrap())
    }

    fn sweep(&self, keys: &str, more: &[&str]) -> (Value, i32) {
        let arguments = [
            "sweep", "--route", "get-item", "--rate", "0", "--keys", keys,
        ];
        self.json(&[&arguments[..], more].concat())
    }

    fn sidecar(&self) -> Sidecar {
        let folder = tempfile::tempdir().unwrap();
        let config = PathBuf::from(self.path("twinread.yaml"));
        fs::copy(config, folder.path().join("twinread.yaml")).unwrap();
        Sidecar::run(twinread(), folder)
    }
}

fn number(request: &str) -> Option<u64> {
    let path = request.split(' ').nth(1)?;
    path.strip_prefix("/items/")?.parse().ok()
}

fn item(id: u64, price: u64) -> Reply {
    let body = json!({"id": id, "price": price}).to_string();
    Reply::Write(answer("200 OK", &body))
}

fn missing() -> Reply {
    Reply::Write(answer("404 Not Found", "{}"))
}

fn keys_with(result: &str, lines: &str) -> BTreeSet<u64> {
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let found = lines.filter(|line| line["result"] == result);
    found
        .map(|line| line["key"].as_str().unwrap().parse().unwrap())
        .collect()
}

fn ends_in(end: u64, count: u64) -> BTreeSet<u64> {
    (1..=count).filter(|id| id % 100 == end).collect()
}

#[test]
fn a_sweep_finds_every_key_that_differs_and_no_other() {
    let site = Site::shop("");
    let out = site.path("found.ndjson");
    let (found, code) = site.sweep("1..1000", &["--out", &out]);
    assert_eq!(code, 1, "{found}");
    let expected = json!({
        "source": "sweep", "route": "get-item", "keys": 1000, "read": 1000, "equal": 970, "differs": 10, "only_in_old": 10,
        "only_in_new": 10, "absent": 0, "transient": 0, "noise": 0, "error": 0, "skipped": 0, "upper_keys": 30,
        "confidence": 0.95, "verdict": "unsafe",
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(found[field], *value, "{field}: {found}");
    }
    let classes = found["classes"].as_array().unwrap();
    let price = classes
        .iter()
        .find(|class| class["place"] == "$.price")
        .unwrap();
    assert_eq!(
        (&price["kind"], &price["count"]),
        (&json!("value"), &json!(10))
    );
    assert!(found["examples"].as_array().unwrap().len() >= 15, "{found}");
    let lines = fs::read_to_string(&out).unwrap();
    for (result, end) in [("only_in_old", 13), ("only_in_new", 57), ("differs", 99)] {
        assert_eq!(keys_with(result, &lines), ends_in(end, 1_000), "{result}");
    }
    assert_eq!(lines.lines().count(), 30);
}

#[test]
fn equal_stacks_are_safe_and_absent_keys_are_no_difference() {
    let stack = || {
        Stack::start(|request| match number(request) {
            Some(id) if id <= 500 => item(id, 1),
            _ => missing(),
        })
    };
    let site = Site::new(stack(), stack(), "");
    let (found, code) = site.sweep("1..600", &[]);
    assert_eq!((code, &found["verdict"]), (0, &json!("safe")), "{found}");
    assert_eq!(
        (&found["equal"], &found["absent"]),
        (&json!(500), &json!(100))
    );
    assert_eq!(found["upper_keys"], 0);
}

#[test]
fn a_sweep_that_is_killed_goes_on_exactly() {
    let site = Site::shop("");
    let (out, store) = (site.path("found.ndjson"), site.path("sweep.db"));
    let more = ["--store", &store, "--out", &out, "--rate", "400/s"];
    let arguments = [
        "sweep", "--route", "get-item", "--keys", "1..2000", "--json",
    ];
    let arguments = [&arguments[..], &more].concat();
    let mut before = 0;
    for kill in 0..4 {
        let resume = if kill == 0 { &[][..] } else { &["--resume"] };
        let mut command = site.command(&[&arguments[..], resume].concat());
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // A checkpoint is due every second, after about 400 reads.
        eventually("enough is read", || {
            let is_enough = site.new.request_count() > before + 500;
            (is_enough && has_checkpoint(&store)).then_some(())
        });
        before = site.new.request_count();
        let signal = if kill == 3 { Signal::INT } else { Signal::KILL };
        end(&mut child, signal, if kill == 3 { Some(130) } else { None });
    }
    let output = site.run(&[&arguments[..], &["--resume"]].concat());
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{found}");
    for (field, value) in [
        ("read", 2000),
        ("equal", 1940),
        ("only_in_old", 20),
        ("only_in_new", 20),
        ("differs", 20),
    ] {
        assert_eq!(found[field], value, "{field}: {found}");
    }
    let lines = fs::read_to_string(&out).unwrap();
    assert_eq!(keys_with("differs", &lines), ends_in(99, 2_000));
    assert_eq!(lines.lines().count(), 60);
    assert!(
        site.new.request_count() < 4_000,
        "it went on: {}",
        site.new.request_count()
    );
    only_the_same_goes_on(&site, &store);
}

fn has_checkpoint(store: &str) -> bool {
    let database = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let sql = "SELECT count(*) FROM journal WHERE kind = 'sweep'";
    let found = database.and_then(|open| open.query_row(sql, [], |row| row.get::<_, u32>(0)));
    found.is_ok_and(|found| found > 0)
}

/// A run whose checkpoint is in `store` goes on with the same keys, file and stacks alone.
fn only_the_same_goes_on(site: &Site, store: &str) {
    let resume = |keys, more: &[&str]| {
        let same = ["sweep", "--route", "get-item", "--keys", keys];
        site.run(&[&same[..], &["--store", store, "--resume"], more].concat())
    };
    let wrong = resume("1..2001", &[]);
    assert_eq!(wrong.status.code(), Some(64));
    let why = String::from_utf8(wrong.stderr).unwrap();
    assert!(
        why.contains("the checkpoint is of other routes, keys, stacks or rules"),
        "{why}"
    );

    let other = site.file("other.ndjson", "precious\n");
    let wrong = resume("1..2000", &["--out", &other]);
    assert_eq!(wrong.status.code(), Some(64));
    assert_eq!(fs::read_to_string(&other).unwrap(), "precious\n");

    let config = fs::read_to_string(site.path("twinread.yaml")).unwrap();
    let elsewhere = config.replace(&site.new.addr.to_string(), &Stack::nobody().to_string());
    site.file("twinread.yaml", &elsewhere);
    assert_eq!(resume("1..2000", &[]).status.code(), Some(64));
}

fn end(child: &mut Child, signal: Signal, code: Option<i32>) {
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
    assert_eq!(child.wait().unwrap().code(), code);
}

#[test]
fn keys_come_from_standard_input_and_other_lines_are_skipped() {
    let parts = |price: u64| {
        Stack::start(move |request| {
            let path = request.split(' ').nth(1).unwrap().to_owned();
            let price = if path == "/items/a%2Fb/parts/2" {
                price
            } else {
                1
            };
            Reply::Write(answer(
                "200 OK",
                &json!({"path": path, "price": price}).to_string(),
            ))
        })
    };
    let site = Site::new(
        parts(1),
        parts(2),
        "recheck: {after: []}\nverdict: {max_mismatch: 0.5}\n",
    );
    let mut command = site.command(&[
        "sweep", "--route", "get-part", "--keys", "-", "--json", "--rate", "0",
    ]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let keys = "part,other,id\n1,x,a/b\n2,x,a/b\nonly one\n1,x,c\n2,x,c\n";
    child
        .stdin
        .take()
        .unwrap()
        .write_all(keys.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&found["keys"], &found["skipped"], &found["differs"]),
        (&json!(5), &json!(1), &json!(1)),
        "{found}"
    );
    // A skipped key may differ.
    assert_eq!(
        (&found["upper_keys"], output.status.code()),
        (&json!(2), Some(0))
    );
    let examples = found["examples"].as_array().unwrap();
    let differs = examples
        .iter()
        .find(|example| example["result"] == "differs")
        .unwrap();
    assert_eq!(differs["key"], json!({"id": "a/b", "part": "2"}));
}

/// A stack with the items from `first` to `last`, and a list of them in pages of ten.
fn listed(first: u64, last: u64) -> Stack {
    Stack::start(move |request| {
        let target = request.split(' ').nth(1).unwrap();
        let Some(id) = number(request) else {
            let begin = target
                .strip_prefix("/items?after=")
                .map_or(first, |id| id.parse().unwrap());
            let items: Vec<_> = (begin..=last)
                .take(10)
                .map(|id| json!({"id": id}))
                .collect();
            let next = (begin + 10 <= last).then_some(begin + 10);
            return Reply::Write(answer(
                "200 OK",
                &json!({"items": items, "next": next}).to_string(),
            ));
        };
        if (first..=last).contains(&id) {
            item(id, 1)
        } else {
            missing()
        }
    })
}

#[test]
fn keys_of_the_lists_of_both_stacks_are_swept() {
    let site = Site::new(listed(1, 40), listed(3, 42), "recheck: {after: []}\n");
    let walk = [
        "--walk",
        "GET /items?after={next}",
        "--items",
        "$.items[*].id",
    ];
    let arguments = ["sweep", "--route", "get-item", "--rate", "0"];
    let (found, code) = site.json(&[&arguments[..], &walk].concat());
    let counts =
        ["keys", "equal", "only_in_old", "only_in_new"].map(|field| found[field].as_u64().unwrap());
    assert_eq!((counts, code), ([42, 38, 2, 2], 1), "{found}");
    let output = site.run(&[
        "sweep",
        "--route",
        "get-item",
        "--walk",
        "GET /nothing",
        "--items",
        "$.x[*]",
    ]);
    let shown = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{shown}");
}

#[test]
fn a_stack_that_is_down_for_a_while_costs_few_keys() {
    let site = Site::shop("");
    let config = fs::read_to_string(site.path("twinread.yaml")).unwrap();
    let config = config.replacen(
        "max_per_second: 100000}",
        "max_per_second: 100000, breaker: {failures: 5, cool_down: 200ms}}",
        2,
    );
    site.file("twinread.yaml", &config);
    let arguments = [
        "sweep", "--route", "get-item", "--keys", "1..1000", "--rate", "500/s", "--json",
    ];
    let mut command = site.command(&arguments);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("it began", || {
        (site.new.request_count() > 100).then_some(())
    });
    site.new.becomes(Reply::Reset(String::new()));
    let down = site.new.request_count();
    // Probes alone reach it, one after each cool-down.
    eventually("probes", || {
        (site.new.request_count() > down + 40).then_some(())
    });
    site.new.becomes(|request: &str| match number(request) {
        Some(id) => item(id, 1),
        None => missing(),
    });
    let output = child.wait_with_output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["read"], 1000, "{found}");
    assert!(found["error"].as_u64().unwrap() <= 25, "{found}");
}

#[test]
fn what_cannot_be_swept_is_refused() {
    let site = Site::shop("");
    let empty = site.file("empty.csv", "");
    let other = site.file("other.csv", "a,b\n1,2\n");
    for (route, keys, why) in [
        ("get-nothing", "1..9", "is no route of the configuration"),
        (
            "get-part",
            "1..9",
            "a range has one value, and the route has id, part",
        ),
        ("get-item", &*empty, "has no keys"),
        (
            "get-item",
            &*other,
            "expected a header with id, found \"a,b\"",
        ),
        ("POST /items/{id}", "1..9", "is no declared read"),
        ("get-item", "/nowhere/at/all", "cannot read"),
    ] {
        let output = site.run(&["sweep", "--route", route, "--keys", keys]);
        let shown = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{shown}");
        assert!(shown.contains(why), "{why}: {shown}");
    }
    let keys = site.file("keys.csv", "id\n1\n");
    let route = ["sweep", "--route", "get-item", "--keys", &keys];
    let on_itself = site.run(&[&route[..], &["--out", &keys]].concat());
    assert_eq!(on_itself.status.code(), Some(64));
    assert_eq!(fs::read_to_string(&keys).unwrap(), "id\n1\n");
    let no_store = site.run(&[&route[..], &["--store", "/proc/sweep.db"]].concat());
    assert_eq!(no_store.status.code(), Some(69));
    assert_eq!(site.new.request_count(), 0);
}

#[test]
fn evidence_is_kept_by_source_and_not_counted_as_live() {
    let site = Site::shop("verdict: {max_mismatch: 0.05}\n");
    let config = fs::read_to_string(site.path("twinread.yaml")).unwrap();
    let store = site.path("sidecar.db");
    site.file(
        "twinread.yaml",
        &format!("{config}store: {{path: '{store}'}}\n"),
    );
    let sidecar = site.sidecar();
    let admin = format!("http://{}", sidecar.admin);
    let (found, code) = site.sweep("1..1000", &["--admin", &admin]);
    assert_eq!(code, 0, "{found}");
    let verdict = sidecar.ask("/v1/verdict");
    assert_eq!(
        verdict["verdict"], "undecided",
        "the sweep alone decides nothing: {verdict}"
    );
    assert!(
        verdict["routes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|route| route["sampled"] == 0)
    );
    let state = &verdict["evidence"][0];
    assert_eq!(
        (&state["source"], &state["verdict"], &state["current"]),
        (&json!("sweep"), &json!("safe"), &json!(true))
    );
    assert_eq!(
        state["detail"],
        "get-item: 1000 of 1000 keys read, 30 differ"
    );
    let listed = sidecar.ask("/v1/evidence");
    assert_eq!(listed["evidence"][0]["given"]["summary"], found);
    let gate = twinread()
        .args(["gate", "--admin", &admin])
        .output()
        .unwrap();
    let shown = String::from_utf8(gate.stdout).unwrap();
    assert_eq!(gate.status.code(), Some(2));
    assert!(
        shown.contains("sweep          safe: get-item: 1000 of 1000 keys read, 30 differ"),
        "{shown}"
    );

    // It survives a restart, and is of earlier rules after a change of them.
    drop(sidecar);
    let config = fs::read_to_string(site.path("twinread.yaml")).unwrap();
    site.file(
        "twinread.yaml",
        &format!("{config}compare: {{numbers: lexical}}\n"),
    );
    let sidecar = site.sidecar();
    let verdict = sidecar.ask("/v1/verdict");
    assert_eq!(verdict["evidence"][0]["current"], false, "{verdict}");
    let gate = twinread()
        .args(["gate", "--admin", &format!("http://{}", sidecar.admin)])
        .output()
        .unwrap();
    let shown = String::from_utf8(gate.stdout).unwrap();
    assert!(shown.contains("of other rules or another build"), "{shown}");
}

#[test]
fn evidence_of_another_source_or_shape_is_refused() {
    let site = Site::shop("");
    let sidecar = site.sidecar();
    for (source, body, status) in [
        ("sweep", "{}", 422),
        ("live", "{}", 400),
        ("sweep", "nonsense", 400),
    ] {
        assert_eq!(put(&sidecar, source, body), status, "{source} {body}");
    }
}

/// Hands evidence over, and returns the status.
fn put(sidecar: &Sidecar, source: &str, body: &str) -> u16 {
    let request = format!(
        "PUT /v1/evidence/{source} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = crate::support::Caller::connect(sidecar.admin).send(&request);
    answer.status
}

#[test]
fn a_sweep_of_another_route_takes_no_evidence_away() {
    let site = Site::shop("verdict: {max_mismatch: 0.05}\n");
    let sidecar = site.sidecar();
    let admin = format!("http://{}", sidecar.admin);
    let (_, code) = site.sweep("1..1000", &["--admin", &admin]);
    assert_eq!(code, 0);
    let mut given = sidecar.ask("/v1/evidence")["evidence"][0]["given"].clone();
    given["summary"]["route"] = json!("another");
    for _ in 0..2 {
        assert_eq!(put(&sidecar, "sweep", &given.to_string()), 200);
    }
    let listed = sidecar.ask("/v1/evidence");
    let routes = listed["evidence"].as_array().unwrap().iter();
    let routes = routes.map(|one| one["given"]["summary"]["route"].as_str().unwrap());
    assert!(routes.eq(["another", "get-item"]), "{listed}");
}

#[test]
fn where_nobody_takes_the_evidence_nothing_is_read() {
    let site = Site::shop("");
    let nobody = format!("http://{}", Stack::nobody());
    let output = site.run(&[
        "sweep", "--route", "get-item", "--keys", "1..9", "--admin", &nobody,
    ]);
    assert_eq!(output.status.code(), Some(69));
    assert_eq!(site.new.request_count(), 0);
}

const LOG: &str = r#"::1 - - [10/Oct/2000:13:55:36 -0700] "GET /items/1 HTTP/1.1" 200 9 "-" "x"
::1 - - [10/Oct/2000:13:55:36 -0700] "GET /items/99 HTTP/1.1" 200 9 "-" "x"
::1 - - [10/Oct/2000:13:55:36 -0700] "DELETE /items/1 HTTP/1.1" 200 9 "-" "x"
::1 - - [10/Oct/2000:13:55:36 -0700] "POST /items HTTP/1.1" 200 9 "-" "x"
::1 - - [10/Oct/2000:13:55:36 -0700] "-" 408 0 "-" "-"
nonsense
::1 - - [10/Oct/2000:13:55:36 -0700] "GET /items/1 HTTP/1.1" 200 9 "-" "x"
"#;

#[test]
fn a_log_is_replayed_and_what_is_no_read_is_counted_by_reason() {
    let site = Site::shop("");
    let log = site.file("access.log", LOG);
    let (found, code) = site.json(&["replay", &log, "--dedupe"]);
    assert_eq!(code, 2, "two reads prove nothing: {found}");
    assert_eq!(
        (&found["recorded"], &found["read"], &found["duplicates"]),
        (&json!(7), &json!(2), &json!(1))
    );
    let unusable = found["unusable"].as_array().unwrap();
    let counts: Vec<_> = unusable
        .iter()
        .map(|each| {
            (
                each["reason"].as_str().unwrap(),
                each["count"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        counts,
        [("not_a_read", 2), ("malformed", 1), ("no_request", 1)]
    );
    assert_eq!(unusable[1]["first"], format!("{log}:6: nonsense"));
    assert_eq!(
        (site.old.request_count(), site.new.request_count()),
        (3, 3),
        "one is read again"
    );
    assert_eq!(found["classes"][0]["place"], "$.price");
    assert_eq!(found["examples"][0]["path"], "/items/99");
    let text = String::from_utf8(site.run(&["replay", &log]).stdout).unwrap();
    assert!(
        text.starts_with("3 of 7 recorded requests read\n"),
        "{text}"
    );
    assert!(text.contains("1 not read: malformed, first "), "{text}");
}

#[test]
fn enough_clean_reads_of_a_log_are_safe() {
    let site = Site::shop("verdict: {soak: 7d}\n");
    let log: String = (0..4_000)
        .map(|read| {
            format!(
                "::1 - - [10/Oct/2000:13:55:36 -0700] \"GET /items/{} HTTP/1.1\" 200 9\n",
                read % 10 + 1
            )
        })
        .collect();
    let log = site.file("access.log", &log);
    let (found, code) = site.json(&["replay", &log, "--rate", "0"]);
    assert_eq!((code, &found["verdict"]), (0, &json!("safe")), "{found}");
    assert_eq!(found["judged"]["routes"][0]["sampled"], 4_000);
    let wrong =
        "::1 - - [10/Oct/2000:13:55:36 -0700] \"GET /items/99 HTTP/1.1\" 200 9\n".repeat(50);
    let (found, code) = site.json(&["replay", &site.file("wrong.log", &wrong), "--rate", "0"]);
    assert_eq!((code, &found["verdict"]), (1, &json!("unsafe")), "{found}");
}

#[test]
fn reads_are_recorded_and_replayed_against_the_recorded_answers() {
    let site = Site::shop("redact: {values: shown}\nsample: {rate: 1.0}\n");
    let sidecar = site.sidecar();
    let (admin, out) = (
        format!("http://{}", sidecar.admin),
        site.path("reads.ndjson"),
    );
    let mut record = twinread();
    record.args(["record", "--out", &out, "--for", "3s", "--admin", &admin]);
    let child = record.stdout(Stdio::piped()).spawn().unwrap();
    let mut caller = sidecar.caller();
    let mut id = 0;
    eventually("it records", || {
        id = id % 9 + 1;
        caller.get(&format!("/items/{id}"));
        fs::read_to_string(&out)
            .is_ok_and(|text| text.lines().count() >= 5 && text.contains("/items/3"))
            .then_some(())
    });
    // One at a time.
    let second = twinread()
        .args(["record", "--out", &site.path("other"), "--admin", &admin])
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(64), "{second:?}");
    let output = child.wait_with_output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let lines = fs::read_to_string(&out).unwrap().lines().count();
    assert_eq!(shown, format!("{lines} reads recorded\n"));
    drop(sidecar);

    site.new.becomes(|request: &str| match number(request) {
        Some(id) => item(id, if id == 3 { 2 } else { 1 }),
        None => missing(),
    });
    let (of_old, of_new) = (site.old.request_count(), site.new.request_count());
    let (found, code) = site.json(&[
        "replay",
        &out,
        "--against",
        "recorded",
        "--dedupe",
        "--rate",
        "0",
    ]);
    assert_eq!(code, 2, "{found}");
    assert_eq!(site.old.request_count(), of_old, "the old stack is gone");
    let read = found["read"].as_u64().unwrap();
    assert_eq!(site.new.request_count() - of_new, read as usize);
    assert_eq!(
        (
            found["against_recorded"].clone(),
            found["examples"].as_array().unwrap().len()
        ),
        (json!(true), 1),
        "{found}"
    );
    assert_eq!(found["examples"][0]["path"], "/items/3");
}

#[test]
fn a_recording_is_bounded_in_bytes_and_hides_what_examples_hide() {
    let site = Site::shop("sample: {rate: 1.0}\n");
    let sidecar = site.sidecar();
    let (admin, out) = (
        format!("http://{}", sidecar.admin),
        site.path("reads.ndjson"),
    );
    let mut record = twinread();
    record.args([
        "record",
        "--out",
        &out,
        "--for",
        "1h",
        "--max-bytes",
        "5000",
        "--admin",
        &admin,
    ]);
    let mut child = record.stdout(Stdio::null()).spawn().unwrap();
    let mut caller = sidecar.caller();
    eventually("it ends", || {
        caller.send("GET /items/1?token=geheim HTTP/1.1\r\nhost: a\r\n\r\n");
        child.try_wait().unwrap()
    });
    let text = fs::read_to_string(&out).unwrap();
    assert!(
        text.len() <= 5_000 && text.lines().count() >= 2,
        "{}",
        text.len()
    );
    assert!(!text.contains("geheim"), "{text}");
    // Values of answers are masked, so they cannot be compared with.
    let (found, code) = site.json(&["replay", &out, "--against", "recorded"]);
    assert_eq!((code, found["read"].as_u64()), (2, Some(0)), "{found}");
    assert_eq!(found["unusable"][0]["reason"], "redacted");
}

#[test]
fn a_recording_does_not_hold_up_the_end() {
    let site = Site::shop("sample: {rate: 1.0}\n");
    let mut sidecar = site.sidecar();
    let (admin, out) = (
        format!("http://{}", sidecar.admin),
        site.path("reads.ndjson"),
    );
    let mut record = twinread();
    record.args(["record", "--out", &out, "--for", "1h", "--admin", &admin]);
    let mut child = record.stdout(Stdio::null()).spawn().unwrap();
    let mut caller = sidecar.caller();
    eventually("it records", || {
        caller.get("/items/1");
        fs::read_to_string(&out)
            .is_ok_and(|text| !text.is_empty())
            .then_some(())
    });
    sidecar.signal(Signal::TERM);
    assert!(sidecar.exited().success());
    let given_up = sidecar.logged("some reports were given up at the end");
    assert_eq!(given_up, Vec::<Value>::new());
    let status = eventually("the recording ends", || child.try_wait().unwrap());
    assert!(status.success(), "{status}");
}

#[test]
fn credentials_come_from_the_configuration() {
    let guarded = || {
        Stack::start(|request| {
            let is_allowed = request
                .to_ascii_lowercase()
                .contains("authorization: bearer ours");
            Reply::Write(answer(
                if is_allowed {
                    "200 OK"
                } else {
                    "401 Unauthorized"
                },
                "{}",
            ))
        })
    };
    let site = Site::new(guarded(), guarded(), "");
    let config = fs::read_to_string(site.path("twinread.yaml")).unwrap();
    let set = "max_per_second: 100000, headers: {set: {authorization: 'Bearer ours'}}}";
    site.file(
        "twinread.yaml",
        &config.replace("max_per_second: 100000}", set),
    );
    let (found, _) = site.sweep("1..20", &[]);
    assert_eq!(found["equal"], 20, "{found}");
    let requests = site.new.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.contains("Bearer ours")),
        "{requests:?}"
    );
}

#[test]
fn the_pace_is_kept_and_falls_while_the_old_stack_is_slow() {
    let slow = || Stack::replying(Reply::Wait(answer("200 OK", "{}")));
    let site = Site::new(slow(), Stack::json("{}"), "recheck: {after: []}\n");
    let arguments = [
        "sweep",
        "--route",
        "get-item",
        "--keys",
        "1..1000000",
        "--rate",
        "0",
        "--in-flight",
        "3",
    ];
    let mut child = site
        .command(&arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("three are in flight", || {
        (site.old.in_flight() == 3).then_some(())
    });
    for _ in 0..20 {
        site.old.release();
    }
    assert!(
        site.old.most_in_flight() <= 3,
        "{}",
        site.old.most_in_flight()
    );
    end(&mut child, Signal::KILL, None);
}
