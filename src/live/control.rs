//! Headers by which a caller controls twinread. They require the `live_token`, and are never forwarded.

use super::{
    http1::hop::{Mark, Marks},
    settings::LiveSettings,
};
use crate::{http_client::HOP, sample::Wish};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Carries the `live_token`.
const TOKEN: HeaderName = HeaderName::from_static("x-twinread-token");
/// The prefix of our names. A stack that trusts `x-twinread` on replays must not receive it from a caller.
const PREFIX: &str = "x-twinread";

/// Whether the name is one of ours. Excludes [`HOP`], which is forwarded because other instances look for themselves in
/// it.
pub(super) fn is_named(name: &HeaderName) -> bool {
    let Some((start, rest)) = name.as_str().split_at_checked(PREFIX.len()) else {
        return false;
    };
    let is_over = !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    is_over && is_same(start, PREFIX) && *name != HOP
}

/// Whether the header is not forwarded. `force` is the name in `sample.force_header`.
pub(super) fn is_for_us(name: &HeaderName, force: Option<&HeaderName>) -> bool {
    is_named(name) || force.is_some_and(|force| is_same(name.as_str(), force.as_str()))
}

/// Whether a stack behind CGI or WSGI may confuse both names, because it receives `-` as `_`.
fn is_same(name: &str, own: &str) -> bool {
    let is_like = |(byte, own): (u8, u8)| match own {
        b'-' => !byte.is_ascii_alphanumeric(),
        _ => byte == own,
    };
    name.len() == own.len() && name.bytes().zip(own.bytes()).all(is_like)
}

/// The caller's wish, if it is allowed.
pub(super) fn wish(headers: &HeaderMap, marks: Marks, live: &LiveSettings) -> Wish {
    let force = live.sampling.force_header.as_ref();
    let is_asked = force.is_some_and(|name| headers.contains_key(name));
    if is_asked && marks.have(Mark::Control) && has_token(headers, live) {
        Wish::Forced
    } else {
        Wish::None
    }
}

fn has_token(headers: &HeaderMap, live: &LiveSettings) -> bool {
    let Some(token) = &live.live_token else {
        return false;
    };
    let mut given = headers.get_all(TOKEN).iter().map(HeaderValue::as_bytes);
    given.next().is_some_and(|given| token.is(given)) && given.next().is_none()
}
