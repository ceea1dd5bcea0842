//! Parses a JSON text onto its tape, in one pass and without recursion.
//!
//! Answers repeat themselves: the objects of a list have the same keys in the same order, and the new answer contains
//! most of the old one. So a key is first compared with the predicted one. A text that is read
//! [against](Document::read_against) another is first compared with that. Text that equals something parsed before is
//! valid too, and is not parsed again byte by byte.

use super::{
    Class, Document, Framing, Id, Invalid, KEY_TWICE, Node,
    reference::{NOWHERE, Reference},
};
use std::ops::Range;

/// A container that has not ended yet.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) id: Id,
    pub(super) class: Class,
    pub(super) members: u32,
    /// A bit for each of 256 remainders of a key's hash, and whether one occurred twice.
    pub(super) seen: [u64; 4],
    pub(super) suspect: bool,
    /// The predicted keys: the remaining ones of the last object at the same depth.
    pub(super) model: Range<Id>,
    /// The container of the other document at the same place.
    pub(super) like: Id,
    /// Its last visited member.
    pub(super) met: Id,
    /// Whether all members so far equal their counterparts.
    pub(super) is_alike: bool,
    /// The number of subtrees known to be equal when it began.
    pub(super) equals: usize,
}

#[derive(Debug)]
pub(super) struct Parser<'b> {
    pub(super) source: &'b str,
    /// The bytes up to the end of the value.
    pub(super) bytes: &'b [u8],
    pub(super) at: usize,
    pub(super) nodes: Vec<Node>,
    pub(super) open: Vec<Open>,
    max_depth: usize,
    /// For each depth, the last object that ended there.
    models: Vec<Id>,
    pub(super) reference: Reference<'b>,
    /// The node of the other document that the next value is compared with.
    pub(super) expected: Id,
}

// === impl Document ===

impl<'b> Document<'b> {
    /// Parses a whole text.
    ///
    /// # Errors
    /// What RFC 8259 does not allow, invalid UTF-8, duplicate keys (after unescaping), more than one value, nesting
    /// deeper than `max_depth`.
    pub fn parse(bytes: &'b [u8], max_depth: usize) -> Result<Self, Invalid> {
        Self::read(bytes, Framing::One, max_depth)
    }
}

// === impl Parser ===

impl<'b> Parser<'b> {
    pub(super) fn new(
        bytes: &'b [u8],
        max_depth: usize,
        reference: Reference<'b>,
    ) -> Result<Self, Invalid> {
        let invalid = |at, problem| Invalid { at, problem };
        let source = std::str::from_utf8(bytes)
            .map_err(|error| invalid(error.valid_up_to(), "not UTF-8"))?;
        if u32::try_from(bytes.len()).is_err() {
            return Err(invalid(0, "longer than 4 GiB"));
        }
        let nodes = match reference.document {
            Some(other) => other.nodes.len() + 4,
            // Measured on API answers: a node for about every ten bytes.
            None => bytes.len() / 10 + 4,
        };
        Ok(Self {
            source,
            bytes,
            at: 0,
            nodes: Vec::with_capacity(nodes),
            open: Vec::with_capacity(16),
            max_depth: max_depth.min(usize::from(u16::MAX)),
            models: Vec::with_capacity(16),
            expected: reference.root(),
            reference,
        })
    }

