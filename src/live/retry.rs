//! A request without a body, kept for a retry if the pooled connection turns out to be dead.
//!
//! Almost every one is dropped unused, so it is kept in flat form.

use super::body::request::RequestBody;
use crate::pipeline::CompactHead;
use http::{Method, Request, Uri};
use http_body::Body;

#[derive(Debug)]
pub(super) struct ReplayableRequest {
    method: Method,
    head: CompactHead,
}

// === impl ReplayableRequest ===

impl ReplayableRequest {
    /// `None` if a second attempt could do harm, or the body could not be sent again.
    pub(super) fn of(request: &Request<RequestBody>) -> Option<Self> {
        if !request.method().is_idempotent() || !request.body().is_end_stream() {
            return None;
        }
        Some(Self {
            method: request.method().clone(),
            head: CompactHead::of(request.uri(), request.headers(), |_| true),
        })
    }

    pub(super) fn into_request(self) -> Request<RequestBody> {
        let (target, headers) = self.head.open();
        let mut request = Request::new(RequestBody::default());
        *request.method_mut() = self.method;
        *request.uri_mut() = Uri::from_maybe_shared(target).expect("what was a target must be one");
        *request.headers_mut() = headers;
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_request_comes_back_as_it_was() {
        let request = Request::put("/a%20b?c")
            .header("x-a", "1")
            .header("x-b", HeaderValue::from_bytes(b"\xff").unwrap())
            .header("x-a", "")
            .body(RequestBody::default())
            .unwrap();
        let again = ReplayableRequest::of(&request).unwrap().into_request();
        assert_eq!(again.method(), request.method());
        assert_eq!(again.uri(), request.uri());
        assert_eq!(again.headers(), request.headers());
    }

    #[test]
    fn what_could_do_harm_is_not_kept() {
        let request = Request::post("/").body(RequestBody::default()).unwrap();
        assert!(ReplayableRequest::of(&request).is_none());
    }
}
