//! Hop-by-hop headers (RFC 9110 7.6.1), and framing that two parsers could read differently.

use super::own;
use crate::http_client::{self, remove_in_order};
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};

const HOP: [&str; 3] = ["keep-alive", "proxy-connection", "http2-settings"];

/// Marks of headers that may have to be removed.
const STRIPPED: u8 = Mark::Connection as u8
    | Mark::Te as u8
    | Mark::Hop as u8
    | Mark::Upgrade as u8
    | Mark::Control as u8;

/// Which special headers a head has, found in one pass, because separate look-ups cost more.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks(u8);

/// A special header, or a group of them.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Mark {
    Connection = 1,
    Te = 2,
    /// Hop-by-hop headers that `Connection` need not name.
    Hop = 4,
    Upgrade = 8,
    Expect = 16,
    TransferEncoding = 32,
    ContentLength = 64,
    /// Headers that control twinread itself.
    Control = 128,
}

/// An answer whose end is declared in two ways, or in an unknown one.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the framing of the answer is ambiguous")]
pub(crate) struct Ambiguous;

// === impl Marks ===

impl Marks {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let marks = headers.keys().filter_map(Mark::of);
        Self(marks.fold(0, |marks, mark| marks | mark as u8))
    }

    pub(crate) fn have(self, mark: Mark) -> bool {
        self.0 & mark as u8 != 0
    }

    fn have_any(self, marks: u8) -> bool {
        self.0 & marks != 0
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
            _ if HOP.contains(&name.as_str()) => Some(Self::Hop),
            _ => own::is_named(name).then_some(Self::Control),
        }
    }
}

/// Whether a request that is forwarded never has this header.
pub(crate) fn never_forwards(name: &HeaderName) -> bool {
    matches!(*name, CONNECTION | UPGRADE) || HOP.contains(&name.as_str()) || own::is_named(name)
}

/// Removes hop-by-hop headers and those for twinread from a request. Keeps `Transfer-Encoding`, because it announces a
/// body; the guard has ensured that it is `chunked`, in any case.
pub(crate) fn strip_request(headers: &mut HeaderMap, marks: Marks, ours: [Option<&HeaderName>; 2]) {
    let keeps_te = marks.have(Mark::Te) && takes_trailers(headers);
    let options = connection_options(headers, marks);
    let has_ours = || headers.keys().any(|name| own::is_for_us(name, ours));
    if marks.have_any(STRIPPED) || has_ours() {
        remove_in_order(headers, |name| match *name {
            CONNECTION | UPGRADE => true,
            TE => !keeps_te,
            _ => is_hop_by_hop(name, &options) || own::is_for_us(name, ours),
        });
    }
    if keeps_te {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if marks.have(Mark::TransferEncoding) {
        // A stack that minds its case would see another end of the body.
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// Removes the hop-by-hop headers of the primary's connection from an answer.
pub(crate) fn strip_answer(status: StatusCode, headers: &mut HeaderMap, marks: Marks) {
    if !marks.have_any(STRIPPED) {
        return;
    }
    let offers_upgrade = marks.have(Mark::Upgrade)
        && matches!(
            status,
            StatusCode::SWITCHING_PROTOCOLS | StatusCode::UPGRADE_REQUIRED
        );
    let options = connection_options(headers, marks);
    remove_in_order(headers, |name| match *name {
        CONNECTION | UPGRADE => !offers_upgrade,
        TE => true,
        _ => is_hop_by_hop(name, &options),
    });
    if offers_upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// Removes hop-by-hop headers and framing from an informational answer, because it has no body (RFC 9110 8.6).
pub(crate) fn strip_informational(headers: &mut HeaderMap) {
    let options = connection_options(headers, Marks::of(headers));
    remove_in_order(headers, |name| match *name {
        CONNECTION | CONTENT_LENGTH | TE | TRAILER | TRANSFER_ENCODING | UPGRADE => true,
        _ => is_hop_by_hop(name, &options),
    });
}

/// Rejects an answer that another reader could end elsewhere than we do.
///
/// # Errors
/// [`Ambiguous`].
pub(crate) fn check_answer<B>(answer: &mut Response<B>, marks: Marks) -> Result<(), Ambiguous> {
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
    // hyper has ensured that all values are equal; one of them is kept.
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

/// The values of `Connection` that name headers; most do not.
fn connection_options(headers: &HeaderMap, marks: Marks) -> Vec<HeaderValue> {
    if !marks.have(Mark::Connection) {
        return Vec::new();
    }
    let names_headers = |value: &&HeaderValue| {
        let value = value.as_bytes();
        !value.eq_ignore_ascii_case(b"keep-alive") && !value.eq_ignore_ascii_case(b"close")
    };
    let values = headers.get_all(CONNECTION).iter();
    values.filter(names_headers).cloned().collect()
}

fn is_hop_by_hop(name: &HeaderName, options: &[HeaderValue]) -> bool {
    HOP.contains(&name.as_str()) || (!frames_or_routes(name) && is_option(name, options))
}

/// Naming these in `Connection` must not remove what frames or routes the message.
fn frames_or_routes(name: &HeaderName) -> bool {
    matches!(*name, CONTENT_LENGTH | TRANSFER_ENCODING | HOST) || *name == http_client::HOP
}

fn is_option(name: &HeaderName, options: &[HeaderValue]) -> bool {
    options.iter().any(|value| {
        let mut options = value.as_bytes().split(|byte| *byte == b',');
        options.any(|option| {
            option
                .trim_ascii()
                .eq_ignore_ascii_case(name.as_str().as_bytes())
        })
    })
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(TE).iter();
    values.any(|value| {
        let text = value.to_str().unwrap_or_default();
        text.split(',')
            .any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
    })
}
