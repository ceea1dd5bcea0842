//! What callers may control, and what the stacks receive of it.

use crate::support::{Caller, Reply, Sidecar, Stack, eventually, json, twinread};
use std::sync::{Arc, Mutex};

const BODY: &str = r#"{"a": 1}"#;

/// A stack, and the heads of the requests that it receives.
fn recording() -> (Stack, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::<Mutex<Vec<String>>>::default();
    let record = heads.clone();
    let stack = Stack::start(move |head| {
        record.lock().unwrap().push(head.to_lowercase());
        json(BODY)
    });
    (stack, heads)
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n")
}

#[test]
fn forced_checks_are_reported_and_are_no_evidence() {
    let old = Stack::json(BODY);
    let new = Stack::start(|head| {
        if head.starts_with("GET /wrong") {
            json(r#"{"a": 2}"#)
        } else {
            json(BODY)
        }
    });
    let more =
        "live_token: s3cret\nverdict: {max_mismatch: 0.5, max_error: 0.5, confidence: 0.5}\n";
    let sidecar = Sidecar::start(old.addr, new.addr, more);
    let mut caller = sidecar.caller();
    for _ in 0..40 {
        caller.get("/wrong");
    }
    sidecar.quiet(40);
    eventually("it is unsafe", || {
        (sidecar.ask("/v1/verdict")["verdict"] == "unsafe").then_some(())
    });

    let forced = "x-twinread-token: s3cret\r\nx-twinread-sample: 1\r\n";
    for _ in 0..200 {
        caller.send(&get("/fine", forced));
    }
    caller.send(&get("/wrong", forced));
    assert_eq!(sidecar.quiet(241), 241);
    assert_eq!(new.request_count(), 241);
    assert_eq!(
        sidecar.metric("twinread_checks_total", "outcome=\"mismatch\""),
        41.0
    );
    let verdict = sidecar.ask("/v1/verdict");
    assert_eq!(verdict["verdict"], "unsafe", "{verdict}");
    let routes = verdict["routes"].as_array().unwrap();
    for (name, counted) in [("GET /wrong", [41, 1]), ("GET /fine", [200, 200])] {
        let route = routes.iter().find(|route| route["route"] == name).unwrap();
        assert_eq!([&route["sampled"], &route["forced"]], counted, "{route}");
        let is_evidence = route["coverage"].is_number();
        assert_eq!(is_evidence, name == "GET /wrong", "{route}");
    }
    eventually("the forced mismatch is stored as well", || {
        let stored = sidecar.ask("/v1/mismatches");
        (stored["mismatches"].as_array()?.len() == 41).then_some(())
    });
}

#[test]
fn an_outsider_cannot_force_a_sample() {
    let stack = Stack::json(BODY);
    let new = Stack::json(BODY);
    let sidecar = Sidecar::start(stack.addr, new.addr, "");
    assert_eq!(sidecar.patch(r#"{"sample": {"rate": 0}}"#).status, 200);
    let mut caller = sidecar.caller();
    for headers in [
        "x-twinread-sample: 1\r\n",
        "x-twinread-token: \r\nx-twinread-sample: 1\r\n",
    ] {
        assert_eq!(caller.send(&get("/", headers)).status, 200);
    }
    assert_eq!(sidecar.metric("twinread_sampled_total", ""), 0.0);
}

#[test]
fn one_place_for_both_stacks_is_never_safe() {
    let stack = Stack::json(BODY);
    let more =
        "allow_same_stack: true\nverdict: {max_mismatch: 0.5, max_error: 0.5, confidence: 0.5}\n";
    let sidecar = Sidecar::start(stack.addr, stack.addr, more);
    let mut caller = sidecar.caller();
    (0..100).for_each(|_| drop(caller.get("/")));
    sidecar.quiet(100);
    let verdict = eventually("nothing else keeps it from safe", || {
        let verdict = sidecar.ask("/v1/verdict");
        let reasons = verdict["reasons"].as_array().unwrap();
        (reasons.len() == 1).then_some(verdict)
    });
    assert_eq!(verdict["reasons"][0]["code"], "same_stack", "{verdict}");
    assert_eq!(verdict["verdict"], "undecided");
}

#[test]
fn live_requests_and_replays_are_marked_with_the_instance() {
    let ((old, live), (new, replays)) = (recording(), recording());
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    let headers = "x-twinread: shadow\r\nx-twinread-hop: abc\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    sidecar.caller().send(&get("/", headers));
    sidecar.quiet(1);
    let (live, replay) = (
        live.lock().unwrap().remove(0),
        replays.lock().unwrap().remove(0),
    );
    let hops = |head: &str| -> Vec<String> {
        let lines = head
            .lines()
            .filter_map(|line| line.strip_prefix("x-twinread-hop: "));
        lines.map(str::to_owned).collect()
    };
    assert_eq!((hops(&live).len(), &*hops(&live)[0]), (2, "abc"), "{live}");
    assert_eq!(hops(&live), hops(&replay));
    assert!(!live.contains("x-twinread: "), "{live}");
    assert!(replay.contains("x-twinread: shadow\r\n"), "{replay}");
    assert!(replay.contains("traceparent: 00-"), "{replay}");
}

#[test]
fn forwarded_headers_reach_both_stacks_alike() {
    let ((old, live), (new, replays)) = (recording(), recording());
    let sidecar = Sidecar::start(old.addr, new.addr, "forwarded: append\n");
    sidecar
        .caller()
        .send(&get("/", "x-forwarded-for: 10.0.0.1\r\n"));
    sidecar.quiet(1);
    for heads in [live, replays] {
        let head = heads.lock().unwrap().remove(0);
        for header in [
            "x-forwarded-for: 10.0.0.1, 127.0.0.1\r\n",
            "x-forwarded-proto: http\r\n",
            "x-forwarded-host: localhost\r\n",
        ] {
            assert!(head.contains(header), "{header} in {head}");
        }
    }
}

#[test]
fn what_twinread_adds_to_replays_can_be_left_out() {
    let ((old, live), (new, replays)) = (recording(), recording());
    let headers = "{set: {x-twinread: live}, remove: [x-twinread, traceparent, tracestate]}";
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nold: {{url: 'http://{}'}}\n\
         new: {{url: 'http://{}', headers: {headers}}}\nsample: {{rate: 1}}\nlog: {{format: json}}\n",
        old.addr, new.addr
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("twinread.yaml");
    std::fs::write(&path, config).unwrap();
    let sidecar = Sidecar::run(twinread(), folder);
    let traced = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\ntracestate: a=1\r\n";
    sidecar.caller().send(&get("/", traced));
    sidecar.quiet(1);
    let replay = replays.lock().unwrap().remove(0);
    for header in ["x-twinread: ", "traceparent: ", "tracestate: "] {
        assert!(!replay.contains(header), "{replay}");
    }
    assert!(live.lock().unwrap()[0].contains("traceparent: "));
}

#[test]
fn a_loop_is_answered_with_508_and_shown() {
    let to = Arc::<std::sync::OnceLock<_>>::default();
    let target = to.clone();
    let old = Stack::start(move |head| {
        let answer = Caller::connect(*target.get().unwrap()).send(head);
        let body = String::from_utf8(answer.body).unwrap();
        Reply::Write(answer.head + &body)
    });
    let new = Stack::json(BODY);
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    to.set(sidecar.listen).unwrap();
    assert_eq!(sidecar.caller().get("/").status, 508);
    assert_eq!(
        sidecar.metric("twinread_live_failures_total", "cause=\"loop\""),
        1.0
    );
    assert_eq!(old.request_count(), 1);
}

#[test]
fn one_url_for_both_stacks_is_refused_at_check_start_and_reload() {
    let folder = tempfile::tempdir().unwrap();
    let config = "old: {url: 'http://127.0.0.1:1'}\nnew: {url: 'http://localhost:1'}\nlisten: 127.0.0.1:0\nadmin: 127.0.0.1:0\n";
    std::fs::write(folder.path().join("twinread.yaml"), config).unwrap();
    let fault = "twinread.yaml:2:12: new.url: the same place as old.url";
    for command in [
        &["check", "twinread.yaml"][..],
        &["run", "--config", "twinread.yaml"],
    ] {
        let output = twinread()
            .current_dir(folder.path())
            .args(command)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{stderr}");
        assert!(stderr.starts_with(fault), "{stderr}");
    }
    let allowed = format!("{config}allow_same_stack: true\n");
    std::fs::write(folder.path().join("twinread.yaml"), allowed).unwrap();
    let check = ["check", "twinread.yaml"];
    let output = twinread()
        .current_dir(folder.path())
        .args(check)
        .output()
        .unwrap();
    let found = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{found}");
    assert!(
        found.starts_with("twinread.yaml:2:12: warning: new.url: the same place"),
        "{found}"
    );

    let (old, new) = (Stack::json(BODY), Stack::json(BODY));
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    let path = sidecar.folder.path().join("twinread.yaml");
    let good = std::fs::read_to_string(&path).unwrap();
    let same = good.replace(&new.addr.to_string(), &old.addr.to_string());
    std::fs::write(&path, same).unwrap();
    eventually("the reload is refused", || {
        (sidecar.metric("twinread_reload_failures_total", "") >= 1.0).then_some(())
    });
}

#[test]
fn a_live_token_is_changed_by_the_file_and_never_shown() {
    let (old, new) = (Stack::json(BODY), Stack::json(BODY));
    let sidecar = Sidecar::start(old.addr, new.addr, "live_token: first-secret\n");
    assert_eq!(sidecar.patch(r#"{"sample": {"rate": 0}}"#).status, 200);
    let path = sidecar.folder.path().join("twinread.yaml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("first-secret", "second-secret")).unwrap();
    let forced = "x-twinread-token: second-secret\r\nx-twinread-sample: 1\r\n";
    eventually("the new token is in force", || {
        sidecar.caller().send(&get("/", forced));
        (sidecar.metric("twinread_sampled_total", "") > 0.0).then_some(())
    });
    for path in ["/v1/settings", "/v1/settings/history", "/v1/verdict"] {
        let shown = Caller::connect(sidecar.admin).get(path).body;
        let shown = String::from_utf8(shown).unwrap();
        assert!(!shown.contains("secret"), "{shown}");
    }
}
