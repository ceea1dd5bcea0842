//! Headers by which a caller steers twinread. They are obeyed only with the `live_token`, and never passed on.

use super::{
    hop::{Mark, Marks},
    live::Live,
};
use crate::{sample::Wish, upstream::HOP};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Holds the `live_token`.
const TOKEN: HeaderName = HeaderName::from_static("x-twinread-token");
/// Marks replays. A stack that trusts it must not get it from a caller.
const REPLAY: HeaderName = HeaderName::from_static("x-twinread");

const PREFIX: &str = "x-twinread";

/// Whether the name may be one of ours, or needs attention because it looks like one.
pub(super) fn is_named(name: &HeaderName) -> bool {
    name.as_str().starts_with(PREFIX) && *name != HOP
}

/// Whether the header ends here. `force` is the name that `sample.force_header` gives.
pub(super) fn is_for_us(name: &HeaderName, force: Option<&HeaderName>) -> bool {
    Some(name) == force || *name == TOKEN || *name == REPLAY
}

/// What the caller wants and may have.
pub(super) fn wish(headers: &HeaderMap, marks: Marks, live: &Live) -> Wish {
    let force = live.sampling.force_header.as_ref();
    let is_asked = force.is_some_and(|name| headers.contains_key(name));
    match is_asked && marks.have(Mark::Control) && has_token(headers, live) {
        true => Wish::Forced,
        false => Wish::None,
    }
}

fn has_token(headers: &HeaderMap, live: &Live) -> bool {
    let Some(token) = &live.live_token else {
        return false;
    };
    let mut given = headers.get_all(TOKEN).iter().map(HeaderValue::as_bytes);
    given.next().is_some_and(|given| token.is(given)) && given.next().is_none()
}
