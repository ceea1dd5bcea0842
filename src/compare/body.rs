//! Compares bodies: decoding, formats, and what is compared in each format.

mod messages;
mod rewrite;

use super::{
    Answer, BodyCopy, CompareConfig, Context, DEEPEST, Pair,
    findings::Findings,
    form, lines,
    walk::{self, Documents},
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
        grpc::GRPC_ENCODING,
        json::{Document, Framing},
    },
};
use bytes::Bytes;
use http::{Method, StatusCode, header::CONTENT_TYPE};
use std::{borrow::Cow, fmt::Display};

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

/// Two bodies, and how they are compared.
struct Bodies<'c> {
    old: Body,
    new: Body,
    context: &'c Context<'c>,
    comparing: &'c CompareConfig,
}

/// Compares the bodies.
///
/// # Errors
/// Why they cannot be compared.
pub(super) fn compare(
    pair: Pair<'_>,
    types: Types,
    findings: &mut Findings<'_>,
) -> Result<(), Reason> {
    let Pair { old, new, .. } = pair;
    let copies = [old, new].map(|answer| sent(answer, pair.context.method));
    let same_bytes = copies[0] == copies[1]
        && coding::codings(&old.headers) == coding::codings(&new.headers)
        && old.headers.get(GRPC_ENCODING) == new.headers.get(GRPC_ENCODING);
    // Equal bodies are compared anyway if pairs of ids in them count for later checks.
    let is_same = same_bytes && are_read_alike(old, new) && !pair.comparing.rules.remembers();
    if is_same || copies.iter().all(|copy| copy.length() == Some(0)) {
        return Ok(());
    }
    let compared = Bodies::decode(pair, copies).and_then(|mut bodies| {
        bodies.agree(types);
        bodies.rewrite_and_compare(findings)
    });
    match compared {
        // Too large to be read, but known to be equal.
        Err(Reason::BodyTooLarge) if same_bytes => Ok(()),
        compared => compared,
    }
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

// === impl Body ===

impl Body {
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

    /// The whole body, as a difference reports it.
    fn value(&self) -> Value {
        match std::str::from_utf8(&self.bytes) {
            Ok(text) if self.reading.format != Format::Grpc => Value::text(text, "bytes"),
            _ => summary(&self.bytes, "bytes"),
        }
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

// === impl Bodies ===

impl<'c> Bodies<'c> {
    fn decode(pair: Pair<'c>, copies: [&BodyCopy; 2]) -> Result<Self, Reason> {
        let [BodyCopy::Whole(old), BodyCopy::Whole(new)] = copies else {
            return Err(Reason::BodyTooLarge);
        };
        let max = pair.comparing.options.max_decoded;
        Ok(Self {
            old: Body::decode(pair.old, old, max)?,
            new: Body::decode(pair.new, new, max)?,
            context: pair.context,
            comparing: pair.comparing,
        })
    }

    /// Chooses one format if the content types alone do not decide.
    fn agree(&mut self, types: Types) {
        let formats = [self.old.reading.format, self.new.reading.format];
        let format = match (types, formats) {
            (_, [Format::Json, Format::Ndjson]) if self.new.is_one_record() => Format::Json,
            (_, [Format::Ndjson, Format::Json]) if self.old.is_one_record() => Format::Json,
            (Types::EqualByRule, [old, new]) => old.min(new),
            (Types::AsDeclared, _) => return,
        };
        self.old.reading.format = format;
        self.new.reading.format = format;
    }

    fn compare(&self, findings: &mut Findings<'_>) -> Result<(), Reason> {
        let (old, new) = (&self.old, &self.new);
        let is_same = old.bytes == new.bytes && old.reading == new.reading;
        match (&old.undecodable, &new.undecodable) {
            (None, None) => match (old.bytes.is_empty(), new.bytes.is_empty()) {
                (true, true) => {}
                (false, true) => self.differs(Kind::Missing, findings),
                (true, false) => self.differs(Kind::Extra, findings),
                // Equal bytes are equal in any format.
                _ if old.reading.format != new.reading.format => {
                    if old.bytes != new.bytes {
                        self.formats(findings);
                    }
                }
                _ if is_same && !self.comparing.rules.remembers() => {}
                _ => return self.read(findings),
            },
            (Some(_), Some(_)) if self.is_of(Format::Bytes) => self.bytes(findings),
            (Some(_), Some(_)) => self.plain(findings),
            (old, new) => self.unreadable([old.as_ref(), new.as_ref()], findings),
        }
        Ok(())
    }

    /// Compares bodies of one format.
    fn read(&self, findings: &mut Findings<'_>) -> Result<(), Reason> {
        match self.old.reading.format {
            Format::Json => return self.json(Framing::One, findings),
            Format::Ndjson => return self.json(Framing::Lines, findings),
            Format::JsonSeq => return self.json(Framing::Sequence, findings),
            Format::Xml => return self.xml(findings),
            Format::Grpc => return self.messages(findings),
            Format::Form => {
                let ignoring = ignoring(findings);
                form::compare(&self.old.bytes, &self.new.bytes, &ignoring, findings);
            }
            Format::Text => self.text(findings),
            Format::Bytes => self.bytes(findings),
        }
        Ok(())
    }

    fn is_of(&self, format: Format) -> bool {
        let bodies = [&self.old, &self.new];
        bodies.iter().any(|body| body.reading.format == format)
    }

    /// RFC 8259 forbids a byte order mark but lets parsers ignore it. Marks on both sides do not matter. A mark on one
    /// side may break a caller, so it is kept.
    fn without_marks(&self) -> [&[u8]; 2] {
        let [old, new]: [&[u8]; 2] = [&self.old.bytes, &self.new.bytes];
        let stripped = old
            .strip_prefix(UTF_8_MARK)
            .zip(new.strip_prefix(UTF_8_MARK));
        stripped.map_or([old, new], |(old, new)| [old, new])
    }

    fn json(&self, framing: Framing, findings: &mut Findings<'_>) -> Result<(), Reason> {
        let max_depth = self.max_depth();
        let [old, new] = self.without_marks();
        let old = Document::read(old, framing, max_depth);
        let new = match &old {
            Ok(old) => Document::read_against(new, framing, max_depth, old),
            Err(_) => Document::read(new, framing, max_depth),
        };
        let documents = self.both([old.as_ref(), new.as_ref()], findings);
        documents.map_or(Ok(()), |documents| self.walk(documents, findings))
    }

    fn xml(&self, findings: &mut Findings<'_>) -> Result<(), Reason> {
        let max_depth = self.max_depth();
        let Some(texts) = self.both([self.old.xml(), self.new.xml()], findings) else {
            return Ok(());
        };
        let sources = texts
            .each_ref()
            .map(|text| xml::Source::read(text, max_depth));
        let is_too_large = |source: &Result<_, Refused>| matches!(source, Err(Refused::TooLarge));
        if sources.iter().any(is_too_large) {
            return Err(Reason::BodyTooLarge);
        }
        let Some([old, new]) = self.both(sources, findings) else {
            return Ok(());
        };
        let max_decoded = self.comparing.options.max_decoded;
        let max = max_decoded.saturating_mul(MAX_GROWTH);
        let [old, new] = xml::json([&old, &new], max).map_err(|_| Reason::BodyTooLarge)?;
        let documents = [&old, &new].map(|text| Document::parse(text, max_depth));
        let documents = self.both(documents, findings);
        documents.map_or(Ok(()), |both| self.walk(both.each_ref(), findings))
    }

    fn walk(&self, both: [&Document<'_>; 2], findings: &mut Findings<'_>) -> Result<(), Reason> {
        let documents = Documents {
            old: both[0],
            new: both[1],
            numbers: self.comparing.options.numbers,
            deadline: self.context.deadline,
        };
        let body = ignoring(findings);
        walk::compare(documents, findings, body);
        findings.is_selected(both)
    }

    /// Both results. If one side is unreadable, that is a difference; if both are, they are compared as plain bodies.
    fn both<T, E: Display>(
        &self,
        read: [Result<T, E>; 2],
        findings: &mut Findings<'_>,
    ) -> Option<[T; 2]> {
        match read {
            [Ok(old), Ok(new)] => return Some([old, new]),
            [Err(_), Err(_)] => self.plain(findings),
            [old, new] => self.unreadable([old.err().as_ref(), new.err().as_ref()], findings),
        }
        None
    }

    /// A body with an unknown charset cannot be malformed, so it is compared as bytes.
    fn text(&self, findings: &mut Findings<'_>) {
        match (self.old.text(), self.new.text()) {
            (Ok(_), Err(why @ NoText::Malformed { .. })) => {
                self.unreadable([None, Some(&why)], findings);
            }
            (Err(why @ NoText::Malformed { .. }), Ok(_)) => {
                self.unreadable([Some(&why), None], findings);
            }
            _ => self.plain(findings),
        }
    }

    /// As text if both are text, as bytes otherwise.
    fn plain(&self, findings: &mut Findings<'_>) {
        if self.is_of(Format::Grpc) {
            return self.bytes(findings);
        }
        let (Ok(old), Ok(new)) = (self.old.text(), self.new.text()) else {
            return self.bytes(findings);
        };
        for difference in lines::differences(&old, &new, self.context.deadline) {
            judge(difference, findings);
        }
    }

    fn bytes(&self, findings: &mut Findings<'_>) {
        bytes((&self.old.bytes, &self.new.bytes), "bytes", findings);
    }

    fn max_depth(&self) -> usize {
        self.comparing.options.max_depth.min(DEEPEST)
    }

    fn formats(&self, findings: &mut Findings<'_>) {
        let value = |body: &Body| Some(Value::Text(body.reading.format.name().to_owned()));
        let (old, new) = (value(&self.old), value(&self.new));
        judge(whole(Kind::Format, old, new), findings);
    }

    /// Reports that one of the bodies cannot be read, with the reason.
    fn unreadable(&self, whys: [Option<&impl Display>; 2], findings: &mut Findings<'_>) {
        let sides = [(&self.old, whys[0]), (&self.new, whys[1])];
        let [old, new] = sides.map(|(body, why)| {
            Some(match why {
                None => body.value(),
                Some(why) => Value::Unreadable {
                    why: why.to_string(),
                    length: body.bytes.len(),
                },
            })
        });
        judge(whole(Kind::Undecodable, old, new), findings);
    }

    fn differs(&self, kind: Kind, findings: &mut Findings<'_>) {
        let old = Some(self.old.value()).filter(|_| kind != Kind::Extra);
        let new = Some(self.new.value()).filter(|_| kind != Kind::Missing);
        judge(whole(kind, old, new), findings);
    }
}

/// A difference of the whole body.
fn whole(kind: Kind, old: Option<Value>, new: Option<Value>) -> Difference {
    let place = Place::Body;
    Difference {
        place,
        kind,
        old,
        new,
    }
}

/// Records a difference unless a rule ignores the whole body.
fn judge(difference: Difference, findings: &mut Findings<'_>) {
    let rules = ignoring(findings);
    findings.ignore(&rules, || difference);
}

/// The rules that ignore the whole body.
fn ignoring(findings: &mut Findings<'_>) -> Vec<usize> {
    let mut rules = findings.rules.at_body().to_vec();
    rules.retain(|rule| findings.applies(*rule) && findings.rule(*rule).action == Action::Ignore);
    rules
}

/// Compares bytes of that class: reports the first that differs.
fn bytes((old, new): (&Bytes, &Bytes), class: &'static str, findings: &mut Findings<'_>) {
    if old == new {
        return;
    }
    let pairs = old.iter().zip(new);
    let alike = pairs.take_while(|(old, new)| old == new).count();
    let difference = Difference {
        place: Place::Byte(alike),
        kind: Kind::Bytes,
        old: Some(summary(old, class)),
        new: Some(summary(new, class)),
    };
    judge(difference, findings);
}

fn summary(bytes: &Bytes, class: &'static str) -> Value {
    Value::Summary {
        class,
        length: bytes.len(),
    }
}
