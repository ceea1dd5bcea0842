//! Compares the messages of gRPC.

use super::{Bodies, MAX_GROWTH, bytes};
use crate::{
    compare::findings::Findings,
    outcome::Reason,
    value::{
        grpc::{self, Unreadable},
        json::{Document, Framing},
    },
};

/// In place of messages that cannot be read.
const UNDESCRIBED: &str = "messages without a descriptor";

impl Bodies<'_> {
    pub(super) fn messages(&self, findings: &mut Findings<'_>) -> Result<(), Reason> {
        let max = self.comparing.options.max_decoded;
        let Some(of) = self.context.message_type else {
            return self.undescribed(findings, max);
        };
        let frames =
            [&self.old, &self.new].map(|body| grpc::frames(&body.bytes, &body.reading.coding, max));
        let Some(frames) = self.readable(frames, findings)? else {
            return Ok(());
        };
        let max_depth = self.max_depth();
        let limits = grpc::Limits {
            max_text: max.saturating_mul(MAX_GROWTH),
            max_depth,
        };
        let texts = frames.map(|messages| grpc::json(&messages, of, limits));
        let Some([old, new]) = self.readable(texts, findings)? else {
            return Ok(());
        };
        let old = Document::parse(&old, max_depth);
        let new = match &old {
            Ok(old) => Document::read_against(&new, Framing::One, max_depth, old),
            Err(_) => Document::parse(&new, max_depth),
        };
        let documents = self.both([old.as_ref(), new.as_ref()], findings);
        documents.map_or(Ok(()), |documents| self.walk(documents, findings))
    }

    /// Compares messages of an unknown type, without their compression.
    fn undescribed(&self, findings: &mut Findings<'_>, max: usize) -> Result<(), Reason> {
        findings.undescribed = true;
        let plain =
            [&self.old, &self.new].map(|body| grpc::plain(&body.bytes, &body.reading.coding, max));
        if let Some([old, new]) = self.readable(plain, findings)? {
            bytes((&old, &new), UNDESCRIBED, findings);
        }
        Ok(())
    }

    /// As [`both`](Self::both), for messages.
    fn readable<T>(
        &self,
        read: [Result<T, Unreadable>; 2],
        findings: &mut Findings<'_>,
    ) -> Result<Option<[T; 2]>, Reason> {
        let is_too_large = |read: &Result<T, _>| matches!(read, Err(Unreadable::TooLarge));
        if read.iter().any(is_too_large) {
            return Err(Reason::BodyTooLarge);
        }
        Ok(self.both(read, findings))
    }
}
