//! Status, headers and trailers.
//!
//! Never compared: what belongs to one connection or to the framing of one message, and `content-encoding`,
//! which is undone before bodies are compared: two stacks that compress unlike give the caller the same.

use super::{
    Answer, HeaderScope,
    difference::{Difference, Kind, Place, Value},
    findings::Findings,
};
use crate::rules::{Action, Members};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{self, CONNECTION},
};

/// Of one connection (RFC 9110, section 7.6.1) or one message's framing.
const UNCOMPARED: [HeaderName; 11] = [
    CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Headers or trailers: how their places are named, and whose rules look at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Headers,
    Trailers,
}

/// Compares everything but the bodies.
pub(super) fn compare(
    old: &Answer,
    new: &Answer,
    scope: &HeaderScope,
    findings: &mut Findings<'_>,
) {
    statuses(old.status, new.status, findings);
    let connection = [
        named_by_connection(&old.headers),
        named_by_connection(&new.headers),
    ]
    .concat();
    for section in [Section::Headers, Section::Trailers] {
        let (olds, news) = match section {
            Section::Headers => (&old.headers, &new.headers),
            Section::Trailers => (&old.trailers, &new.trailers),
        };
        for name in differing(olds, news) {
            let is_compared = match scope {
                HeaderScope::All => true,
                HeaderScope::Listed(names) => names.contains(&name),
                HeaderScope::None => false,
            };
            if is_compared && !UNCOMPARED.contains(&name) && !connection.contains(&name) {
                values(section, &name, (olds, news), findings);
            }
        }
    }
}

fn statuses(old: StatusCode, new: StatusCode, findings: &mut Findings<'_>) {
    if old == new {
        return;
    }
    let suffices = |action: &Action| match action {
        Action::Ignore => true,
        Action::Status(groups) => groups
            .iter()
            .any(|group| group.contains(&old.as_u16()) && group.contains(&new.as_u16())),
        _ => false,
    };
    let value = |status: StatusCode| Some(Value::Json(status.as_u16().into()));
    findings.judge_at(findings.rules.at_status(), suffices, || Difference {
        place: Place::Status,
        kind: Kind::Status,
        old: value(old),
        new: value(new),
    });
}

/// The names whose values differ, sorted.
fn differing(olds: &HeaderMap, news: &HeaderMap) -> Vec<HeaderName> {
    let unlike = |name: &&HeaderName| !olds.get_all(*name).iter().eq(news.get_all(*name).iter());
    let of_new = news.keys().filter(|name| !olds.contains_key(*name));
    let mut names: Vec<_> = olds.keys().chain(of_new).filter(unlike).cloned().collect();
    names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    names
}

fn values(
    section: Section,
    name: &HeaderName,
    (olds, news): (&HeaderMap, &HeaderMap),
    findings: &mut Findings<'_>,
) {
    let all = |headers: &HeaderMap| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
    let (old, new) = (all(olds), all(news));
    let kind = match (old.is_empty(), new.is_empty()) {
        (_, true) => Kind::Missing,
        (true, _) => Kind::Extra,
        _ if sorted(&old) == sorted(&new) => Kind::Order,
        _ => Kind::Value,
    };
    let rules = match section {
        Section::Headers => findings.rules.at_header(name),
        Section::Trailers => findings.rules.at_trailer(name),
    };
    let suffices = |action: &Action| match action {
        Action::Ignore => true,
        Action::Unordered(Members::AsSet) => kind == Kind::Order,
        _ => false,
    };
    findings.judge_at(rules, suffices, || Difference {
        place: match section {
            Section::Headers => Place::Header(name.as_str().to_owned()),
            Section::Trailers => Place::Trailer(name.as_str().to_owned()),
        },
        kind,
        old: told(&old),
        new: told(&new),
    });
}

fn sorted(values: &[HeaderValue]) -> Vec<&[u8]> {
    let mut values: Vec<_> = values.iter().map(HeaderValue::as_bytes).collect();
    values.sort_unstable();
    values
}

/// One value as text, several as a list.
fn told(values: &[HeaderValue]) -> Option<Value> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    match values {
        [] => None,
        [one] => Some(Value::Text(text(one))),
        many => Some(Value::Json(many.iter().map(text).collect())),
    }
}

/// The names that `connection` makes hop-by-hop.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect()
}
