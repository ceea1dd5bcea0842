//! Parses the bodies of both answers again, to show the context of differences.

use crate::{
    compare::{Answer, xml},
    value::{
        charset, coding,
        format::{Format, Reading},
        grpc::{self, Limits, MessageType},
        json::{Document, Framing},
    },
};
use bytes::Bytes;
use std::borrow::Cow;

/// A decoded body.
#[derive(Debug)]
pub(super) struct Plain {
    bytes: Bytes,
    reading: Reading,
    /// XML or messages converted to JSON, which the places of differences refer to.
    json: Option<Vec<u8>>,
}

/// Parsed forms of both bodies; `None` if a body has another form.
#[derive(Debug)]
pub(super) struct Bodies<'b> {
    pub documents: Option<[Document<'b>; 2]>,
    pub lines: Option<[Vec<String>; 2]>,
    pub bytes: [&'b [u8]; 2],
}

/// Maximum nesting of XML and messages whose context is shown.
const MAX_DEPTH: usize = 128;

// === impl Plain ===

impl Plain {
    /// Both bodies. One that cannot be decoded stays encoded.
    pub(super) fn of(
        answers: [&Answer; 2],
        max_decoded: usize,
        message_type: Option<&MessageType>,
    ) -> [Self; 2] {
        let mut both = answers.map(|answer| {
            let decoded = coding::decode(&answer.headers, answer.body.kept(), max_decoded);
            Self {
                bytes: decoded.unwrap_or_else(|_| answer.body.kept().clone()),
                reading: Reading::of(&answer.headers),
                json: None,
            }
        });
        let [old, new] = &both;
        let sources = old.xml().zip(new.xml());
        let read = sources.as_ref().and_then(|(old, new)| {
            let old = xml::Source::read(old, MAX_DEPTH).ok()?;
            let new = xml::Source::read(new, MAX_DEPTH).ok()?;
            xml::json([&old, &new], max_decoded).ok()
        });
        drop(sources);
        if let Some(of) = message_type {
            let limits = Limits {
                max_text: max_decoded,
                max_depth: MAX_DEPTH,
            };
            for (plain, answer) in both.iter_mut().zip(answers) {
                plain.json = grpc::legible(&answer.headers, &plain.bytes, of, limits);
            }
        }
        for (plain, json) in both.iter_mut().zip(read.into_iter().flatten()) {
            plain.json = Some(json);
        }
        both
    }

    fn xml(&self) -> Option<Cow<'_, str>> {
        let is_xml = self.reading.format == Format::Xml;
        let text = is_xml.then(|| xml::decode(&self.bytes, self.reading.charset.as_deref()))?;
        text.ok()
    }

    fn document(&self, max_depth: usize) -> Option<Document<'_>> {
        let framing = match self.reading.format {
            Format::Xml | Format::Grpc => {
                return Document::parse(self.json.as_deref()?, max_depth).ok();
            }
            Format::Json => Framing::One,
            Format::Ndjson => Framing::Lines,
            Format::JsonSeq => Framing::Sequence,
            Format::Form | Format::Text | Format::Bytes => return None,
        };
        Document::read(&self.bytes, framing, max_depth).ok()
    }

    fn lines(&self) -> Option<Vec<String>> {
        let text = charset::decode(&self.bytes, self.reading.charset.as_deref()).ok()?;
        Some(text.split_inclusive('\n').map(str::to_owned).collect())
    }
}

// === impl Bodies ===

impl<'b> Bodies<'b> {
    pub(super) fn of([old, new]: &'b [Plain; 2], max_depth: usize) -> Self {
        let documents = old.document(max_depth).zip(new.document(max_depth));
        Self {
            documents: documents.map(<[_; 2]>::from),
            lines: old.lines().zip(new.lines()).map(<[_; 2]>::from),
            bytes: [&old.bytes, &new.bytes],
        }
    }
}
