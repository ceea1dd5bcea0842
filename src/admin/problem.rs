//! Errors as `application/problem+json` (RFC 9457).

use crate::{spanned_yaml::ConfigErrors, store::QueryError};
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong with a call (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// There is no registry of types: the status says which kind it is.
    r#type: &'static str,
    title: &'static str,
    #[serde(serialize_with = "as_number")]
    #[schema(value_type = u16, minimum = 400, maximum = 599)]
    status: StatusCode,
    detail: String,
    /// Each fault, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<String>,
    /// Header that belongs to the status: `WWW-Authenticate`, `ETag`, `Accept-Patch`.
    #[serde(skip)]
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

// === impl Problem ===

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("error"),
            status,
            detail: detail.into(),
            faults: Vec::new(),
            header: None,
        }
    }

    pub(super) fn with_faults(self, faults: Vec<String>) -> Self {
        Self { faults, ..self }
    }

    pub(super) fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self {
            header: Some(Box::new((name, value))),
            ..self
        }
    }

    /// What was sent can be read, but not be followed.
    pub(super) fn invalid(detail: &str, faults: &ConfigErrors) -> Self {
        let faults = faults.iter().map(ToString::to_string).collect();
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with_faults(faults)
    }

    pub(super) fn unknown(what: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what} `{id}`"))
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Cursor(_) => {
                let detail = "the cursor is not one that an earlier page gave";
                Self::new(StatusCode::BAD_REQUEST, detail)
            }
            QueryError::Database(error) => {
                tracing::error!(%error, "stored data cannot be read");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "stored data cannot be read",
                )
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let text = serde_json::to_vec(&self).expect("a problem has only texts and numbers");
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = self.status;
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if let Some((name, value)) = self.header.map(|header| *header) {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}
