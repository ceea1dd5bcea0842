//! A request without a body, kept for a retry if the pooled connection turns out to be dead, or the stack refuses it
//! unprocessed (RFC 9113 8.7).
//!
//! Almost every one is dropped unused, so it is kept in flat form.

use super::body::request::RequestBody;
use crate::pipeline::{CompactHead, CompactRequest};
use http::Request;
use http_body::Body;

/// `None` if a second attempt could do harm, or the body could not be sent again.
pub(super) fn replayable(
    request: &Request<RequestBody>,
    may_be_refused: bool,
) -> Option<CompactRequest> {
    let is_harmless = may_be_refused || request.method().is_idempotent();
    let is_whole = request.body().is_end_stream();
    let head = || CompactHead::of(request.uri(), request.headers(), |_| true);
    (is_harmless && is_whole).then(|| CompactRequest::new(request.method().clone(), head()))
}

pub(super) fn again(request: CompactRequest) -> Request<RequestBody> {
    request.open().with_body(RequestBody::default())
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
        let again = again(replayable(&request, false).unwrap());
        assert_eq!(again.method(), request.method());
        assert_eq!(again.uri(), request.uri());
        assert_eq!(again.headers(), request.headers());
    }

    #[test]
    fn what_could_do_harm_is_not_kept() {
        let request = Request::post("/").body(RequestBody::default()).unwrap();
        assert!(replayable(&request, false).is_none());
        assert!(replayable(&request, true).is_some());
    }
}
