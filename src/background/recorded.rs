//! Requests that were recorded: by the logs of servers and load balancers, by browsers, load generators, GoReplay, and
//! by twinread itself.

mod gor;
mod har;
mod json;
mod logs;

use super::offer::RecordedAnswer;
use crate::{
    heads::hop::{self, Marks},
    pipeline::{NOT_REPLAYED, ReadRequest},
};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
pub(crate) use json::Mapping;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _, Seek as _},
    path::Path,
};

/// How requests are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Format {
    /// By the beginning of the file
    Auto,
    /// The combined or common log of nginx and Apache
    Combined,
    /// A log of one JSON object a line, such as Caddy's
    Json,
    /// AWS Application Load Balancer
    Alb,
    /// AWS CloudFront, standard logs
    Cloudfront,
    /// HAR 1.2, of browsers
    Har,
    /// vegeta's targets in JSON
    Vegeta,
    /// GoReplay's files
    Gor,
    /// Recordings of `twinread record`, and stored examples
    Ndjson,
}

/// Why a line or entry is not read.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    strum::Display,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Reason {
    /// It is not of the format.
    Malformed,
    /// The server got no complete request.
    NoRequest,
    /// The configuration does not declare it to be a read.
    NotARead,
    /// It was not recorded as it was.
    Redacted,
    /// No answer of the old stack was recorded.
    NoAnswer,
    /// The recorded answer is a part, or depends on what the caller had.
    Conditional,
}

/// A request, and what the old stack answered if that was recorded.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Recorded {
    pub(super) request: RecordedRequest,
    pub(super) answer: Result<RecordedAnswer, Reason>,
}

/// A request as text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RecordedRequest {
    pub(super) method: String,
    /// A path and query, or a url.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

/// One line or entry.
#[derive(Debug)]
pub(super) struct Entry {
    /// Which one of the file, from 1 on.
    pub(super) number: u64,
    pub(super) found: Result<Recorded, Reason>,
    /// The line, or what stands for it.
    pub(super) text: String,
}

/// The entries of one file.
pub(super) struct Reader<'m> {
    kind: Kind,
    mapping: &'m Mapping,
    number: u64,
}

enum Kind {
    /// With the fields of CloudFront's header.
    Lines(Box<dyn BufRead>, Format, Vec<String>),
    Har(std::vec::IntoIter<har::Entry>),
    Gor(gor::Payloads),
}

/// How much of a file its format is recognized by.
const HEAD: usize = 64 << 10;

/// What is encoded where a target is no URI as it stands.
const NO_URI: &AsciiSet = &CONTROLS
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Characters kept of a line that cannot be used.
const MAX_TEXT: usize = 200;

// === impl Reader ===

impl<'m> Reader<'m> {
    /// Opens a file, which may be compressed by gzip.
    pub(super) fn open(path: &Path, format: Format, mapping: &'m Mapping) -> io::Result<Self> {
        let mut file = decompressed(path)?;
        let head = file.fill_buf()?;
        let format = match format {
            Format::Auto => recognized(head).ok_or_else(|| {
                let message = "its format is not recognized: name it with --format";
                io::Error::new(io::ErrorKind::InvalidData, message)
            })?,
            format => format,
        };
        let kind = match format {
            Format::Har => Kind::Har(har::entries(file)?.into_iter()),
            Format::Gor => Kind::Gor(gor::Payloads::new(file)),
            format => Kind::Lines(file, format, Vec::new()),
        };
        Ok(Self {
            kind,
            mapping,
            number: 0,
        })
    }

    /// The next entry.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        self.number += 1;
        let number = self.number;
        match &mut self.kind {
            Kind::Har(entries) => Ok(entries.next().map(|entry| Entry {
                number,
                text: cut(&format!("{} {}", entry.request.method, entry.request.url)),
                found: entry.recorded(),
            })),
            Kind::Gor(payloads) => {
                let next = payloads.next()?;
                Ok(next.map(|(found, text)| Entry {
                    number,
                    text: cut(&text),
                    found,
                }))
            }
            Kind::Lines(..) => self.next_line(),
        }
    }

    fn next_line(&mut self) -> io::Result<Option<Entry>> {
        let Kind::Lines(file, format, fields) = &mut self.kind else {
            return Ok(None);
        };
        let mut line = Vec::new();
        loop {
            line.clear();
            if file.read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            let text = String::from_utf8_lossy(line.trim_ascii());
            if let Some(names) = text.strip_prefix("#Fields:") {
                *fields = names.split_whitespace().map(str::to_owned).collect();
            }
            let is_comment = *format == Format::Cloudfront && text.starts_with('#');
            if text.is_empty() || is_comment {
                self.number += 1;
                continue;
            }
            let found = match format {
                Format::Combined => logs::combined(&text),
                Format::Alb => logs::alb(&text),
                Format::Cloudfront => logs::cloudfront(&text, fields),
                Format::Vegeta => json::vegeta(&text),
                Format::Ndjson => json::own(&text, self.mapping),
                _ => json::log(&text, self.mapping),
            };
            return Ok(Some(Entry {
                number: self.number,
                found,
                text: cut(&text),
            }));
        }
    }
}

