//! A stored example in the view of `twinread compare`. What redaction left of its bodies gives the context.

use super::{
    bodies::{Bodies, Plain},
    excerpt::Excerpts,
    show::Showing,
    view::View,
};
use crate::{
    admin::documents::Mismatch,
    compare::{
        Answer, CompareConfig, Compared, Comparison, Context, Explain, HeaderScope, Masked,
        Options, compare,
    },
    ledger::today,
    pipeline::{ReportedAnswer, ReportedDifference},
    rules::{Query, RuleSet, Selector},
    value::{
        Difference, Kind, Place, Step, Value,
        format::{Format, Reading},
        json::Document,
    },
};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use serde_json::Value as Json;
use std::io::{self, Write};

/// A body is stored up to a few KiB.
const MAX_BODY: usize = 1 << 20;

/// Writes the differences of an example, each with its context.
pub(in crate::cli) fn differences(
    example: &Mismatch,
    view: View,
    width: usize,
    out: &mut impl Write,
) -> io::Result<()> {
    let [old, new] = [&example.old, &example.new].map(|side| answer(side.as_ref()));
    let plain = Plain::of([&old, &new], MAX_BODY, None);
    let mut bodies = Bodies::of(&plain, Options::default().max_depth);
    let is_text = |lines: &[Vec<String>; 2]| lines.iter().any(|lines| lines.len() > 1);
    // Text and bytes may be stored as their length alone.
    bodies.lines = bodies.lines.filter(is_text);
    bodies.bytes = [&[], &[]];
    let differences = example.differences.iter();
    let differences: Vec<_> = differences.map(|one| difference(one, &bodies)).collect();
    let comparison = Comparison {
        masked: masked([&old, &new], &differences),
        result: Compared::Different {
            differences,
            count: example.count,
        },
        rules: Vec::new(),
        uncompared: None,
        undescribed: false,
    };
    let columns = view.columns(width);
    let showing = Showing {
        rules: &RuleSet::default(),
        view,
        width,
        columns,
        explain: Explain::Counts,
        excerpts: Excerpts::new(bodies, &comparison, columns),
    };
    showing.text(&comparison, out)
}

/// The answer as far as it is stored. XML and messages are stored as JSON, all text as UTF-8, and nothing is compressed.
fn answer(reported: Option<&ReportedAnswer>) -> Answer {
    let Some(reported) = reported else {
        return Answer::json("");
    };
    let kind = reported.header("content-type").unwrap_or_default();
    let kind = HeaderValue::from_str(kind).unwrap_or_else(|_| HeaderValue::from_static(""));
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, kind)]);
    let kind = match Reading::of(&headers).format {
        Format::Json | Format::Xml | Format::Grpc => "application/json",
        Format::Ndjson | Format::JsonSeq => "application/x-ndjson",
        Format::Form | Format::Text | Format::Bytes => "text/plain",
    };
    let body = reported.body.clone().unwrap_or_default();
    Answer::ok(HeaderValue::from_static(kind), body)
}

/// The difference, as the comparison found it.
fn difference(reported: &ReportedDifference, bodies: &Bodies<'_>) -> Difference {
    let place = place(&reported.place).unwrap_or(Place::Body);
    let documents = bodies.documents.as_ref();
    let value = |text: &Option<String>, side: usize| {
        let document = documents.map(|documents| &documents[side]);
        let text = text.as_ref()?;
        Some(match &place {
            Place::Node(steps) => Value::Json(node(text, document, steps, reported.kind)),
            Place::Status => Value::Json(json(text)),
            _ => Value::Text(text.clone()),
        })
    };
    Difference {
        old: value(&reported.old, 0),
        new: value(&reported.new, 1),
        kind: reported.kind,
        place,
    }
}

/// The value of a node, from its text in the report. The body says whether the text was a string.
fn node(text: &str, document: Option<&Document<'_>>, steps: &[Step], kind: Kind) -> Json {
    let stored = document.and_then(|document| {
        let node = document.find(steps)?;
        match document.value(node) {
            Value::Json(json) => Some(json),
            _ => None,
        }
    });
    let spelled = stored.as_ref().map(Json::to_string);
    match stored {
        Some(json) if json == text || spelled.as_deref() == Some(text) => json,
        // An index may lead elsewhere in the other answer.
        _ if kind == Kind::Type => json(text),
        _ => Json::from(text),
    }
}

fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| Json::from(text))
}

/// What differs between the bodies and is not reported: rules masked it.
fn masked([old, new]: [&Answer; 2], reported: &[Difference]) -> Vec<Masked> {
    let comparing = CompareConfig {
        options: Options {
            headers: HeaderScope::None,
            ..Options::default()
        },
        ..CompareConfig::default()
    };
    let context = Context::without_route(today(), None);
    let compared = compare(old, new, &context, &comparing);
    let is_reported = |found: &Difference| reported.iter().any(|one| one.place == found.place);
    let found = compared.differences().iter();
    let masked = found.filter(|found| !is_reported(found));
    let masked = masked.map(|difference| Masked {
        rule: 0,
        difference: difference.clone(),
    });
    masked.collect()
}

/// Reads a place as its `Display` spells it.
fn place(text: &str) -> Option<Place> {
    let owned = |text: &str| text.to_owned();
    let (kind, rest) = match text.split_once(['.', ' ']) {
        Some(("header", name)) => return Some(Place::Header(owned(name))),
        Some(("trailer", name)) => return Some(Place::Trailer(owned(name))),
        Some(("form", name)) => return Some(Place::Form(owned(name))),
        Some((kind, rest)) => (kind, rest),
        None => (text, ""),
    };
    match kind {
        "status" => Some(Place::Status),
        "body" => Some(Place::Body),
        "byte" => rest.parse().ok().map(Place::Byte),
        "line" | "lines" => {
            let (first, last) = rest.split_once('-').unwrap_or((rest, rest));
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            Some(Place::Lines { first, last })
        }
        _ => steps(text).map(Place::Node),
    }
}

fn steps(text: &str) -> Option<Vec<Step>> {
    let query = Query::parse(text).ok()?;
    let segments = query.segments().iter();
    let steps = segments.map(|segment| match &segment.selectors[..] {
        [Selector::Name(name)] => Some(Step::Name(name.clone())),
        [Selector::Index(index)] => usize::try_from(*index).ok().map(Step::Index),
        _ => None,
    });
    steps.collect()
}
