//! An answer in a file: a raw HTTP/1 message, or a bare body.

use crate::{compare::Answer, value::grpc};
use bytes::{BufMut, Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};

/// Maximum number of headers of a message.
const MAX_HEADERS: usize = 1024;

/// The type of a body of unknown type.
const BYTES: &str = "application/octet-stream";

const GRPC: &str = "application/grpc";

/// The kind of a whole message.
pub(super) const HTTP: &str = "http";

/// The contents of a file.
#[derive(Debug)]
pub(super) enum Message {
    Whole(Answer),
    /// A body with its media type.
    Bare(Bytes, HeaderValue),
}

/// Why a file is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("not an HTTP message: {0}")]
    Head(#[from] httparse::Error),
    #[error("not an HTTP message: {0}")]
    Header(&'static str),
    #[error("the message ends within its head")]
    CutHead,
    #[error("the message ends within its body")]
    CutBody,
    #[error("the body is longer than its content-length")]
    Surplus,
    #[error("a chunk of the body has no valid size")]
    ChunkSize,
    #[error("`{0}` is not a type of body")]
    Type(String),
}

// === impl Message ===

impl Message {
    /// Reads a file. Text that starts with `HTTP/` is a message; anything else is a body of type `kind`, a media type
    /// or an extension. The kinds `http` and `bytes` decide it.
    pub(super) fn read(bytes: Vec<u8>, method: &Method, kind: &str) -> Result<Self, Unreadable> {
        let bytes = Bytes::from(bytes);
        if kind == HTTP || kind != "bytes" && bytes.starts_with(b"HTTP/") {
            return read_message(bytes, method).map(Self::Whole);
        }
        let media_type = HeaderValue::from_str(media_type(kind).unwrap_or(BYTES));
        let media_type = media_type.map_err(|_| Unreadable::Type(kind.to_owned()))?;
        Ok(Self::Bare(bytes, media_type))
    }

    /// Puts the length before a bare message of gRPC, as it is sent.
    pub(super) fn framed(self) -> Self {
        match self {
            Self::Bare(body, media_type) if grpc::is_grpc(media_type.to_str().unwrap_or("")) => {
                let mut framed = BytesMut::with_capacity(body.len() + 5);
                framed.put_u8(0);
                framed.put_u32(u32::try_from(body.len()).unwrap_or(u32::MAX));
                framed.put_slice(&body);
                Self::Bare(framed.freeze(), media_type)
            }
            other => other,
        }
    }

    pub(super) fn is_bare(&self) -> bool {
        matches!(self, Self::Bare(..))
    }

    /// A bare body becomes an answer with the status of the other.
    pub(super) fn into_answers(old: Self, new: Self) -> (Answer, Answer) {
        let status = [&old, &new].into_iter().find_map(|message| match message {
            Self::Whole(answer) => Some(answer.status),
            Self::Bare(..) => None,
        });
        let status = status.unwrap_or(StatusCode::OK);
        let answer = |message| match message {
            Self::Whole(answer) => answer,
            Self::Bare(body, media_type) => Answer {
                status,
                ..Answer::ok(media_type, body)
            },
        };
        (answer(old), answer(new))
    }
}

pub(super) fn media_type(kind: &str) -> Option<&str> {
    Some(match kind {
        "json" | "geojson" | "har" => "application/json",
        "ndjson" | "jsonl" => "application/x-ndjson",
        "xml" => "application/xml",
        "xhtml" => "application/xhtml+xml",
        "svg" => "image/svg+xml",
        "grpc" => GRPC,
        "form" => "application/x-www-form-urlencoded",
        "txt" | "text" | "html" | "htm" | "csv" | "md" | "css" | "js" | "yaml" | "yml" => {
            "text/plain"
        }
        media_type if media_type.contains('/') => media_type,
        "bytes" | "bin" => BYTES,
        _ => return None,
    })
}

fn read_message(mut bytes: Bytes, method: &Method) -> Result<Answer, Unreadable> {
    loop {
        let (status, headers, length) = read_head(&bytes)?;
        let rest = bytes.slice(length..);
        // Interim answers precede the final one.
        if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
            bytes = rest;
            continue;
        }
        let bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
        let (body, trailers) = if bodiless || method == Method::HEAD {
            (Bytes::new(), HeaderMap::new())
        } else {
            read_body(&headers, rest)?
        };
        return Ok(Answer {
            status,
            headers,
            body: body.into(),
            trailers,
        });
    }
}

