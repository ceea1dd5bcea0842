//! Routes each call to its handler.

use super::{
    AdminState, Config,
    advice::{self, Turn},
    calls::{Calls, under_way},
    epochs, evidence, examples,
    guard::{Credentials, guard},
    openapi::{self, Frame},
    probes,
    problem::Problem,
    recheck, record, settings, verdict,
};
use crate::value::json::{self, KEY_TWICE};
use axum::{
    Extension, Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Request,
        rejection::{BytesRejection, QueryRejection},
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::time::Duration;
use tokio::time;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Maximum size of a request body, in bytes.
const MAX_BODY: usize = 1 << 20;

/// Time from the request's head to the answer's, including the request's body.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

pub(super) fn router(state: AdminState, config: &Config) -> Router {
    let token = config.token.as_deref();
    let calls = Calls::new(config, state.gauges.clone());
    let (router, document) = routes().split_for_parts();
    let described = openapi::describe(document, token);
    router
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .with_state(state)
        .layer(Extension(Turn::new()))
        .layer(Extension(described))
        .layer(middleware::from_fn_with_state(calls, under_way))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(
            Credentials::new(token),
            guard,
        ))
        .layer(middleware::from_fn(bounded))
}

/// Every call, registered with its description.
fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::with_openapi(Frame::openapi())
        .routes(routes!(probes::livez))
        .routes(routes!(probes::readyz))
        .routes(routes!(probes::metrics))
        .routes(routes!(verdict::verdict))
        .routes(routes!(verdict::history))
        .routes(routes!(verdict::routes))
        .routes(routes!(evidence::list))
        .routes(routes!(evidence::put))
        .routes(routes!(record::record))
        .routes(routes!(examples::classes))
        .routes(routes!(examples::class))
        .routes(routes!(recheck::recheck))
        .routes(routes!(examples::mismatches))
        .routes(routes!(examples::mismatch))
        .routes(routes!(epochs::begin))
        .routes(routes!(epochs::list))
        .routes(routes!(settings::show, settings::patch))
        .routes(routes!(settings::history))
        .routes(routes!(verdict::rules))
        .routes(routes!(advice::suggestions))
        .routes(routes!(advice::preview))
        .routes(routes!(openapi::show))
}

/// Parses the JSON document of a request's body.
pub(super) fn read_json(body: Result<Bytes, BytesRejection>) -> Result<Value, Problem> {
    let body = body.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let bad = |detail| Problem::new(StatusCode::BAD_REQUEST, detail);
    let document = serde_json::from_slice(&body)
        .map_err(|error| bad(format!("the body is not JSON: {error}")))?;
    match repeated_key(&body) {
        // It is ambiguous which of the two was meant.
        Some(key) => Err(bad(format!("the key {key:?} is given twice in an object"))),
        None => Ok(document),
    }
}

/// Reads the JSON object of a request's body, each field by its name; `None` if the body is empty or null.
pub(super) fn read_object<T: DeserializeOwned>(
    body: Result<Bytes, BytesRejection>,
) -> Result<Option<T>, Problem> {
    if matches!(&body, Ok(body) if body.is_empty()) {
        return Ok(None);
    }
    let invalid = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
    match read_json(body)? {
        Value::Null => Ok(None),
        // A derived reader would take a list of the values as well.
        object @ Value::Object(_) => serde_json::from_value(object)
            .map(Some)
            .map_err(|error| invalid(error.to_string())),
        _ => Err(invalid("expected an object".to_owned())),
    }
}

/// A key that occurs twice in an object of a JSON text.
fn repeated_key(body: &[u8]) -> Option<String> {
    let invalid = json::Document::parse(body, usize::MAX).err()?;
    let key = body
        .get(invalid.at..)
        .filter(|_| invalid.problem == KEY_TWICE)?;
    let mut keys = serde_json::Deserializer::from_slice(key).into_iter::<String>();
    keys.next()?.ok()
}

/// The query of a call that takes none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoQuery {}

pub(super) fn bad_query(rejection: QueryRejection) -> Problem {
    Problem::new(rejection.status(), rejection.body_text())
}

async fn unknown(uri: Uri) -> Problem {
    let detail = format!("there is no `{}`", uri.path());
    Problem::new(StatusCode::NOT_FOUND, detail)
}

async fn not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("`{}` cannot be called with {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

/// Limits the time of a call, and marks every answer as not cacheable.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The paths of a router, which only its `Debug` output shows.
    fn paths(router: &Router<AdminState>) -> BTreeSet<String> {
        let text = format!("{router:?}");
        let texts = text.split('"').skip(1).step_by(2);
        // The root and what is below it belong to axum's fallback.
        let is_ours = |text: &&str| text.len() > 1 && !text.contains("__private");
        let paths = texts.filter(|text| text.starts_with('/')).filter(is_ours);
        paths.map(str::to_owned).collect()
    }

    #[test]
    fn every_route_is_described() {
        let (router, document) = routes().split_for_parts();
        let described = document.paths.paths.into_keys().collect();
        assert_eq!(paths(&router), described);
        let more = router.route("/v1/more", axum::routing::get(probes::livez));
        assert_ne!(
            paths(&more),
            described,
            "a route that is not described is seen"
        );
    }
}
