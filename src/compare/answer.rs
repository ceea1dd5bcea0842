//! One whole response from a stack.

use crate::value::grpc;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use std::fmt;
use xxhash_rust::xxh3::Xxh3Default;

/// Status, headers, body and trailers of one response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// As sent. Names of hop-by-hop headers may be among them; they are not compared.
    pub headers: HeaderMap,
    /// As sent, still encoded.
    pub body: BodyCopy,
    /// Empty if there were none.
    pub trailers: HeaderMap,
}

/// The kept part of a body. A body that was cut equals nothing, not even another cut body.
#[derive(Clone, Debug)]
pub enum BodyCopy {
    /// All of it.
    Whole(Bytes),
    /// Too large to be kept; it was hashed while it was streamed.
    Hashed(Digest),
    /// Too large to be kept; it was not read to its end.
    Cut,
}

/// Length and XXH3-128 of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// In bytes.
    pub length: u64,
    /// XXH3-128 of the bytes.
    pub hash: u128,
}

/// Hashes a body while it is streamed.
#[derive(Clone)]
pub struct Hashing {
    // Boxed, because its state is larger than half a KiB.
    state: Box<Xxh3Default>,
    length: u64,
}

// === impl Answer ===

impl Answer {
    /// An answer with status 200, a content type and a body.
    pub fn ok(content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, content_type)]),
            body: body.into().into(),
            trailers: HeaderMap::new(),
        }
    }

    /// The status that a caller goes by: of an answer of gRPC, the status of HTTP that `grpc-status` corresponds to.
    pub fn effective_status(&self) -> StatusCode {
        match grpc::status(&self.headers, &self.trailers) {
            Some(code) if self.status == StatusCode::OK => grpc::http_status(code),
            _ => self.status,
        }
    }

    /// An answer with status 200 and a JSON body.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::ok(HeaderValue::from_static("application/json"), body)
    }
}

// === impl BodyCopy ===

impl BodyCopy {
    /// The kept bytes; empty if the body was too large.
    pub fn kept(&self) -> &Bytes {
        static NONE: Bytes = Bytes::new();
        match self {
            Self::Whole(bytes) => bytes,
            Self::Hashed(_) | Self::Cut => &NONE,
        }
    }

    /// The length of the whole body; `None` if it was cut.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Whole(bytes) => Some(bytes.len() as u64),
            Self::Hashed(digest) => Some(digest.length),
            Self::Cut => None,
        }
    }
}

impl PartialEq for BodyCopy {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            // Answers that were equal from the start may share their bytes, which then need not be compared.
            (Self::Whole(one), Self::Whole(other)) => {
                std::ptr::eq(&one[..], &other[..]) || one == other
            }
            (Self::Hashed(one), Self::Hashed(other)) => one == other,
            _ => false,
        }
    }
}

impl<B: Into<Bytes>> From<B> for BodyCopy {
    fn from(bytes: B) -> Self {
        Self::Whole(bytes.into())
    }
}

// === impl Hashing ===

impl Hashing {
    /// Starts with the first bytes of a body.
    pub fn begin(bytes: &[u8]) -> Self {
        let mut hashing = Self {
            state: Box::new(Xxh3Default::new()),
            length: 0,
        };
        hashing.update(bytes);
        hashing
    }

    /// Adds the next bytes of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// The number of bytes so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The length and hash of the bytes so far.
    pub fn digest(&self) -> Digest {
        Digest {
            length: self.length,
            hash: self.state.digest128(),
        }
    }
}

impl fmt::Debug for Hashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Hashing");
        debug.field("length", &self.length).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_does_not_depend_on_how_the_bytes_came() {
        let bytes: Vec<u8> = (0..10_000).map(|n| (n % 251) as u8).collect();
        let whole = Hashing::begin(&bytes).digest();
        let mut parts = Hashing::begin(&bytes[..1]);
        bytes[1..].chunks(77).for_each(|part| parts.update(part));
        assert_eq!(parts.digest(), whole);
        assert_eq!((whole.length, parts.length()), (10_000, 10_000));
        assert_ne!(Hashing::begin(&bytes[1..]).digest().hash, whole.hash);
    }

    #[test]
    fn effective_status_of_a_call_is_what_it_says() {
        let call = |code: &'static str| {
            let mut answer = Answer::ok(HeaderValue::from_static("application/grpc"), "");
            answer
                .trailers
                .insert("grpc-status", HeaderValue::from_static(code));
            answer
        };
        for (code, status) in [
            ("0", 200),
            ("16", 401),
            ("14", 503),
            ("99", 500),
            ("x", 200),
        ] {
            assert_eq!(call(code).effective_status(), status, "{code}");
        }
        let failed = Answer {
            status: StatusCode::BAD_GATEWAY,
            ..call("0")
        };
        assert_eq!(failed.effective_status(), 502);
        let mut json = Answer::json("");
        json.headers
            .insert("grpc-status", HeaderValue::from_static("16"));
        assert_eq!(json.effective_status(), 200);
    }

    #[test]
    fn bodies_are_equal_only_where_that_is_known() {
        let hashed = |bytes: &[u8]| BodyCopy::Hashed(Hashing::begin(bytes).digest());
        assert_eq!(BodyCopy::from("a"), BodyCopy::from("a"));
        assert_eq!(hashed(b"a"), hashed(b"a"));
        assert_ne!(hashed(b"a"), hashed(b"b"));
        assert_ne!(hashed(b"a"), BodyCopy::from("a"));
        assert_ne!(BodyCopy::Cut, BodyCopy::Cut);
        assert_ne!(BodyCopy::Cut, BodyCopy::from(""));
    }
}
