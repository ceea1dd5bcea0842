//! What the tests of both binaries and the benchmarks share: scripted stacks, callers that write bytes, the live path
//! alone, and the real program.
//!
//! Every wait of a test has a deadline, so a test that would hang fails. Stacks wait without one.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses a part of it"
)]

mod app;
mod command;
mod conn;
pub(crate) mod http2;
mod live_path;
mod sidecar;
mod stack;
mod tls;

pub(crate) use app::start_app;
pub(crate) use command::{printed_wide, run_in, twinread};
pub(crate) use conn::Conn;
pub(crate) use live_path::{
    LivePath, PANICS, Plan, client, client_of, healths, serving_new, target,
};
pub(crate) use sidecar::{Answer, Caller, Sidecar};
pub(crate) use stack::{Reply, Script, Stack, answer, json};
pub(crate) use tls::{Front, Issued, Pki, SecureCaller};

use std::{
    future::Future,
    thread,
    time::{Duration, Instant},
};

/// Longer than anything may take on a loaded machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Fails the test if `work` is not done by the deadline.
pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not within {DEADLINE:?}"),
    }
}

/// Waits until `holds` returns true.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    within(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Polls until there is an answer, or panics at the deadline.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::yield_now();
    }
}
