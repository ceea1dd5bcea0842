//! State that outlives the process, however it ends, and the effects of a failing disk.

use crate::support::{
    Answer, Caller, DEADLINE, Sidecar, Stack, eventually, json as answer, twinread,
};
use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const ONE: &str = r#"{"id": 1, "price": 9.5}"#;

/// Two equal stacks, and a folder for the store.
struct Site {
    old: Stack,
    new: Stack,
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        Self {
            old: Stack::json(ONE),
            new: Stack::json(ONE),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("evidence.db")
    }

    fn start(&self, more: &str) -> Sidecar {
        let store = format!("store: {{path: {}}}\n{more}", self.path().display());
        Sidecar::start(self.old.addr, self.new.addr, &store)
    }
}

/// A route's figures in the verdict.
fn route(sidecar: &Sidecar, name: &str) -> Value {
    let verdict = sidecar.ask("/v1/verdict");
    let routes = verdict["routes"].as_array().unwrap();
    let found = routes.iter().find(|route| route["route"] == name);
    found.unwrap_or_else(|| panic!("{verdict}")).clone()
}

fn sum(counts: &Value) -> u64 {
    match counts {
        Value::Number(count) => count.as_u64().unwrap(),
        Value::Object(counts) => counts.values().map(sum).sum(),
        _ => 0,
    }
}

/// The number of samples of a route that have an outcome.
fn ended(route: &Value) -> u64 {
    let outcomes = [
        "match",
        "mismatch",
        "transient",
        "noise",
        "shadow_error",
        "not_compared",
    ];
    outcomes.iter().map(|name| sum(&route[*name])).sum()
}

fn stop(mut sidecar: Sidecar) {
    sidecar.signal(Signal::TERM);
    assert!(sidecar.exited().success());
}

fn stored(path: &Path, sql: &str) -> u64 {
    let database = Connection::open(path).unwrap();
    database
        .query_row(sql, [], |row| row.get::<_, i64>(0))
        .unwrap()
        .unsigned_abs()
}

fn impaired(sidecar: &Sidecar) -> String {
    sidecar.ask("/readyz")["impaired"].to_string()
}

#[test]
fn sigterm_loses_nothing_and_the_verdict_continues() {
    let site = Site::new();
    let first = site.start("verdict: {max_mismatch: 0.01}\n");
    let mut caller = first.caller();
    for _ in 0..300 {
        caller.get("/items/17");
    }
    let epoch = first.ask("/v1/verdict")["epoch"]["id"].clone();
    stop(first);

    let second = site.start("verdict: {max_mismatch: 0.01}\n");
    let verdict = second.ask("/v1/verdict");
    assert_eq!(verdict["epoch"]["id"], epoch);
    let items = route(&second, "GET /items/{}");
    assert_eq!(
        (&items["live"], &items["sampled"]),
        (&json!(300), &json!(300))
    );
    assert_eq!(ended(&items), 300, "{items}");
    second.caller().get("/items/17");
    eventually("it counts on", || {
        (route(&second, "GET /items/{}")["live"] == 301).then_some(())
    });
    assert_eq!(second.metric("twinread_live_requests_total", ""), 1.0);
    assert_eq!(impaired(&second), "[]");
}

