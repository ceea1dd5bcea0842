//! `/v1/openapi.json`: describes every call, from the same lines that route and answer it.
//!
//! Adds what holds for many calls: who may call, and the errors that any call may return.

use super::problem::Problem;
use crate::config;
use axum::{Extension, response::IntoResponse};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use std::collections::BTreeMap;
use utoipa::{
    IntoResponses, OpenApi,
    openapi::{
        self, ContentBuilder, Ref, RefOr, Required, Response, ResponseBuilder,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

/// The frame that the routes fill in.
#[derive(Debug, OpenApi)]
#[openapi(
    tags(
        (name = "probes", description = "For the orchestrator and Prometheus; open to everybody"),
        (name = "evidence", description = "What was found out"),
        (name = "settings", description = "What can change while it runs"),
        (name = "rules", description = "What counts as equal"),
        (name = "api", description = "This document"),
    ),
    components(schemas(Problem)),
)]
pub(super) struct Frame;

/// A call may answer with a problem of this status.
#[derive(Debug)]
pub(super) struct Fails<const STATUS: u16>;

/// The whole document. Shared by clones.
#[derive(Clone, Debug)]
pub(super) struct Described(Bytes);

const SCHEME: &str = "token";

/// The API, described
///
/// This document: OpenAPI 3.1.
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    operation_id = "getOpenApi",
    tag = "api",
    responses((status = OK, body = Object, description = "An OpenAPI 3.1 document")),
)]
pub(super) async fn show(Extension(described): Extension<Described>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], described.0)
}

/// Completes the document that the routes provide. `token` is the required credential.
pub(super) fn describe(mut document: openapi::OpenApi, token: Option<&str>) -> Described {
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("`admin_token` of the configuration"))
        .build();
    components.add_security_scheme(SCHEME, SecurityScheme::Http(bearer));
    for (path, item) in &mut document.paths.paths {
        // Only a body described by a type declares whether it is required.
        let patch = item.patch.as_mut();
        if let Some(RefOr::T(body)) = patch.and_then(|call| call.request_body.as_mut()) {
            body.required = Some(Required::True);
        }
        let is_guarded = path.starts_with("/v1/");
        let calls = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.patch,
        ];
        for operation in calls.into_iter().flatten() {
            add(operation, Fails::<408>::responses());
            if is_guarded {
                add(operation, Fails::<401>::responses());
                add(operation, Fails::<403>::responses());
                let shown = token.map(|_| SecurityRequirement::new(SCHEME, [""; 0]));
                operation.security = shown.map(|shown| vec![shown]);
            }
        }
    }
    let mut document = serde_json::to_value(document).expect("a description must be JSON");
    document["components"]["schemas"]["SettingsPatch"] = config::patch_schema();
    // As text, because a tree of values takes more memory, and hardly anybody asks for it.
    Described(document.to_string().into())
}

fn add(operation: &mut Operation, responses: BTreeMap<String, RefOr<Response>>) {
    operation.responses.responses.extend(responses);
}

// === impl Fails ===

impl<const STATUS: u16> IntoResponses for Fails<STATUS> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let description = match STATUS {
            400 => "A parameter or the body cannot be read",
            401 => "The token is missing or wrong",
            403 => "The `Host` or the `Origin` is foreign",
            404 => "There is none with this id",
            408 => "The request was not complete in time",
            412 => "The settings are at another revision",
            413 => "The body is too large",
            415 => "The body is of another media type",
            422 => "The body can be read, but not be followed; `faults` tells why",
            429 => "Another such call is under way",
            503 => "Something is missing for now; `detail` tells what",
            _ => "It failed",
        };
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/problem+json", problem.build());
        BTreeMap::from([(STATUS.to_string(), RefOr::T(response.build()))])
    }
}
