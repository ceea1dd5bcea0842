//! Shared parts of the calls that answer in pages.

use super::{problem::Problem, router::bad_query, state::blocking};
use crate::store::{Entries, Journal};
use axum::extract::{Query, rejection::QueryRejection};
use http::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedPage {
    /// Page size.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<usize>,
    /// `next` of the previous page.
    #[param(pattern = "^[0-9]{1,19}$")]
    cursor: Option<String>,
}

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 1_000;

/// The page size; adds a fault if out of range.
pub(super) fn limit(asked: Option<usize>, faults: &mut Vec<String>) -> usize {
    let limit = asked.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        faults.push(format!("limit: expected a number from 1 to {MAX_LIMIT}"));
    }
    limit
}

/// The position after the previous page; adds a fault if invalid.
fn cursor(asked: Option<&str>, faults: &mut Vec<String>) -> Option<u64> {
    let cursor = asked.map(str::parse).transpose();
    cursor.unwrap_or_else(|_| {
        faults.push("cursor: expected the `next` of an earlier page".to_owned());
        None
    })
}

/// The requested page of a history.
pub(super) async fn page<T: DeserializeOwned + Send + 'static>(
    journal: Journal,
    asked: Result<Query<AskedPage>, QueryRejection>,
) -> Result<Entries<T>, Problem> {
    let Query(asked) = asked.map_err(bad_query)?;
    let mut faults = Vec::new();
    let limit = limit(asked.limit, &mut faults);
    let cursor = cursor(asked.cursor.as_deref(), &mut faults);
    accept(faults)?;
    let page = blocking(move || journal.page(cursor, limit)).await?;
    page.map_err(|error| {
        let detail = format!("the store cannot be read: {error}");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })
}

/// Rejects a call with all faults of its parameters.
pub(super) fn accept(faults: Vec<String>) -> Result<(), Problem> {
    if faults.is_empty() {
        return Ok(());
    }
    let problem = Problem::new(StatusCode::BAD_REQUEST, faults.join("; "));
    Err(problem.with_faults(faults))
}
