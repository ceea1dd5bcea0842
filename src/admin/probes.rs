//! `/livez`, `/readyz` and `/metrics`: for the orchestrator and Prometheus.

use super::{Handles, problem::Problem};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde_json::{Value, json};

const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn livez() -> Json<Value> {
    Json(json!({"status": "alive"}))
}

pub(super) async fn readyz(State(handles): State<Handles>) -> Response {
    let readiness = handles.readiness.get();
    if readiness.missing.is_empty() {
        let body = json!({"status": "ready", "impaired": readiness.impaired});
        return Json(body).into_response();
    }
    let detail = readiness.missing.join("; ");
    let faults = [readiness.missing, readiness.impaired].concat();
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        .with_faults(faults)
        .into_response()
}

pub(super) async fn metrics(State(handles): State<Handles>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, PROMETHEUS_TEXT)];
    (kind, handles.metrics.get())
}
