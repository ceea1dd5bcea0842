//! `/livez`, `/readyz` and `/metrics`: for the orchestrator and Prometheus.

use super::{
    AdminState,
    documents::{Alive, ProcessHealth, Ready},
    problem::Problem,
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

/// The process cannot do its work (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
struct NotReady {
    #[serde(flatten)]
    problem: Problem,
    #[serde(flatten)]
    health: ProcessHealth,
}

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
    responses(
        (status = OK, body = Ready, description = "It can"),
        (
            status = SERVICE_UNAVAILABLE,
            body = NotReady,
            content_type = "application/problem+json",
            description = "Something is missing for now; `missing` lists it",
        ),
    ),
)]
pub(super) async fn readyz(State(state): State<AdminState>) -> Response {
    let config = state.running.config();
    let mut health = state.readiness.document(&config.settings.serve);
    health.impaired.extend(state.running.impairments());
    if health.missing.is_empty() {
        let status = "ready".to_owned();
        return Json(Ready { status, health }).into_response();
    }
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let faults = [&health.missing[..], &health.impaired].concat();
    let problem = Problem::new(status, health.missing.join("; ")).with_faults(faults);
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, kind, Json(NotReady { problem, health })).into_response()
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
