//! Request targets that stacks accept but `http::Uri` cannot hold.
//!
//! Clients send raw what RFC 3986 wants percent-encoded, and most servers accept it. Characters that `http::Uri` holds
//! pass unchanged (in a path `"`, `{`, `}`, `|`, `\`, `^`; in a query `{`, `}`, `|`, `\`, `^` and the backtick; UTF-8
//! in both). The rest is percent-encoded: `<`, `>`, the backtick in a path, `"` in a query, and every byte above 127 of
//! a target that is not UTF-8.

use memchr::{memchr, memchr_iter};
use std::fmt::Write as _;

/// The part of a target that a byte belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// No byte has arrived.
    Start,
    /// Scheme and authority, or a target without a path, with the number of slashes so far. Nothing is encoded there.
    Authority(u8),
    Path,
    Query,
}

/// The offset in `next` of the first byte of the target that may need encoding. `begin` is the start of the request
/// line, and `next` follows it.
pub(crate) fn find_odd(begin: &[u8], next: &[u8]) -> Option<usize> {
    let (before, start) = match memchr(b' ', begin) {
        Some(space) => (&begin[space + 1..], 0),
        None => (&[][..], memchr(b' ', next)? + 1),
    };
    if memchr(b' ', before).is_some() {
        return None;
    }
    let mut part = Part::at_end_of(before);
    let mut bytes = next.iter().enumerate().skip(start);
    let (at, byte) = bytes.find(|(_, byte)| {
        part = part.after(**byte);
        is_end(**byte) || !part.holds(**byte, false)
    })?;
    (!is_end(*byte)).then_some(at)
}

/// Encodes the target in `rest`, which follows `begin` in a request line, and leaves what comes after the target
/// unchanged.
pub(crate) fn encode(begin: &[u8], rest: &[u8]) -> Vec<u8> {
    let target = until_end(rest);
    let is_utf8 = std::str::from_utf8(target).is_ok();
    let before = memchr(b' ', begin).map_or(begin, |space| &begin[space + 1..]);
    let mut part = Part::at_end_of(before);
    let mut encoded = Vec::with_capacity(rest.len() + 64);
    let mut code = String::new();
    for byte in target {
        part = part.after(*byte);
        if part.holds(*byte, is_utf8) {
            encoded.push(*byte);
        } else {
            code.clear();
            write!(code, "%{byte:02X}").expect("a string takes everything");
            encoded.extend_from_slice(code.as_bytes());
        }
    }
    encoded.extend_from_slice(&rest[target.len()..]);
    encoded
}

fn until_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| is_end(*byte));
    &bytes[..end.unwrap_or(bytes.len())]
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b' ' | b'\r' | b'\n')
}

// === impl Part ===

impl Part {
    /// The part of the last byte. A caller that sends byte by byte causes one scan per byte.
    fn at_end_of(target: &[u8]) -> Self {
        if memchr(b'?', target).is_some() {
            return Self::Query;
        }
        match (target.first(), memchr_iter(b'/', target).take(3).count()) {
            (None, _) => Self::Start,
            (Some(b'/'), _) | (_, 3) => Self::Path,
            (Some(_), slashes) => Self::Authority(slashes as u8),
        }
    }

    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Query, _) | (_, b'?') => Self::Query,
            // The third slash of `http://host/`.
            (Self::Path, _) | (Self::Start | Self::Authority(2), b'/') => Self::Path,
            (Self::Authority(slashes), b'/') => Self::Authority(slashes + 1),
            (Self::Start, _) => Self::Authority(0),
            (Self::Authority(_), _) => self,
        }
    }

    /// Whether `http::Uri` holds that byte there. A byte above 127 requires that the target `is_utf8`.
    fn holds(self, byte: u8, is_utf8: bool) -> bool {
        match byte {
            _ if matches!(self, Self::Start | Self::Authority(_)) => true,
            128.. => is_utf8,
            b'<' | b'>' => false,
            b'`' => self == Self::Query,
            b'"' => self == Self::Path,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Uri;
    use proptest::prelude::*;

    fn encoded(line: &[u8]) -> Vec<u8> {
        match find_odd(&[], line) {
            Some(odd) => [&line[..odd], &encode(&line[..odd], &line[odd..])].concat(),
            None => line.to_vec(),
        }
    }

    #[test]
    fn only_what_a_uri_cannot_hold_is_encoded() {
        for (line, expected) in [
            (
                "GET /a\"{|}\\^?{|}\\^` HTTP/1.1",
                "GET /a\"{|}\\^?{|}\\^` HTTP/1.1",
            ),
            (
                "GET /<a>`?\"<b>?\" HTTP/1.1",
                "GET /%3Ca%3E%60?%22%3Cb%3E?%22 HTTP/1.1",
            ),
            ("GET /\u{fc}?\u{fc}<\r\n", "GET /\u{fc}?\u{fc}%3C\r\n"),
            ("GET http://a<b/ HTTP/1.1", "GET http://a<b/ HTTP/1.1"),
            ("GET http://a/<\" HTTP/1.1", "GET http://a/%3C\" HTTP/1.1"),
            ("GET http://a?\" HTTP/1.1", "GET http://a?%22 HTTP/1.1"),
            ("CONNECT a<:1 HTTP/1.1", "CONNECT a<:1 HTTP/1.1"),
            ("G<T / HTTP/1.1", "G<T / HTTP/1.1"),
            ("GET / H<", "GET / H<"),
        ] {
            assert_eq!(encoded(line.as_bytes()), expected.as_bytes(), "{line}");
        }
        assert_eq!(encoded(b"GET /\xc3\xbc\xff x"), b"GET /%C3%BC%FF x");
    }

    proptest! {
        #[test]
        fn a_target_of_any_visible_bytes_becomes_a_uri(bytes in prop::collection::vec(0x21u8..=0xff, 0..40)) {
            let bytes: Vec<_> = bytes.into_iter().filter(|byte| !matches!(byte, b'#' | 0x7f)).collect();
            for start in ["/", "http://a/", "http://a?"] {
                let line = [b"GET ", start.as_bytes(), &bytes, b" HTTP/1.1"].concat();
                let line = encoded(&line);
                let target = &line[4..line.len() - 9];
                prop_assert!(Uri::try_from(target).is_ok(), "{:?}", target);
            }
        }
    }
}
