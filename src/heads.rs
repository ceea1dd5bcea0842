//! Heads of requests and answers, as they pass a proxy: what belongs to one connection, what is meant for twinread, and
//! what HTTP/2 spells differently.

pub(crate) mod hop;
pub(crate) mod http2;
pub(crate) mod own;

use http::{HeaderMap, HeaderValue, header};

/// Whether an answer is of a type that never ends.
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let kind = kind.and_then(|kind| kind.split(|byte| *byte == b';').next());
    kind.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
}
