//! What the calls that answer in pages have in common.

use super::problem::Problem;
use http::StatusCode;

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

/// Refuses a call for all that is wrong with its parameters.
pub(super) fn accept(faults: Vec<String>) -> Result<(), Problem> {
    if faults.is_empty() {
        return Ok(());
    }
    let problem = Problem::new(StatusCode::BAD_REQUEST, faults.join("; "));
    Err(problem.with_faults(faults))
}
