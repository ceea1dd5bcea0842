//! Names for paths that no entry matches: segments that look like ids become `{}`.
//!
//! A segment counts as an id if it:
//! - holds digits and no letters (`42`, `2026-11-22`, `52.1,13.4`);
//! - has a run of 4 digits or more, or ends in `-` or `_` and 2 digits or more (`u20931`, `order-17`);
//! - holds 8 hex digits or more in a row, a decimal digit among them, or 16 without one (uuids, hashes);
//! - has at least 8 characters in which letters and digits alternate 3 times or more (`dQw4w9WgXcQ`);
//! - has at least 20 characters with a digit, or more than 40 without (tokens);
//! - has characters other than letters, digits and `. _ ~ - : $` (names, searches, matrix parameters).
//!
//! `v1`, `oauth2`, `index.html` stay. A file name is judged without its extension: `8731.json` is `{}.json`. Everything
//! from the eleventh segment on is `*`. Collapsing a collapsed path changes nothing.
//!
//! A value after a secret name, in the next segment (`/password/hunterhunter`) or the same (`/token:hunter`), always
//! becomes `{}`.

use crate::redact::Walk;
use http::Method;
use percent_encoding::percent_decode_str;
use regex::Regex;
use std::borrow::Cow;

const MAX_SEGMENTS: usize = 10;
const MAX_SEGMENT: usize = 40;
const MIN_TOKEN: usize = 20;
const MAX_EXTENSION: usize = 5;

/// The values of the label `method`.
pub(crate) const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "other",
];

/// Character statistics of a segment.
#[derive(Default)]
struct Traits {
    letters: usize,
    digits: usize,
    longest_digits: usize,
    longest_hex: usize,
    longest_hex_with_digit: usize,
    turns: usize,
    has_others: bool,
}

/// The name of a path, such as `GET /orders/{}`. `secrets` match names whose values must not be shown.
pub(crate) fn collapsed(method: &Method, path: &str, secrets: &[Regex]) -> String {
    let mut name = String::with_capacity(method.as_str().len().min(8) + 1 + path.len().min(96));
    name.push_str(known(method));
    name.push(' ');
    let Some(inner) = path.strip_prefix('/') else {
        // `OPTIONS *`, or a CONNECT, whose authority is no path.
        name.push('*');
        return name;
    };
    let mut walk = Walk::new(secrets);
    for (index, segment) in inner.split('/').enumerate() {
        name.push('/');
        if index == MAX_SEGMENTS {
            name.push('*');
            break;
        }
        let decoded = if segment.contains('%') {
            percent_decode_str(segment).decode_utf8_lossy()
        } else {
            Cow::Borrowed(segment)
        };
        match walk.hidden(&decoded) {
            None => push_collapsed(&mut name, segment),
            Some(at) => {
                let shown = segment.get(..at).filter(|_| decoded == segment);
                name.push_str(shown.filter(|shown| !is_id(shown)).unwrap_or_default());
                name.push_str("{}");
            }
        }
    }
    name
}

/// Maps unknown methods to one name, so that a client cannot create names by inventing methods.
fn known(method: &Method) -> &'static str {
    let known = METHODS.iter().find(|known| **known == method.as_str());
    known.unwrap_or(&"other")
}

fn push_collapsed(name: &mut String, segment: &str) {
    if segment == "{}" || !is_id(segment) {
        return name.push_str(segment);
    }
    name.push_str("{}");
    if let Some((stem, extension)) = segment.rsplit_once('.')
        && !stem.is_empty()
        && is_extension(extension)
    {
        name.push('.');
        name.push_str(extension);
    }
}

fn is_extension(text: &str) -> bool {
    text.len() <= MAX_EXTENSION
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_id(segment: &str) -> bool {
    // Most segments are words, which need no further checks.
    let is_word = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
    if segment.len() < 16 && segment.bytes().all(is_word) {
        return false;
    }
    let stem = match segment.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && is_extension(extension) => stem,
        _ => segment,
    };
    let traits = Traits::of(stem);
    traits.has_others
        || (traits.digits > 0 && traits.letters == 0)
        || traits.longest_digits >= 4
        || traits.longest_hex_with_digit >= 8
        || traits.longest_hex >= 16
        || (stem.len() >= 8 && traits.turns >= 3)
        || (stem.len() >= MIN_TOKEN && traits.digits > 0)
        || segment.len() > MAX_SEGMENT
        || ends_in_a_number(stem)
}

fn ends_in_a_number(stem: &str) -> bool {
    let before = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    stem.len() - before.len() >= 2 && before.ends_with(['-', '_'])
}

// === impl Traits ===

