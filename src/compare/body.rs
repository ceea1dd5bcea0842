//! Compares bodies: decoding, formats, and what is compared in each format.

mod rewrite;

use super::{
    Answer, BodyCopy, CompareConfig, Context, DEEPEST,
    findings::Findings,
    form, lines,
    walk::{self, Pair},
    xml::{self, Refused},
};
use crate::{
    outcome::Reason,
    rules::Action,
    value::{
        charset::{self, NoText},
        coding::{self, Undecodable},
        difference::{Difference, Kind, Place, Value},
        format::{Format, Reading, Types},
        json::{Document, Framing},
    },
};
use bytes::Bytes;
use http::{Method, StatusCode, header::CONTENT_TYPE};
use std::{borrow::Cow, fmt::Display};

/// Longer bodies, in bytes, are only summarized in a difference.
const MAX_VALUE: usize = 16 << 10;

/// XML written as JSON may take this many times the maximum size of a body, because namespace names are repeated.
const MAX_GROWTH: usize = 4;
const UTF_8_MARK: &[u8] = b"\xef\xbb\xbf";

/// A decoded body, or the original bytes if it cannot be decoded.
#[derive(Debug)]
struct Body {
    bytes: Bytes,
    reading: Reading,
    /// Why it is not decoded.
    undecodable: Option<Undecodable>,
}

/// Compares the bodies.
///
/// # Errors
/// Why they cannot be compared.
pub(super) fn compare(
    (old, new): (&Answer, &Answer),
    types: Types,
    (context, comparing): (&Context<'_>, &CompareConfig),
    findings: &mut Findings<'_>,
) -> Result<(), Reason> {
    let copies = [sent(old, context.method), sent(new, context.method)];
    let same_bytes =
        copies[0] == copies[1] && coding::codings(&old.headers) == coding::codings(&new.headers);
    // Equal bodies are compared anyway if pairs of ids in them count for later checks.
    let is_same = same_bytes && are_read_alike(old, new) && !comparing.rules.remembers();
    if is_same || copies.iter().all(|copy| copy.length() == Some(0)) {
        return Ok(());
    }
    let compared = Body::decode_both([old, new], copies, comparing.options.max_decoded).and_then(
        |[mut old, mut new]| {
            agree(types, [&mut old, &mut new]);
            rewrite::compare((old, new), (context, comparing), findings)
        },
    );
    match compared {
        // Too large to be read, but known to be equal.
        Err(Reason::BodyTooLarge) if same_bytes => Ok(()),
        compared => compared,
    }
}

/// Chooses one format if the content types alone do not decide.
fn agree(types: Types, [old, new]: [&mut Body; 2]) {
    let formats = [old.reading.format, new.reading.format];
    let format = match (types, formats) {
        (_, [Format::Json, Format::Ndjson]) if new.is_one_record() => Format::Json,
        (_, [Format::Ndjson, Format::Json]) if old.is_one_record() => Format::Json,
        (Types::EqualByRule, [old, new]) => old.min(new),
        (Types::AsDeclared, _) => return,
    };
    old.reading.format = format;
    new.reading.format = format;
}

/// Whether the same bytes mean the same body on both sides.
fn are_read_alike(old: &Answer, new: &Answer) -> bool {
    let [old, new] = [&old.headers, &new.headers];
    old.get(CONTENT_TYPE) == new.get(CONTENT_TYPE) || Reading::of(old) == Reading::of(new)
}

/// The body of an answer: HEAD, 204 and 304 have none.
fn sent<'a>(answer: &'a Answer, method: &Method) -> &'a BodyCopy {
    static NONE: BodyCopy = BodyCopy::Whole(Bytes::new());
    let bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
    if method == Method::HEAD || bodiless.contains(&answer.status) {
        return &NONE;
    }
    &answer.body
}

/// Two whole bodies.
struct Whole<'b, 'f, 'c> {
    old: &'b Body,
    new: &'b Body,
    findings: &'f mut Findings<'c>,
    context: &'b Context<'b>,
    comparing: &'b CompareConfig,
}

// === impl Body ===

