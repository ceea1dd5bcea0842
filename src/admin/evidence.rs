//! `/v1/evidence`: what replays and sweeps found.

use super::{
    AdminState,
    documents::{Evidence, EvidenceList, EvidenceSource, Given},
    openapi::Fails,
    problem::Problem,
    router::{NoQuery, bad_query, read_object},
};
use crate::transport::Peer;
use axum::{
    Json,
    body::Bytes,
    extract::{
        Extension, Path, Query, State,
        rejection::{BytesRejection, PathRejection, QueryRejection},
    },
    response::IntoResponse,
};
use http::StatusCode;
use tracing::info;

/// What replays and sweeps found
///
/// The newest replay, and the newest sweep of each route.
#[utoipa::path(
    get,
    path = "/v1/evidence",
    operation_id = "getEvidence",
    tag = "evidence",
    responses((status = OK, body = EvidenceList, description = "The evidence"), Fails<400>),
)]
pub(super) async fn list(
    State(state): State<AdminState>,
    asked: Result<Query<NoQuery>, QueryRejection>,
) -> Result<Json<EvidenceList>, Problem> {
    asked.map_err(bad_query)?;
    let evidence = state.verdict.evidence.list(&state.verdict.fits());
    Ok(Json(EvidenceList { evidence }))
}

/// Hand over what a replay or a sweep found
///
/// It takes the place of an earlier replay, or of an earlier sweep of its route, and is never counted with the checks of callers' reads.
#[utoipa::path(
    put,
    path = "/v1/evidence/{source}",
    operation_id = "putEvidence",
    tag = "evidence",
    params(("source" = EvidenceSource, Path, description = "Where it comes from")),
    request_body = Given,
    responses(
        (
            status = OK,
            body = Evidence,
            description = "The evidence as it is kept",
            headers(("twinread-stored" = bool, description = "Whether it outlives the process")),
        ),
        Fails<400>,
        Fails<413>,
        Fails<422>,
    ),
)]
pub(super) async fn put(
    State(state): State<AdminState>,
    Extension(caller): Extension<Peer>,
    source: Result<Path<EvidenceSource>, PathRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<impl IntoResponse, Problem> {
    let Path(source) =
        source.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let invalid = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
    let given = read_object::<Given>(body)?;
    let given = given.ok_or_else(|| invalid("expected an object".to_owned()))?;
    if given.summary.source() != source {
        let detail = format!(
            "the summary is of a {}, not of a {source}",
            given.summary.source()
        );
        return Err(invalid(detail));
    }
    let evidence = state.verdict.evidence.put(given, &state.verdict.fits());
    let verdict = evidence.state.verdict;
    info!(%source, %verdict, detail = evidence.state.detail, by = %caller, "evidence was handed over");
    Ok(([state.stored().await], Json(evidence)))
}
