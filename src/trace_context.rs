//! The `traceparent` and `tracestate` headers (W3C Trace Context, <https://www.w3.org/TR/trace-context/>).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

/// The span that a request belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Not zero.
    pub trace_id: u128,
    /// Not zero.
    pub span_id: u64,
    /// Bit 0: sampled.
    pub flags: u8,
    /// `tracestate` as received; empty if there was none.
    pub state: String,
}

// === impl TraceContext ===

impl TraceContext {
    /// Reads the context of a request; `None` if it is absent or invalid.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all("traceparent").iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let mut context = Self::parse(value.to_str().ok()?)?;
        for state in headers.get_all("tracestate") {
            let Ok(state) = state.to_str() else { continue };
            if !context.state.is_empty() {
                context.state.push(',');
            }
            context.state.push_str(state);
        }
        Some(context)
    }

    /// Parses `00-<32 hex>-<16 hex>-<2 hex>`; for later versions, the fields of version 00.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32)?;
        let span_id = hex(parts.next()?, 16)? as u64;
        let flags = hex(parts.next()?, 2)? as u8;
        let is_longer = parts.next().is_some();
        if version == 0xff || (version == 0 && is_longer) || trace_id == 0 || span_id == 0 {
            return None;
        }
        Some(Self {
            trace_id,
            span_id,
            flags,
            state: String::new(),
        })
    }

    /// The value of `traceparent`.
    pub fn header(&self) -> HeaderValue {
        let mut text = Vec::with_capacity(55);
        text.extend_from_slice(b"00-");
        put_hex(&mut text, &self.trace_id.to_be_bytes());
        text.push(b'-');
        put_hex(&mut text, &self.span_id.to_be_bytes());
        text.push(b'-');
        put_hex(&mut text, &[self.flags]);
        HeaderValue::from_maybe_shared(Bytes::from(text))
            .expect("hex digits and dashes must be a header value")
    }

    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }
}

/// Same output as [`std::fmt::LowerHex`], which takes ten times as long; every replay has such a header.
fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.extend([byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]));
    }
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_lower_hex = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if text.len() != digits || !is_lower_hex {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_was_parsed_is_written_alike() {
        let context = TraceContext::parse(VALID).unwrap();
        assert!(context.is_sampled());
        assert_eq!(context.header(), VALID);
    }

    #[test]
    fn invalid_contexts_are_none() {
        for text in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_later_version_may_be_longer() {
        let text = VALID.replacen("00", "01", 1) + "-more";
        assert!(TraceContext::parse(&text).is_some());
    }
}
