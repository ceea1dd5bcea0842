//! The names of headers that are meant for twinread.

use crate::http_client::HOP;
use http::HeaderName;

/// The prefix of our names. A stack that trusts `x-twinread` on replays must not receive it from a caller.
const PREFIX: &str = "x-twinread";

/// Whether the name is one of ours. Excludes [`HOP`], which is forwarded because other instances look for themselves in
/// it.
pub(crate) fn is_named(name: &HeaderName) -> bool {
    let Some((start, rest)) = name.as_str().split_at_checked(PREFIX.len()) else {
        return false;
    };
    let is_over = !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    is_over && is_same(start, PREFIX) && *name != HOP
}

/// Whether the header is not forwarded. `ours` are the names in `sample.force_header` and `serve.header`.
pub(crate) fn is_for_us(name: &HeaderName, ours: [Option<&HeaderName>; 2]) -> bool {
    let mut ours = ours.into_iter().flatten();
    is_named(name) || ours.any(|own| is_same(name.as_str(), own.as_str()))
}

/// Whether a stack behind CGI or WSGI may confuse both names, because it receives `-` as `_`.
fn is_same(name: &str, own: &str) -> bool {
    let is_like = |(byte, own): (u8, u8)| match own {
        b'-' => !byte.is_ascii_alphanumeric(),
        _ => byte == own,
    };
    name.len() == own.len() && name.bytes().zip(own.bytes()).all(is_like)
}
