//! What the calls that answer in pages have in common.

use super::{History, Noted, problem::Problem};
use http::StatusCode;
use std::sync::Arc;
use tokio::task;

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 1_000;

/// How many a page may hold; a number out of range is one of the `faults`.
pub(super) fn limit(asked: Option<usize>, faults: &mut Vec<String>) -> usize {
    let limit = asked.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        faults.push(format!("limit: expected a number from 1 to {MAX_LIMIT}"));
    }
    limit
}

/// Where the page before ended; a text that no page gave is one of the `faults`.
pub(super) fn cursor(asked: Option<&str>, faults: &mut Vec<String>) -> Option<u64> {
    let cursor = asked.map(str::parse).transpose();
    cursor.unwrap_or_else(|_| {
        faults.push("cursor: expected the `next` of an earlier page".to_owned());
        None
    })
}

/// Reads a page on a thread of its own.
pub(super) async fn read<T: Send + 'static>(
    history: Arc<dyn History<T>>,
    limit: usize,
    cursor: Option<u64>,
) -> Result<Noted<T>, Problem> {
    let read = task::spawn_blocking(move || history.page(limit, cursor)).await;
    let page = read.map_err(|error| {
        tracing::error!(%error, "reading a history panicked");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "reading it failed")
    })?;
    page.map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
}

/// Refuses a call for all that is wrong with its parameters.
pub(super) fn accept(faults: Vec<String>) -> Result<(), Problem> {
    if faults.is_empty() {
        return Ok(());
    }
    let problem = Problem::new(StatusCode::BAD_REQUEST, faults.join("; "));
    Err(problem.with_faults(faults))
}
