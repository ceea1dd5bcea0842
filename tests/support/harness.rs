//! Real sockets for tests: scripted stacks, callers that write bytes, and the live path between them.
//!
//! Every wait has a deadline, so a test that would hang fails.

#![allow(dead_code, reason = "each test binary uses a part of it")]

mod conn;
mod sidecar;
mod stack;

pub(crate) use conn::Conn;
pub(crate) use sidecar::Sidecar;
pub(crate) use stack::Stack;

use std::{future::Future, time::Duration};

/// Longer than anything may take on a loaded machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

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
