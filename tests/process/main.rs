//! The whole process through its users' interfaces: sockets, signals, files, exit codes.

// This is test code, helpers included: a panic is how it fails, and nothing is reachable.
#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "../support/harness.rs"]
mod support;

mod access_log;
mod answers;
mod background;
mod commands;
mod conditional;
mod entry;
mod gating;
mod grpc;
mod handover;
mod history;
mod lag;
mod limits;
mod looking;
mod metrics;
mod mistakes;
mod noise;
mod openapi;
mod outside;
mod pty;
mod quoted;
mod readme;
mod recheck;
mod reloads;
mod routes;
mod screens;
mod suggestions;
mod survival;
mod terminal;
mod trouble;
mod trust;
mod verdicts;

use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    net::TcpListener,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};
use support::{Caller, Reply, Sidecar, Stack, eventually, json as answer, twinread};

const ONE: &str = r#"{"id": 1, "price": 9.5}"#;
const OTHER: &str = r#"{"id": 1, "price": 9.7}"#;

#[test]
fn a_mismatch_is_found_counted_stored_and_judged() {
    let (old, new) = (Stack::json(ONE), Stack::json(OTHER));
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    let mut caller = sidecar.caller();

    for _ in 0..20 {
        let answer = caller.get("/items/17");
        assert_eq!((answer.status, answer.body), (200, ONE.into()));
    }
    assert_eq!(sidecar.judged(20), 20);

    let detail = r#"outcome="mismatch""#;
    assert_eq!(sidecar.metric("twinread_checks_total", detail), 20.0);
    let verdict = sidecar.ask("/v1/verdict");
    assert_eq!(verdict["verdict"], "unsafe", "{verdict}");
    assert_eq!(verdict["routes"][0]["route"], "GET /items/{}");
    let classes = eventually("the class is kept", || {
        let classes = sidecar.ask("/v1/classes");
        (classes["classes"][0]["count"] == 20).then_some(classes)
    });
    assert_eq!(classes["classes"][0]["place"], "$.price");
    assert_eq!(classes["classes"][0]["kind"], "value");
    let page = sidecar.ask("/v1/mismatches?limit=1");
    // Excludes the neighbouring times: a clock may contain 9.5 as well.
    let shown = &page["mismatches"][0];
    let text = ["differences", "/old/body", "/new/body"].map(|part| match shown.pointer(part) {
        Some(body) => body.to_string(),
        None => shown[part].to_string(),
    });
    let text = text.concat();
    assert!(text.matches("number(").count() >= 4, "masked: {text}");
    assert!(!text.contains("9.5") && !text.contains("9.7"), "{text}");
}

#[test]
fn equal_answers_are_matches_and_nothing_else() {
    let spaced = "{\"price\":9.50,   \"id\":1}";
    let (old, new) = (Stack::json(ONE), Stack::json(spaced));
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    let mut caller = sidecar.caller();
    for _ in 0..50 {
        caller.get("/items/17");
    }

    assert_eq!(sidecar.quiet(50), 50);
    let exact = r#"detail="exact""#;
    assert_eq!(sidecar.metric("twinread_checks_total", exact), 50.0);
}

#[test]
fn only_reads_reach_the_new_stack() {
    let (old, new) = (Stack::json(ONE), Stack::json(ONE));
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    let mut caller = sidecar.caller();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let request = format!("{method} /items HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(caller.send(&request).status, 200);
    }
    caller.get("/items");

    assert_eq!(sidecar.quiet(1), 1);
    assert_eq!((old.request_count(), new.request_count()), (6, 1));
}

