//! Message heads as flat bytes that share nothing with the message.
//!
//! The values of a cloned header map refer to the buffer that its message was read into. Kept longer than the message,
//! they would keep that whole buffer alive. No budget counts the buffer, and the connection would have to allocate a
//! new one each time. Names do not refer to it, because hyper copies them.

use super::ReadRequest;
use crate::compare::{Answer, BodyCopy};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header::TRANSFER_ENCODING,
};

/// A target and headers.
#[derive(Clone, Debug)]
pub struct CompactHead {
    /// Each name, and the length of its value.
    names: Vec<(HeaderName, usize)>,
    /// The values, then the target.
    bytes: Vec<u8>,
}

/// A read as the caller sent it, in flat form.
#[derive(Clone, Debug)]
pub struct CompactRequest {
    pub method: Method,
    pub head: CompactHead,
    pub body: Bytes,
}

/// The primary's complete answer, in flat form.
#[derive(Clone, Debug)]
pub struct CompactAnswer {
    pub status: StatusCode,
    pub head: CompactHead,
    pub body: BodyCopy,
    pub trailers: HeaderMap,
}

/// Initial capacity in bytes; few heads are longer.
const CAPACITY: usize = 512;

/// Approximate bytes that a header uses in a header map, in addition to name and value.
const ENTRY: usize = 96;

/// Headers that a replay adds. Without room for them, the map would be allocated again.
const ADDED: usize = 4;

const INTACT: &str = "what was put in flat must come out whole";

// === impl CompactHead ===

impl CompactHead {
    /// Copies a target and the headers that `keeps` admits.
    pub fn of(uri: &Uri, headers: &HeaderMap, keeps: impl Fn(&HeaderName) -> bool) -> Self {
        let mut head = Self::before_target(headers, keeps);
        match (uri.scheme(), uri.path_and_query()) {
            (None, Some(path)) => head.bytes.extend_from_slice(path.as_str().as_bytes()),
            _ => head.bytes.extend_from_slice(uri.to_string().as_bytes()),
        }
        head
    }

    pub fn of_headers(headers: &HeaderMap) -> Self {
        Self::before_target(headers, |_| true)
    }

    fn before_target(headers: &HeaderMap, keeps: impl Fn(&HeaderName) -> bool) -> Self {
        let mut names = Vec::with_capacity(headers.len());
        let mut bytes = Vec::with_capacity(CAPACITY);
        for (name, value) in headers.iter().filter(|(name, _)| keeps(name)) {
            names.push((name.clone(), value.len()));
            bytes.extend_from_slice(value.as_bytes());
        }
        Self { names, bytes }
    }

    /// The bytes it uses now and those it will use once opened.
    pub fn weight(&self) -> usize {
        let names = self.names.iter().map(|(name, _)| name.as_str().len());
        self.bytes.len() + names.sum::<usize>() + self.names.len() * ENTRY
    }

    /// Returns the target (empty if there was none) and the headers. Both share the kept bytes.
    pub fn open(self) -> (Bytes, HeaderMap) {
        let mut bytes = Bytes::from(self.bytes);
        let mut headers = HeaderMap::with_capacity(self.names.len() + ADDED);
        for (name, length) in self.names {
            let value = HeaderValue::from_maybe_shared(bytes.split_to(length)).expect(INTACT);
            headers.append(name, value);
        }
        (bytes, headers)
    }
}

// === impl CompactRequest ===

impl CompactRequest {
    /// A read for a replay: without its body, and without the framing of a body that will be sent whole.
    pub(crate) fn of_read(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let head = CompactHead::of(uri, headers, |name| *name != TRANSFER_ENCODING);
        Self::new(method.clone(), head)
    }

    /// Without a body.
    pub fn new(method: Method, head: CompactHead) -> Self {
        let body = Bytes::new();
        Self { method, head, body }
    }

    pub fn open(self) -> ReadRequest {
        let (target, headers) = self.head.open();
        ReadRequest {
            method: self.method,
            uri: Uri::from_maybe_shared(target).expect(INTACT),
            headers,
            body: self.body,
        }
    }
}

// === impl CompactAnswer ===

impl CompactAnswer {
    pub fn open(self) -> Answer {
        let (_, headers) = self.head.open();
        Answer {
            status: self.status,
            headers,
            body: self.body,
            trailers: self.trailers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_out_as_it_was_but_for_what_is_left_out() {
        let request = http::Request::put("/a%20b?c")
            .header("x-a", "1")
            .header("x-b", HeaderValue::from_bytes(b"\xff").unwrap())
            .header("x-a", "")
            .header("x-mine", "2")
            .body(())
            .unwrap();
        let flat = CompactHead::of(request.uri(), request.headers(), |name| name != "x-mine");
        let opened = CompactRequest {
            method: request.method().clone(),
            head: flat,
            body: Bytes::new(),
        }
        .open();
        assert_eq!(opened.uri, *request.uri());
        let mut expected = request.headers().clone();
        expected.remove("x-mine");
        assert_eq!(opened.headers, expected);
    }
}
