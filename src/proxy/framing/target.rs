//! Request targets that stacks accept and `http::Uri` does not hold.
//!
//! Clients send raw what RFC 3986 wants percent-encoded, and most servers take it. What `http::Uri` holds passes as it came (in
//! a path `"`, `{`, `}`, `|`, `\`, `^`; in a query `{`, `}`, `|`, `\`, `^` and the backtick; UTF-8 in both). The rest is
//! percent-encoded: `<`, `>`, the backtick in a path, `"` in a query, and every byte above 127 of a target that is not UTF-8.

use memchr::memchr;
use std::fmt::Write as _;

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Path,
    Query,
}

/// Where the first byte of the target stands that may have to be encoded, in the `next` bytes of a request line that began with
/// `begin`.
pub(super) fn find_odd(begin: &[u8], next: &[u8]) -> Option<usize> {
    let (before, start) = match memchr(b' ', begin) {
        Some(space) => (&begin[space + 1..], 0),
        None => (&[][..], memchr(b' ', next)? + 1),
    };
    if memchr(b' ', before).is_some() {
        return None;
    }
    // The other forms of a target have no path that begins there, or an authority before it.
    if before.first().or(next.get(start)) != Some(&b'/') {
        return None;
    }
    let mut part = part_after(before);
    let mut bytes = next.iter().enumerate().skip(start);
    let (at, byte) = bytes.find(|(_, byte)| {
        part = part.after(**byte);
        !byte.is_ascii() || !part.holds(**byte)
    })?;
    (!is_end(*byte)).then_some(at)
}

/// `rest` with its target encoded: what follows in a request line that began with `begin`, and then whatever it is.
pub(super) fn encode(begin: &[u8], rest: &[u8]) -> Vec<u8> {
    let target = until_end(rest);
    let is_utf8 = std::str::from_utf8(target).is_ok();
    let mut part = part_after(begin);
    let mut encoded = Vec::with_capacity(rest.len() + 64);
    let mut code = String::new();
    for byte in target {
        part = part.after(*byte);
        let is_held = match byte.is_ascii() {
            true => part.holds(*byte),
            false => is_utf8,
        };
        if is_held {
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

fn part_after(target: &[u8]) -> Part {
    match memchr(b'?', target) {
        Some(_) => Part::Query,
        None => Part::Path,
    }
}

// === impl Part ===

impl Part {
    fn after(self, byte: u8) -> Self {
        if byte == b'?' { Self::Query } else { self }
    }

    /// Whether a target may hold that ASCII byte there. What ends a target it may not.
    fn holds(self, byte: u8) -> bool {
        match byte {
            b'<' | b'>' | b' ' | b'\r' | b'\n' => false,
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
            let line = [b"GET /", &bytes[..], b" HTTP/1.1"].concat();
            let line = encoded(&line);
            let target = &line[4..line.len() - 9];
            prop_assert!(Uri::try_from(target).is_ok(), "{:?}", target);
        }
    }
}
