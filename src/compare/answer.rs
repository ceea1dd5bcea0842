//! One whole response, as it came from a stack.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// Status, headers, body and trailers of one response. The body is as it was sent, still encoded.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Empty where there were none.
    pub trailers: HeaderMap,
}
