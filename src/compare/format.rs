//! The format of a body: by its content type, never by guessing.

use http::{HeaderMap, header::CONTENT_TYPE};

/// How a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    /// Line by line.
    Text,
    Bytes,
}

// === impl Format ===

impl Format {
    /// The format of a media type, parameters not included. What is unknown is bytes.
    pub fn of(media_type: &str) -> Self {
        let media_type = media_type.to_ascii_lowercase();
        match media_type.as_str() {
            "application/json" => Self::Json,
            // Structured, but compared as the text they are.
            "application/x-ndjson" | "application/xml" | "application/x-www-form-urlencoded" => {
                Self::Text
            }
            other if other.ends_with("+json") => Self::Json,
            // How AWS names JSON with the version of its protocol: `application/x-amz-json-1.0`.
            other if other.starts_with("application/x-amz-json-") => Self::Json,
            other if other.ends_with("+xml") || other.starts_with("text/") => Self::Text,
            _ => Self::Bytes,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
            Self::Bytes => "bytes",
        }
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
            ("text/html", Format::Text),
            ("image/svg+xml", Format::Text),
            ("application/octet-stream", Format::Bytes),
            ("", Format::Bytes),
            ("application/jsonp", Format::Bytes),
        ] {
            assert_eq!(Format::of(media_type), format, "{media_type}");
        }
    }
}
