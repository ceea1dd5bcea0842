//! The admin API over real sockets, on a state without a live path.

mod commands;
mod harness;
mod openapi;

use harness::{Answer, Mismatched, Running, check_clean, state};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time,
};
use twinread::testing::{
    admin,
    ledger::{AnsweredBy, Bound},
};

#[tokio::test]
async fn the_probes_are_open_and_say_what_is_missing() {
    let running = Running::start(Some("s3cret")).await;
    assert_eq!(running.get("/livez").await.status, 200);
    assert_eq!(running.get("/readyz").await.status, 200);
    let metrics = running.get("/metrics").await;
    assert!(metrics.body.contains("twinread_build_info"), "{metrics:?}");
    assert_eq!(
        metrics.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );

    running.state.readiness.end();
    let unready = running.get("/readyz").await;
    unready.assert_problem(503);
    assert!(unready.body.contains("it is ending"), "{unready:?}");
}

#[tokio::test]
async fn the_gate_shuts_until_the_verdict_is_safe() {
    let running = Running::start(None).await;
    let plain = running.get("/v1/verdict").await;
    let gate = running.get("/v1/verdict?format=gate").await;
    assert_eq!((plain.status, gate.status), (200, 412));
    assert_eq!(plain.json(), gate.json());
    assert_eq!(gate.json()["verdict"], "undecided");
    assert_eq!(gate.json()["reasons"][0]["code"], "no_traffic");

    check_clean(&running.ledger, 6_000);

    let gate = running.get("/v1/verdict?format=gate").await;
    assert_eq!(gate.status, 200, "{gate:?}");
    assert_eq!(gate.json()["verdict"], "safe");
    running
        .get("/v1/verdict?format=door")
        .await
        .assert_problem(400);
    running.get("/v1/verdict?wait=1").await.assert_problem(400);
}

