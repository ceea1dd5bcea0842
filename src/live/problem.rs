//! Answers of our own, where the primary gave none (RFC 9457).

use super::body::response::ResponseBody;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

/// Why the caller gets an answer that is not the primary's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Problem {
    NoConnection,
    ConnectTimeout,
    /// The primary broke the connection before an answer.
    Reset,
    /// What the primary sent is not acceptable HTTP.
    NotHttp,
    /// The caller's body broke, or its framing is at fault.
    BadRequest,
    /// The caller sent nothing of its body for too long.
    BodyTimeout,
    /// `CONNECT`: nothing is tunnelled to places of the caller's choice.
    Connect,
    /// A request target that names no resource.
    BadTarget,
    /// The request has come back to the instance of twinread that sent it.
    Loop,
}

// === impl Problem ===

impl Problem {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::NoConnection | Self::Reset | Self::NotHttp => StatusCode::BAD_GATEWAY,
            Self::ConnectTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::BadRequest | Self::BadTarget => StatusCode::BAD_REQUEST,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Connect => StatusCode::METHOD_NOT_ALLOWED,
            Self::Loop => StatusCode::LOOP_DETECTED,
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::NoConnection => "no connection to the stack that serves",
            Self::ConnectTimeout => "no connection in time to the stack that serves",
            Self::Reset => "the stack that serves broke the connection before an answer",
            Self::NotHttp => "the answer of the stack that serves is not acceptable HTTP",
            Self::BadRequest => "the body of the request broke or is not acceptable HTTP",
            Self::BodyTimeout => "the body of the request did not come in time",
            Self::Connect => "CONNECT is not supported",
            Self::BadTarget => "the request target names no resource",
            Self::Loop => {
                "the request has passed this twinread before: a stack's url leads back to it"
            }
        }
    }

    pub(super) fn answer(self) -> Response<ResponseBody> {
        let status = self.status();
        let body = serde_json::json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": self.detail(),
        });
        let body = Bytes::from(body.to_string());
        let mut answer = Response::new(ResponseBody::own(body, self));
        *answer.status_mut() = status;
        let kind = HeaderValue::from_static("application/problem+json");
        answer.headers_mut().insert(header::CONTENT_TYPE, kind);
        if matches!(self, Self::BadRequest | Self::BodyTimeout | Self::Connect) {
            // What comes next on this connection cannot be told apart from what belonged to this request.
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(header::CONNECTION, close);
        }
        if self == Self::Connect {
            let allow = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS");
            answer.headers_mut().insert(header::ALLOW, allow);
        }
        answer
    }
}