impl Body {
    fn decode_both(
        [old, new]: [&Answer; 2],
        copies: [&BodyCopy; 2],
        max: usize,
    ) -> Result<[Self; 2], Reason> {
        let [BodyCopy::Whole(old_raw), BodyCopy::Whole(new_raw)] = copies else {
            return Err(Reason::BodyTooLarge);
        };
        Ok([
            Self::decode(old, old_raw, max)?,
            Self::decode(new, new_raw, max)?,
        ])
    }

    fn decode(answer: &Answer, raw: &Bytes, max: usize) -> Result<Self, Reason> {
        let (bytes, undecodable) = match coding::decode(&answer.headers, raw, max) {
            Ok(bytes) => (bytes, None),
            Err(Undecodable::TooLarge) => return Err(Reason::BodyTooLarge),
            Err(why) => (raw.clone(), Some(why)),
        };
        Ok(Self {
            bytes,
            reading: Reading::of(&answer.headers),
            undecodable,
        })
    }

    /// Whether it has one record when read as NDJSON. Such a body is the same as JSON.
    fn is_one_record(&self) -> bool {
        let lines = self.bytes.split(|byte| *byte == b'\n');
        lines.filter(|line| !line.trim_ascii().is_empty()).count() == 1
    }

    fn text(&self) -> Result<Cow<'_, str>, NoText> {
        charset::decode(&self.bytes, self.reading.charset.as_deref())
    }

    fn xml(&self) -> Result<Cow<'_, str>, NoText> {
        xml::decode(&self.bytes, self.reading.charset.as_deref())
    }

    /// The text that a rule for the whole body sees.
    fn characters(&self) -> Option<Cow<'_, str>> {
        match self.reading.format {
            Format::Text => self.text().ok(),
            Format::Xml => self.xml().ok(),
            _ => std::str::from_utf8(&self.bytes).ok().map(Cow::Borrowed),
        }
    }
}

// === impl Whole ===

impl<'b> Whole<'b, '_, '_> {
    fn compare(&mut self) -> Result<(), Reason> {
        let (old, new) = (self.old, self.new);
        let is_same = old.bytes == new.bytes && old.reading == new.reading;
        match (&old.undecodable, &new.undecodable) {
            (Some(why), None) => self.unreadable([Some(why), None]),
            (None, Some(why)) => self.unreadable([None, Some(why)]),
            (Some(_), Some(_)) if self.is_of(Format::Bytes) => self.bytes(),
            (Some(_), Some(_)) => self.plain(),
            (None, None) => match (old.bytes.is_empty(), new.bytes.is_empty()) {
                (true, true) => {}
                (false, true) => self.differs(Kind::Missing),
                (true, false) => self.differs(Kind::Extra),
                // Equal bytes are equal in any format.
                _ if old.reading.format != new.reading.format => {
                    if old.bytes != new.bytes {
                        self.formats();
                    }
                }
                _ if is_same && !self.comparing.rules.remembers() => {}
                _ => return self.read(),
            },
        }
        Ok(())
    }

    /// Compares bodies of one format.
    fn read(&mut self) -> Result<(), Reason> {
        match self.old.reading.format {
            Format::Json => self.json(Framing::One),
            Format::Ndjson => self.json(Framing::Lines),
            Format::JsonSeq => self.json(Framing::Sequence),
            Format::Xml => return self.xml(),
            Format::Form => {
                let ignoring = self.ignoring();
                form::compare(&self.old.bytes, &self.new.bytes, &ignoring, self.findings);
            }
            Format::Text => self.text(),
            Format::Bytes => self.bytes(),
        }
        Ok(())
    }

    fn is_of(&self, format: Format) -> bool {
        [self.old, self.new]
            .iter()
            .any(|body| body.reading.format == format)
    }

