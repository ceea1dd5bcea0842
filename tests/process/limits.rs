//! A process with a low limit of open files: neither callers nor the shadow may end it.

use crate::support::{
    Caller, Sidecar, Stack, eventually,
    http2::{Http2Stack, Manner},
    json, twinread,
};
use http::Response;
use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
use std::{thread, time::Duration};
use tokio::runtime::Runtime;

const ONE: &str = r#"{"id": 1}"#;

/// From here on the process can open no file. Returns its limits before.
fn open_no_more_files(sidecar: &Sidecar) -> Rlimit {
    let none = Rlimit {
        current: Some(3),
        ..getrlimit(Resource::Nofile)
    };
    prlimit(Some(sidecar.process()), Resource::Nofile, none).unwrap()
}

/// The old stack has fewer connections than these callers need at once.
fn three_callers_are_answered_without_further_files(sidecar: &Sidecar) {
    let mut callers: Vec<_> = (0..3).map(|_| sidecar.caller()).collect();
    for caller in &mut callers {
        assert_eq!(caller.get("/items/17").status, 200);
    }
    open_no_more_files(sidecar);
    for caller in &mut callers {
        caller.write("GET /items/17 HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    for caller in &mut callers {
        assert_eq!(caller.read().unwrap().status, 200);
    }
}

/// A stack that accepts requests and never answers.
fn hanging() -> Stack {
    Stack::start(|_| {
        loop {
            thread::park();
        }
    })
}

#[test]
fn refused_requests_for_an_upgrade_leave_no_file_open() {
    let old = Stack::json(ONE);
    let sidecar = Sidecar::with_open_files(256, (old.addr, Stack::json(ONE).addr), "");
    assert_eq!(sidecar.patch(r#"{"sample": {"rate": 0}}"#).status, 200);
    sidecar.caller().get("/");
    let before = sidecar.open_files();
    let ask = "GET * HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    for _ in 0..300 {
        assert_eq!(sidecar.caller().send(ask).status, 400);
    }
    assert_eq!(sidecar.caller().get("/").status, 200);
    assert_eq!(Caller::connect(sidecar.admin).get("/livez").status, 200);
    eventually("every file is closed", || {
        (sidecar.open_files() <= before).then_some(())
    });
}

#[test]
fn a_hanging_shadow_takes_no_file_that_callers_need() {
    let (old, new) = (Stack::json(ONE), hanging());
    let more = "queue: {max_length: 8}\ndrain: {grace: 0s}\n";
    let sidecar = Sidecar::with_open_files(64, (old.addr, new.addr), more);
    let callers: Vec<_> = (0..12)
        .map(|_| {
            let listen = sidecar.listen;
            thread::spawn(move || {
                for _ in 0..10 {
                    let mut caller = Caller::connect(listen);
                    for _ in 0..5 {
                        assert_eq!(caller.get("/items/17").status, 200);
                        thread::sleep(Duration::from_millis(5));
                    }
                }
            })
        })
        .collect();
    while callers.iter().any(|caller| !caller.is_finished()) {
        let livez = Caller::connect(sidecar.admin).get("/livez");
        assert_eq!(livez.status, 200, "callers hold no probe up");
        thread::sleep(Duration::from_millis(20));
    }
    for caller in callers {
        caller.join().unwrap();
    }
    let counted = |label| sidecar.metric("twinread_bound_reached_total", label);
    assert!(counted(r#"bound="open_files""#) > 0.0);
    let detail = r#"detail="over_budget""#;
    assert!(sidecar.metric("twinread_checks_total", detail) > 0.0);
}

#[test]
fn callers_wait_while_no_file_can_be_opened() {
    let old = Stack::json(ONE);
    let sidecar = Sidecar::start(old.addr, Stack::json(ONE).addr, "");
    assert_eq!(sidecar.patch(r#"{"sample": {"rate": 0}}"#).status, 200);
    let mut kept = sidecar.caller();
    assert_eq!(kept.get("/items/17").status, 200);
    let limits = open_no_more_files(&sidecar);
    let mut waiting: Vec<_> = (0..5).map(|_| sidecar.caller()).collect();
    for caller in &mut waiting {
        caller.write("GET /items/17 HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    eventually("accepting fails", || {
        let message = "failed to accept a connection; backing off";
        sidecar.logged(message).pop()
    });
    assert_eq!(kept.get("/items/17").status, 200, "nobody else is harmed");

    prlimit(Some(sidecar.process()), Resource::Nofile, limits).unwrap();
    for mut caller in waiting {
        assert_eq!(caller.read().unwrap().status, 200);
    }
}

#[test]
fn callers_share_connections_while_no_file_can_be_opened() {
    let old = Stack::start(|_| {
        thread::sleep(Duration::from_millis(200));
        json(ONE)
    });
    let sidecar = Sidecar::start(old.addr, Stack::json(ONE).addr, "");
    assert_eq!(sidecar.patch(r#"{"sample": {"rate": 0}}"#).status, 200);
    three_callers_are_answered_without_further_files(&sidecar);
}

#[test]
fn streams_are_shared_while_no_file_can_be_opened() {
    let runtime = Runtime::new().unwrap();
    let manner = Manner {
        max_streams: Some(1),
        ..Manner::default()
    };
    let stack = Http2Stack::with(manner, |_, mut respond, _| async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        respond.send_response(Response::new(()), true).unwrap();
    });
    let old = runtime.block_on(stack);
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nold: {{url: 'http://{}', http2: true}}\n\
         new: {{url: 'http://{}'}}\nsample: {{rate: 0}}\nlog: {{format: json}}\n",
        old.addr,
        Stack::nobody()
    );
    std::fs::write(folder.path().join("twinread.yaml"), config).unwrap();
    let sidecar = Sidecar::run(twinread(), folder);
    three_callers_are_answered_without_further_files(&sidecar);
    assert!(old.connections() < 3);
}

#[test]
fn configured_limits_hold_and_leave_the_probes_alone() {
    let old = hanging();
    let more = "limits: {connections: 20, head_timeout: 100ms, body_stall: 100ms}\n";
    let sidecar = Sidecar::start(old.addr, Stack::json(ONE).addr, more);
    let half = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n";
    let mut callers: Vec<_> = ["", "GET / HT", half]
        .repeat(20)
        .into_iter()
        .map(|begun| {
            let mut caller = sidecar.caller();
            caller.write(begun);
            caller
        })
        .collect();
    assert_eq!(Caller::connect(sidecar.admin).get("/livez").status, 200);
    let answers = callers.iter_mut().filter_map(Caller::read);
    assert!(answers.map(|answer| answer.status).eq([408; 20]));
    let counted = |bound: &str| {
        let label = format!(r#"bound="{bound}""#);
        sidecar.metric("twinread_bound_reached_total", &label)
    };
    assert_eq!(
        (counted("head_timeout"), counted("body_stall")),
        (40.0, 20.0)
    );
    assert!(counted("connections") > 0.0);
}

#[test]
fn the_soft_limit_of_open_files_is_raised_to_the_hard_one() {
    let old = Stack::start(|_| json(ONE));
    let sidecar = Sidecar::with_open_files(200, (old.addr, Stack::json(ONE).addr), "");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", sidecar.pid())).unwrap();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let mut numbers = files.unwrap().split_whitespace().skip(3);
    assert_eq!(numbers.next(), numbers.next());
}
