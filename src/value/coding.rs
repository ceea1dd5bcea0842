//! Decodes content codings (RFC 9110, section 8.4.1).

use bytes::Bytes;
use flate2::{
    bufread::{DeflateDecoder, ZlibDecoder},
    read::MultiGzDecoder,
};
use http::{HeaderMap, header::CONTENT_ENCODING};
use std::io::{Cursor, Read};

/// Why a body could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// It has more than the allowed bytes after one of its codings.
    #[error("decoded, it is larger than allowed")]
    TooLarge,
    /// The coding is none of those that are known.
    #[error("`{0}` is not a content coding that can be undone")]
    Unknown(String),
    /// The bytes do not match their coding.
    #[error("not {coding} from decoded byte {after} on")]
    Invalid {
        /// The name of the coding.
        coding: &'static str,
        /// The number of bytes that could be decoded.
        after: usize,
    },
}

/// The maximum window of zstd: 2^27 bytes, as in the command line tool.
const ZSTD_WINDOW_LOG: u32 = 27;

/// The body of a message without its content codings, of which there may be several.
///
/// # Errors
/// Codings other than gzip, deflate, br, zstd and identity; bytes that do not match their coding; more than `max` bytes
/// after any of the codings.
pub fn decode(headers: &HeaderMap, body: &Bytes, max: usize) -> Result<Bytes, Undecodable> {
    let codings = codings(headers);
    if body.is_empty() {
        return Ok(body.clone());
    }
    let mut body = body.clone();
    for coding in codings.iter().rev() {
        body = undo(coding, &body, max)?;
    }
    if body.len() > max {
        return Err(Undecodable::TooLarge);
    }
    Ok(body)
}

/// The codings of a message in the order in which they were applied, without `identity`.
pub fn codings(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|coding| String::from_utf8_lossy(coding).trim().to_ascii_lowercase())
        .filter(|coding| !coding.is_empty() && coding != "identity")
        .collect()
}

pub(super) fn undo(coding: &str, body: &[u8], max: usize) -> Result<Bytes, Undecodable> {
    match coding {
        "gzip" | "x-gzip" => drain("gzip", MultiGzDecoder::new(body), max),
        // Named after the bare format but specified as zlib: both are in use.
        "deflate" => {
            let mut zlib = ZlibDecoder::new(body);
            let decoded = drain("deflate", &mut zlib, max);
            match whole("deflate", decoded, zlib.get_ref().is_empty()) {
                Err(Undecodable::Invalid { .. }) => {
                    let mut bare = DeflateDecoder::new(body);
                    let decoded = drain("deflate", &mut bare, max);
                    whole("deflate", decoded, bare.get_ref().is_empty())
                }
                decoded => decoded,
            }
        }
        "br" => {
            let mut decoder = brotli::Decompressor::new(Cursor::new(body), 4096);
            let decoded = drain("br", &mut decoder, max);
            // Reading past the end is an error if the decoder has more in its buffer.
            let is_over =
                decoder.read(&mut [0]).is_ok() && decoder.get_ref().position() == body.len() as u64;
            whole("br", decoded, is_over)
        }
        "zstd" => {
            let invalid = |_| Undecodable::Invalid {
                coding: "zstd",
                after: 0,
            };
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(invalid)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(invalid)?;
            drain("zstd", decoder, max)
        }
        other => Err(Undecodable::Unknown(other.to_owned())),
    }
}

/// The decoded bytes, if the body ends with the stream: another reader may decode what follows.
fn whole(
    coding: &'static str,
    decoded: Result<Bytes, Undecodable>,
    is_over: bool,
) -> Result<Bytes, Undecodable> {
    let decoded = decoded?;
    let after = decoded.len();
    if is_over {
        Ok(decoded)
    } else {
        Err(Undecodable::Invalid { coding, after })
    }
}

