//! Headers that are for one connection only (RFC 9110 7.6.1), and framing that two parsers could read differently.

use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, HeaderName as Name, TE, TRANSFER_ENCODING, UPGRADE},
};

const KEEP_ALIVE: Name = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: Name = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: Name = HeaderName::from_static("http2-settings");

/// An answer whose end is told in two ways, or in one that nobody knows.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the framing of the answer is ambiguous")]
pub(super) struct Ambiguous;

/// Takes out of a request what was for the caller's connection. `Transfer-Encoding` stays, for it says that there is a body:
/// the caller's guard has made sure that it is `chunked`.
pub(super) fn strip_request(headers: &mut HeaderMap) {
    let takes_trailers = takes_trailers(headers);
    strip(headers);
    headers.remove(UPGRADE);
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Takes out of an answer what was for the primary's connection.
pub(super) fn strip_answer(status: StatusCode, headers: &mut HeaderMap) {
    strip(headers);
    match status {
        StatusCode::SWITCHING_PROTOCOLS | StatusCode::UPGRADE_REQUIRED => {
            if headers.contains_key(UPGRADE) {
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            }
        }
        _ => {
            headers.remove(UPGRADE);
        }
    }
}

/// Refuses an answer that some other reader could end elsewhere than we do.
///
/// # Errors
/// [`Ambiguous`].
pub(super) fn check_answer<B>(answer: &mut Response<B>) -> Result<(), Ambiguous> {
    let version = answer.version();
    let headers = answer.headers_mut();
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        let is_chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        let is_alone = codings.next().is_none() && !headers.contains_key(CONTENT_LENGTH);
        let is_known = is_chunked && is_alone && version == Version::HTTP_11;
        return is_known.then_some(()).ok_or(Ambiguous);
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else {
        return Ok(());
    };
    if lengths.next().is_none() && length.as_bytes().iter().all(u8::is_ascii_digit) {
        return Ok(());
    }
    // hyper has made sure that all values are alike; one of them goes on.
    let length = single_length(headers).ok_or(Ambiguous)?;
    headers.insert(CONTENT_LENGTH, length);
    Ok(())
}

fn single_length(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut single = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for part in value.to_str().ok()?.split(',') {
            let length: u64 = part.trim().parse().ok()?;
            if *single.get_or_insert(length) != length {
                return None;
            }
        }
    }
    single.map(HeaderValue::from)
}

fn strip(headers: &mut HeaderMap) {
    for value in named_by_connection(headers) {
        for name in value.to_str().unwrap_or_default().split(',') {
            let Ok(name) = name.trim().parse::<HeaderName>() else {
                continue;
            };
            // Naming these must not take away what frames the message or says where it goes.
            let is_ours = matches!(name, CONTENT_LENGTH | TRANSFER_ENCODING | UPGRADE)
                || name == http::header::HOST;
            if !is_ours {
                headers.remove(name);
            }
        }
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, TE, HTTP2_SETTINGS] {
        headers.remove(name);
    }
}

fn named_by_connection(headers: &mut HeaderMap) -> Vec<HeaderValue> {
    match headers.entry(CONNECTION) {
        http::header::Entry::Occupied(entry) => entry.remove_entry_mult().1.collect(),
        http::header::Entry::Vacant(_) => Vec::new(),
    }
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(TE).iter();
    values.any(|value| {
        let text = value.to_str().unwrap_or_default();
        text.split(',')
            .any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
    })
}
