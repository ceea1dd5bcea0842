//! Compares status, headers and trailers.
//!
//! Hop-by-hop and framing headers are never compared, nor is `content-encoding`, which is undone before bodies are
//! compared: the caller gets the same from two stacks that compress differently. `content-length` frames a body; it is
//! compared only in answers without one (to HEAD, and 304).

use super::{Answer, HeaderScope, Pair, candidate::Candidate, findings::Findings, values};
use crate::{
    rules::{RuleSet, Subject},
    value::{
        coding,
        content_type::ContentType,
        difference::{Difference, Kind, Place, Value},
        format::Types,
    },
};
use http::{
    HeaderMap, HeaderName, Method, StatusCode,
    header::{self, CONNECTION},
};
use std::borrow::Cow;

/// Hop-by-hop (RFC 9110, section 7.6.1) and framing headers, except `content-length`.
const UNCOMPARED: [HeaderName; 10] = [
    CONNECTION,
    header::CONTENT_ENCODING,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Whether a header or trailer of that name is about one connection or the framing of one message.
pub(crate) fn is_never_compared(name: &HeaderName) -> bool {
    UNCOMPARED.contains(name)
}

/// Headers or trailers: decides about their places and rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Headers,
    Trailers,
}

// === impl Section ===

impl Section {
    /// The headers or trailers that reach the caller. Each answer names hop-by-hop headers only for its own connection.
    fn of(self, answer: &Answer) -> Cow<'_, HeaderMap> {
        let headers = match self {
            Self::Headers => &answer.headers,
            Self::Trailers => &answer.trailers,
        };
        let mut left = Cow::Borrowed(headers);
        for name in named_by_connection(&answer.headers) {
            if headers.contains_key(&name) {
                left.to_mut().remove(&name);
            }
        }
        left
    }

    fn rules<'r>(self, rules: &'r RuleSet, name: &HeaderName) -> Cow<'r, [usize]> {
        match self {
            Self::Headers => rules.at_header(name),
            Self::Trailers => rules.at_trailer(name),
        }
    }
}

// === impl HeaderScope ===

impl HeaderScope {
    pub(crate) fn holds(&self, name: &HeaderName) -> bool {
        let is_named = |listed: &HeaderName| match listed.as_str().strip_suffix('*') {
            Some(start) => name.as_str().starts_with(start),
            None => name == listed,
        };
        match self {
            Self::All => true,
            Self::Listed(names) => names.iter().any(is_named),
            Self::Except(names) => !names.iter().any(is_named),
            Self::None => false,
        }
    }
}

/// Compares everything but the bodies, and returns what rules decide about the content types.
pub(super) fn compare(pair: Pair<'_>, findings: &mut Findings<'_>) -> Types {
    let Pair { old, new, .. } = pair;
    let scope = &pair.comparing.options.headers;
    let mut types = Types::AsDeclared;
    let compares_length = compares_length((old, new), pair.context.method);
    statuses(old.status, new.status, findings);
    for section in [Section::Headers, Section::Trailers] {
        let (olds, news) = (&section.of(old), &section.of(new));
        for name in looked_at(section, (olds, news), findings) {
            let is_framing =
                UNCOMPARED.contains(&name) || !compares_length && name == header::CONTENT_LENGTH;
            if !scope.holds(&name) || is_framing {
                continue;
            }
            let before = findings.count;
            compare_values(section, &name, (olds, news), findings);
            let is_type = section == Section::Headers && name == header::CONTENT_TYPE;
            if is_type && findings.count == before {
                types = Types::EqualByRule;
            }
        }
    }
    types
}

/// Whether `content-length` is the size of the resource, because there is no body to frame. Different codings have
/// different sizes.
fn compares_length((old, new): (&Answer, &Answer), method: &Method) -> bool {
    let are_unmodified = [old, new].map(|answer| answer.status == StatusCode::NOT_MODIFIED);
    (method == Method::HEAD || are_unmodified == [true; 2])
        && coding::codings(&old.headers) == coding::codings(&new.headers)
}

fn statuses(old: StatusCode, new: StatusCode, findings: &mut Findings<'_>) {
    if old == new {
        return;
    }
    let subject = |status: StatusCode| vec![Subject::Number(status.as_str().to_owned().into())];
    let case = Candidate::whole(Kind::Status, subject(old), subject(new), findings.reading);
    let value = |status: StatusCode| Some(Value::Json(status.as_u16().into()));
    findings.judge(findings.rules.at_status(), case, || Difference {
        place: Place::Status,
        kind: Kind::Status,
        old: value(old),
        new: value(new),
    });
}

/// The sorted names whose values differ, or contain ids to be recorded.
fn looked_at(
    section: Section,
    (olds, news): (&HeaderMap, &HeaderMap),
    findings: &Findings<'_>,
) -> Vec<HeaderName> {
    let of_new = news.keys().filter(|name| !olds.contains_key(*name));
    let has_ids = |name: &HeaderName| {
        let rules = section.rules(findings.rules, name);
        let mut rules = rules.iter();
        rules.any(|rule| findings.rule(*rule).action.is_bijection())
    };
    let is_looked_at = |name: &&HeaderName| {
        !are_same(name, olds, news) || *name != header::CONTENT_TYPE && has_ids(name)
    };
    let mut names: Vec<_> = olds
        .keys()
        .chain(of_new)
        .filter(is_looked_at)
        .cloned()
        .collect();
    names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    names
}

/// Content types are compared by meaning, everything else by its bytes.
fn are_same(name: &HeaderName, olds: &HeaderMap, news: &HeaderMap) -> bool {
    let (mut old, mut new) = (olds.get_all(name).iter(), news.get_all(name).iter());
    if name != header::CONTENT_TYPE {
        return old.eq(new);
    }
    loop {
        match (old.next(), new.next()) {
            (None, None) => return true,
            (Some(old), Some(new)) if ContentType::is_same(old, new) => {}
            _ => return false,
        }
    }
}

fn compare_values(
    section: Section,
    name: &HeaderName,
    (olds, news): (&HeaderMap, &HeaderMap),
    findings: &mut Findings<'_>,
) {
    let all = |headers: &HeaderMap| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
    let rules = section.rules(findings.rules, name);
    let place = || match section {
        Section::Headers => Place::Header(name.as_str().to_owned()),
        Section::Trailers => Place::Trailer(name.as_str().to_owned()),
    };
    values::compare(place, &rules, (&all(olds), &all(news)), findings);
}

/// The names that `connection` makes hop-by-hop.
fn named_by_connection(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> + '_ {
    let values = headers.get_all(CONNECTION).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
}
