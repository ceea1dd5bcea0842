//! A request without a body, kept to be sent once more where a kept connection turns out to be dead.
//!
//! Nearly every one is dropped unused, so it is kept as flat bytes: one allocation, where a cloned header map takes several and
//! counts a reference for each value.

use super::upload::Upload;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body::Body;

#[derive(Debug)]
pub(super) struct Again {
    method: Method,
    /// The target, then names and values in turn; each after its length.
    parts: Vec<u8>,
}

// === impl Again ===

impl Again {
    /// `None` where sending it twice could do harm, or its body could not be sent twice.
    pub(super) fn of(request: &Request<Upload>) -> Option<Self> {
        if !request.method().is_idempotent() || !request.body().is_end_stream() {
            return None;
        }
        let mut parts = Vec::with_capacity(512);
        let target = request.uri().path_and_query();
        put(
            &mut parts,
            target.map_or("/", |path| path.as_str()).as_bytes(),
        );
        for (name, value) in request.headers() {
            put(&mut parts, name.as_str().as_bytes());
            put(&mut parts, value.as_bytes());
        }
        Some(Self {
            method: request.method().clone(),
            parts,
        })
    }

    pub(super) fn request(&self) -> Request<Upload> {
        let mut request = Request::new(Upload::default());
        let mut rest = self.parts.as_slice();
        let target = take(&mut rest).unwrap_or(b"/");
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::try_from(target).expect("what was a target must be one");
        let headers: &mut HeaderMap = request.headers_mut();
        while let (Some(name), Some(value)) = (take(&mut rest), take(&mut rest)) {
            let name = HeaderName::from_bytes(name).expect("what was a name must be one");
            let value = HeaderValue::from_bytes(value).expect("what was a value must be one");
            headers.append(name, value);
        }
        request
    }
}

fn put(parts: &mut Vec<u8>, part: &[u8]) {
    parts.extend_from_slice(&(part.len() as u32).to_ne_bytes());
    parts.extend_from_slice(part);
}

fn take<'p>(parts: &mut &'p [u8]) -> Option<&'p [u8]> {
    let (length, rest) = parts.split_first_chunk()?;
    let (part, rest) = rest.split_at_checked(u32::from_ne_bytes(*length) as usize)?;
    *parts = rest;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_comes_back_as_it_was() {
        let request = Request::put("/a%20b?c")
            .header("x-a", "1")
            .header("x-b", HeaderValue::from_bytes(b"\xff").unwrap())
            .header("x-a", "")
            .body(Upload::default())
            .unwrap();
        let again = Again::of(&request).unwrap().request();
        assert_eq!(again.method(), request.method());
        assert_eq!(again.uri(), request.uri());
        assert_eq!(again.headers(), request.headers());
    }

    #[test]
    fn what_could_do_harm_is_not_kept() {
        let request = Request::post("/").body(Upload::default()).unwrap();
        assert!(Again::of(&request).is_none());
    }
}
