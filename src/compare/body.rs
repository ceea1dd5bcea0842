//! Bodies: undone codings, formats, and what is compared in each.

mod rewrite;

use super::{
    Answer, Comparing, Context, DEEPEST, are_equal,
    coding::{self, Undecodable},
    difference::{Difference, Kind, Place, Value},
    findings::Findings,
    format::{Format, media_type},
    json::Document,
    lines,
    walk::{self, Pair},
};
use crate::{rules::Action, verdict::Reason};
use bytes::Bytes;
use http::{Method, StatusCode};

/// What is left of a value that is shown.
const MAX_VALUE: usize = 16 << 10;

/// A body that was decoded, or what it is undecoded.
#[derive(Debug)]
struct Body {
    bytes: Bytes,
    undecodable: bool,
}

/// Compares the bodies.
///
/// # Errors
/// The reason why they cannot be compared.
pub(super) fn compare(
    (old, new): (&Answer, &Answer),
    context: &Context<'_>,
    comparing: &Comparing,
    findings: &mut Findings<'_>,
) -> Result<(), Reason> {
    let (old_raw, new_raw) = (sent(old, context.method), sent(new, context.method));
    let formats = [old, new].map(|answer| Format::of(media_type(&answer.headers)));
    let same_bytes = are_equal(old_raw, new_raw)
        && coding::codings(&old.headers) == coding::codings(&new.headers);
    // What is equal is walked nevertheless where ids that meet in it count for later checks.
    let remembers = comparing.rules.remembers();
    let is_same = same_bytes && formats[0] == formats[1] && !remembers;
    if old_raw.is_empty() && new_raw.is_empty() || is_same {
        return Ok(());
    }
    let max = comparing.options.max_decoded;
    let old = Body::decode(old, old_raw, max)?;
    let new = Body::decode(new, new_raw, max)?;
    rewrite::compare((old, new), formats, (context, comparing), findings);
    Ok(())
}

/// The body that an answer has: HEAD, 204 and 304 have none.
fn sent<'a>(answer: &'a Answer, method: &Method) -> &'a Bytes {
    static NONE: Bytes = Bytes::new();
    let bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
    if method == Method::HEAD || bodiless.contains(&answer.status) {
        return &NONE;
    }
    &answer.body
}

/// Two bodies as a whole.
struct Whole<'b, 'f, 'c> {
    old: &'b Body,
    new: &'b Body,
    findings: &'f mut Findings<'c>,
}

// === impl Body ===

impl Body {
    fn decode(answer: &Answer, raw: &Bytes, max: usize) -> Result<Self, Reason> {
        match coding::decode(&answer.headers, raw, max) {
            Ok(bytes) => Ok(Self {
                bytes,
                undecodable: false,
            }),
            Err(Undecodable::TooLarge) => Err(Reason::BodyTooLarge),
            Err(_) => Ok(Self {
                bytes: raw.clone(),
                undecodable: true,
            }),
        }
    }
}

// === impl Whole ===

impl Whole<'_, '_, '_> {
    fn compare(&mut self, formats: [Format; 2], context: &Context<'_>, comparing: &Comparing) {
        let (old, new) = (self.old, self.new);
        let is_same = old.bytes == new.bytes && !comparing.rules.remembers();
        match (old.undecodable, new.undecodable) {
            (true, false) | (false, true) => self.differs(Kind::Undecodable),
            (true, true) => self.plain(formats, context),
            _ => match (old.bytes.is_empty(), new.bytes.is_empty()) {
                (true, true) => {}
                (false, true) => self.differs(Kind::Missing),
                (true, false) => self.differs(Kind::Extra),
                _ if formats[0] != formats[1] => self.formats(formats),
                _ if is_same => {}
                _ if formats[0] == Format::Json => self.json(context, comparing),
                _ => self.plain(formats, context),
            },
        }
    }

    fn json(&mut self, context: &Context<'_>, comparing: &Comparing) {
        let options = &comparing.options;
        let max_depth = options.max_depth.min(DEEPEST);
        let old = Document::parse(&self.old.bytes, max_depth);
        let new = match &old {
            Ok(old) => Document::parse_beside(&self.new.bytes, max_depth, old),
            Err(_) => Document::parse(&self.new.bytes, max_depth),
        };
        match (&old, &new) {
            (Ok(old), Ok(new)) => {
                let pair = Pair {
                    old,
                    new,
                    numbers: options.numbers,
                    deadline: context.deadline,
                };
                let body = self.ignoring();
                walk::documents(pair, self.findings, body);
            }
            (Err(_), Err(_)) => self.plain([Format::Text; 2], context),
            _ => self.differs(Kind::Undecodable),
        }
    }

    /// As text where both are text, as bytes otherwise.
    fn plain(&mut self, formats: [Format; 2], context: &Context<'_>) {
        let (old, new) = (&self.old.bytes, &self.new.bytes);
        if old == new {
            return;
        }
        let texts = (std::str::from_utf8(old), std::str::from_utf8(new));
        let differences = match texts {
            (Ok(old), Ok(new)) if !formats.contains(&Format::Bytes) => {
                lines::differences(old, new, context.deadline)
            }
            _ => vec![self.first_byte()],
        };
        for difference in differences {
            self.judge(|| difference);
        }
    }

    fn first_byte(&self) -> Difference {
        let (old, new) = (&self.old.bytes, &self.new.bytes);
        let alike = old
            .iter()
            .zip(new)
            .take_while(|(old, new)| old == new)
            .count();
        Difference {
            place: Place::Byte(alike),
            kind: Kind::Bytes,
            old: Some(summary(old)),
            new: Some(summary(new)),
        }
    }

    fn formats(&mut self, [old, new]: [Format; 2]) {
        let value = |format: Format| Some(Value::Text(format.name().to_owned()));
        self.judge(|| Difference {
            place: Place::Body,
            kind: Kind::Format,
            old: value(old),
            new: value(new),
        });
    }

    fn differs(&mut self, kind: Kind) {
        let (old, new) = (&self.old.bytes, &self.new.bytes);
        self.judge(|| Difference {
            place: Place::Body,
            kind,
            old: Some(told(old)).filter(|_| kind != Kind::Extra),
            new: Some(told(new)).filter(|_| kind != Kind::Missing),
        });
    }

    /// Takes down a difference of the whole body unless a rule ignores it.
    fn judge(&mut self, difference: impl FnOnce() -> Difference) {
        let rules = self.ignoring();
        self.findings.ignore(&rules, difference);
    }

    /// The rules that ignore the whole body.
    fn ignoring(&mut self) -> Vec<usize> {
        let mut rules = self.findings.rules.at_body().to_vec();
        rules.retain(|rule| {
            self.findings.applies(*rule) && self.findings.rule(*rule).action == Action::Ignore
        });
        rules
    }
}

fn told(bytes: &Bytes) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= MAX_VALUE => Value::Text(text.to_owned()),
        _ => summary(bytes),
    }
}

fn summary(bytes: &Bytes) -> Value {
    Value::Summary {
        class: "bytes",
        length: bytes.len(),
    }
}
