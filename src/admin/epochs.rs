//! `/v1/epoch` and `/v1/epochs`: beginning a new epoch, and the figures of earlier ones.

use super::{
    AdminState,
    documents::{Epoch, EpochFigures, Epochs},
    openapi::Fails,
    problem::Problem,
    router::{NoQuery, bad_query, read_object},
};
use crate::{transport::Peer, verdict::Cause};
use axum::{
    Json,
    body::Bytes,
    extract::{
        Extension, Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    response::IntoResponse,
};
use http::StatusCode;
use serde::Deserialize;
use tracing::info;
use utoipa::ToSchema;

/// How a new epoch begins.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Beginning {
    /// Its label, such as a build number.
    #[schema(max_length = 200)]
    label: Option<String>,
}

/// Maximum length of a label, in characters.
const MAX_LABEL: usize = 200;

/// Every epoch with its figures
#[utoipa::path(
    get,
    path = "/v1/epochs",
    operation_id = "getEpochs",
    tag = "evidence",
    responses((status = OK, body = Epochs, description = "The epochs"), Fails<400>),
)]
pub(super) async fn list(
    State(state): State<AdminState>,
    asked: Result<Query<NoQuery>, QueryRejection>,
) -> Result<Json<Epochs>, Problem> {
    asked.map_err(bad_query)?;
    let epochs = state.ledger.epochs();
    let epochs = epochs.into_iter().map(EpochFigures::from).collect();
    Ok(Json(Epochs { epochs }))
}

/// Begin a new epoch
///
/// Counting starts again; the figures of earlier epochs stay readable.
#[utoipa::path(
    post,
    path = "/v1/epoch",
    operation_id = "beginEpoch",
    tag = "evidence",
    request_body = Option<Beginning>,
    responses(
        (
            status = CREATED,
            body = Epoch,
            description = "The epoch that began",
            headers(("twinread-stored" = bool, description = "Whether it outlives the process")),
        ),
        Fails<400>,
        Fails<413>,
        Fails<422>,
    ),
)]
pub(super) async fn begin(
    State(state): State<AdminState>,
    Extension(caller): Extension<Peer>,
    body: Result<Bytes, BytesRejection>,
) -> Result<impl IntoResponse, Problem> {
    let label = read_label(body)?;
    state.ledger.begin_epoch(label.as_deref(), Cause::Asked);
    let epoch = Epoch::from(&state.ledger.tallies().epoch);
    info!(epoch = %epoch.id, label, by = %caller, "an epoch began");
    Ok((StatusCode::CREATED, [state.stored().await], Json(epoch)))
}

fn read_label(body: Result<Bytes, BytesRejection>) -> Result<Option<String>, Problem> {
    let beginning = read_object::<Beginning>(body)?.unwrap_or_default();
    match beginning.label {
        Some(label) if label.chars().count() > MAX_LABEL => {
            let detail = format!("label: expected at most {MAX_LABEL} characters");
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail))
        }
        label => Ok(label),
    }
}
