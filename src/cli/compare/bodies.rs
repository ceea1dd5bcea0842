//! The bodies of both answers, read once more for what stands around a difference.

use crate::compare::{
    Answer, coding,
    format::{Format, media_type},
    json::Document,
};
use bytes::Bytes;

/// A decoded body.
#[derive(Debug)]
pub(super) struct Plain {
    bytes: Bytes,
    format: Format,
}

/// What is known of both bodies; `None` where a body is none of that.
#[derive(Debug)]
pub(super) struct Bodies<'b> {
    pub documents: Option<[Document<'b>; 2]>,
    /// Old's, as it is what lines are numbered in.
    pub lines: Option<Vec<&'b str>>,
    pub bytes: [&'b [u8]; 2],
}

// === impl Plain ===

impl Plain {
    /// A body that cannot be decoded is what it is undecoded.
    pub(super) fn of(answer: &Answer, max_decoded: usize) -> Self {
        let decoded = coding::decode(&answer.headers, &answer.body, max_decoded);
        Self {
            bytes: decoded.unwrap_or_else(|_| answer.body.clone()),
            format: Format::of(media_type(&answer.headers)),
        }
    }

    fn document(&self, max_depth: usize) -> Option<Document<'_>> {
        match self.format {
            Format::Json => Document::parse(&self.bytes, max_depth).ok(),
            Format::Text | Format::Bytes => None,
        }
    }
}

// === impl Bodies ===

impl<'b> Bodies<'b> {
    pub(super) fn of([old, new]: &'b [Plain; 2], max_depth: usize) -> Self {
        let documents = old.document(max_depth).zip(new.document(max_depth));
        let text = std::str::from_utf8(&old.bytes).ok();
        Self {
            documents: documents.map(<[_; 2]>::from),
            lines: text.map(|text| text.split_inclusive('\n').collect()),
            bytes: [&old.bytes, &new.bytes],
        }
    }
}
