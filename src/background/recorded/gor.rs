//! GoReplay's files: payloads of raw HTTP, each with a head `KIND ID TIME [LATENCY]`, separated by a line of three monkeys.

use super::{Reason, Recorded, RecordedRequest};
use crate::background::offer::RecordedAnswer;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::TRANSFER_ENCODING};
use httparse::{EMPTY_HEADER, Status};
use std::{
    collections::HashMap,
    io::{self, BufRead},
};

/// The payloads of a file. An answer follows its request after some others.
pub(super) struct Payloads {
    file: Box<dyn BufRead>,
    /// Requests without an answer, by id.
    open: HashMap<String, Found>,
    order: std::collections::VecDeque<String>,
    is_over: bool,
}

/// A request, and its first line.
type Found = (Result<Recorded, Reason>, String);

const SEPARATOR: &[u8] = "🐵🙈🙉".as_bytes();

/// Requests that wait for their answers.
const MAX_OPEN: usize = 1_000;

const MAX_HEADERS: usize = 256;

/// Whether a line is the head of a payload.
pub(super) fn is_head(line: &str) -> bool {
    head(line.as_bytes()).is_some()
}

/// The kind and the id.
fn head(line: &[u8]) -> Option<(u8, &str)> {
    let mut words = std::str::from_utf8(line).ok()?.split_whitespace();
    let (kind, id, time) = (words.next()?, words.next()?, words.next()?);
    let is_id = id.len() >= 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_time = time.bytes().all(|byte| byte.is_ascii_digit());
    match kind.as_bytes() {
        [kind @ b'1'..=b'3'] if is_id && is_time => Some((*kind, id)),
        _ => None,
    }
}

// === impl Payloads ===

impl Payloads {
    pub(super) fn new(file: Box<dyn BufRead>) -> Self {
        Self {
            file,
            open: HashMap::new(),
            order: std::collections::VecDeque::new(),
            is_over: false,
        }
    }

    /// The next request, with its answer if that comes soon enough.
    pub(super) fn next(&mut self) -> io::Result<Option<Found>> {
        loop {
            if self.is_over || self.order.len() >= MAX_OPEN {
                let Some(id) = self.order.pop_front() else {
                    return Ok(None);
                };
                if let Some(found) = self.open.remove(&id) {
                    return Ok(Some(found));
                }
                continue;
            }
            let Some(payload) = self.payload()? else {
                self.is_over = true;
                continue;
            };
            let end = payload
                .iter()
                .position(|byte| *byte == b'\n')
                .unwrap_or(payload.len());
            let Some((kind, id)) = head(&payload[..end]) else {
                let text = String::from_utf8_lossy(&payload[..end]).into_owned();
                return Ok(Some((Err(Reason::Malformed), text)));
            };
            let message = payload.get(end + 1..).unwrap_or_default();
            match kind {
                b'1' => {
                    self.order.push_back(id.to_owned());
                    self.open.insert(id.to_owned(), request(message));
                }
                b'2' => {
                    if let Some((found, text)) = self.open.remove(id) {
                        let found = found.map(|recorded| Recorded {
                            answer: answer(message).ok_or(Reason::NoAnswer),
                            ..recorded
                        });
                        return Ok(Some((found, text)));
                    }
                }
                // The answer to a replay of GoReplay's.
                _ => {}
            }
        }
    }

    /// The bytes up to the next separator.
    fn payload(&mut self) -> io::Result<Option<Vec<u8>>> {
        let (mut payload, mut line) = (Vec::new(), Vec::new());
        loop {
            line.clear();
            if self.file.read_until(b'\n', &mut line)? == 0 {
                return Ok((!payload.is_empty()).then_some(payload));
            }
            if line.trim_ascii_end() == SEPARATOR {
                // The line feed before the separator belongs to it.
                payload.pop();
                return Ok(Some(payload));
            }
            payload.extend_from_slice(&line);
        }
    }
}

fn request(message: &[u8]) -> Found {
    let text = message
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let text = String::from_utf8_lossy(text.trim_ascii()).into_owned();
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let found = match request.parse(message) {
        Ok(Status::Complete(end)) => {
            let (method, target) = (request.method, request.path);
            let headers = map(request.headers);
            let of = RecordedRequest::of(method.unwrap_or_default(), target.unwrap_or_default());
            body(&headers, &message[end..]).map(|body| {
                Recorded::request(RecordedRequest {
                    headers: pairs(request.headers),
                    body,
                    ..of
                })
            })
        }
        _ => None,
    };
    (found.ok_or(Reason::Malformed), text)
}

fn answer(message: &[u8]) -> Option<RecordedAnswer> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(Status::Complete(end)) = response.parse(message) else {
        return None;
    };
    let mut headers = map(response.headers);
    let body = body(&headers, &message[end..])?;
    headers.remove(TRANSFER_ENCODING);
    Some(RecordedAnswer {
        status: StatusCode::from_u16(response.code?).ok()?,
        headers,
        body,
    })
}

fn pairs(headers: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    let pair = |header: &httparse::Header<'_>| {
        let value = String::from_utf8_lossy(header.value).into_owned();
        (header.name.to_owned(), value)
    };
    headers.iter().map(pair).collect()
}

fn map(headers: &[httparse::Header<'_>]) -> HeaderMap {
    super::header_map(&pairs(headers))
}

/// The body without its chunks; `None` if they are not whole.
fn body(headers: &HeaderMap, bytes: &[u8]) -> Option<Bytes> {
    let coding = headers.get(TRANSFER_ENCODING);
    if !coding.is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Some(Bytes::copy_from_slice(bytes));
    }
    let (mut left, mut body) = (bytes, Vec::new());
    loop {
        let Ok(Status::Complete((begin, length))) = httparse::parse_chunk_size(left) else {
            return None;
        };
        if length == 0 {
            return Some(body.into());
        }
        let end = begin.checked_add(usize::try_from(length).ok()?)?;
        body.extend_from_slice(left.get(begin..end)?);
        left = left.get(end + 2..)?;
    }
}