#[test]
fn changed_rate_holds_for_the_next_request_on_open_connections() {
    let (old, new) = (Stack::json(ONE), Stack::json(ONE));
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    let patched = sidecar.patch(r#"{"sample": {"rate": 0}}"#);
    assert_eq!(patched.status, 200);
    let done = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (mut caller, done) = (sidecar.caller(), done.clone());
            thread::spawn(move || {
                let mut sent = 0;
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(caller.get("/items/17").body, ONE.as_bytes());
                    sent += 1;
                }
                sent
            })
        })
        .collect();
    let mut own = sidecar.caller();
    for round in 1..=50_u64 {
        own.get("/own");
        let before = sidecar.metric("twinread_sampled_total", r#"route="GET /own""#);
        assert_eq!(before as u64, round - 1, "nothing is sampled at 0");
        assert_eq!(sidecar.patch(r#"{"sample": {"rate": 1}}"#).status, 200);
        own.get("/own");
        assert_eq!(sidecar.patch(r#"{"sample": {"rate": 0}}"#).status, 200);
        let after = sidecar.metric("twinread_sampled_total", r#"route="GET /own""#);
        assert_eq!(after as u64, round, "the next request is sampled at 1");
    }
    done.store(true, Ordering::Relaxed);
    let sent: u64 = callers
        .into_iter()
        .map(|caller| caller.join().unwrap())
        .sum();

    assert!(sent > 0);
    sidecar.quiet(50);
    assert_eq!(sidecar.ask("/v1/settings")["revision"], 102);
}

#[test]
fn samples_under_load_with_a_failing_shadow_all_have_an_outcome() {
    const CALLERS: usize = 64;
    const REQUESTS: usize = 10_000;
    let old = Stack::json(ONE);
    let failing = AtomicUsize::new(0);
    let new = Stack::start(
        move |_| match failing.fetch_add(1, Ordering::Relaxed) % 50 {
            49 => Reply::NOTHING,
            _ => answer(ONE),
        },
    );
    let more = "queue: {max_length: 16}\ncapture: {max_total: 1MiB}\n";
    let sidecar = Arc::new(Sidecar::start(old.addr, new.addr, more));
    let left = Arc::new(AtomicUsize::new(REQUESTS));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (mut caller, left) = (sidecar.caller(), left.clone());
            let take = move || {
                let take = |left: usize| left.checked_sub(1);
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            };
            thread::spawn(move || {
                while take().is_ok() {
                    let answer = caller.get("/items/17");
                    assert_eq!((answer.status, answer.body), (200, ONE.into()));
                }
            })
        })
        .collect();
    while left.load(Ordering::Relaxed) > 0 {
        let held = sidecar.metric("twinread_captured_bytes", "");
        assert!(held <= f64::from(1 << 20), "{held} bytes are captured");
    }
    for caller in callers {
        caller.join().unwrap();
    }

    assert_eq!(sidecar.quiet(REQUESTS as u64), REQUESTS as u64);
    let count = |label: &str| sidecar.metric("twinread_checks_total", label) as usize;
    let matches = count(r#"outcome="match""#);
    let errors = count(r#"outcome="shadow_error""#);
    let shed = count(r#"outcome="not_compared""#);
    assert_eq!(matches + errors + shed, REQUESTS);
    assert!(matches > 0 && errors > 0, "{matches} and {errors}");
    assert_eq!(count(r#"detail="internal""#), 0);
    assert_eq!(sidecar.metric("twinread_captured_bytes", ""), 0.0);
}

#[test]
fn sigterm_lets_the_live_request_end_and_finishes_its_check() {
    let (entered, enters) = mpsc::sync_channel(1);
    let (leave, leaves) = mpsc::channel::<()>();
    let leaves = Mutex::new(leaves);
    let old = Stack::start(move |_| {
        entered.send(()).unwrap();
        leaves.lock().unwrap().recv().unwrap();
        answer(ONE)
    });
    let new = Stack::json(ONE);
    let mut sidecar = Sidecar::start(old.addr, new.addr, "");
    let mut caller = sidecar.caller();
    caller.write("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n");
    enters.recv().unwrap();

    sidecar.signal(Signal::TERM);
    eventually("it is not ready", || {
        (Caller::connect(sidecar.admin).get("/readyz").status == 503).then_some(())
    });
    assert!(sidecar.is_running(), "a live request is under way");
    leave.send(()).unwrap();

    assert_eq!(caller.read().unwrap().body, ONE.as_bytes());
    assert_eq!(sidecar.exited().code(), Some(0));
    assert_eq!(new.request_count(), 1, "the accepted check was made");
}

#[test]
fn a_second_signal_ends_at_once() {
    let (entered, enters) = mpsc::sync_channel(1);
    let old = Stack::start(move |_| {
        entered.send(()).unwrap();
        loop {
            thread::park();
        }
    });
    let mut sidecar = Sidecar::start(old.addr, Stack::json(ONE).addr, "drain: {grace: 1h}\n");
    let mut caller = sidecar.caller();
    caller.write("GET /hangs HTTP/1.1\r\nhost: a\r\n\r\n");
    enters.recv().unwrap();
    sidecar.signal(Signal::TERM);
    eventually("it ends", || {
        (Caller::connect(sidecar.admin).get("/readyz").status == 503).then_some(())
    });
    assert!(sidecar.is_running());

    sidecar.signal(Signal::TERM);

    assert_eq!(sidecar.exited().code(), Some(0));
}

#[test]
fn a_hanging_shadow_is_not_waited_for_by_any_caller() {
    let old = Stack::json(ONE);
    let new = Stack::start(|_| {
        loop {
            thread::park();
        }
    });
    let more = "queue: {max_length: 4}\ndrain: {grace: 0s}\n";
    let mut sidecar = Sidecar::start(old.addr, new.addr, more);
    // Longer than any caller waits, so that a caller that waits for the shadow fails.
    assert_eq!(sidecar.patch(r#"{"new": {"timeout": "10m"}}"#).status, 200);
    let gate = Arc::new(Barrier::new(4));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (mut caller, gate) = (sidecar.caller(), gate.clone());
            thread::spawn(move || {
                gate.wait();
                for _ in 0..200 {
                    assert_eq!(caller.get("/items/17").body, ONE.as_bytes());
                }
            })
        })
        .collect();
    for caller in callers {
        caller.join().unwrap();
    }

    // All are answered before the shadow has given a single answer.
    assert_eq!(sidecar.metric("twinread_sampled_total", ""), 800.0);
    assert_eq!(
        sidecar.metric("twinread_checks_total", r#"outcome="match""#),
        0.0
    );
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.exited().code(), Some(0));
}

#[test]
fn a_good_file_is_reloaded_and_a_bad_one_changes_nothing() {
    let (old, new) = (Stack::json(ONE), Stack::json(OTHER));
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    let path = sidecar.folder.path().join("twinread.yaml");
    let config = std::fs::read_to_string(&path).unwrap();
    let epoch = sidecar.ask("/v1/verdict")["epoch"]["id"].clone();

    std::fs::write(&path, format!("{config}rulez: []\n")).unwrap();
    eventually("the failure is counted", || {
        let failures = sidecar.metric("twinread_reload_failures_total", "");
        (failures >= 1.0).then_some(())
    });
    assert_eq!(sidecar.ask("/v1/verdict")["epoch"]["id"], epoch);

    let rules = "rules:\n- id: price\n  why: rounding\n  at: $.price\n  do: ignore\n";
    std::fs::write(sidecar.folder.path().join("own.yaml"), rules).unwrap();
    std::fs::write(
        &path,
        format!("{config}rules: ['builtin:http', own.yaml]\n"),
    )
    .unwrap();
    eventually("other rules begin an epoch", || {
        let verdict = sidecar.ask("/v1/verdict");
        (verdict["epoch"]["id"] != epoch).then_some(())
    });

    sidecar.caller().get("/items/17");
    sidecar.quiet(1);
    let masked = sidecar.metric("twinread_rule_masked_total", r#"rule="price""#);
    assert_eq!(masked, 1.0);
    let verdict = sidecar.ask("/v1/verdict");
    assert_eq!(verdict["routes"][0]["match"]["rules"], 1, "{verdict}");
}

#[test]
fn a_wrong_configuration_exits_64_with_every_fault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.yaml");
    let config =
        "listne: 127.0.0.1:1\nold: {url: 'ftp://a'}\nnew: {url: 'http://b'}\nsample: {rate: 2}\n";
    std::fs::write(&path, config).unwrap();
    for command in [vec!["run", "--config"], vec!["check"]] {
        let output = twinread().args(command).arg(&path).output().unwrap();
        let shown = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{shown}");
        for expected in [":1:1: ", "did you mean `listen`", ":2:12: ", ":4:16: "] {
            assert!(shown.contains(expected), "{expected} in {shown}");
        }
    }
}

#[test]
fn an_address_that_is_taken_exits_69() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let stacks = [
        "--old",
        "http://127.0.0.1:9",
        "--new",
        "http://127.0.0.1:10",
    ];
    let ways = [
        ["--listen", &addr, "--admin", "127.0.0.1:0"],
        ["--listen", "127.0.0.1:0", "--admin", &addr],
    ];
    for way in ways {
        let output = twinread()
            .arg("run")
            .args(way)
            .args(stacks)
            .output()
            .unwrap();
        let shown = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(69), "{shown}");
        assert!(shown.contains(&addr), "{shown}");
    }
}

#[test]
fn set_status_and_gate_speak_with_the_running_process() {
    let (old, new) = (Stack::json(ONE), Stack::json(OTHER));
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    let admin = format!("http://{}", sidecar.admin);
    let call = |args: &[&str]| {
        let output = twinread().args(args).args(["--admin", &admin]).output();
        let output = output.unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), shown)
    };
    assert_eq!(call(&["gate"]).0, Some(2));
    let (code, _) = call(&["set", "sample.rate=0.5", "sample.max_per_second=50"]);
    assert_eq!(code, Some(0));
    let settings = sidecar.ask("/v1/settings");
    assert_eq!(
        settings["settings"]["sample.rate"],
        json!({"value": 0.5, "source": "api", "hidden": 1.0})
    );
    assert_eq!(call(&["set", "sample.rate=5"]).0, Some(64));
    assert_eq!(
        call(&["set", "sample.rate=1", "sample.max_per_second=null"]).0,
        Some(0)
    );
    let mut caller = sidecar.caller();
    for _ in 0..20 {
        caller.get("/items/17");
    }
    sidecar.judged(20);

    let (code, shown) = call(&["gate", "--json"]);
    let verdict: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((code, &verdict["verdict"]), (Some(1), &json!("unsafe")));
    let (code, shown) = call(&["status"]);
    assert_eq!(code, Some(0));
    assert!(shown.contains("GET /items/{}"), "{shown}");
    drop(sidecar);
    assert_eq!(call(&["gate"]).0, Some(69));
    assert_eq!(
        twinread()
            .arg("gate")
            .arg("--wat")
            .output()
            .unwrap()
            .status
            .code(),
        Some(64)
    );
}

#[test]
fn the_primary_can_be_switched_while_it_runs() {
    let (old, new) = (Stack::json(ONE), Stack::json(OTHER));
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    let mut caller: Caller = sidecar.caller();
    assert_eq!(caller.get("/items/17").body, ONE.as_bytes());
    assert_eq!(sidecar.patch(r#"{"serve": {"new": 100}}"#).status, 200);
    assert_eq!(caller.get("/items/17").body, OTHER.as_bytes());

    assert_eq!(sidecar.quiet(2), 2);
    let detail = r#"outcome="mismatch""#;
    assert_eq!(sidecar.metric("twinread_checks_total", detail), 2.0);
}