fn read_head(bytes: &[u8]) -> Result<(StatusCode, HeaderMap, usize), Unreadable> {
    let mut slots = vec![httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut slots);
    let httparse::Status::Complete(length) = head.parse(bytes)? else {
        return Err(Unreadable::CutHead);
    };
    let status = StatusCode::from_u16(head.code.unwrap_or_default());
    let status = status.map_err(|_| Unreadable::Header("no valid status"))?;
    Ok((status, header_map(head.headers)?, length))
}

fn header_map(headers: &[httparse::Header<'_>]) -> Result<HeaderMap, Unreadable> {
    let mut map = HeaderMap::new();
    for header in headers {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_bytes(header.value);
        map.append(
            name.map_err(|_| Unreadable::Header("no valid header name"))?,
            value.map_err(|_| Unreadable::Header("no valid header value"))?,
        );
    }
    Ok(map)
}

fn read_body(headers: &HeaderMap, rest: Bytes) -> Result<(Bytes, HeaderMap), Unreadable> {
    let is_chunked = headers
        .get_all(TRANSFER_ENCODING)
        .iter()
        .any(|value| value.as_bytes().to_ascii_lowercase().ends_with(b"chunked"));
    if is_chunked {
        return read_chunks(rest);
    }
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    let Some(length) = length.and_then(|length| length.trim().parse::<usize>().ok()) else {
        return Ok((rest, HeaderMap::new()));
    };
    if rest.len() < length {
        return Err(Unreadable::CutBody);
    }
    // Editors often add a final line end.
    if !rest[length..].trim_ascii().is_empty() {
        return Err(Unreadable::Surplus);
    }
    Ok((rest.slice(..length), HeaderMap::new()))
}

fn read_chunks(mut rest: Bytes) -> Result<(Bytes, HeaderMap), Unreadable> {
    let mut body = BytesMut::new();
    loop {
        let parsed = httparse::parse_chunk_size(&rest).map_err(|_| Unreadable::ChunkSize)?;
        let httparse::Status::Complete((start, size)) = parsed else {
            return Err(Unreadable::CutBody);
        };
        rest = rest.slice(start..);
        if size == 0 {
            return Ok((body.freeze(), read_trailers(&rest)?));
        }
        let size = usize::try_from(size).map_err(|_| Unreadable::ChunkSize)?;
        let chunk = rest.get(..size).ok_or(Unreadable::CutBody)?;
        body.extend_from_slice(chunk);
        rest = match &rest[size..] {
            [b'\r', b'\n', ..] => rest.slice(size + 2..),
            [] | [b'\r'] => return Err(Unreadable::CutBody),
            _ => return Err(Unreadable::ChunkSize),
        };
    }
}

fn read_trailers(bytes: &[u8]) -> Result<HeaderMap, Unreadable> {
    let mut slots = vec![httparse::EMPTY_HEADER; MAX_HEADERS];
    match httparse::parse_headers(bytes, &mut slots)? {
        httparse::Status::Complete((_, trailers)) => header_map(trailers),
        httparse::Status::Partial => Err(Unreadable::CutBody),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Result<Answer, Unreadable> {
        read_message(Bytes::copy_from_slice(text.as_bytes()), &Method::GET)
    }

    #[test]
    fn messages_end_where_their_framing_says() {
        let length =
            message("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: 1\r\na: 2\r\n\r\n{}\n").unwrap();
        assert_eq!(
            (length.status, &length.body.kept()[..]),
            (StatusCode::OK, &b"{}"[..])
        );
        assert_eq!(length.headers.get_all("a").iter().count(), 2);
        let rest = message("HTTP/1.0 404 Not Found\n\nall of it").unwrap();
        assert_eq!(rest.body.kept(), "all of it");
        let interim = message("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx").unwrap();
        assert_eq!(interim.body.kept(), "x");
        let bodiless = message("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n").unwrap();
        assert_eq!(bodiless.body.kept(), "");
    }

    #[test]
    fn chunks_are_joined_and_trailers_kept() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = message(&format!(
            "{head}3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n"
        ))
        .unwrap();
        assert_eq!(answer.body.kept(), "abcde");
        assert_eq!(answer.trailers["x-sum"], "5");
        for cut in [
            "3\r\nab",
            "3\r\nabc",
            "3\r\nabcX\r\n",
            "zz\r\n",
            "3\r\nabc\r\n",
            "0\r\n",
        ] {
            assert!(message(&format!("{head}{cut}")).is_err(), "{cut:?}");
        }
    }

    #[test]
    fn what_is_cut_short_or_too_long_is_refused() {
        for text in [
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 999999 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        ] {
            assert!(message(text).is_err(), "{text:?}");
        }
    }
}