    /// RFC 8259 forbids a byte order mark but lets parsers ignore it. Marks on both sides do not matter. A mark on one
    /// side may break a caller, so it is kept.
    fn without_marks(&self) -> [&'b [u8]; 2] {
        let [old, new]: [&'b [u8]; 2] = [&self.old.bytes, &self.new.bytes];
        let stripped = old
            .strip_prefix(UTF_8_MARK)
            .zip(new.strip_prefix(UTF_8_MARK));
        stripped.map_or([old, new], |(old, new)| [old, new])
    }

    fn json(&mut self, framing: Framing) {
        let max_depth = self.max_depth();
        let [old, new] = self.without_marks();
        let old = Document::read(old, framing, max_depth);
        let new = match &old {
            Ok(old) => Document::read_beside(new, framing, max_depth, old),
            Err(_) => Document::read(new, framing, max_depth),
        };
        if let Some(documents) = self.both([old.as_ref(), new.as_ref()]) {
            self.walk(documents);
        }
    }

    fn xml(&mut self) -> Result<(), Reason> {
        let max_depth = self.max_depth();
        let Some(texts) = self.both([self.old.xml(), self.new.xml()]) else {
            return Ok(());
        };
        let sources = texts
            .each_ref()
            .map(|text| xml::Source::read(text, max_depth));
        let is_too_large = |source: &Result<_, Refused>| matches!(source, Err(Refused::TooLarge));
        if sources.iter().any(is_too_large) {
            return Err(Reason::BodyTooLarge);
        }
        let Some([old, new]) = self.both(sources) else {
            return Ok(());
        };
        let max = self
            .comparing
            .options
            .max_decoded
            .saturating_mul(MAX_GROWTH);
        let [old, new] = xml::json([&old, &new], max).map_err(|_| Reason::BodyTooLarge)?;
        let documents = [&old, &new].map(|text| Document::parse(text, max_depth));
        if let Some(documents) = self.both(documents) {
            self.walk(documents.each_ref());
        }
        Ok(())
    }

    fn walk(&mut self, [old, new]: [&Document<'_>; 2]) {
        let pair = Pair {
            old,
            new,
            numbers: self.comparing.options.numbers,
            deadline: self.context.deadline,
        };
        let body = self.ignoring();
        walk::documents(pair, self.findings, body);
    }

    /// Both results. If one side is unreadable, that is a difference; if both are, they are compared as plain bodies.
    fn both<T, E: Display>(&mut self, read: [Result<T, E>; 2]) -> Option<[T; 2]> {
        match read {
            [Ok(old), Ok(new)] => return Some([old, new]),
            [Err(_), Err(_)] => self.plain(),
            [old, new] => self.unreadable([old.err().as_ref(), new.err().as_ref()]),
        }
        None
    }

    /// A body with an unknown charset cannot be malformed, so it is compared as bytes.
    fn text(&mut self) {
        match (self.old.text(), self.new.text()) {
            (Ok(_), Err(why @ NoText::Malformed { .. })) => self.unreadable([None, Some(&why)]),
            (Err(why @ NoText::Malformed { .. }), Ok(_)) => self.unreadable([Some(&why), None]),
            _ => self.plain(),
        }
    }

    /// As text if both are text, as bytes otherwise.
    fn plain(&mut self) {
        let (Ok(old), Ok(new)) = (self.old.text(), self.new.text()) else {
            return self.bytes();
        };
        for difference in lines::differences(&old, &new, self.context.deadline) {
            self.judge(|| difference);
        }
    }

    fn bytes(&mut self) {
        if self.old.bytes != self.new.bytes {
            let difference = self.first_byte();
            self.judge(|| difference);
        }
    }

    fn max_depth(&self) -> usize {
        self.comparing.options.max_depth.min(DEEPEST)
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

    fn formats(&mut self) {
        let value = |body: &Body| Some(Value::Text(body.reading.format.name().to_owned()));
        let (old, new) = (value(self.old), value(self.new));
        self.judge(|| Difference {
            place: Place::Body,
            kind: Kind::Format,
            old,
            new,
        });
    }

    /// Reports that one of the bodies cannot be read, with the reason.
    fn unreadable(&mut self, whys: [Option<&impl Display>; 2]) {
        let [old, new] = [(self.old, whys[0]), (self.new, whys[1])].map(|(body, why)| match why {
            None => told(&body.bytes),
            Some(why) => Value::Unreadable {
                why: why.to_string(),
                length: body.bytes.len(),
            },
        });
        self.judge(|| Difference {
            place: Place::Body,
            kind: Kind::Undecodable,
            old: Some(old),
            new: Some(new),
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

    /// Records a difference of the whole body unless a rule ignores it.
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
