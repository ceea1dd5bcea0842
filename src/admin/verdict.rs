//! Results: the verdict, routes, rules.

use super::{
    AdminState,
    documents::{LiveRoute, Routes, Rules, Verdict, VerdictHistory},
    openapi::Fails,
    paging::{self, AskedPage},
    problem::Problem,
    router::{NoQuery, bad_query},
    service::history,
};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedVerdict {
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    /// The status says it, too.
    Gate,
}

/// May the switch be made, and why (not)
///
/// With `format=gate` the status says it too.
#[utoipa::path(
    get,
    path = "/v1/verdict",
    operation_id = "getVerdict",
    tag = "evidence",
    params(AskedVerdict),
    responses(
        (status = OK, body = Verdict, description = "The verdict; of a gate: it is safe"),
        (status = PRECONDITION_FAILED, body = Verdict, description = "Of a gate: it is not safe"),
        Fails<400>,
    ),
)]
pub(super) async fn verdict(
    State(state): State<AdminState>,
    asked: Result<Query<AskedVerdict>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked.map_err(bad_query)?;
    let verdict = state.verdict.verdict();
    let status = match asked.format {
        Format::Gate if !verdict.is_safe() => StatusCode::PRECONDITION_FAILED,
        _ => StatusCode::OK,
    };
    Ok((status, Json(verdict)).into_response())
}

/// When the verdict changed, and why
///
/// The newest first. While the verdict flaps, some changes are skipped.
#[utoipa::path(
    get,
    path = "/v1/verdict/history",
    operation_id = "getVerdictHistory",
    tag = "evidence",
    params(AskedPage),
    responses(
        (status = OK, body = VerdictHistory, description = "A page of changes"),
        Fails<400>,
        Fails<503>,
    ),
)]
pub(super) async fn history(
    State(state): State<AdminState>,
    asked: Result<Query<AskedPage>, QueryRejection>,
) -> Result<Json<VerdictHistory>, Problem> {
    let page = paging::page(history::of_verdict(&state.database), asked).await?;
    Ok(Json(VerdictHistory {
        changes: page.entries,
        next: page.next.map(|next| next.to_string()),
        unreadable: page.unreadable,
    }))
}

/// The live figures of every route
#[utoipa::path(
    get,
    path = "/v1/routes",
    operation_id = "getRoutes",
    tag = "evidence",
    responses((status = OK, body = Routes, description = "The routes"), Fails<400>),
)]
pub(super) async fn routes(
    State(state): State<AdminState>,
    asked: Result<Query<NoQuery>, QueryRejection>,
) -> Result<Json<Routes>, Problem> {
    asked.map_err(bad_query)?;
    let routes = state.ledger.routes();
    let routes = routes.iter().map(LiveRoute::from).collect();
    Ok(Json(Routes { routes }))
}

/// Every rule in force
///
/// With how often each was evaluated, and how many differences it masked.
#[utoipa::path(
    get,
    path = "/v1/rules",
    operation_id = "getRules",
    tag = "rules",
    responses((status = OK, body = Rules, description = "The rules"), Fails<400>),
)]
pub(super) async fn rules(
    State(state): State<AdminState>,
    asked: Result<Query<NoQuery>, QueryRejection>,
) -> Result<Json<Rules>, Problem> {
    asked.map_err(bad_query)?;
    Ok(Json(state.verdict.rules()))
}
