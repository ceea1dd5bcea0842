//! Compares status, headers and trailers.
//!
//! Hop-by-hop and framing headers are never compared, nor are `content-encoding` and `grpc-encoding`, which are undone
//! before bodies are compared: the caller gets the same from two stacks that compress differently. `content-length` frames a body; it is
//! compared only in answers without one (to HEAD, and 304).
//!
//! Metadata of gRPC is compared by its meaning, and a trailers-only answer as a normal one with the same content.

use super::{
    Answer, BodyCopy, HeaderScope, Pair, candidate::Candidate, findings::Findings, values,
};
use crate::{
    rules::{RuleSet, Subject},
    value::{
        coding,
        content_type::ContentType,
        difference::{Difference, Kind, Place, Value},
        format::{Types, media_type},
        grpc::{self, Descriptors, Metadata},
    },
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{self, CONNECTION},
};
use std::borrow::Cow;

/// Hop-by-hop (RFC 9110, section 7.6.1) and framing headers, except `content-length`.
const UNCOMPARED: [HeaderName; 11] = [
    CONNECTION,
    header::CONTENT_ENCODING,
    grpc::GRPC_ENCODING,
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
    fn of<'m>(self, metadata: &'m Metadata<'_>) -> Cow<'m, HeaderMap> {
        let headers: &HeaderMap = match self {
            Self::Headers => &metadata.headers,
            Self::Trailers => &metadata.trailers,
        };
        let mut left = Cow::Borrowed(headers);
        for name in named_by_connection(&metadata.headers) {
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
    let both = [old, new].map(|answer| (&answer.headers, &answer.trailers));
    let [olds, news] = &Metadata::of_both(both);
    let mut types_of = [old, new].into_iter();
    let is_grpc = types_of.any(|answer| grpc::is_grpc(media_type(&answer.headers)));
    let descriptors = is_grpc.then_some(&pair.comparing.descriptors);
    let is_cut = [old, new].map(|answer| matches!(answer.body, BodyCopy::Cut));
    let sections = match is_cut {
        [false, false] => &[Section::Headers, Section::Trailers][..],
        // What would have followed the body is unknown.
        _ => &[Section::Headers],
    };
    for &section in sections {
        let (olds, news) = (&section.of(olds), &section.of(news));
        for name in looked_at(section, (olds, news), findings) {
            let is_framing =
                UNCOMPARED.contains(&name) || !compares_length && name == header::CONTENT_LENGTH;
            let is_status = is_grpc && name.as_str() == "grpc-status";
            if is_framing || !scope.holds(&name) && !is_status {
                continue;
            }
            let before = findings.count;
            compare_values((section, descriptors), &name, (olds, news), findings);
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

/// Compares the values of one name; by their meaning, if `descriptors` are given because the answers are gRPC.
fn compare_values(
    (section, descriptors): (Section, Option<&Descriptors>),
    name: &HeaderName,
    (olds, news): (&HeaderMap, &HeaderMap),
    findings: &mut Findings<'_>,
) {
    let value = |value: &'_ HeaderValue| match descriptors {
        Some(descriptors) => grpc::decoded(name, value.as_bytes(), descriptors).into_owned(),
        None => value.as_bytes().to_vec(),
    };
    let all = |headers: &HeaderMap| headers.get_all(name).iter().map(value).collect::<Vec<_>>();
    let rules = section.rules(findings.rules, name);
    let place = || match section {
        Section::Headers => Place::Header(name.as_str().to_owned()),
        Section::Trailers => Place::Trailer(name.as_str().to_owned()),
    };
    let (olds, news) = (all(olds), all(news));
    let report = match descriptors {
        Some(_) if grpc::is_document(name) => json_or_text,
        _ => Value::Text,
    };
    values::compare(place, &rules, (&olds, &news), report, findings);
}

fn json_or_text(text: String) -> Value {
    serde_json::from_str(&text).map_or(Value::Text(text), Value::Json)
}

/// The names that `connection` makes hop-by-hop.
fn named_by_connection(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> + '_ {
    let values = headers.get_all(CONNECTION).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
}