fn decompressed(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut file = File::open(path)?;
    let mut magic = [0; 2];
    let is_gzip = file.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    file.rewind()?;
    Ok(if is_gzip {
        Box::new(BufReader::with_capacity(HEAD, MultiGzDecoder::new(file)))
    } else {
        Box::new(BufReader::with_capacity(HEAD, file))
    })
}

/// The format of a file that begins so.
fn recognized(head: &[u8]) -> Option<Format> {
    let head = String::from_utf8_lossy(head);
    let first = head.trim_start_matches('\u{feff}').trim_start();
    let line = first.lines().next()?;
    if first.starts_with('{') {
        let json = serde_json::from_str::<serde_json::Value>(line).ok();
        return Some(match json {
            Some(json) if json["request"]["masked"].is_array() => Format::Ndjson,
            Some(json) if json["method"].is_string() && json["url"].is_string() => Format::Vegeta,
            Some(json) if json["log"]["entries"].is_array() => Format::Har,
            Some(_) => Format::Json,
            // Of several lines.
            None if first.contains("\"log\"") => Format::Har,
            None => return None,
        });
    }
    if line.starts_with("#Version:") || line.starts_with("#Fields:") {
        return Some(Format::Cloudfront);
    }
    if gor::is_head(line) {
        return Some(Format::Gor);
    }
    if logs::is_alb(line) {
        return Some(Format::Alb);
    }
    logs::is_combined(line).then_some(Format::Combined)
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

// === impl Recorded ===

impl Recorded {
    /// A request whose answer was not recorded.
    pub(super) fn request(request: RecordedRequest) -> Self {
        Self {
            request,
            answer: Err(Reason::NoAnswer),
        }
    }
}

// === impl RecordedRequest ===

impl RecordedRequest {
    /// The request of a log: no headers, no body.
    pub(super) fn of(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            ..Self::default()
        }
    }

    /// The request to be sent: without what belongs to a connection, or asks only whether the caller's copy is current.
    pub(super) fn read(&self) -> Option<ReadRequest> {
        let mut headers = header_map(&self.headers);
        let marks = Marks::of(&headers);
        hop::strip_request(&mut headers, marks, [None; 2]);
        for name in &NOT_REPLAYED {
            headers.remove(name);
        }
        Some(ReadRequest {
            method: self.method.parse::<Method>().ok()?,
            uri: origin_form(&self.target)?,
            headers,
            body: self.body.clone(),
        })
    }
}

/// Those that are headers; names of HTTP/2's own begin with a colon.
fn header_map(headers: &[(String, String)]) -> HeaderMap {
    let headers = headers.iter().filter_map(|(name, value)| {
        let name = HeaderName::try_from(name).ok()?;
        Some((name, HeaderValue::try_from(value).ok()?))
    });
    let mut map = HeaderMap::new();
    headers.for_each(|(name, value)| {
        map.append(name, value);
    });
    map
}

/// The path and query of a target, which may be a url.
pub(super) fn origin_form(target: &str) -> Option<Uri> {
    let path = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => {
            rest.find(['/', '?']).map_or("/", |at| &rest[at..])
        }
        _ => target,
    };
    let path = path.split('#').next()?;
    let path = match path.strip_prefix('?') {
        Some(_) => format!("/{path}"),
        None => path.to_owned(),
    };
    if !path.starts_with('/') {
        return None;
    }
    // Some servers take what no URI may have.
    let encoded = || utf8_percent_encode(&path, NO_URI).to_string().parse().ok();
    path.parse().ok().or_else(encoded)
}

#[cfg(test)]
mod tests;