    pub(super) fn end(
        self,
        read: Result<(), &'static str>,
        framing: Framing,
    ) -> Result<Document<'b>, Invalid> {
        match read {
            Ok(()) => Ok(Document {
                source: self.source,
                nodes: self.nodes,
                framing,
                reference: self.reference.document,
                equals: self.reference.equals,
            }),
            Err(problem) => Err(Invalid {
                at: self.at,
                problem,
            }),
        }
    }

    pub(super) fn document(&mut self) -> Result<(), &'static str> {
        loop {
            if !self.value()? {
                continue;
            }
            // A value has ended, and the containers around it may end too.
            while self.member_ended()? {}
            if self.open.is_empty() {
                self.space();
                return match self.peek() {
                    None => Ok(()),
                    Some(_) => Err("expected the end"),
                };
            }
        }
    }

    /// Reads a value, or the opening of a container that has members. Returns whether the value has ended.
    fn value(&mut self) -> Result<bool, &'static str> {
        self.space();
        if self.expected != NOWHERE && self.copied() {
            return Ok(true);
        }
        let start = self.at;
        let mut escaped = false;
        let class = match self.peek() {
            Some(b'"') => {
                escaped = self.string()?;
                Class::String
            }
            Some(b'{') => return self.open(Class::Object),
            Some(b'[') => return self.open(Class::Array),
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                Class::Number
            }
            Some(b't') => self.word("true", Class::True)?,
            Some(b'f') => self.word("false", Class::False)?,
            Some(b'n') => self.word("null", Class::Null)?,
            _ => return Err("expected a value"),
        };
        self.unlike();
        self.push(class, start, escaped);
        Ok(true)
    }

    /// Copies the value at the same place in the other document, if it has the same spelling.
    fn copied(&mut self) -> bool {
        let rest = &self.bytes[self.at..];
        let Some(length) = self.reference.spelled_alike(self.expected, rest) else {
            return false;
        };
        self.reference.copy(self.expected, self.at, &mut self.nodes);
        self.at += length;
        true
    }

    /// Notes that the current container differs from its counterpart.
    fn unlike(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.is_alike = false;
        }
    }

    fn open(&mut self, class: Class) -> Result<bool, &'static str> {
        if self.open.len() >= self.max_depth {
            return Err("nested too deep");
        }
        let like = match self.reference.class(self.expected) {
            Some(expected) if expected == class => self.expected,
            _ => NOWHERE,
        };
        let depth = self.open.len();
        let id = self.push(class, self.at, false);
        self.at += 1;
        self.open.push(Open {
            id,
            class,
            members: 0,
            seen: [0; 4],
            suspect: false,
            model: match self.models.get(depth) {
                Some(model) => model + 1..self.nodes[*model as usize].next,
                None => 0..0,
            },
            like,
            met: like,
            is_alike: like != NOWHERE,
            equals: self.reference.equals.len(),
        });
        self.space();
        match (class, self.peek()) {
            (Class::Object, Some(b'}')) | (Class::Array, Some(b']')) => {
                self.close()?;
                Ok(true)
            }
            (Class::Object, _) => self.key().map(|()| false),
            _ => {
                self.expect_element();
                Ok(false)
            }
        }
    }

    /// The next value is an element: predicts the one after the last.
    fn expect_element(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.met = self.reference.member_behind(open.like, open.met);
            self.expected = open.met;
        }
    }

    /// Reads a comma (and the next key), or the end of the container, after a value. Returns whether the container
    /// ended.
    fn member_ended(&mut self) -> Result<bool, &'static str> {
        let Some(open) = self.open.last_mut() else {
            return Ok(false);
        };
        open.members += 1;
        let class = open.class;
        self.space();
        match (self.peek(), class) {
            (Some(b','), Class::Object) => {
                self.at += 1;
                self.space();
                self.key().map(|()| false)
            }
            (Some(b','), _) => {
                self.at += 1;
                self.expect_element();
                Ok(false)
            }
            (Some(b'}'), Class::Object) | (Some(b']'), Class::Array) => {
                self.close()?;
                Ok(true)
            }
            _ => Err("expected a comma or the end of the container"),
        }
    }

    fn close(&mut self) -> Result<(), &'static str> {
        self.at += 1;
        let open = self.open.pop().expect("only an open container is closed");
        let next = self.nodes.len() as Id;
        let node = &mut self.nodes[open.id as usize];
        node.end = self.at as u32;
        node.next = next;
        node.extra = open.members;
        if open.suspect
            && let Some(again) = self.repeated_key(open.id)
        {
            self.at = self.nodes[again as usize].start as usize;
            return Err(KEY_TWICE);
        }
        if open.class == Class::Object {
            let depth = self.open.len();
            self.models
                .resize(self.models.len().max(depth + 1), open.id);
            self.models[depth] = open.id;
        }
        if open.is_alike && self.reference.len(open.like) == Some(open.members) {
            self.reference.equals.truncate(open.equals);
            self.reference.equals.push((open.id, open.like));
        } else {
            self.unlike();
        }
        Ok(())
    }

    /// Appends a node from `start` to here to the tape.
    pub(super) fn push(&mut self, class: Class, start: usize, escaped: bool) -> Id {
        // Offsets and indices fit: the text is shorter than 4 GiB, and every node takes at least a byte.
        let id = self.nodes.len() as Id;
        self.nodes.push(Node {
            start: start as u32,
            end: self.at as u32,
            next: id + 1,
            extra: 0,
            depth: self.open.len() as u16,
            class,
            escaped,
        });
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<usize, &'static str> {
        let document = Document::parse(text.as_bytes(), 128);
        document
            .map(|document| document.nodes.len())
            .map_err(|invalid| invalid.problem)
    }

    #[test]
    fn what_rfc_8259_allows_is_read() {
        for (text, nodes) in [
            ("null", 1),
            (" [ ] ", 1),
            ("{}", 1),
            ("[1,-0,0.5,1e400,-2.5E+10,10]", 7),
            (r#"{"a":{"b":[true,false]},"c":"x\u00e9\n"}"#, 9),
            ("\"\\ud800\"", 1),
            ("[[[[]]],{}]", 5),
        ] {
            assert_eq!(read(text), Ok(nodes), "{text}");
        }
    }

    #[test]
    fn what_rfc_8259_does_not_allow_is_refused() {
        for text in [
            "",
            " ",
            "nul",
            "[1,]",
            "[,1]",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "- 1",
            "\"a",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\t\"",
            "[1 2]",
            "[1}",
            "{\"a\":1]",
            "]",
            "1 2",
            "[",
            "{",
            "\u{feff}1",
            "NaN",
            "'a'",
            "[1]]",
            "tru",
            "\"a\u{1f}bcdefghijkl\"",
            "{\"a\":1 \"b\":2}",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(Document::parse(b"\"\xff\"", 9).is_err());
        assert!(Document::parse(b"\"\xc0\xaf\"", 9).is_err(), "overlong");
    }

    #[test]
    fn keys_given_twice_are_refused_whatever_their_spelling() {
        assert_eq!(read(r#"{"a":1,"a":2}"#), Err("a key is given twice"));
        assert_eq!(read(r#"{"a":1,"\u0061":2}"#), Err("a key is given twice"));
        let text = br#"{"x":{"b":1,"a":2,"c":3,"b":4}}"#;
        let invalid = Document::parse(text, 9).unwrap_err();
        assert_eq!((invalid.at, invalid.problem), (24, KEY_TWICE));
        assert!(read(r#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
        let many: Vec<_> = (0..5000).map(|n| format!("\"k{n}\":{n}")).collect();
        assert!(read(&format!("{{{}}}", many.join(","))).is_ok());
        assert!(read(&format!("{{{},\"k77\":0}}", many.join(","))).is_err());
    }

    #[test]
    fn deep_nesting_is_refused_and_overflows_nothing() {
        let deep = "[".repeat(1_000_000);
        assert_eq!(read(&deep), Err("nested too deep"));
        let just = format!("{}{}", "[".repeat(128), "]".repeat(128));
        assert_eq!(read(&just), Ok(128));
    }
}
