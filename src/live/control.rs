//! Headers by which a caller controls twinread. They require the `live_token`, and are never forwarded.

use super::settings::LiveSettings;
use crate::{
    heads::hop::{Mark, Marks},
    sample::Wish,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Carries the `live_token`.
const TOKEN: HeaderName = HeaderName::from_static("x-twinread-token");
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
