//! The commands that query a running twinread.

use super::harness::{GONE, LEFT, MASKED, Running, check_clean, close};
use clap::Parser;
use std::{process::ExitCode, thread, time::Duration};
use tokio::{net::TcpListener, time};
use twinread::outcome::{Mark, Outcome};
use twinread::testing::cli::{
    client::{Address, Error},
    gate, recheck, rules, status,
};

#[derive(Debug, Parser)]
enum Command {
    Gate(gate::Args),
    Recheck(recheck::Args),
    Status(status::Args),
    Rules(rules::Args),
}

/// The exit code of the command, run on its own thread because it blocks.
async fn end_of(arguments: &[&str], running: &Running) -> ExitCode {
    let admin = format!("--admin=http://{}", running.addr);
    let arguments: Vec<String> = ["twinread"]
        .iter()
        .chain(arguments)
        .map(|text| (*text).to_owned())
        .chain([admin])
        .collect();
    apart(move || match Command::parse_from(arguments) {
        Command::Gate(args) => gate::run(args),
        Command::Recheck(args) => recheck::run(args),
        Command::Status(args) => status::run(args),
        Command::Rules(args) => rules::run(args),
    })
    .await
}

async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (tx, rx) = tokio::sync::oneshot::channel();
    thread::spawn(move || tx.send(work()));
    rx.await.unwrap()
}

#[tokio::test]
async fn the_gate_ends_with_the_verdict() {
    let running = Running::start(None).await;
    assert_eq!(end_of(&["gate"], &running).await, ExitCode::from(2));
    check_clean(&running.ledger, 6_000);
    assert_eq!(
        end_of(&["gate", "--json"], &running).await,
        ExitCode::SUCCESS
    );
    let route = running.ledger.route("get-user");
    for _ in 0..2_000 {
        route.sample().finish(Outcome::Mismatch(Mark::Plain));
    }
    close(&running.ledger);
    assert_eq!(end_of(&["gate"], &running).await, ExitCode::from(1));
}

#[tokio::test]
async fn waiting_gate_ends_with_the_verdict_or_its_time_limit() {
    let running = Running::start(None).await;
    let undecided = end_of(&["gate", "--wait", "20ms"], &running).await;
    assert_eq!(undecided, ExitCode::from(2));

    let ledger = running.ledger.clone();
    let evidence = tokio::spawn(async move { check_clean(&ledger, 6_000) });
    let safe = end_of(&["gate", "--wait", "1m"], &running).await;
    assert_eq!(safe, ExitCode::SUCCESS);
    evidence.await.unwrap();
}

#[tokio::test]
async fn without_a_twinread_there_is_no_verdict() {
    let running = Running::start(None).await;
    let addr = running.addr;
    running.signal.drain().await;
    running.task.await.unwrap();
    let gone = Running {
        addr,
        ..Running::start(None).await
    };
    assert_eq!(end_of(&["gate"], &gone).await, ExitCode::from(69));
    assert_eq!(
        end_of(&["status", "--once"], &gone).await,
        ExitCode::from(69)
    );
}

/// Accepts connections and sends nothing.
#[tokio::test]
async fn a_gate_waits_no_longer_for_an_answer_than_it_may() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let running = Running {
        addr: silent.local_addr().unwrap(),
        ..Running::start(None).await
    };
    let gate = end_of(&["gate", "--wait", "20ms"], &running);
    // One answer alone may otherwise take 10 s.
    let ended = time::timeout(Duration::from_secs(8), gate).await;
    assert_eq!(ended.unwrap(), ExitCode::from(69));
}

#[tokio::test]
async fn the_token_goes_along() {
    let running = Running::start(Some("s3cret")).await;
    for without in [
        &["gate"][..],
        &["gate", "--wait", "1h"],
        &["status", "--once"],
    ] {
        assert_eq!(end_of(without, &running).await, ExitCode::from(64));
    }
    let with = ["status", "--once", "--token", "s3cret"];
    assert_eq!(end_of(&with, &running).await, ExitCode::SUCCESS);
}

#[tokio::test]
async fn a_recheck_ends_with_what_is_left_of_the_class() {
    let running = Running::start(Some("s3cret")).await;
    running.store_rechecked();
    let recheck = |class| ["recheck", "--class", class, "--token", "s3cret"];
    for (class, code) in [(LEFT, 1), (GONE, 0), (MASKED, 2), ("0", 64)] {
        let ended = end_of(&recheck(class), &running).await;
        assert_eq!(ended, ExitCode::from(code), "{class}");
    }
    let turn = running.state.rechecks.turn.acquire().await.unwrap();
    let busy = end_of(&recheck(GONE), &running).await;
    assert_eq!(busy, ExitCode::from(64));
    drop(turn);
    let ending = Running::start_ending(Some("s3cret")).await;
    let ended = end_of(&recheck(GONE), &ending).await;
    assert_eq!(ended, ExitCode::from(69));
    let without = ["recheck", "--class", GONE];
    assert_eq!(end_of(&without, &running).await, ExitCode::from(64));
}

#[tokio::test]
async fn the_status_is_shown_with_routes_and_without() {
    let running = Running::start(None).await;
    assert_eq!(
        end_of(&["status", "--once"], &running).await,
        ExitCode::SUCCESS
    );
    check_clean(&running.ledger, 10);
    assert_eq!(
        end_of(&["status", "--once"], &running).await,
        ExitCode::SUCCESS
    );
    assert_eq!(
        end_of(&["status", "--json"], &running).await,
        ExitCode::SUCCESS
    );
}

#[tokio::test]
async fn rules_are_suggested_by_a_running_twinread_only() {
    let running = Running::start(Some("s3cret")).await;
    let without = ["rules", "suggest"];
    assert_eq!(end_of(&without, &running).await, ExitCode::from(64));
    let with = ["rules", "suggest", "--token", "s3cret"];
    assert_eq!(end_of(&with, &running).await, ExitCode::SUCCESS);
}

#[tokio::test]
async fn the_client_reads_patches_and_says_what_was_refused() {
    let running = Running::start(None).await;
    let address = Address {
        admin: format!("http://{}", running.addr),
        token: None,
        ca: None,
        cert: None,
        key: None,
    };
    apart(move || {
        let client = address.client().unwrap();
        let patch = serde_json::json!({"sample": {"rate": 0.5}});
        let reply = client.patch("/v1/settings", &patch, Some("\"7\"")).unwrap();
        assert_eq!(reply.headers["etag"], "\"8\"");
        assert_eq!(reply.body["settings"]["sample.rate"]["value"], 0.5);

        let stale = client.patch("/v1/settings", &patch, Some("\"7\""));
        assert!(matches!(stale, Err(Error::Refused { status, .. }) if status == 412));
        let wrong = serde_json::json!({"sample": {"rate": 5}, "paused": 3});
        let refused = client.patch("/v1/settings", &wrong, None).unwrap_err();
        assert!(
            refused.to_string().contains("rate") && refused.to_string().contains("paused"),
            "{refused}"
        );
        let label = r#"{"label": "b"}"#.to_owned();
        let begun = client.post::<serde_json::Value>("/v1/epoch", "application/json", label);
        assert_eq!(begun.unwrap()["label"], "b");
    })
    .await;
}