#[test]
fn rechecks_waiting_at_sigterm_are_not_stored_as_mismatches() {
    let mut site = Site::new();
    site.new = Stack::json(r#"{"id": 1, "price": 9}"#);
    let store = format!("store: {{path: {}}}\n", site.path().display());
    let start = || {
        let rechecking = ("after: [60s]", &*store);
        Sidecar::rechecking(site.old.addr, site.new.addr, rechecking)
    };
    for restarts in 1..=2 {
        let sidecar = start();
        for _ in 0..3 {
            sidecar.caller().get("/items/17");
        }
        eventually("the new stack is asked", || {
            (site.new.request_count() == 3 * restarts).then_some(())
        });
        stop(sidecar);
    }
    let last = start();
    let items = route(&last, "GET /items/{}");
    assert_eq!(items["not_compared"], json!({"shutting_down": 6}));
    assert_eq!(
        (&items["sampled"], &items["mismatch"]),
        (&json!(6), &json!(0))
    );
    assert_eq!(last.ask("/v1/mismatches")["mismatches"], json!([]));
}

/// Killed at random moments under load. `TWINREAD_KILLS=50` runs the long form with 50 kills.
#[test]
fn sigkill_counts_nothing_twice_and_loses_at_most_a_second() {
    let kills = std::env::var("TWINREAD_KILLS").map_or(10, |kills| kills.parse::<u64>().unwrap());
    let site = Site::new();
    // Bounds from the previous life: requests counted at its start plus those sent, until a second before its end and in all.
    let (mut least, mut most) = (0, 0);
    let mut epoch = None;
    for kill in 0..kills {
        let mut sidecar = site.start("");
        let verdict = sidecar.ask("/v1/verdict");
        let now = verdict["epoch"]["id"].clone();
        assert_eq!(*epoch.get_or_insert(now.clone()), now, "the epoch goes on");
        let routes = verdict["routes"].as_array().unwrap();
        let live: u64 = routes.iter().map(|route| sum(&route["live"])).sum();
        assert!(
            (least..=most).contains(&live),
            "{live}, not {least}..={most}"
        );
        for route in routes {
            assert_eq!(sum(&route["sampled"]), ended(route), "{route}");
        }

        let load = Load::start(sidecar.listen);
        // From 0.2 s to 1.4 s, spread without a pattern.
        let life = Duration::from_millis(200 + kill * 7_919 % 1_200);
        let second_ago = load.run(life);
        sidecar.signal(Signal::KILL);
        sidecar.exited();
        (least, most) = (live + second_ago, live + load.stop());
        check_file(&site.path());
    }
}

/// Callers that send as fast as they are answered.
struct Load {
    sent: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    callers: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn start(addr: SocketAddr) -> Self {
        let (sent, is_over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let callers = (0..4).map(|number| {
            let (sent, is_over) = (sent.clone(), is_over.clone());
            thread::spawn(move || {
                let mut caller = Caller::connect(addr);
                let request = format!("GET /items/{number} HTTP/1.1\r\nhost: a\r\n\r\n");
                while !is_over.load(Ordering::Relaxed) {
                    // A request under way may or may not be counted.
                    sent.fetch_add(1, Ordering::SeqCst);
                    if !caller.try_send(&request) {
                        return;
                    }
                }
            })
        });
        Self {
            callers: callers.collect(),
            sent,
            is_over,
        }
    }

    /// Lets them send for `life`. Returns how many requests were answered a second before the end, or earlier by as
    /// much as the machine stalled this process.
    fn run(&self, life: Duration) -> u64 {
        let began = Instant::now();
        let (mut looks, mut stall) = (Vec::new(), Duration::ZERO);
        let mut last = began;
        while began.elapsed() < life {
            looks.push((began.elapsed(), self.sent.load(Ordering::SeqCst)));
            thread::sleep(Duration::from_millis(1));
            stall = stall.max(last.elapsed());
            last = Instant::now();
        }
        let second_ago = life.saturating_sub(Duration::from_secs(1) + stall);
        let early = looks.iter().take_while(|(at, _)| *at < second_ago);
        let on_their_way = self.callers.len() as u64;
        early
            .last()
            .map_or(0, |(_, sent)| sent.saturating_sub(on_their_way))
    }

    /// Stops the callers. Returns how many requests were sent.
    fn stop(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.join().unwrap();
        }
        self.sent.load(Ordering::SeqCst)
    }
}

/// The file opens, is undamaged, and its figures are consistent.
fn check_file(path: &Path) {
    let database = Connection::open(path).unwrap();
    let whole: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(whole, "ok");
    for column in ["live", "sampled"] {
        let of = |table: &str| {
            let sql = format!("SELECT coalesce(sum({column}), 0) FROM {table}");
            database
                .query_row(&sql, [], |row| row.get::<_, i64>(0))
                .unwrap()
        };
        // The checks of the rest belong to other routes.
        let routes = "tallies WHERE route <> '(rest)'";
        assert_eq!(of(routes), of("minutes"), "{column}");
    }
    let mut rows = database
        .prepare("SELECT sampled, outcomes FROM tallies")
        .unwrap();
    let rows = rows.query_map([], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    });
    for row in rows.unwrap() {
        let (sampled, outcomes) = row.unwrap();
        let outcomes: Value = serde_json::from_str(&outcomes).unwrap();
        assert!(sum(&outcomes) <= sampled.unsigned_abs());
    }
}

