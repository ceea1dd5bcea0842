//! Message heads as flat bytes: one allocation that shares nothing.
//!
//! A cloned header map holds references into the buffer that its message was read into. Kept longer than the message,
//! it would keep that whole buffer alive. No budget counts the buffer, and the connection would have to allocate a new
//! one each time.

use super::ReadRequest;
use crate::compare::{Answer, BodyCopy};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

/// The target, then alternating header names and values, each with its length in front.
#[derive(Clone, Debug)]
pub struct CompactHead {
    parts: Vec<u8>,
    headers: usize,
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

/// Approximate bytes that a header map uses per header, in addition to name and value.
const ENTRY: usize = 96;

const LENGTH: usize = size_of::<u32>();

const INTACT: &str = "what was put in flat must come out whole";

// === impl CompactHead ===

impl CompactHead {
    /// Copies a target and the headers that `keeps` admits.
    pub fn of(uri: &Uri, headers: &HeaderMap, keeps: impl Fn(&HeaderName) -> bool) -> Self {
        let mut parts = Vec::with_capacity(CAPACITY);
        match (uri.scheme(), uri.path_and_query()) {
            (None, Some(path)) => put(&mut parts, path.as_str().as_bytes()),
            _ => put(&mut parts, uri.to_string().as_bytes()),
        }
        Self::after(parts, headers, keeps)
    }

    pub fn of_headers(headers: &HeaderMap) -> Self {
        let mut parts = Vec::with_capacity(CAPACITY);
        put(&mut parts, b"");
        Self::after(parts, headers, |_| true)
    }

    fn after(mut parts: Vec<u8>, headers: &HeaderMap, keeps: impl Fn(&HeaderName) -> bool) -> Self {
        let mut count = 0;
        for (name, value) in headers.iter().filter(|(name, _)| keeps(name)) {
            put(&mut parts, name.as_str().as_bytes());
            put(&mut parts, value.as_bytes());
            count += 1;
        }
        Self {
            parts,
            headers: count,
        }
    }

    /// The bytes it uses now and those it will use once opened.
    pub fn weight(&self) -> usize {
        self.parts.len() + self.headers * ENTRY
    }

    /// Returns the target (empty if there was none) and the headers. Both share the kept bytes.
    pub fn open(self) -> (Bytes, HeaderMap) {
        let mut parts = Bytes::from(self.parts);
        let target = take(&mut parts);
        let mut headers = HeaderMap::with_capacity(self.headers);
        while !parts.is_empty() {
            let name = HeaderName::from_bytes(&take(&mut parts)).expect(INTACT);
            let value = HeaderValue::from_maybe_shared(take(&mut parts)).expect(INTACT);
            headers.append(name, value);
        }
        (target, headers)
    }
}

fn put(parts: &mut Vec<u8>, part: &[u8]) {
    parts.extend_from_slice(&(part.len() as u32).to_ne_bytes());
    parts.extend_from_slice(part);
}

fn take(parts: &mut Bytes) -> Bytes {
    let length = parts.split_to(LENGTH);
    let length = u32::from_ne_bytes(length[..].try_into().expect(INTACT));
    parts.split_to(length as usize)
}

// === impl CompactRequest ===

impl CompactRequest {
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
