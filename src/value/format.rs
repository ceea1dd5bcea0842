//! The format of a body: by its content type, never by guessing.
//!
//! `multipart/*` is compared as bytes: the server chooses its boundary and may encode each part as it likes, so what is
//! equal in meaning is seldom equal in any part of its spelling, and nothing finer can be told of it truthfully.
//! `text/event-stream` is compared as the text it is: an event means what its lines say, and a stream is compared only
//! where it has ended.

use super::content_type::ContentType;
use http::{HeaderMap, header::CONTENT_TYPE};

/// How a body is read. What has more structure comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    Json,
    /// A JSON text on each line.
    Ndjson,
    /// JSON texts, each behind a record separator (RFC 7464).
    JsonSeq,
    Xml,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// Line by line.
    Text,
    Bytes,
}

/// How the body of one message is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub format: Format,
    /// What the content type says of a text or XML, in lower case. Of everything else it has nothing to say.
    pub charset: Option<String>,
}

/// What is known of the content types of two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Types {
    /// Each body is read by its own.
    AsDeclared,
    /// A rule makes unlike types equal, so that both bodies are read alike.
    EqualByRule,
}

// === impl Format ===

impl Format {
    /// The format of a media type, parameters not included. What is unknown is bytes.
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
            // How Spring once named it.
            | "application/stream+json" => Self::Ndjson,
            "application/json-seq" => Self::JsonSeq,
            "application/x-www-form-urlencoded" => Self::Form,
            other if other.ends_with("+json") => Self::Json,
            other if other.ends_with("+json-seq") => Self::JsonSeq,
            // How AWS names JSON with the version of its protocol: `application/x-amz-json-1.0`.
            other if other.starts_with("application/x-amz-json-") => Self::Json,
            other if other.ends_with("/xml") || other.ends_with("+xml") => Self::Xml,
            other if other.starts_with("text/") => Self::Text,
            _ => Self::Bytes,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::JsonSeq => "json-seq",
            Self::Xml => "xml",
            Self::Form => "form",
            Self::Text => "text",
            Self::Bytes => "bytes",
        }
    }
}

// === impl Reading ===

impl Reading {
    pub fn of(headers: &HeaderMap) -> Self {
        let format = Format::of(media_type(headers));
        let content_type = headers.get(CONTENT_TYPE).and_then(ContentType::parse);
        let charset = match format {
            Format::Text | Format::Xml => {
                content_type.and_then(|content_type| content_type.charset().map(str::to_owned))
            }
            _ => None,
        };
        Self { format, charset }
    }
}

/// The content type of a message without parameters; empty where it has none.
pub fn media_type(headers: &HeaderMap) -> &str {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let value = value.unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
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
