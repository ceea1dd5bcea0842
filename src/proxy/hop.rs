//! Headers that are for one connection only (RFC 9110 7.6.1), and framing that two parsers could read differently.

use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};

const HOP: [&str; 3] = ["keep-alive", "proxy-connection", "http2-settings"];

/// Which headers that need attention a head has, found in one walk: to look each up costs more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks(u8);

/// One header, or several, that need attention.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Mark {
    Connection = 1,
    Te = 2,
    /// Headers for one connection that need not be named by `Connection`.
    Hop = 4,
    Upgrade = 8,
    Expect = 16,
    TransferEncoding = 32,
    ContentLength = 64,
}

/// An answer whose end is told in two ways, or in one that nobody knows.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the framing of the answer is ambiguous")]
pub(super) struct Ambiguous;

// === impl Marks ===

impl Marks {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let marks = headers.keys().filter_map(Mark::of);
        Self(marks.fold(0, |marks, mark| marks | mark as u8))
    }

    pub(super) fn have(self, mark: Mark) -> bool {
        self.0 & mark as u8 != 0
    }
}

// === impl Mark ===

impl Mark {
    fn of(name: &HeaderName) -> Option<Self> {
        match *name {
            CONNECTION => Some(Self::Connection),
            TE => Some(Self::Te),
            UPGRADE => Some(Self::Upgrade),
            EXPECT => Some(Self::Expect),
            TRANSFER_ENCODING => Some(Self::TransferEncoding),
            CONTENT_LENGTH => Some(Self::ContentLength),
            _ => HOP.contains(&name.as_str()).then_some(Self::Hop),
        }
    }
}

/// Takes out of a request what was for the caller's connection. `Transfer-Encoding` stays, for it says that there is a body:
/// the caller's guard has made sure that it is `chunked`.
pub(super) fn strip_request(headers: &mut HeaderMap, marks: Marks) {
    let takes_trailers = marks.have(Mark::Te) && takes_trailers(headers);
    strip(headers, marks);
    if marks.have(Mark::Upgrade) {
        headers.remove(UPGRADE);
    }
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Takes out of an answer what was for the primary's connection.
pub(super) fn strip_answer(status: StatusCode, headers: &mut HeaderMap, marks: Marks) {
    strip(headers, marks);
    if !marks.have(Mark::Upgrade) {
        return;
    }
    match status {
        StatusCode::SWITCHING_PROTOCOLS | StatusCode::UPGRADE_REQUIRED => {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        }
        _ => {
            headers.remove(UPGRADE);
        }
    }
}

/// Takes out of an informational answer what was for the primary's connection, and framing: it has no body (RFC 9110 8.6).
pub(super) fn strip_informational(headers: &mut HeaderMap) {
    strip(headers, Marks::of(headers));
    for name in [CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
}

/// Refuses an answer that some other reader could end elsewhere than we do.
///
/// # Errors
/// [`Ambiguous`].
pub(super) fn check_answer<B>(answer: &mut Response<B>, marks: Marks) -> Result<(), Ambiguous> {
    if marks.have(Mark::TransferEncoding) {
        let mut codings = answer.headers().get_all(TRANSFER_ENCODING).iter();
        let coding = codings.next().map(HeaderValue::as_bytes);
        let is_chunked = coding.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
        let is_alone = codings.next().is_none() && !marks.have(Mark::ContentLength);
        let is_known = is_chunked && is_alone && answer.version() == Version::HTTP_11;
        return is_known.then_some(()).ok_or(Ambiguous);
    }
    if !marks.have(Mark::ContentLength) {
        return Ok(());
    }
    let headers = answer.headers_mut();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let is_plain = |length: &HeaderValue| length.as_bytes().iter().all(u8::is_ascii_digit);
    if lengths.next().is_some_and(is_plain) && lengths.next().is_none() {
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

fn strip(headers: &mut HeaderMap, marks: Marks) {
    if marks.have(Mark::Connection) {
        strip_named(headers);
    }
    if marks.have(Mark::Te) {
        headers.remove(TE);
    }
    if marks.have(Mark::Hop) {
        for name in HOP {
            headers.remove(name);
        }
    }
}

/// Takes out `Connection` and what it names.
fn strip_named(headers: &mut HeaderMap) {
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