/// Reads to the end, but never more than one byte beyond `max`.
fn drain(coding: &'static str, decoder: impl Read, max: usize) -> Result<Bytes, Undecodable> {
    let mut decoded = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let read = decoder.take(limit).read_to_end(&mut decoded);
    if read.is_err() {
        let after = decoded.len();
        return Err(Undecodable::Invalid { coding, after });
    }
    if decoded.len() > max {
        return Err(Undecodable::TooLarge);
    }
    Ok(decoded.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };
    use http::HeaderValue;
    use std::io::Write;

    const TEXT: &[u8] = b"the same words again and again and again and again";

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn encoded(coding: &str) -> Vec<u8> {
        match coding {
            "gzip" => gzip(TEXT),
            "zlib" => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(TEXT).unwrap();
                encoder.finish().unwrap()
            }
            "raw" => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(TEXT).unwrap();
                encoder.finish().unwrap()
            }
            "br" => {
                let mut out = Vec::new();
                brotli::BrotliCompress(&mut &TEXT[..], &mut out, &Default::default()).unwrap();
                out
            }
            _ => zstd::encode_all(TEXT, 3).unwrap(),
        }
    }

    fn decode_as(coding: &'static str, body: Vec<u8>, max: usize) -> Result<Bytes, Undecodable> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        decode(&headers, &body.into(), max)
    }

    #[test]
    fn every_coding_is_undone() {
        for (header, coding) in [
            ("gzip", "gzip"),
            ("X-GZIP", "gzip"),
            ("deflate", "zlib"),
            ("deflate", "raw"),
            ("br", "br"),
            ("zstd", "zstd"),
            ("identity, gzip", "gzip"),
        ] {
            assert_eq!(
                decode_as(header, encoded(coding), 1000).unwrap(),
                TEXT,
                "{header}"
            );
        }
    }

    #[test]
    fn codings_in_a_row_are_undone_from_the_last() {
        let body = gzip(&encoded("br"));
        assert_eq!(decode_as("br, gzip", body.clone(), 1000).unwrap(), TEXT);
        let mut headers = HeaderMap::new();
        headers.append(CONTENT_ENCODING, HeaderValue::from_static("br"));
        headers.append(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(decode(&headers, &body.into(), 1000).unwrap(), TEXT);
    }

    #[test]
    fn what_is_larger_than_allowed_is_never_inflated() {
        let bomb = gzip(&vec![0; 50 << 20]);
        assert_eq!(decode_as("gzip", bomb, 1 << 20), Err(Undecodable::TooLarge));
        assert_eq!(
            decode_as("gzip", gzip(TEXT), TEXT.len() - 1),
            Err(Undecodable::TooLarge)
        );
        assert!(decode_as("gzip", gzip(TEXT), TEXT.len()).is_ok());
    }

    #[test]
    fn what_is_not_as_declared_is_undecodable() {
        for coding in ["gzip", "deflate", "br", "zstd"] {
            let decoded = decode_as(coding, b"plain text, not compressed".to_vec(), 1000);
            assert!(
                matches!(decoded, Err(Undecodable::Invalid { .. })),
                "{coding} {decoded:?}"
            );
            let mut short = encoded(if coding == "deflate" { "zlib" } else { coding });
            short.truncate(short.len() / 2);
            assert!(
                decode_as(coding, short, 1000).is_err(),
                "{coding} cut short"
            );
        }
        assert_eq!(
            decode_as("compress", TEXT.to_vec(), 1000),
            Err(Undecodable::Unknown("compress".into()))
        );
    }

    #[test]
    fn nothing_follows_the_end_of_a_stream() {
        for (header, coding) in [
            ("gzip", "gzip"),
            ("deflate", "zlib"),
            ("deflate", "raw"),
            ("br", "br"),
            ("zstd", "zstd"),
        ] {
            for junk in [1, 5_000] {
                let body = [encoded(coding), vec![b'j'; junk]].concat();
                let decoded = decode_as(header, body, TEXT.len());
                assert!(
                    matches!(decoded, Err(Undecodable::Invalid { .. })),
                    "{coding} {decoded:?}"
                );
            }
        }
    }

    #[test]
    fn an_empty_body_is_empty_under_any_coding() {
        assert_eq!(decode_as("gzip", Vec::new(), 10).unwrap(), "");
    }
}
