//! `POST /v1/record`: a bounded recording of sampled reads.

use super::{
    AdminState, documents::Mismatch, openapi::Fails, problem::Problem, router::read_object,
};
use crate::{pipeline::Sent, transport::Peer};
use axum::{
    body::{Body, Bytes},
    extract::{Extension, State, rejection::BytesRejection},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use http::{StatusCode, header};
use serde::Deserialize;
use std::{convert::Infallible, time::Duration};
use tokio::{sync::mpsc, time};
use utoipa::ToSchema;

/// Bounds on a recording.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Bounds {
    /// How long it takes.
    #[schema(minimum = 1, maximum = 86400)]
    seconds: u64,
    /// It ends before it is larger.
    #[schema(minimum = 1, maximum = 1073741824)]
    max_bytes: u64,
}

/// A recording under way.
struct Recording {
    reads: mpsc::Receiver<Sent>,
    until: time::Instant,
    left: u64,
}

const MAX_SECONDS: u64 = 24 * 3_600;
const MAX_BYTES: u64 = 1 << 30;

/// Reads that may wait for the caller.
const BEHIND: usize = 1_024;

/// Record sampled reads
///
/// One line for each check that ends, as a stored example is shown, matches included. Redacted as examples are.
#[utoipa::path(
    post,
    path = "/v1/record",
    operation_id = "record",
    tag = "evidence",
    request_body = Option<Bounds>,
    responses(
        (
            status = OK,
            body = String,
            content_type = "application/x-ndjson",
            description = "One document a line, while the recording lasts",
        ),
        Fails<400>,
        Fails<413>,
        Fails<422>,
        Fails<429>,
    ),
)]
pub(super) async fn record(
    State(state): State<AdminState>,
    Extension(caller): Extension<Peer>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let bounds = read_bounds(body)?;
    let Some(reads) = state.recorder.record(BEHIND) else {
        let detail = "another recording is under way";
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail));
    };
    let (seconds, max_bytes) = (bounds.seconds, bounds.max_bytes);
    tracing::info!(seconds, max_bytes, by = %caller, "a recording began");
    let recording = Recording {
        reads,
        until: time::Instant::now() + Duration::from_secs(seconds),
        left: max_bytes,
    };
    let lines = stream::unfold(recording, |mut recording| async {
        let line = recording.next().await?;
        Some((Ok::<_, Infallible>(line), recording))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

fn read_bounds(body: Result<Bytes, BytesRejection>) -> Result<Bounds, Problem> {
    let invalid = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
    let bounds = read_object::<Bounds>(body)?.unwrap_or_default();
    if !(1..=MAX_SECONDS).contains(&bounds.seconds) {
        return Err(invalid(format!("seconds: expected 1 to {MAX_SECONDS}")));
    }
    if !(1..=MAX_BYTES).contains(&bounds.max_bytes) {
        return Err(invalid(format!("max_bytes: expected 1 to {MAX_BYTES}")));
    }
    Ok(bounds)
}

// === impl Bounds ===

impl Default for Bounds {
    fn default() -> Self {
        Self {
            seconds: 60,
            max_bytes: 64 << 20,
        }
    }
}

// === impl Recording ===

impl Recording {
    /// The next line; `None` once time or bytes are used up, or the process ends.
    async fn next(&mut self) -> Option<Bytes> {
        let read = time::timeout_at(self.until, self.reads.recv())
            .await
            .ok()??;
        let mut line = serde_json::to_vec(&Mismatch::of(&read)).ok()?;
        line.push(b'\n');
        self.left = self.left.checked_sub(line.len() as u64)?;
        Some(line.into())
    }
}
