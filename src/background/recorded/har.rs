//! HAR 1.2, as browsers and proxies save it.

use super::{Reason, Recorded, RecordedRequest, header_map};
use crate::background::offer::RecordedAnswer;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING},
};
use serde::Deserialize;
use std::io;

#[derive(Deserialize)]
struct Har {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
pub(super) struct Entry {
    pub(super) request: Request,
    response: Response,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) url: String,
    #[serde(default)]
    headers: Vec<Header>,
    post_data: Option<PostData>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct PostData {
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct Response {
    status: u16,
    #[serde(default)]
    headers: Vec<Header>,
    #[serde(default)]
    content: Content,
}

#[derive(Default, Deserialize)]
struct Content {
    text: Option<String>,
    encoding: Option<String>,
    #[serde(default)]
    size: i64,
}

/// The entries of a file, which is read whole.
pub(super) fn entries(file: impl io::Read) -> io::Result<Vec<Entry>> {
    let har: Har = serde_json::from_reader(file)?;
    Ok(har.log.entries)
}

// === impl Entry ===

impl Entry {
    pub(super) fn recorded(self) -> Result<Recorded, Reason> {
        let Self { request, response } = self;
        let body = request.post_data.map(|data| data.text).unwrap_or_default();
        Ok(Recorded {
            request: RecordedRequest {
                method: request.method,
                target: request.url,
                headers: pairs(request.headers),
                body: body.into(),
            },
            answer: response.answer(),
        })
    }
}

impl Response {
    /// Its text is decoded, and may be missing.
    fn answer(self) -> Result<RecordedAnswer, Reason> {
        let status = StatusCode::from_u16(self.status).map_err(|_| Reason::NoAnswer)?;
        let mut headers = header_map(&pairs(self.headers));
        for name in [CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        let body = match (self.content.text, self.content.encoding.as_deref()) {
            (None, _) if self.content.size > 0 => return Err(Reason::NoAnswer),
            (None, _) => Bytes::new(),
            (Some(text), Some("base64")) => {
                let bytes = BASE64_STANDARD.decode(text);
                bytes.map_err(|_| Reason::Malformed)?.into()
            }
            (Some(text), _) => text.into(),
        };
        Ok(RecordedAnswer {
            status,
            headers,
            body,
        })
    }
}

fn pairs(headers: Vec<Header>) -> Vec<(String, String)> {
    let headers = headers.into_iter();
    headers.map(|header| (header.name, header.value)).collect()
}
