//! The decoder chain: any bytes under any sequence of codings are decoded within the limit or rejected.
#![no_main]

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::CONTENT_ENCODING};
use libfuzzer_sys::fuzz_target;
use twinread::value::coding::decode;

const CODINGS: [&str; 12] = [
    "gzip",
    "deflate",
    "br",
    "zstd",
    "gzip, gzip",
    "deflate, gzip",
    "br, gzip",
    "zstd, br",
    "gzip, zstd",
    "br, deflate, identity",
    "zstd, zstd, zstd",
    "x-gzip, compress",
];
const MAX: usize = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let Some((coding, body)) = input.split_first() else {
        return;
    };
    let coding = CODINGS[usize::from(*coding) % CODINGS.len()];
    let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(coding))]);
    let body = Bytes::copy_from_slice(body);
    let decoded = decode(&headers, &body, MAX);
    if let Ok(decoded) = &decoded {
        assert!(decoded.len() <= MAX, "larger than allowed");
        let exact = decode(&headers, &body, decoded.len().max(body.len()));
        assert!(
            exact.is_err() || exact.as_ref() == Ok(decoded),
            "the limit changes what is decoded"
        );
    }
    assert_eq!(
        decoded,
        decode(&headers, &body, MAX),
        "decoding is not the same twice"
    );
});