#[tokio::test]
async fn settings_are_shown_with_their_revision_and_changed_under_it() {
    let running = Running::start(None).await;
    let before = running.get("/v1/settings").await;
    assert_eq!(before.header("etag"), "\"7\"");
    assert_eq!(before.json()["revision"], 7);

    let patch = r#"{"sample": {"rate": 0.25}}"#;
    let after = running.patch(&[("if-match", "\"7\"")], patch).await;
    assert_eq!(after.status, 200, "{after:?}");
    assert_eq!(after.header("etag"), "\"8\"");
    let setting = &after.json()["settings"]["sample.rate"];
    assert_eq!(
        setting,
        &json!({"value": 0.25, "source": "api", "hidden": 0.05})
    );

    for stale in ["\"7\"", "W/\"8\"", "8", "\"7\", \"9\""] {
        let refused = running.patch(&[("if-match", stale)], patch).await;
        refused.assert_problem(412);
        assert_eq!(refused.header("etag"), "\"8\"");
    }
    for (current, rate) in [("*", 0.5), ("\"9\"", 0.75), ("\"1\", \"10\"", 1.0)] {
        let patch = format!(r#"{{"sample": {{"rate": {rate}}}}}"#);
        let taken = running.patch(&[("if-match", current)], &patch).await;
        assert_eq!(taken.status, 200, "{current}: {taken:?}");
    }
}

#[tokio::test]
async fn what_was_changed_is_shown_page_by_page() {
    let running = Running::start(None).await;
    for rate in ["0.25", "0.5", "0.75"] {
        let patch = format!(r#"{{"sample": {{"rate": {rate}}}}}"#);
        assert_eq!(running.patch(&[], &patch).await.status, 200);
    }

    let page = running.get("/v1/settings/history?limit=2").await.json();

    let newest = &page["changes"][0];
    assert_eq!(
        (&newest["from"], &newest["to"]),
        (&json!(0.5), &json!(0.75))
    );
    assert_eq!(newest["source"], "api");
    assert!(newest["caller"].as_str().unwrap().starts_with("127.0.0.1:"));
    let next = page["next"].as_str().unwrap();
    let rest = running
        .get(&format!("/v1/settings/history?cursor={next}"))
        .await
        .json();
    assert_eq!(rest["changes"].as_array().unwrap().len(), 1);
    assert_eq!(rest["next"], json!(null));
    for wrong in ["limit=0", "limit=1001", "cursor=x", "cursor=-1", "page=2"] {
        let refused = running.get(&format!("/v1/settings/history?{wrong}")).await;
        refused.assert_problem(400);
    }
}

#[tokio::test]
async fn a_bad_patch_changes_nothing_and_every_fault_is_reported() {
    let running = Running::start(None).await;
    let wrong = r#"{"sample": {"rate": 12}, "paused": 3}"#;
    let invalid = running.patch(&[], wrong).await;
    invalid.assert_problem(422);
    assert_eq!(invalid.json()["faults"].as_array().unwrap().len(), 2);
    running.patch(&[], "{").await.assert_problem(400);
    running.patch(&[], "[1]").await.assert_problem(422);
    let twice = r#"{"sample": {"rate": 0, "r\u0061te": 1}}"#;
    for refused in [
        running.patch(&[], twice).await,
        running
            .call("POST", "/v1/epoch", &[], r#"{"rate": 1, "rate": 1}"#)
            .await,
    ] {
        refused.assert_problem(400);
        let shown = refused.json()["detail"].to_string();
        assert!(
            shown.contains("rate") && shown.contains("given twice"),
            "{shown}"
        );
    }
    let large = format!("{{\"a\": \"{}\"}}", "x".repeat(2 << 20));
    running.patch(&[], &large).await.assert_problem(413);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let refused = running.call("PATCH", "/v1/settings", &form, "a=1").await;
    refused.assert_problem(415);
    assert!(refused.header("accept-patch").contains("merge-patch"));

    assert_eq!(running.get("/v1/settings").await.header("etag"), "\"7\"");
}

#[tokio::test]
async fn a_token_guards_all_of_v1() {
    let running = Running::start(Some("s3cret")).await;
    for path in ["/v1/verdict", "/v1/settings", "/v1/nothing", "/v1"] {
        let refused = running.get(path).await;
        refused.assert_problem(401);
        assert!(refused.header("www-authenticate").starts_with("Bearer"));
    }
    let wrong = [("authorization", "Bearer s3creT")];
    let refused = running.call("GET", "/v1/verdict", &wrong, "").await;
    refused.assert_problem(401);

    let right = [
        ("authorization", "Bearer s3cret"),
        ("host", "twinread.internal"),
    ];
    let admitted = running.call("GET", "/v1/verdict", &right, "").await;
    assert_eq!(admitted.status, 200);
}

#[tokio::test]
async fn a_foreign_page_can_neither_write_nor_rebind_a_name() {
    let running = Running::start(None).await;
    let patch = r#"{"sample": {"rate": 1}}"#;
    let foreign = [("origin", "http://evil.example")];
    running.patch(&foreign, patch).await.assert_problem(403);
    let begun = running.call("POST", "/v1/epoch", &foreign, "").await;
    begun.assert_problem(403);
    let rebound = [("host", "evil.example:9900")];
    let read = running.call("GET", "/v1/verdict", &rebound, "").await;
    read.assert_problem(403);
    assert_eq!(running.get("/v1/settings").await.header("etag"), "\"7\"");

    let own = format!("http://{}", running.addr);
    let taken = running.patch(&[("origin", &own)], patch).await;
    assert_eq!(taken.status, 200);
}

#[tokio::test]
async fn epochs_begin_with_a_label_and_stay_readable() {
    let running = Running::start(None).await;
    check_clean(&running.ledger, 3);
    let body = r#"{"label": "build 812"}"#;
    let begun = running.call("POST", "/v1/epoch", &[], body).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    assert_eq!(begun.json()["label"], "build 812");
    assert_eq!(
        running.get("/v1/verdict").await.json()["epoch"],
        begun.json()
    );

    let epochs = running.get("/v1/epochs").await.json();
    assert_eq!(epochs["epochs"][0]["id"], begun.json()["id"]);
    let old = &epochs["epochs"][1];
    assert_eq!(old["cause"], "start");
    assert!(old["until"].as_str().unwrap().parse::<Timestamp>().is_ok());
    assert_eq!(old["routes"][0]["match"], json!({"exact": 3, "rules": 0}));

    assert_eq!(running.call("POST", "/v1/epoch", &[], "").await.status, 201);
    let unknown = running
        .call("POST", "/v1/epoch", &[], r#"{"name": "x"}"#)
        .await;
    unknown.assert_problem(422);
    let long = format!(r#"{{"label": "{}"}}"#, "x".repeat(201));
    let long = running.call("POST", "/v1/epoch", &[], &long).await;
    long.assert_problem(422);
}

#[tokio::test]
async fn routes_classes_and_mismatches_are_shown() {
    let running = Running::start(None).await;
    check_clean(&running.ledger, 2);
    let route = running.ledger.route("get-user");
    route.count_live(
        &http::Method::GET,
        Some(http::StatusCode::OK),
        AnsweredBy::Old,
    );
    let routes = running.get("/v1/routes").await.json();
    let shown = &routes["routes"][0];
    assert_eq!(shown["requests"], json!({"GET": {"2xx": 1}}));
    assert_eq!(shown["answered_by"], json!({"old": 1}));
    assert_eq!(shown["sampled"], 2);
    assert_eq!(shown["match"]["exact"], 2);

    let rules = running.get("/v1/rules").await.json();
    let rule = &rules["rules"][0];
    assert_eq!(
        (&rule["id"], &rule["applied"]),
        (&json!("http-date"), &json!(0))
    );
    running.store(&THREE);
    let classes = running.get("/v1/classes").await.json();
    assert_eq!(ids(&classes["classes"]), [FREQUENT, RECENT]);
    let recent = running.get("/v1/classes?sort=recent&limit=1").await.json();
    assert_eq!(ids(&recent["classes"]), [RECENT]);
    assert!(recent["next"].is_string(), "{recent}");
    for wrong in ["limit=1001", "sort=up", "since=x", "cursor=x"] {
        let refused = running.get(&format!("/v1/classes?{wrong}")).await;
        refused.assert_problem(400);
    }
    let class = running.get(&format!("/v1/classes/{FREQUENT}")).await.json();
    assert_eq!(
        (&class["id"], &class["count"]),
        (&json!(FREQUENT), &json!(2))
    );
    running.get("/v1/classes/c2").await.assert_problem(404);
    let mismatch = running.get("/v1/mismatches/000000000000000%32").await;
    assert_eq!(mismatch.json()["id"], "0000000000000002");
    running.get("/v1/mismatches/9").await.assert_problem(404);
    running.get("/v1/classes/%ff").await.assert_problem(400);
    let page = running.get("/v1/mismatches?route=a%20b&limit=1").await;
    assert_eq!(ids(&page.json()["mismatches"]), ["0000000000000003"]);
    assert_eq!(page.json()["mismatches"][0]["route"], "a b");
    for wrong in [
        "limit=0",
        "limit=many",
        "outcome=great",
        "since=yesterday",
        "sort=up",
        "cursor=x",
    ] {
        let refused = running.get(&format!("/v1/mismatches?{wrong}")).await;
        refused.assert_problem(400);
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_a_problem() {
    let running = Running::start(None).await;
    let spoil = "ALTER TABLE mismatch_classes RENAME TO gone";
    let spoilt = running.state.database.read(|to| to.execute_batch(spoil));
    spoilt.unwrap();
    running.get("/v1/classes").await.assert_problem(503);
}

const FREQUENT: &str = "00000000000000c1";
const RECENT: &str = "00000000000000c2";

/// Two classes; the one that is not so frequent was seen last.
const THREE: [Mismatched<'static>; 3] = [
    mismatched("get-user", FREQUENT),
    mismatched("get-user", FREQUENT),
    mismatched("a b", RECENT),
];

const fn mismatched(route: &'static str, class: &'static str) -> Mismatched<'static> {
    Mismatched {
        route,
        path: "/users/1",
        class,
        masked: &[],
    }
}

fn ids(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap().iter();
    list.map(|one| one["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    let running = Running::start(None).await;
    running.get("/").await.assert_problem(404);
    running.get("/v1/verdicts").await.assert_problem(404);
    let refused = running.call("DELETE", "/v1/settings", &[], "").await;
    refused.assert_problem(405);
    assert_eq!(refused.header("allow"), "GET,HEAD,PATCH");
    let head = running.call("HEAD", "/v1/verdict", &[], "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[tokio::test]
async fn without_a_token_only_loopback_is_listened_on() {
    let config = admin::Config {
        listen: ([0, 0, 0, 0], 0).into(),
        inherited: None,
        token: None,
        connections: 128,
    };
    let refused = admin::bind(config, state().await.0);
    assert_eq!(
        refused.unwrap_err().kind(),
        std::io::ErrorKind::InvalidInput
    );
}

#[tokio::test]
async fn the_drain_ends_idle_connections_and_the_listener() {
    let running = Running::start(None).await;
    let mut idle = TcpStream::connect(running.addr).await.unwrap();
    let request = format!("GET /livez HTTP/1.1\r\nhost: {}\r\n\r\n", running.addr);
    idle.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");

    let drained = time::timeout(Duration::from_secs(4), running.signal.drain());
    drained.await.expect("an idle connection holds nothing up");

    running.task.await.unwrap();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    assert!(TcpStream::connect(running.addr).await.is_err());
}

#[tokio::test]
async fn rules_are_suggested_and_previewed_and_their_faults_reported() {
    let running = Running::start(None).await;
    let three = [FREQUENT; 3].map(|class| mismatched("get-user", class));
    running.store(&three);
    let suggested = running.get("/v1/rules/suggestions").await;
    assert_eq!(suggested.json()["suggestions"][0]["masks"], 3);
    let previewed = running
        .call("POST", "/v1/rules/preview", &[], "rules: []")
        .await;
    assert_eq!(previewed.json()["mismatches"], 3);
    let refused = running
        .call("POST", "/v1/rules/preview", &[], "rules: 3")
        .await;
    refused.assert_problem(422);
    assert_eq!(
        refused.json()["faults"],
        json!(["rules:1:8: rules: expected a list, found `3`"])
    );
    running.get("/v1/rules/preview").await.assert_problem(405);
    let foreign = [("origin", "http://evil.example")];
    let refused = running
        .call("POST", "/v1/rules/preview", &foreign, "rules: []")
        .await;
    refused.assert_problem(403);
}

#[tokio::test]
async fn what_a_call_does_not_take_is_refused() {
    let running = Running::start(None).await;
    for path in ["/v1/epochs", "/v1/routes", "/v1/rules"] {
        assert_eq!(running.get(path).await.status, 200);
        let refused = running.get(&format!("{path}?limit=1")).await;
        refused.assert_problem(400);
    }
}

#[tokio::test]
async fn one_look_at_what_is_stored_at_a_time() {
    let running = Arc::new(Running::start(None).await);
    let hold = running.hold_store();
    let slow = look(&running).await;
    assert_eq!(
        running.get("/v1/rules").await.status,
        200,
        "nobody else waits"
    );

    drop(hold);
    assert_eq!(slow.await.unwrap().status, 200);
    assert_eq!(running.get("/v1/rules/suggestions").await.status, 200);
}

/// A look at what is stored that waits for the held store: the other one of two is refused.
async fn look(running: &Arc<Running>) -> JoinHandle<Answer> {
    let begin = |running: Arc<Running>| {
        tokio::spawn(async move { running.get("/v1/rules/suggestions").await })
    };
    let (mut one, mut other) = (begin(running.clone()), begin(running.clone()));
    let (refused, slow) = tokio::select! {
        refused = &mut one => (refused, other),
        refused = &mut other => (refused, one),
    };
    refused.unwrap().assert_problem(429);
    slow
}

#[tokio::test]
async fn idle_connections_make_room_and_busy_ones_stay() {
    let running = Arc::new(Running::start(None).await);
    let hold = running.hold_store();
    let slow = look(&running).await;

    let mut idle = Vec::new();
    for _ in 0..400 {
        idle.push(TcpStream::connect(running.addr).await.unwrap());
    }
    assert_eq!(running.get("/livez").await.status, 200);
    assert!(running.state.gauges.bounds_reached(Bound::AdminConnections) > 0);

    drop(hold);
    assert_eq!(slow.await.unwrap().status, 200);
}

#[tokio::test]
async fn half_bodies_keep_nobody_waiting() {
    let running = Running::start(None).await;
    let mut halves = Vec::new();
    for _ in 0..200 {
        let mut half = TcpStream::connect(running.addr).await.unwrap();
        let request = format!(
            "PATCH /v1/settings HTTP/1.1\r\nhost: {}\r\ncontent-length: 9\r\n\r\n{{",
            running.addr
        );
        half.write_all(request.as_bytes()).await.unwrap();
        halves.push(half);
    }
    for path in ["/livez", "/readyz", "/metrics", "/v1/verdict"] {
        // Less than a body may take.
        let answer = time::timeout(Duration::from_secs(5), running.get(path)).await;
        assert_eq!(answer.expect(path).status, 200, "{path}");
    }
}

#[tokio::test]
async fn calls_under_way_leave_room_for_the_probes() {
    let running = Running::start(None).await;
    let _hold = running.hold_store();
    let request = format!(
        "GET /v1/mismatches HTTP/1.1\r\nhost: {}\r\n\r\n",
        running.addr
    );
    let mut slow = Vec::new();
    for _ in 0..64 {
        let mut call = TcpStream::connect(running.addr).await.unwrap();
        call.write_all(request.as_bytes()).await.unwrap();
        slow.push(call);
    }
    let refused = async {
        while running.get("/v1/verdict").await.status != 503 {
            time::sleep(Duration::from_millis(2)).await;
        }
    };
    let refused = time::timeout(Duration::from_secs(10), refused).await;
    refused.expect("all 64 are under way in the end");
    assert!(running.state.gauges.bounds_reached(Bound::AdminCalls) > 0);
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(running.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn stored_mismatches_are_read_again_for_those_who_may() {
    let running = Running::start(None).await;
    running.store_rechecked();
    let post = |path: &'static str, headers: &'static [(&str, &str)]| {
        running.call("POST", path, headers, "")
    };
    let answer = post("/v1/classes/00000000000000a1/recheck?limit=2", &[]).await;
    assert_eq!(answer.status, 200);
    let document = answer.json();
    assert_eq!(document["still_there"], 1, "{document}");
    assert_eq!(document["examples"].as_array().unwrap().len(), 2);
    for (path, status) in [
        ("/v1/classes/0000000000000001/recheck", 404),
        ("/v1/classes/00000000000000a1/recheck?limit=0", 400),
        ("/v1/classes/00000000000000a1/recheck?limit=x", 400),
        ("/v1/classes/00000000000000a1/recheck?all=1", 400),
        ("/v1/classes/%ff/recheck", 400),
    ] {
        post(path, &[]).await.assert_problem(status);
    }
    let turn = running.state.rechecks.turn.acquire().await.unwrap();
    post("/v1/classes/00000000000000a1/recheck", &[])
        .await
        .assert_problem(429);
    drop(turn);
    let foreign = &[("origin", "http://evil.example")];
    let refused = post("/v1/classes/00000000000000a1/recheck", foreign).await;
    refused.assert_problem(403);
    running
        .get("/v1/classes/00000000000000a1/recheck")
        .await
        .assert_problem(405);
    let guarded = Running::start(Some("s3cret")).await;
    let answer = guarded.call("POST", "/v1/classes/00000000000000a1/recheck", &[], "");
    answer.await.assert_problem(401);
    let ending = Running::start_ending(None).await;
    let answer = ending.call("POST", "/v1/classes/00000000000000a1/recheck", &[], "");
    answer.await.assert_problem(503);
}
