//! Decodes text and XML by charset.
//!
//! Labels are those of the WHATWG Encoding Standard, as in browsers. A byte order mark takes precedence over any label,
//! and is not part of the text. Malformed bytes are rejected, never replaced, because replacement characters would make
//! different bytes equal.

use encoding_rs::{DecoderResult, Encoding, UTF_8};
use std::borrow::Cow;

/// Why bytes are not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoText {
    /// No charset has that label.
    #[error("its charset is not known")]
    UnknownCharset,
    /// The bytes are not allowed in their charset.
    #[error("not {charset} at byte {at}")]
    Malformed {
        /// The name of the charset.
        charset: &'static str,
        /// Offset from 0 of the bytes that the charset does not allow.
        at: usize,
    },
}

/// Decodes bytes in the charset with that label, or in UTF-8 without one.
///
/// # Errors
/// An unknown label, and bytes that the charset does not allow.
pub fn decode<'b>(bytes: &'b [u8], label: Option<&str>) -> Result<Cow<'b, str>, NoText> {
    let (encoding, mark) = match (Encoding::for_bom(bytes), label) {
        (Some(marked), _) => marked,
        (None, None) => (UTF_8, 0),
        (None, Some(label)) => {
            let encoding = Encoding::for_label_no_replacement(label.as_bytes());
            (encoding.ok_or(NoText::UnknownCharset)?, 0)
        }
    };
    encoding
        .decode_without_bom_handling_and_without_replacement(&bytes[mark..])
        .ok_or_else(|| NoText::Malformed {
            charset: encoding.name(),
            at: mark + malformed(encoding, &bytes[mark..]),
        })
}

/// The offset of the first malformed sequence; the length of `bytes` if there is none.
fn malformed(encoding: &'static Encoding, bytes: &[u8]) -> usize {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len());
    let mut text = String::with_capacity(room.unwrap_or_default());
    match decoder.decode_to_string_without_replacement(bytes, &mut text, true) {
        (DecoderResult::Malformed(length, behind), read) => {
            read - usize::from(length) - usize::from(behind)
        }
        (_, read) => read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_by_its_label_or_its_mark() {
        let malformed = |charset, at| Err(NoText::Malformed { charset, at });
        for (bytes, label, text) in [
            (&b"caf\xc3\xa9"[..], None, Ok("café")),
            (b"\xef\xbb\xbfcaf\xc3\xa9", Some("latin1"), Ok("café")),
            (b"caf\xe9", Some("ISO-8859-1"), Ok("café")),
            (b"\xff\xfea\0", None, Ok("a")),
            (b"\0a", Some("utf-16be"), Ok("a")),
            (b"\x82\xa0", Some("shift_jis"), Ok("あ")),
            (b"caf\xe9", None, malformed("UTF-8", 3)),
            (b"\xff\xfea\0\x00\xd8b\0", None, malformed("UTF-16LE", 4)),
            (
                b"\x82\xa0\x82\x20",
                Some("shift_jis"),
                malformed("Shift_JIS", 2),
            ),
            (b"a", Some("klingon"), Err(NoText::UnknownCharset)),
            (b"a", Some("iso-2022-kr"), Err(NoText::UnknownCharset)),
        ] {
            let read = decode(bytes, label);
            assert_eq!(read.as_deref(), text.as_ref().copied(), "{bytes:?}");
        }
    }
}
