//! Which call is answered by what.

use super::{
    Handles,
    advice::{self, Turn},
    epochs, evidence,
    guard::{Guard, guard},
    probes,
    problem::Problem,
    settings,
};
use crate::compare::json::{self, KEY_TWICE};
use axum::{
    Extension, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request, rejection::BytesRejection},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use serde_json::Value;
use std::time::Duration;
use tokio::time;

/// Of a request body.
const MAX_BODY: usize = 1 << 20;

/// From the request's head to the answer's, the request's body included.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

pub(super) fn router(handles: Handles, token: Option<&str>) -> Router {
    Router::new()
        .route("/livez", get(probes::livez))
        .route("/readyz", get(probes::readyz))
        .route("/metrics", get(probes::metrics))
        .route("/v1/settings", get(settings::show).patch(settings::patch))
        .route("/v1/verdict", get(evidence::verdict))
        .route("/v1/routes", get(evidence::routes))
        .route("/v1/classes", get(evidence::classes))
        .route("/v1/classes/{id}", get(evidence::class))
        .route("/v1/mismatches", get(evidence::mismatches))
        .route("/v1/mismatches/{id}", get(evidence::mismatch))
        .route("/v1/rules", get(evidence::rules))
        .route("/v1/rules/suggestions", get(advice::suggestions))
        .route("/v1/rules/preview", post(advice::preview))
        .route("/v1/epoch", post(epochs::begin))
        .route("/v1/epochs", get(epochs::list))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .with_state(handles)
        .layer(Extension(Turn::new()))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(Guard::new(token), guard))
        .layer(middleware::from_fn(bounded))
}

/// The document in a request's body.
pub(super) fn read_json(body: Result<Bytes, BytesRejection>) -> Result<Value, Problem> {
    let body = body.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let bad = |detail| Problem::new(StatusCode::BAD_REQUEST, detail);
    let document = serde_json::from_slice(&body)
        .map_err(|error| bad(format!("the body is not JSON: {error}")))?;
    match repeated_key(&body) {
        // Which of the two was meant is not for us to say.
        Some(key) => Err(bad(format!("the key {key:?} is given twice in an object"))),
        None => Ok(document),
    }
}

/// A key that an object of a JSON text has twice.
fn repeated_key(body: &[u8]) -> Option<String> {
    let invalid = json::Document::parse(body, usize::MAX).err()?;
    let key = body
        .get(invalid.at..)
        .filter(|_| invalid.problem == KEY_TWICE)?;
    let mut keys = serde_json::Deserializer::from_slice(key).into_iter::<String>();
    keys.next()?.ok()
}

async fn unknown(uri: Uri) -> Problem {
    let detail = format!("there is no `{}`", uri.path());
    Problem::new(StatusCode::NOT_FOUND, detail)
}

async fn not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("`{}` cannot be called with {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

/// Ends what takes too long, and marks every answer as one for this caller and this moment.
async fn bounded(request: Request, next: Next) -> Response {
    let answer = time::timeout(ANSWER_WITHIN, next.run(request)).await;
    let mut answer = answer.unwrap_or_else(|_| {
        let detail = "the request was not complete in time";
        Problem::new(StatusCode::REQUEST_TIMEOUT, detail).into_response()
    });
    let headers = answer.headers_mut();
    let no_store = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, no_store);
    let no_sniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, no_sniff);
    answer
}
