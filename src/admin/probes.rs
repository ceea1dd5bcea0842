//! `/livez`, `/readyz` and `/metrics`: for the orchestrator and Prometheus.

use super::{
    AdminState,
    documents::{Alive, Ready},
    openapi::Fails,
    problem::Problem,
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};

const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether the process answers
#[utoipa::path(
    get,
    path = "/livez",
    operation_id = "isAlive",
    tag = "probes",
    responses((status = OK, body = Alive, description = "It does")),
)]
pub(super) async fn livez() -> Json<Alive> {
    Json(Alive {
        status: "alive".to_owned(),
    })
}

/// Whether the process can do its work
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "isReady",
    tag = "probes",
    responses((status = OK, body = Ready, description = "It can"), Fails<503>),
)]
pub(super) async fn readyz(State(state): State<AdminState>) -> Response {
    let (missing, impaired) = (state.readiness.missing(), state.readiness.impaired());
    if missing.is_empty() {
        let status = "ready".to_owned();
        return Json(Ready { status, impaired }).into_response();
    }
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, missing.join("; "))
        .with_faults([missing, impaired].concat())
        .into_response()
}

/// The metrics
///
/// In Prometheus' text format 0.0.4.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "getMetrics",
    tag = "probes",
    responses((status = OK, body = String, content_type = "text/plain", description = "The metrics")),
)]
pub(super) async fn metrics(State(state): State<AdminState>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, PROMETHEUS_TEXT)];
    (kind, state.metrics.text())
}
