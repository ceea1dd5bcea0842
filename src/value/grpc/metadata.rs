//! Headers and trailers as they are meant: decoded, and where a normal answer has them.

use super::{Descriptors, Limits, descriptors::STATUS, is_grpc, tree};
use crate::value::format::media_type;
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use percent_encoding::percent_decode;
use std::borrow::Cow;

/// The headers and trailers of an answer.
#[derive(Clone, Debug)]
pub struct Metadata<'a> {
    /// Before the body.
    pub headers: Cow<'a, HeaderMap>,
    /// After the body.
    pub trailers: Cow<'a, HeaderMap>,
}

const STATUS_CODE: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Status codes by their number (gRPC, "Status codes and their use in gRPC"), with the status of HTTP that each one
/// corresponds to (`google/rpc/code.proto`).
const CODES: [(&str, u16); 17] = [
    ("OK", 200),
    ("CANCELLED", 499),
    ("UNKNOWN", 500),
    ("INVALID_ARGUMENT", 400),
    ("DEADLINE_EXCEEDED", 504),
    ("NOT_FOUND", 404),
    ("ALREADY_EXISTS", 409),
    ("PERMISSION_DENIED", 403),
    ("RESOURCE_EXHAUSTED", 429),
    ("FAILED_PRECONDITION", 400),
    ("ABORTED", 409),
    ("OUT_OF_RANGE", 400),
    ("UNIMPLEMENTED", 501),
    ("INTERNAL", 500),
    ("UNAVAILABLE", 503),
    ("DATA_LOSS", 500),
    ("UNAUTHENTICATED", 401),
];

/// Receivers must accept binary metadata with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Details are metadata, which servers bound to a few KiB.
const LIMITS: Limits = Limits {
    max_text: 1 << 20,
    max_depth: 64,
};

// === impl Metadata ===

impl<'a> Metadata<'a> {
    /// Those of two answers. What the only block of a trailers-only answer holds is moved to its trailers if it is the
    /// status, or if the other answer has it there.
    pub fn of_both(answers: [(&'a HeaderMap, &'a HeaderMap); 2]) -> [Self; 2] {
        let mut both = answers.map(|(headers, trailers)| Self {
            headers: Cow::Borrowed(headers),
            trailers: Cow::Borrowed(trailers),
        });
        for (side, other) in [(0, 1), (1, 0)] {
            let (headers, trailers) = answers[side];
            if !is_trailers_only(headers, trailers) {
                continue;
            }
            let (other_headers, other_trailers) = answers[other];
            let is_trailer = |name: &HeaderName| {
                [STATUS_CODE, MESSAGE, DETAILS].contains(name)
                    || other_trailers.contains_key(name) && !other_headers.contains_key(name)
            };
            let moved: Vec<_> = headers.keys().filter(|name| is_trailer(name)).collect();
            let one = &mut both[side];
            for name in moved {
                for value in headers.get_all(name) {
                    one.trailers.to_mut().append(name, value.clone());
                }
                one.headers.to_mut().remove(name);
            }
        }
        both
    }
}

/// The code that `grpc-status` gives, in the trailers or in an answer of trailers alone.
pub fn status(headers: &HeaderMap, trailers: &HeaderMap) -> Option<u32> {
    if !is_grpc(media_type(headers)) {
        return None;
    }
    let value = trailers
        .get(STATUS_CODE)
        .or_else(|| headers.get(STATUS_CODE))?;
    value.to_str().ok()?.parse().ok()
}

/// The name of a status code of gRPC, such as `NOT_FOUND`; a code without a name is written as a number.
pub fn status_name(code: u32) -> Cow<'static, str> {
    match usize::try_from(code).ok().and_then(|code| CODES.get(code)) {
        Some((name, _)) => Cow::Borrowed(name),
        None => Cow::Owned(code.to_string()),
    }
}

/// The status of HTTP that a status code of gRPC corresponds to; an unknown code is a failure of the server.
pub fn http_status(code: u32) -> StatusCode {
    let known = usize::try_from(code).ok().and_then(|code| CODES.get(code));
    let status = known.and_then(|(_, status)| StatusCode::from_u16(*status).ok());
    status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn is_trailers_only(headers: &HeaderMap, trailers: &HeaderMap) -> bool {
    is_grpc(media_type(headers))
        && headers.contains_key(STATUS_CODE)
        && !trailers.contains_key(STATUS_CODE)
}

/// Whether [`decoded`] writes values of that name as JSON.
pub fn is_document(name: &HeaderName) -> bool {
    *name == DETAILS
}

/// The meaning of a value in the metadata of a gRPC answer: `grpc-message` is percent-decoded, `-bin` is decoded from
/// base64, and `grpc-status-details-bin` is written as JSON. What cannot be decoded stays as it is.
pub fn decoded<'v>(name: &HeaderName, value: &'v [u8], descriptors: &Descriptors) -> Cow<'v, [u8]> {
    if *name == MESSAGE {
        return percent_decode(value).into();
    }
    if !name.as_str().ends_with("-bin") {
        return Cow::Borrowed(value);
    }
    let Ok(bytes) = BASE64.decode(value) else {
        return Cow::Borrowed(value);
    };
    if *name == DETAILS
        && let Some(status) = descriptors.message(STATUS)
        && let Ok(json) = tree::message(&Bytes::from(bytes.clone()), &status, LIMITS)
    {
        return Cow::Owned(json);
    }
    Cow::Owned(bytes)
}