#[test]
fn other_rules_begin_an_epoch_and_the_old_one_stays_readable() {
    let site = Site::new();
    let first = site.start("");
    first.caller().get("/items/1");
    first.quiet(1);
    stop(first);

    let second = site.start("compare: {numbers: lexical}\n");
    let epochs = second.ask("/v1/epochs")["epochs"].clone();
    let causes: Vec<_> = epochs
        .as_array()
        .unwrap()
        .iter()
        .map(|epoch| epoch["cause"].clone())
        .collect();
    assert_eq!(causes, ["compare", "start"]);
    assert_eq!(epochs[1]["routes"][0]["live"], 1);
    assert!(epochs[1]["until"].is_string(), "{epochs}");
    stop(second);

    let third = site.start("compare: {numbers: lexical}\nepoch: {label: build 7}\n");
    let epoch = third.ask("/v1/verdict")["epoch"].clone();
    assert_eq!(
        (&epoch["label"], &epoch["cause"]),
        (&json!("build 7"), &json!("asked"))
    );
    stop(third);
    let fourth = site.start("compare: {numbers: lexical}\nepoch: {label: build 7}\n");
    assert_eq!(fourth.ask("/v1/verdict")["epoch"]["id"], epoch["id"]);
}

#[test]
fn settings_changed_by_the_api_hold_after_a_restart() {
    let site = Site::new();
    let first = site.start("");
    assert_eq!(
        first
            .patch(r#"{"sample": {"rate": 0.5}, "verdict": {"soak": "1h"}}"#)
            .status,
        200
    );
    let before = first.ask("/v1/settings");
    assert_eq!(before["revision"], 2);
    stop(first);

    let second = site.start("");
    assert_eq!(second.ask("/v1/settings"), before);
    assert_eq!(
        before["settings"]["sample.rate"],
        json!({"value": 0.5, "source": "api", "hidden": 1.0})
    );
    assert_eq!(
        second.patch(r#"{"sample": null, "verdict": null}"#).status,
        200
    );
    let mut second = second;
    second.signal(Signal::TERM);
    second.exited();

    // A file that changed meanwhile makes another revision.
    let third = site.start("queue: {max_length: 77}\n");
    let settings = third.ask("/v1/settings");
    assert_eq!(settings["revision"], 4);
    assert_eq!(settings["settings"]["verdict.soak"]["source"], "default");
}

#[test]
fn stored_settings_that_no_longer_fit_are_refused_and_set_aside() {
    let site = Site::new();
    let first = site.start("capture: {max_body: 1KiB}\n");
    let patch = r#"{"capture": {"max_total": "2KiB"}, "sample": {"rate": 0.5}}"#;
    assert_eq!(first.patch(patch).status, 200);
    stop(first);

    let second = site.start("capture: {max_body: 4KiB}\n");
    assert_eq!(
        second.ask("/v1/settings")["settings"]["sample.rate"]["source"],
        "file"
    );
    let shown = impaired(&second);
    assert!(
        shown.contains("do not fit the configuration any more"),
        "{shown}"
    );
    assert!(shown.contains("max_body"), "{shown}");
    stop(second);
    let aside =
        "SELECT count(*) FROM journal WHERE kind = 'refused_settings' AND document LIKE '%2KiB%'";
    assert_eq!(stored(&site.path(), aside), 1);

    // Reported for as long as it does not fit, and in force again once it does.
    let third = site.start("capture: {max_body: 4KiB}\n");
    assert_eq!(impaired(&third), shown);
    stop(third);
    assert_eq!(stored(&site.path(), aside), 1);
    let fourth = site.start("capture: {max_body: 1KiB}\n");
    let rate = fourth.ask("/v1/settings")["settings"]["sample.rate"].clone();
    assert_eq!(rate, json!({"value": 0.5, "source": "api", "hidden": 1.0}));
    assert_eq!(impaired(&fourth), "[]");
    stop(fourth);

    // Other changes replace it.
    let fifth = site.start("capture: {max_body: 4KiB}\n");
    assert_eq!(impaired(&fifth), shown);
    assert_eq!(fifth.patch(r#"{"sample": {"rate": 0.25}}"#).status, 200);
    stop(fifth);
    let sixth = site.start("capture: {max_body: 4KiB}\n");
    assert_eq!(impaired(&sixth), "[]");
    assert_eq!(
        sixth.ask("/v1/settings")["settings"]["sample.rate"]["value"],
        0.25
    );
}

/// Makes the next start fail to open the store, as on a read-only disk.
fn forbid_writing(site: &Site) {
    let lock = site.folder.path().join("evidence.db.lock");
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
}

#[test]
fn settings_and_figures_hold_on_a_disk_that_cannot_be_written() {
    let site = Site::new();
    let first = site.start("");
    first.caller().get("/items/1");
    first.quiet(1);
    assert_eq!(first.patch(r#"{"serve": {"new": 100}}"#).status, 200);
    stop(first);
    forbid_writing(&site);

    let second = site.start("");
    let settings = second.ask("/v1/settings");
    assert_eq!(
        settings["settings"]["serve.new"],
        json!({"value": 100, "source": "api", "hidden": 0})
    );
    assert_eq!(ended(&route(&second, "GET /items/{}")), 1);
    let shown = impaired(&second);
    assert!(shown.contains("evidence.db cannot be opened"), "{shown}");
    assert!(!shown.contains("cannot be read"), "{shown}");
    stop(second);

    std::fs::write(site.path(), "nonsense").unwrap();
    let third = site.start("");
    let shown = impaired(&third);
    assert!(
        shown.contains("the settings that the API had changed cannot be read"),
        "{shown}"
    );
}

#[test]
fn id_pairs_and_rule_counts_survive_a_restart() {
    let site = Site::new();
    let rules = site.folder.path().join("rules.yaml");
    let rule = "rules:\n- {id: order, why: renumbered, at: $.id, do: {bijection: {scope: epoch, name: orders}}}\n";
    std::fs::write(&rules, rule).unwrap();
    let old = Stack::start(|_| answer(r#"{"id": "a"}"#));
    let is_other = Arc::new(AtomicBool::new(false));
    let turns = is_other.clone();
    let new = Stack::start(move |_| {
        if turns.load(Ordering::SeqCst) {
            answer(r#"{"id": "y"}"#)
        } else {
            answer(r#"{"id": "x"}"#)
        }
    });
    let site = Site { old, new, ..site };
    let more = format!("rules: [{}]\n", rules.display());
    let outcome = |sidecar: &Sidecar, name: &str| sum(&route(sidecar, "GET /orders")[name]);

    let mut first = site.start(&more);
    first.caller().get("/orders");
    first.quiet(1);
    assert_eq!(outcome(&first, "match"), 1);
    eventually("the pair is stored", || {
        (stored(&site.path(), "SELECT count(*) FROM pairs") == 1).then_some(())
    });
    first.signal(Signal::KILL);
    first.exited();

    is_other.store(true, Ordering::SeqCst);
    let second = site.start(&more);
    second.caller().get("/orders");
    second.quiet(1);
    assert_eq!(outcome(&second, "mismatch"), 1);
    let rules = second.ask("/v1/rules");
    assert_eq!(rules["rules"][0]["applied"], 2, "{rules}");
}

/// Exit code and output of a `twinread run` that does not start.
fn refused(config: &Path) -> (Option<i32>, String) {
    let mut run = twinread();
    let ended = run.arg("run").arg("--config").arg(config).output().unwrap();
    (
        ended.status.code(),
        String::from_utf8(ended.stderr).unwrap(),
    )
}

#[test]
fn a_second_process_on_the_same_file_is_refused() {
    let site = Site::new();
    let first = site.start("drain: {grace: 0s}\n");
    let (code, shown) = refused(&first.folder.path().join("twinread.yaml"));
    assert_eq!(code, Some(69), "{shown}");
    assert!(shown.contains("waiting for that to end"), "{shown}");
    assert!(shown.contains("one file serves one process"), "{shown}");
    assert_eq!(first.caller().get("/items/1").status, 200);
}

#[test]
fn a_folder_that_is_not_there_and_a_newer_file_are_refused() {
    let site = Site::new();
    stop(site.start(""));
    let newer = Connection::open(site.path()).unwrap();
    newer.pragma_update(None, "user_version", 999).unwrap();
    drop(newer);
    let missing = site.folder.path().join("none/evidence.db");
    for (path, expected) in [
        (
            site.path(),
            "is of version 999, written by a newer twinread",
        ),
        (missing, "none does not exist"),
    ] {
        let config = site.folder.path().join("other.yaml");
        let text = format!(
            "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nold: {{url: 'http://{}'}}\nnew: {{url: 'http://{}'}}\n\
             store: {{path: {}}}\n",
            site.old.addr,
            site.new.addr,
            path.display()
        );
        std::fs::write(&config, text).unwrap();
        let (code, shown) = refused(&config);
        assert_eq!(code, Some(64), "{shown}");
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn a_damaged_file_is_set_aside_and_the_live_path_goes_on() {
    let site = Site::new();
    std::fs::write(site.path(), "not a database, ".repeat(1_000)).unwrap();
    let sidecar = site.start("");
    assert_eq!(sidecar.caller().get("/items/1").status, 200);
    let shown = impaired(&sidecar);
    assert!(shown.contains("evidence.db.corrupt-"), "{shown}");
    assert_eq!(sidecar.metric("twinread_store_set_aside_total", ""), 1.0);
    stop(sidecar);
    assert_eq!(stored(&site.path(), "SELECT sum(live) FROM tallies"), 1);
}

#[test]
fn full_disk_harms_no_caller_and_all_is_stored_later() {
    let site = Site::new();
    let sidecar = site.start("");
    sidecar.caller().get("/items/1");
    // As `ulimit -f` does: from here on no file grows.
    limit_files(&sidecar, 0);
    let mut caller = sidecar.caller();
    caller.get("/items/1");
    eventually("it is shown", || {
        (sidecar.metric("twinread_store_failing", "") == 1.0).then_some(())
    });
    for _ in 0..100 {
        assert_eq!(caller.get("/items/1").status, 200);
    }
    let shown = impaired(&sidecar);
    assert!(
        shown.contains("the store cannot be written since"),
        "{shown}"
    );
    assert!(sidecar.metric("twinread_store_failures_total", "") >= 1.0);

    limit_files(&sidecar, u64::MAX);
    eventually("it is well again", || {
        (impaired(&sidecar) == "[]").then_some(())
    });
    stop(sidecar);
    assert_eq!(stored(&site.path(), "SELECT sum(live) FROM tallies"), 102);
}

fn limit_files(sidecar: &Sidecar, bytes: u64) {
    let limit = rustix::process::Rlimit {
        current: (bytes < u64::MAX).then_some(bytes),
        maximum: None,
    };
    let resource = rustix::process::Resource::Fsize;
    rustix::process::prlimit(Some(sidecar.process()), resource, limit).unwrap();
}

#[test]
fn an_end_while_the_disk_is_full_comes_in_time() {
    let site = Site::new();
    let sidecar = site.start("");
    limit_files(&sidecar, 0);
    sidecar.caller().get("/items/1");
    let began = Instant::now();
    stop(sidecar);
    assert!(began.elapsed() < DEADLINE);
    // The file is unchanged.
    check_file(&site.path());
}

/// `POST /v1/epoch` with this label. Returns the header that says whether it is stored.
fn begin_epoch(sidecar: &Sidecar, label: &str) -> Option<String> {
    let body = json!({"label": label}).to_string();
    let request = format!(
        "POST /v1/epoch HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        sidecar.admin,
        body.len()
    );
    let answer = Caller::connect(sidecar.admin).send(&request);
    assert_eq!(answer.status, 201);
    stored_header(&answer)
}

fn stored_header(answer: &Answer) -> Option<String> {
    let lines = answer.head.lines();
    let mut values = lines.filter_map(|line| line.strip_prefix("twinread-stored: "));
    values.next().map(str::to_owned)
}

#[test]
fn what_was_answered_as_changed_survives_a_kill_at_once() {
    let site = Site::new();
    for number in 0..5 {
        let mut first = site.start("");
        let label = format!("build {number}");
        let rate = f64::from(number) / 8.0;
        assert_eq!(begin_epoch(&first, &label).as_deref(), Some("true"));
        let patched = first.patch(&json!({"sample": {"rate": rate}}).to_string());
        first.signal(Signal::KILL);
        assert_eq!(stored_header(&patched).as_deref(), Some("true"));
        first.exited();

        let second = site.start("");
        assert_eq!(second.ask("/v1/verdict")["epoch"]["label"], label.as_str());
        let settings = second.ask("/v1/settings");
        assert_eq!(settings["settings"]["sample.rate"]["value"], rate);
        stop(second);
    }
}

#[test]
fn a_change_that_is_not_stored_is_in_force_and_says_so() {
    let site = Site::new();
    let sidecar = site.start("");
    limit_files(&sidecar, 0);
    assert_eq!(begin_epoch(&sidecar, "lost").as_deref(), Some("false"));
    let patched = sidecar.patch(r#"{"paused": true}"#);
    assert_eq!(patched.status, 200);
    assert_eq!(stored_header(&patched).as_deref(), Some("false"));
    assert_eq!(sidecar.ask("/v1/verdict")["epoch"]["label"], "lost");
}

#[test]
fn unreadable_history_entries_are_counted_and_others_shown() {
    let site = Site::new();
    let first = site.start("");
    assert_eq!(first.patch(r#"{"sample": {"rate": 0.5}}"#).status, 200);
    assert_eq!(first.patch(r#"{"sample": {"rate": 0.25}}"#).status, 200);
    stop(first);
    let database = Connection::open(site.path()).unwrap();
    for (kind, document) in [("settings", "{\"cut"), ("verdict", "{}")] {
        let spoil = "UPDATE journal SET document = ?2 WHERE kind = ?1 AND number =
                     (SELECT max(number) FROM journal WHERE kind = ?1)";
        assert_eq!(database.execute(spoil, [kind, document]).unwrap(), 1);
    }
    drop(database);
    let second = site.start("");
    let settings = second.ask("/v1/settings/history?limit=1000");
    assert_eq!(settings["unreadable"], 1, "{settings}");
    let changes = settings["changes"].as_array().unwrap();
    assert!(changes.iter().any(|change| change["to"] == 0.5));
    assert_eq!(second.ask("/v1/verdict/history")["unreadable"], 1);
}

#[test]
fn file_removed_while_open_is_an_error_until_a_restart() {
    let site = Site::new();
    let first = site.start("");
    first.caller().get("/items/1");
    first.quiet(1);
    std::fs::remove_file(site.path()).unwrap();
    eventually("it is reported", || {
        impaired(&first).contains("was removed").then_some(())
    });
    assert_eq!(first.metric("twinread_store_failing", ""), 1.0);
    let patched = first.patch(r#"{"sample": {"rate": 0.5}}"#);
    assert_eq!(stored_header(&patched).as_deref(), Some("false"));
    assert_eq!(first.caller().get("/items/1").status, 200);
    stop(first);
    assert!(!site.path().exists());

    let second = site.start("");
    assert_eq!(impaired(&second), "[]");
    second.caller().get("/items/1");
    second.quiet(1);
    assert_eq!(ended(&route(&second, "GET /items/{}")), 1);
    assert_eq!(second.ask("/v1/mismatches")["mismatches"], json!([]));
}

#[test]
fn clock_set_back_is_reported_and_nothing_counted_twice() {
    let site = Site::new();
    let first = site.start("");
    first.caller().get("/items/1");
    first.quiet(1);
    stop(first);
    // As if the previous process had run a year from now.
    let year = 365 * 86_400 * 1_000_000_000_i64;
    let database = Connection::open(site.path()).unwrap();
    database
        .execute("UPDATE epochs SET since_ns = since_ns + ?1", [year])
        .unwrap();
    drop(database);

    let second = site.start("");
    second.caller().get("/items/1");
    second.quiet(1);
    let shown = impaired(&second);
    assert!(shown.contains("the clock was set back by"), "{shown}");
    assert_eq!(second.metric("twinread_clock_set_back", ""), 1.0);
    let items = route(&second, "GET /items/{}");
    assert_eq!((sum(&items["live"]), ended(&items)), (2, 2));
}
