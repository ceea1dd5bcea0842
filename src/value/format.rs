//! The format of a body: taken from its content type, never guessed.
//!
//! `multipart/*` is compared as bytes. The server chooses its boundary and may encode each part as it likes. So equal
//! meaning seldom has equal spelling, and a finer report would be unreliable. `text/event-stream` is compared as text:
//! the lines of an event are its meaning, and a stream is compared only if it has ended. gRPC is compared by message if
//! its messages are protobuf; other messages, and gRPC-Web, are bytes.

use super::{content_type::ContentType, grpc};
use http::{HeaderMap, header::CONTENT_TYPE};

/// How a body is read. More structured formats come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// A JSON text.
    Json,
    /// A JSON text on each line.
    Ndjson,
    /// JSON texts, each after a record separator (RFC 7464).
    JsonSeq,
    /// XML, compared as a tree.
    Xml,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// Protobuf messages, each with its length before it.
    Grpc,
    /// Line by line.
    Text,
    /// Anything else.
    Bytes,
}

/// How the body of one message is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// How the body is read.
    pub format: Format,
    /// The charset in the content type of a text or XML, in lower case. `None` for all other formats.
    pub charset: Option<String>,
    /// How messages of gRPC are compressed, in lower case. Empty for all other formats.
    pub coding: String,
}

/// What is known about the content types of two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Types {
    /// Each body is read by its own content type.
    AsDeclared,
    /// A rule makes different types equal, so both bodies are read in the same way.
    EqualByRule,
}

// === impl Format ===

impl Format {
    /// The format of a media type without parameters. Unknown types are bytes.
    pub fn of(media_type: &str) -> Self {
        let media_type = media_type.to_ascii_lowercase();
        match media_type.as_str() {
            "application/json" => Self::Json,
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonl"
            | "application/jsonlines"
            | "application/x-jsonlines"
            // Spring's former name.
            | "application/stream+json" => Self::Ndjson,
            "application/json-seq" => Self::JsonSeq,
            "application/x-www-form-urlencoded" => Self::Form,
            "application/grpc" | "application/grpc+proto" => Self::Grpc,
            other if other.starts_with("application/grpc") => Self::Bytes,
            other if other.ends_with("+json") => Self::Json,
            other if other.ends_with("+json-seq") => Self::JsonSeq,
            // AWS's name for JSON with its protocol version: `application/x-amz-json-1.0`.
            other if other.starts_with("application/x-amz-json-") => Self::Json,
            other if other.ends_with("/xml") || other.ends_with("+xml") => Self::Xml,
            other if other.starts_with("text/") => Self::Text,
            _ => Self::Bytes,
        }
    }

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::JsonSeq => "json-seq",
            Self::Xml => "xml",
            Self::Form => "form",
            Self::Grpc => "grpc",
            Self::Text => "text",
            Self::Bytes => "bytes",
        }
    }
}

// === impl Reading ===

impl Reading {
    /// As the content type of a message says.
    pub fn of(headers: &HeaderMap) -> Self {
        let format = Format::of(media_type(headers));
        let content_type = headers.get(CONTENT_TYPE).and_then(ContentType::parse);
        let charset = match format {
            Format::Text | Format::Xml => {
                content_type.and_then(|content_type| content_type.charset().map(str::to_owned))
            }
            _ => None,
        };
        let coding = match format {
            Format::Grpc => grpc::coding(headers),
            _ => String::new(),
        };
        Self {
            format,
            charset,
            coding,
        }
    }
}

/// The content type of a message without parameters; empty if it has none.
pub fn media_type(headers: &HeaderMap) -> &str {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let value = value.unwrap_or_default();
    let end = value.bytes().position(|byte| byte == b';');
    value[..end.unwrap_or(value.len())].trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_go_by_the_media_type() {
        for (media_type, format) in [
            ("application/json", Format::Json),
            ("Application/JSON", Format::Json),
            ("application/problem+json", Format::Json),
            ("application/x-amz-json-1.0", Format::Json),
            ("application/x-ndjson", Format::Ndjson),
            ("application/jsonl", Format::Ndjson),
            ("application/json-seq", Format::JsonSeq),
            ("application/geo+json-seq", Format::JsonSeq),
            ("application/xml", Format::Xml),
            ("text/xml", Format::Xml),
            ("image/svg+xml", Format::Xml),
            ("application/x-www-form-urlencoded", Format::Form),
            ("application/grpc", Format::Grpc),
            ("application/grpc+proto", Format::Grpc),
            ("application/grpc+json", Format::Bytes),
            ("application/grpc-web+proto", Format::Bytes),
            ("text/html", Format::Text),
            ("text/event-stream", Format::Text),
            ("multipart/form-data", Format::Bytes),
            ("application/octet-stream", Format::Bytes),
            ("", Format::Bytes),
            ("application/jsonp", Format::Bytes),
        ] {
            assert_eq!(Format::of(media_type), format, "{media_type}");
        }
    }
}
