//! `/v1/settings`: reads and changes the runtime settings, and lists past changes.

use super::{
    AdminState,
    documents::{Settings, SettingsHistory},
    openapi::Fails,
    paging::{self, AskedPage},
    problem::Problem,
    router::read_json,
    service::history,
};
use crate::{
    route::OTHER,
    settings::Refused,
    spanned_yaml::{closest, matches_glob},
    transport::Peer,
};
use axum::{
    Json,
    body::Bytes,
    extract::{
        Extension, Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;

const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// Accepted media types of a patch.
const PATCH_TYPES: [&str; 2] = ["application/merge-patch+json", "application/json"];

/// Every runtime setting
///
/// Each with its value and its source.
#[utoipa::path(
    get,
    path = "/v1/settings",
    operation_id = "getSettings",
    tag = "settings",
    responses((
        status = OK,
        body = Settings,
        description = "The settings",
        headers(("etag" = String, description = "The revision, for `If-Match`")),
    )),
)]
pub(super) async fn show(State(state): State<AdminState>) -> Response {
    answer(state.running.settings())
}

/// Change settings
///
/// Applies a patch as a whole or not at all; null returns to the file's value. Takes effect with the next request and
/// drops no connection.
#[utoipa::path(
    patch,
    path = "/v1/settings",
    operation_id = "changeSettings",
    tag = "settings",
    params(("if-match" = Option<String>, Header, description = "Change them only at this revision: an ETag")),
    request_body(content(
        (ref("#/components/schemas/SettingsPatch") = "application/merge-patch+json"),
        (ref("#/components/schemas/SettingsPatch") = "application/json"),
    )),
    responses(
        (
            status = OK,
            body = Settings,
            description = "The settings as they are now; `warnings` names what is probably a mistake",
            headers(
                ("etag" = String, description = "Their revision"),
                ("twinread-stored" = bool, description = "Whether the change outlives the process"),
            ),
        ),
        Fails<400>,
        Fails<412>,
        Fails<413>,
        Fails<415>,
        Fails<422>,
    ),
)]
pub(super) async fn patch(
    State(state): State<AdminState>,
    Extension(caller): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let patch = read_patch(&headers, body)?;
    let running = &state.running;
    let if_match = named_revision(&headers, || running.settings().revision)?;
    let mut settings = running.patch(&patch, if_match, caller).map_err(refused)?;
    let unknown = unknown_exempt(&state, &patch, &settings.warnings);
    settings.warnings.extend(unknown);
    Ok(([state.stored().await], answer(settings)).into_response())
}

/// A warning for each exempt name of the patch that no route has, seen or declared, unless `warnings` has it.
fn unknown_exempt(state: &AdminState, patch: &Value, warnings: &[String]) -> Vec<String> {
    let names = patch.pointer("/verdict/exempt").and_then(Value::as_array);
    let names = names.into_iter().flatten().filter_map(Value::as_str);
    let config = state.running.config();
    let seen = state.ledger.routes();
    let seen = || seen.iter().map(|route| &**route.name());
    let is_unknown = |name: &&str| {
        let quoted = format!("`{name}`");
        *name != OTHER
            && !config.routes.can_be_declared(name)
            && !seen().any(|route| matches_glob(name, route))
            && !warnings.iter().any(|warning| warning.contains(&quoted))
    };
    let warning = |name: &str| {
        let meant = closest(name, seen().chain(config.routes.declared()));
        let hint = meant.map_or(String::new(), |meant| format!(", did you mean `{meant}`?"));
        format!("verdict.exempt: no route has had the name `{name}` so far{hint}")
    };
    names.filter(is_unknown).map(warning).collect()
}

fn refused(refused: Refused) -> Problem {
    match refused {
        Refused::Stale(current) => stale(current),
        Refused::Invalid(faults) => {
            let detail = "nothing was changed, for what is wrong with the patch";
            Problem::invalid(detail, &faults)
        }
    }
}

/// Past changes of settings
///
/// Each with its old and new value, the newest first.
#[utoipa::path(
    get,
    path = "/v1/settings/history",
    operation_id = "getSettingsHistory",
    tag = "settings",
    params(AskedPage),
    responses(
        (status = OK, body = SettingsHistory, description = "A page of changes"),
        Fails<400>,
        Fails<503>,
    ),
)]
pub(super) async fn history(
    State(state): State<AdminState>,
    asked: Result<Query<AskedPage>, QueryRejection>,
) -> Result<Json<SettingsHistory>, Problem> {
    let page = paging::page(history::of_settings(&state.database), asked).await?;
    Ok(Json(SettingsHistory {
        changes: page.entries,
        next: page.next.map(|next| next.to_string()),
        unreadable: page.unreadable,
    }))
}

fn answer(settings: Settings) -> Response {
    let tag = etag(settings.revision);
    ([(header::ETAG, tag)], Json(settings)).into_response()
}

fn read_patch(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Value, Problem> {
    if !is_patch(headers) {
        let detail = format!("a patch has to be {}", PATCH_TYPES.join(" or "));
        let accepted = HeaderValue::from_static("application/merge-patch+json, application/json");
        let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
        return Err(problem.with_header(ACCEPT_PATCH, accepted));
    }
    let patch = read_json(body)?;
    if !patch.is_object() {
        let detail = "a patch has to be an object of settings";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    Ok(patch)
}

fn is_patch(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    PATCH_TYPES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(essence))
}

/// The revision that `If-Match` requires; of several, the current one if listed.
fn named_revision(
    headers: &HeaderMap,
    current: impl FnOnce() -> u64,
) -> Result<Option<u64>, Problem> {
    let values = headers.get_all(header::IF_MATCH).iter();
    let texts = values.map(|value| value.to_str().unwrap_or_default());
    let tags: Vec<_> = texts
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .collect();
    if tags.is_empty() || tags.contains(&"*") {
        return Ok(None);
    }
    let current = current();
    let wanted = etag(current);
    // A weak tag never matches here (RFC 9110, 13.1.1).
    if tags.iter().any(|tag| tag.as_bytes() == wanted.as_bytes()) {
        Ok(Some(current))
    } else {
        Err(stale(current))
    }
}

fn stale(current: u64) -> Problem {
    let detail = format!("the settings are at revision {current}");
    let problem = Problem::new(StatusCode::PRECONDITION_FAILED, detail);
    problem.with_header(header::ETAG, etag(current))
}

fn etag(revision: u64) -> HeaderValue {
    let tag = format!("\"{revision}\"");
    tag.parse().expect("digits in quotes can stand in a header")
}
