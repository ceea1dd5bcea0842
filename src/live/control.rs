//! Headers by which a caller controls twinread. They require the `live_token`, and are never forwarded.

use super::settings::LiveSettings;
use crate::{
    heads::hop::{Mark, Marks},
    sample::Wish,
    stack::Stack,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Carries the `live_token`.
const TOKEN: HeaderName = HeaderName::from_static("x-twinread-token");

/// What an allowed caller asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    pub(super) wish: Wish,
    /// The stack that is to answer.
    pub(super) stack: Option<Stack>,
}

pub(super) fn asked(headers: &HeaderMap, marks: Marks, live: &LiveSettings) -> Asked {
    if !marks.have(Mark::Control) || !has_token(headers, live) {
        return Asked::default();
    }
    let force = live.sampling.force_header.as_ref();
    let is_forced = force.is_some_and(|name| headers.contains_key(name));
    Asked {
        wish: if is_forced { Wish::Forced } else { Wish::None },
        stack: live.serve.asked(headers),
    }
}

fn has_token(headers: &HeaderMap, live: &LiveSettings) -> bool {
    let Some(token) = &live.live_token else {
        return false;
    };
    let mut given = headers.get_all(TOKEN).iter().map(HeaderValue::as_bytes);
    given.next().is_some_and(|given| token.is(given)) && given.next().is_none()
}
