//! Sequences of JSON texts: one document whose root is an array of them.

use super::{Class, Document, Id, Invalid, parse::Parser, reference::Reference};
use std::ops::Range;

/// How JSON texts are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is only one.
    One,
    /// Each on its own line, as in NDJSON and JSON Lines. Blank lines are ignored.
    Lines,
    /// Each after a record separator (RFC 7464). Records without a text are ignored.
    Sequence,
}

const RECORD_SEPARATOR: u8 = 0x1E;

// === impl Document ===

impl<'b> Document<'b> {
    /// Reads all records of a body, or its only text.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), for each record; records that do not follow the framing.
    pub fn read(bytes: &'b [u8], framing: Framing, max_depth: usize) -> Result<Self, Invalid> {
        read(bytes, framing, max_depth, Reference::nothing())
    }

    /// Reads a body that is most likely similar to another, which was read with the same framing and `max_depth`. The
    /// result is the same as that of [`read`](Self::read), and knows where it [equals](Self::equals) the other.
    ///
    /// # Errors
    /// See [`read`](Self::read).
    pub fn read_against(
        bytes: &'b [u8],
        framing: Framing,
        max_depth: usize,
        other: &'b Document<'b>,
    ) -> Result<Self, Invalid> {
        read(bytes, framing, max_depth, Reference::document(other))
    }

    /// The value of a root that is an array of records.
    pub(super) fn records(&self) -> Option<serde_json::Value> {
        let records = self.elements(Self::ROOT).map(|record| self.raw(record));
        let values: Option<Vec<serde_json::Value>> =
            records.map(|raw| serde_json::from_str(raw).ok()).collect();
        values.map(Into::into)
    }
}

fn read<'b>(
    bytes: &'b [u8],
    framing: Framing,
    max_depth: usize,
    reference: Reference<'b>,
) -> Result<Document<'b>, Invalid> {
    let mut parser = Parser::new(bytes, max_depth, reference)?;
    let read = match framing {
        Framing::One => parser.document(),
        Framing::Lines | Framing::Sequence => parser.records(framing),
    };
    parser.end(read, framing)
}

// === impl Parser ===

impl Parser<'_> {
    fn records(&mut self, framing: Framing) -> Result<(), &'static str> {
        let whole = self.bytes;
        let root = self.push(Class::Array, 0, false);
        let like = self.reference.root();
        let mut met = like;
        let mut records = 0;
        for range in framing.ranges(whole) {
            self.at = range.start;
            if is_blank(&whole[range.clone()]) {
                continue;
            }
            if framing == Framing::Sequence {
                check_sequence(whole, &range)?;
            }
            self.bytes = &whole[..range.end];
            met = self.reference.member_behind(like, met);
            self.expected = met;
            self.document()?;
            records += 1;
        }
        let next = self.nodes.len() as Id;
        let node = &mut self.nodes[root as usize];
        node.end = whole.len() as u32;
        node.next = next;
        node.extra = records;
        Ok(())
    }
}

// === impl Framing ===

impl Framing {
    fn ranges(self, bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
        let separator = match self {
            Self::Sequence => RECORD_SEPARATOR,
            Self::One | Self::Lines => b'\n',
        };
        let mut start = 0;
        bytes
            .split(move |byte| *byte == separator)
            .map(move |part| {
                let range = start..start + part.len();
                start = range.end + 1;
                range
            })
    }
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| b" \t\r\n".contains(byte))
}

/// RFC 7464, sections 2.1 and 2.4: a separator precedes each text, and a text that may have been truncated ends with
/// white space.
fn check_sequence(whole: &[u8], range: &Range<usize>) -> Result<(), &'static str> {
    match whole[range.clone()].last() {
        _ if range.start == 0 => Err("expected a record separator"),
        Some(b'}' | b']' | b'"' | b' ' | b'\t' | b'\r' | b'\n') => Ok(()),
        _ => Err("a record may have been cut short"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, framing: Framing) -> Result<Vec<&str>, &'static str> {
        match Document::read(text.as_bytes(), framing, 3) {
            Ok(document) => {
                let records = document.elements(Document::ROOT);
                let records: Vec<_> = records.map(|id| document.raw(id)).collect();
                assert_eq!(document.len(Document::ROOT), records.len());
                Ok(records)
            }
            Err(invalid) => Err(invalid.problem),
        }
    }

    #[test]
    fn each_line_is_a_record() {
        for (text, records) in [
            ("1\n{\"a\":[2]}\n", vec!["1", "{\"a\":[2]}"]),
            ("\n \t\r\n[1]\r\n\n\"x\"", vec!["[1]", "\"x\""]),
            ("\n", vec![]),
        ] {
            assert_eq!(read(text, Framing::Lines), Ok(records), "{text}");
        }
        for text in ["{\n}", "1 2", "{}{}", "[", "1\n,2", "\u{c}", "[[[[]]]]"] {
            assert!(read(text, Framing::Lines).is_err(), "{text}");
        }
    }

    #[test]
    fn each_record_of_a_sequence_stands_behind_a_separator() {
        for (text, records) in [
            ("\u{1e}1\n\u{1e}{\n}\n", vec!["1", "{\n}"]),
            ("\u{1e}\u{1e}\n\u{1e}[]", vec!["[]"]),
        ] {
            assert_eq!(read(text, Framing::Sequence), Ok(records), "{text:?}");
        }
        for text in ["1\n", "\u{1e}12", "\u{1e}true", "\u{1e}1\n2\n"] {
            assert!(read(text, Framing::Sequence).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_root_of_records_is_reported_as_an_array() {
        for (text, reported) in [("[1]\n", "[[1]]"), ("1\n{}\n", "[1,{}]")] {
            let document = Document::read(text.as_bytes(), Framing::Lines, 9).unwrap();
            let value = crate::value::Value::Json(serde_json::from_str(reported).unwrap());
            assert_eq!(document.value(Document::ROOT), value);
        }
    }
}
