//! Removes what must not leave the process from the report of a check.
//!
//! Everything here is pure and total. Names (of headers, members, parameters) are reported. Values are masked unless
//! the configuration shows them: `headers` and `fields` are always masked, `values` decides about the rest. A name that
//! looks personal (an address, a long number) is masked like a value.

mod body;
mod names;
mod path;
mod personal;
mod secret;
mod values;

pub(crate) use path::Walk;
pub use secret::Secret;

use crate::spanned_yaml::{Change, Choice, settings};
use http::{HeaderMap, HeaderName, HeaderValue};
use regex::Regex;

settings! {
    /// The section `redact` of the configuration, with limits that it does not expose.
    #[derive(Clone, Debug)]
    pub struct Config: Default {
        /// Headers whose values are never shown.
        #[setting(default: "[authorization, cookie, set-cookie, proxy-authorization, x-api-key]")]
        pub headers: Vec<HeaderName>,
        /// Patterns of names (JSON keys, parameters, path segments) whose values are never shown.
        #[setting(default: "['(?i)pass(word)?|secret|token|card|iban|ssn|e?mail|phone']")]
        pub fields: Vec<Regex>,
        /// How all other values are shown, from then on: what is stored already stays as it is. Changeable at runtime.
        #[setting(default: "masked", change: Change::Runtime)]
        pub values: Values,
        /// Characters kept of a value.
        #[setting(default: "256", range: "1..1048576")]
        pub max_value: usize,
        ..
        /// The maximum number of bytes kept of one body, after redaction.
        pub max_body: usize = 16 << 10,
        /// Larger bodies, in decoded bytes, are reported by length only, because reading them would delay the next
        /// check.
        pub max_read: usize = 256 << 10,
    }
}

/// How values are reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Values {
    /// The value, cut to `max_value`.
    Shown,
    /// Type and length: `string(12)`.
    #[default]
    Masked,
    /// Type, length and a keyed hash that is the same for equal values: `string(12)#a1b2c3d4e5f60718`.
    Hashed,
}

/// The key of the hashes in [`Values::Hashed`]. It must be random and must not leave the process, because whoever has
/// it can guess values.
#[derive(Clone)]
pub struct HashKey(pub [u8; 16]);

/// Redacts the parts of a check.
#[derive(Clone, Debug)]
pub struct Redactor {
    config: Config,
    key: HashKey,
}

/// Headers that HTTP itself needs and that identify nobody: their values help to read a report.
const HARMLESS: [&str; 24] = [
    "accept",
    "accept-encoding",
    "accept-ranges",
    "age",
    "allow",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expires",
    "grpc-accept-encoding",
    "grpc-encoding",
    "grpc-status",
    "host",
    "last-modified",
    "retry-after",
    "server",
    "traceparent",
    "transfer-encoding",
    "vary",
    "x-forwarded-host",
    "x-forwarded-proto",
];

// === impl Values ===

impl Choice for Values {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("shown", Self::Shown),
        ("masked", Self::Masked),
        ("hashed", Self::Hashed),
    ];
}

// === impl Redactor ===

impl Redactor {
    pub fn new(config: Config, key: HashKey) -> Self {
        Self { config, key }
    }

    /// The headers or trailers with redacted values; harmless protocol headers are shown. Beyond `max_body` bytes, only
    /// the number of remaining headers is reported.
    pub fn headers(&self, headers: &HeaderMap) -> Vec<(String, String)> {
        let mut redacted = Vec::new();
        let mut bytes = 0;
        for (name, value) in headers {
            if bytes > self.config.max_body {
                redacted.push((
                    "…".to_owned(),
                    format!("{} more", headers.len() - redacted.len()),
                ));
                break;
            }
            let value = self.header(name.as_str(), value);
            bytes += name.as_str().len() + value.len();
            redacted.push((name.as_str().to_owned(), value));
        }
        redacted
    }

    fn header(&self, name: &str, value: &HeaderValue) -> String {
        let is_harmless = HARMLESS.contains(&name) && !self.hides_header(name);
        let mode = if is_harmless {
            Values::Shown
        } else {
            self.header_mode(name)
        };
        match value.to_str() {
            // Binary metadata of gRPC, in base64.
            Ok(_) if name.ends_with("-bin") => self.bytes("bytes", value.as_bytes(), mode),
            Ok(text) => self.text(text, mode),
            // Even where values are shown, bytes that are not text would be shown as something else.
            Err(_) => self.bytes("bytes", value.as_bytes(), mode),
        }
    }

    fn header_mode(&self, name: &str) -> Values {
        if self.hides_header(name) {
            Values::Masked
        } else {
            self.config.values
        }
    }

    fn hides_header(&self, name: &str) -> bool {
        let is_listed = |listed: &HeaderName| listed.as_str().eq_ignore_ascii_case(name);
        self.config.headers.iter().any(is_listed) || self.names_secret(name)
    }

    /// How a value of this name is reported.
    fn mode_of(&self, name: &str) -> Values {
        if self.names_secret(name) {
            Values::Masked
        } else {
            self.config.values
        }
    }

    fn names_secret(&self, name: &str) -> bool {
        self.config.fields.iter().any(|field| field.is_match(name))
    }
}

// === impl HashKey ===

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_headers_are_shown_unless_they_are_named() {
        let mut headers = HeaderMap::new();
        headers.insert("server", HeaderValue::from_static("nginx"));
        headers.insert("x-request-id", HeaderValue::from_static("4711"));
        headers.insert("cookie", HeaderValue::from_static("a=b"));
        let redacted = |config| Redactor::new(config, HashKey([7; 16])).headers(&headers);
        let owned = |pairs: [(&str, &str); 3]| {
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))
        };

        let expected = [
            ("server", "nginx"),
            ("x-request-id", "string(4)"),
            ("cookie", "string(3)"),
        ];
        assert_eq!(redacted(Config::default()), owned(expected));

        let listed = Config {
            headers: vec![HeaderName::from_static("server")],
            values: Values::Shown,
            ..Config::default()
        };
        let expected = [
            ("server", "string(5)"),
            ("x-request-id", "4711"),
            ("cookie", "a=b"),
        ];
        assert_eq!(redacted(listed), owned(expected));
    }

    #[test]
    fn very_many_headers_are_reported_up_to_a_bound() {
        let mut headers = HeaderMap::new();
        for _ in 0..10_000 {
            headers.append("x-a", HeaderValue::from_static("some value"));
        }
        let redacted = Redactor::new(Config::default(), HashKey([7; 16])).headers(&headers);
        let (last, rest) = redacted.split_last().unwrap();
        assert_eq!(last.1, format!("{} more", 10_000 - rest.len()));
        assert!(rest.len() < 2_000);
    }
}
