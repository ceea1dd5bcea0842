//! gRPC: descriptors, the messages of a body, and metadata.
//!
//! Messages are written as JSON for places, rules and the walk, as XML is:
//!
//! - Fields are members by their names in the `.proto` file, extensions `[full.name]`. A field of implicit presence, a
//!   list or a map is always there: what is not sent has its default. A field of explicit presence (`optional`, of a
//!   `oneof`, a message) is there if it was sent.
//! - Integers of any size and floats are numbers; NaN and infinities are the strings that ProtoJSON uses. Bytes are
//!   base64. An enum value is its name; a number without a name stays a number.
//! - The message in a `google.protobuf.Any` of a described type stands in its place, with its type as `@type`.
//!   Other well-known types are messages like all others.
//! - Fields that the descriptor does not know are `#12`, by number: base64 of their bytes on the wire, with tags.

mod descriptors;
mod frames;
mod metadata;
mod reflection;
#[cfg(test)]
mod tests;
mod tree;

pub use descriptors::{Call, Descriptors, MessageType};
pub use frames::{Unreadable, frames, is_one_message, plain};
pub use metadata::{Metadata, decoded, http_status, is_document, status, status_name};
pub(crate) use reflection::{MAX_BYTES, Reflected, Reflection, Unreflected, is_edition};
pub use tree::{Limits, json};

use super::format::{Format, Reading};
use bytes::Bytes;
use http::{HeaderMap, HeaderName};

/// The coding of compressed messages.
pub const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Whether a media type without parameters is that of gRPC, with messages in protobuf or any other format. gRPC-Web has
/// another framing.
pub fn is_grpc(media_type: &str) -> bool {
    let rest = media_type.get(..16).map(|head| {
        let is_alike = head.eq_ignore_ascii_case("application/grpc");
        (is_alike, &media_type[16..])
    });
    rest.is_some_and(|(is_alike, rest)| is_alike && (rest.is_empty() || rest.starts_with('+')))
}

/// The messages of a decoded body as a JSON text of at most `limits.max_text` bytes; `None` if it cannot be read.
pub fn legible(
    headers: &HeaderMap,
    body: &Bytes,
    of: &MessageType,
    limits: Limits,
) -> Option<Vec<u8>> {
    let Reading { format, coding, .. } = Reading::of(headers);
    let messages = (format == Format::Grpc).then(|| frames(body, &coding, limits.max_text))?;
    json(&messages.ok()?, of, limits).ok()
}

/// The coding that `grpc-encoding` names, in lower case; empty if messages are not compressed.
pub fn coding(headers: &HeaderMap) -> String {
    let value = headers.get(GRPC_ENCODING).map(|value| value.as_bytes());
    let name = String::from_utf8_lossy(value.unwrap_or_default()).to_ascii_lowercase();
    match name.trim() {
        "identity" => String::new(),
        name => name.to_owned(),
    }
}
