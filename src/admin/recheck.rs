//! `/v1/classes/{id}/recheck`: whether the stored mismatches of a class remain.

use super::{
    AdminState, documents::ClassRecheck, openapi::Fails, paging, problem::Problem,
    router::bad_query,
};
use axum::{
    Json,
    extract::{
        self, Path, State,
        rejection::{PathRejection, QueryRejection},
    },
};
use http::StatusCode;
use serde::Deserialize;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedRecheck {
    /// Maximum number of mismatches, the newest first.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<usize>,
}

/// Reads stored mismatches of a class again
///
/// Uses both stacks, within the budget of rechecks, for at most 20 seconds. Changes no figures. One call at a time.
#[utoipa::path(
    post,
    path = "/v1/classes/{id}/recheck",
    operation_id = "recheckClass",
    tag = "evidence",
    params(("id" = String, Path, description = "Its id"), AskedRecheck),
    responses(
        (status = OK, body = ClassRecheck, description = "What is still there, and what is not"),
        Fails<400>,
        Fails<404>,
        Fails<429>,
        Fails<503>,
    ),
)]
pub(super) async fn recheck(
    State(state): State<AdminState>,
    id: Result<Path<String>, PathRejection>,
    asked: Result<extract::Query<AskedRecheck>, QueryRejection>,
) -> Result<Json<ClassRecheck>, Problem> {
    let Path(id) =
        id.map_err(|rejection| Problem::new(StatusCode::BAD_REQUEST, rejection.body_text()))?;
    let extract::Query(asked) = asked.map_err(bad_query)?;
    let mut faults = Vec::new();
    let limit = paging::limit(asked.limit, &mut faults);
    paging::accept(faults)?;
    state.rechecks.recheck(id, limit).await.map(Json)
}
