//! `/v1/rules/suggestions` and `/v1/rules/preview`: the effect of rules on the stored mismatches.
//!
//! Both examine much of the store, so they run on a blocking thread, one call at a time.

use super::{
    AdminState,
    documents::{Preview, Suggestions},
    examples::{PRESENT, epoch},
    openapi::Fails,
    problem::Problem,
    router::bad_query,
    service::rules,
    state::blocking,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{
        Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
};
use http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use tokio::sync::Semaphore;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedEpoch {
    /// The epoch whose mismatches are looked at: its id, `all`, or `present`, which is the default.
    epoch: Option<String>,
}

/// Permits one call at a time.
#[derive(Clone, Debug)]
pub(super) struct Turn(Arc<Semaphore>);

/// Rules that would explain stored mismatches
///
/// Puts none in force. One call at a time.
#[utoipa::path(
    get,
    path = "/v1/rules/suggestions",
    operation_id = "suggestRules",
    tag = "rules",
    params(AskedEpoch),
    responses(
        (status = OK, body = Suggestions, description = "The rules, those first that would mask the most"),
        Fails<400>,
        Fails<429>,
        Fails<500>,
    ),
)]
pub(super) async fn suggestions(
    State(state): State<AdminState>,
    Extension(turn): Extension<Turn>,
    asked: Result<Query<AskedEpoch>, QueryRejection>,
) -> Result<Json<Suggestions>, Problem> {
    let epoch = asked.map_err(bad_query)?.id(&state);
    let config = state.running.config();
    turn.take(move || {
        let in_force = &config.comparing.rules;
        rules::suggestions(&state.store, &state.ledger, in_force, epoch.as_deref())
    })
    .await
    .map(Json)
}

/// What rules would hide of the stored mismatches
///
/// Puts none in force. One call at a time.
#[utoipa::path(
    post,
    path = "/v1/rules/preview",
    operation_id = "previewRules",
    tag = "rules",
    params(AskedEpoch),
    request_body(content = Option<String>, content_type = "application/yaml", description = "A rule file, or several with a line `---` between them"),
    responses(
        (status = OK, body = Preview, description = "What they would do"),
        Fails<400>,
        Fails<413>,
        Fails<422>,
        Fails<429>,
        Fails<500>,
    ),
)]
pub(super) async fn preview(
    State(state): State<AdminState>,
    Extension(turn): Extension<Turn>,
    asked: Result<Query<AskedEpoch>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Preview>, Problem> {
    let epoch = asked.map_err(bad_query)?.id(&state);
    let body = body.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let file = String::from_utf8(body.into()).map_err(|_| {
        let detail = "the body is no text: expected a rule file, as YAML or JSON";
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    let config = state.running.config();
    turn.take(move || {
        let in_force = &config.comparing.rules;
        rules::preview(
            &state.store,
            &state.ledger,
            in_force,
            epoch.as_deref(),
            &file,
        )
    })
    .await
    .map(Json)
}

// === impl AskedEpoch ===

impl AskedEpoch {
    fn id(&self, state: &AdminState) -> Option<String> {
        epoch(state, self.epoch.as_deref().unwrap_or(PRESENT))
    }
}

// === impl Turn ===

impl Turn {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }

    async fn take<T: Send + 'static>(
        &self,
        look: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let Ok(permit) = self.0.clone().try_acquire_owned() else {
            let detail = "another call is looking at the stored mismatches: try again in a moment";
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail));
        };
        // Holds the permit until the work ends, because a caller that hangs up does not stop it.
        blocking(move || {
            let found = look();
            drop(permit);
            found
        })
        .await?
    }
}
