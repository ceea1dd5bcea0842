//! The new stack's version header.

use std::{fmt, sync::Arc};
use xxhash_rust::xxh64::xxh64;

/// Value of a version header, made safe to show. Two are equal if the headers are, byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(Arc<str>);

/// Maximum length of a header shown in full, in bytes.
const MAX_LENGTH: usize = 100;

// === impl Version ===

impl Version {
    /// `None` for an empty header. A long value is cut and ends in a hash; bytes that are not visible ASCII are
    /// escaped.
    pub fn of(header: &[u8]) -> Option<Self> {
        let header = header.trim_ascii();
        if header.is_empty() {
            return None;
        }
        let shown = &header[..header.len().min(MAX_LENGTH)];
        let mut text = shown.escape_ascii().to_string();
        if header.len() > MAX_LENGTH {
            text.push_str(&format!("…{:016x}", xxh64(header, 0)));
        }
        Some(Self(text.into()))
    }

    /// Takes text that [`Version::of`] returned earlier.
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The text that is shown and stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(name: &str) -> Version {
        Version::of(name.as_bytes()).unwrap()
    }

    #[test]
    fn a_header_is_bounded_and_safe_and_what_differs_stays_unlike() {
        assert_eq!(Version::of(b"  "), None);
        assert_eq!(version(" 1.2-rc+3 ").as_str(), "1.2-rc+3");
        assert_eq!(version("a\u{1b}[2J\"").as_str(), r#"a\x1b[2J\""#);
        let long = |last: &str| version(&format!("{}{last}", "x".repeat(5_000)));
        assert!(long("").as_str().chars().count() <= 120);
        assert_ne!(long("a"), long("b"));
        let first = long("a");
        assert_eq!(Version::from_stored(first.as_str()), first);
    }
}