impl Traits {
    fn of(text: &str) -> Self {
        let mut traits = Self::default();
        let (mut digits, mut hex, mut hex_digits) = (0, 0, 0);
        let mut last_is_digit = None;
        for byte in text.bytes() {
            let is_digit = byte.is_ascii_digit();
            let is_letter = byte.is_ascii_alphabetic();
            traits.digits += usize::from(is_digit);
            traits.letters += usize::from(is_letter);
            let is_plain = matches!(byte, b'.' | b'_' | b'~' | b'-' | b':' | b'$');
            traits.has_others |= !is_digit && !is_letter && !is_plain;
            if is_digit || is_letter {
                traits.turns += usize::from(last_is_digit.is_some_and(|last| last != is_digit));
                last_is_digit = Some(is_digit);
            }
            digits = if is_digit { digits + 1 } else { 0 };
            let is_hex = byte.is_ascii_hexdigit();
            hex = if is_hex { hex + 1 } else { 0 };
            hex_digits = if is_hex {
                hex_digits + usize::from(is_digit)
            } else {
                0
            };
            traits.longest_digits = traits.longest_digits.max(digits);
            traits.longest_hex = traits.longest_hex.max(hex);
            if hex_digits > 0 {
                traits.longest_hex_with_digit = traits.longest_hex_with_digit.max(hex);
            }
        }
        traits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(path: &str) -> String {
        collapsed(&Method::GET, path, &[])["GET ".len()..].to_owned()
    }

    #[test]
    fn segments_that_look_like_ids_are_collapsed() {
        for (given, expected) in [
            ("/", "/"),
            ("/orders/17", "/orders/{}"),
            ("/orders/17/", "/orders/{}/"),
            ("/orders/17/lines/3", "/orders/{}/lines/{}"),
            ("/v1/users/alice", "/v1/users/alice"),
            ("/oauth2/token", "/oauth2/token"),
            ("/v1.2/x", "/v1.2/x"),
            ("/1.2.3/x", "/{}/x"),
            ("/api/2026-11-22", "/api/{}"),
            ("/u/order-17", "/u/{}"),
            ("/step-1", "/step-1"),
            ("/u20931", "/{}"),
            ("/f47ac10b-58cc-4372-a567-0e02b2c3d479", "/{}"),
            ("/F47AC10B58CC4372A5670E02B2C3D479.png", "/{}.png"),
            ("/deadbeef", "/deadbeef"),
            ("/deadbee7", "/{}"),
            ("/dQw4w9WgXcQ", "/{}"),
            ("/index.html", "/index.html"),
            ("/8731.json", "/{}.json"),
            ("/app.3f2a9c1b.js", "/{}.js"),
            ("/search/caf%C3%A9", "/search/{}"),
            ("/mail/jo@example.org", "/mail/{}.org"),
            ("/{id}", "/{}"),
            ("/a;jsessionid=1", "/{}"),
            ("//x", "//x"),
            ("*", "*"),
            (
                "/1/2/3/4/5/6/7/8/9/10/11/12",
                "/{}/{}/{}/{}/{}/{}/{}/{}/{}/{}/*",
            ),
        ] {
            assert_eq!(path(given), expected, "{given}");
        }
    }

    #[test]
    fn a_method_of_ones_own_making_makes_no_name() {
        let method = Method::from_bytes(b"FETCH").unwrap();
        assert_eq!(collapsed(&method, "/x", &[]), "other /x");
    }

    #[test]
    fn what_follows_a_secret_name_is_collapsed() {
        let secrets = [
            Regex::new("(?i)pass(word)?|token").unwrap(),
            Regex::new("^pin$").unwrap(),
        ];
        for (given, expected) in [
            ("/password/hunterhunter", "GET /password/{}"),
            ("/reset-Token/abc/confirm", "GET /reset-Token/{}/confirm"),
            ("/p%61ssword/abc", "GET /{}/{}"),
            ("/pin/abc", "GET /pin/{}"),
            ("/pins/abc", "GET /pins/abc"),
            ("/password/", "GET /password/"),
            ("/password/token/abc", "GET /password/{}/{}"),
            ("/password//hunter", "GET /password//{}"),
            ("/password/./hunter", "GET /password/./{}"),
            ("/token:hunter", "GET /token:{}"),
            ("/token:{}", "GET /token:{}"),
            ("/key.token.hunter", "GET /key.token.{}"),
            ("/123456.token.hunter", "GET /{}"),
            ("/token=hunter", "GET /{}"),
            ("/token=a.hunt", "GET /{}"),
            ("/token%3Aa.hunt", "GET /{}"),
            ("/a;token=b.hunt", "GET /{}"),
        ] {
            assert_eq!(collapsed(&Method::GET, given, &secrets), expected);
        }
    }

    proptest! {
        #[test]
        fn names_are_bounded_and_collapse_to_themselves(
            given in prop_oneof!["(/[ -~]{0,60}){0,20}", "(/[a-f0-9.{}*]{0,20}){0,12}", ".{0,200}"],
        ) {
            let once = collapsed(&Method::OPTIONS, &given, &[]);
            prop_assert!(once.len() <= 512);
            let (_, first) = once.split_once(' ').unwrap();
            prop_assert_eq!(collapsed(&Method::OPTIONS, first, &[]), once.clone());
        }

        #[test]
        fn numbers_uuids_and_hashes_never_make_a_name(
            id in prop_oneof![
                "[0-9]{1,40}",
                "[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
                "[0-9a-f]{32}", "[0-9A-F]{40}", "[A-Za-z0-9_-]{41,200}",
            ],
        ) {
            prop_assert_eq!(path(&format!("/x/{id}")), "/x/{}");
        }
    }
}
