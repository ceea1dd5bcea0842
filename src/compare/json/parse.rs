//! Reads a JSON text onto its tape, in one pass and without recursion.

use super::{Class, Document, Framing, Id, Invalid, Node, Text};
use foldhash::fast::FixedState;
use std::hash::BuildHasher;

const HASHES: FixedState = FixedState::with_seed(0x7477_696e);

/// A container that has not ended yet.
#[derive(Debug)]
struct Open {
    id: Id,
    members: u32,
    /// A bit for each of 256 remainders of a key's hash, and whether one was met twice.
    seen: [u64; 4],
    suspect: bool,
}

#[derive(Debug)]
pub(super) struct Parser<'b> {
    pub(super) source: &'b str,
    /// As far as the value may reach.
    pub(super) bytes: &'b [u8],
    pub(super) at: usize,
    pub(super) nodes: Vec<Node>,
    open: Vec<Open>,
    max_depth: usize,
}

// === impl Document ===

impl<'b> Document<'b> {
    /// Reads a whole text.
    ///
    /// # Errors
    /// What RFC 8259 does not allow, invalid UTF-8, keys given twice (escapes undone), more than one
    /// value, nesting deeper than `max_depth`.
    pub fn parse(bytes: &'b [u8], max_depth: usize) -> Result<Self, Invalid> {
        let mut parser = Parser::new(bytes, max_depth)?;
        let read = parser.document();
        parser.end(read, Framing::One)
    }
}

// === impl Parser ===

impl<'b> Parser<'b> {
    pub(super) fn new(bytes: &'b [u8], max_depth: usize) -> Result<Self, Invalid> {
        let source = std::str::from_utf8(bytes).map_err(|error| Invalid {
            at: error.valid_up_to(),
            problem: "not UTF-8",
        })?;
        if u32::try_from(bytes.len()).is_err() {
            return Err(Invalid {
                at: 0,
                problem: "longer than 4 GiB",
            });
        }
        Ok(Self {
            source,
            bytes,
            at: 0,
            // Measured on API answers: a node for about every ten bytes.
            nodes: Vec::with_capacity(bytes.len() / 10 + 4),
            open: Vec::new(),
            max_depth,
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
            // A value has ended: so may the containers around it.
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

    /// Reads a value, or the opening of a container that has members. Says whether the value has ended.
    fn value(&mut self) -> Result<bool, &'static str> {
        self.space();
        let start = self.at;
        let class = match self.peek() {
            Some(b'"') => {
                let escaped = self.string()?;
                self.push(Class::String, start, escaped);
                return Ok(true);
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
        self.push(class, start, false);
        Ok(true)
    }

    fn open(&mut self, class: Class) -> Result<bool, &'static str> {
        if self.open.len() >= self.max_depth {
            return Err("nested too deep");
        }
        let id = self.push(class, self.at, false);
        self.at += 1;
        self.open.push(Open {
            id,
            members: 0,
            seen: [0; 4],
            suspect: false,
        });
        self.space();
        match (class, self.peek()) {
            (Class::Object, Some(b'}')) | (Class::Array, Some(b']')) => {
                self.close()?;
                Ok(true)
            }
            (Class::Object, _) => self.key().map(|()| false),
            _ => Ok(false),
        }
    }

    /// After a value: a comma (and the next key), or the end of the container. Says whether the container ended.
    fn member_ended(&mut self) -> Result<bool, &'static str> {
        let Some(open) = self.open.last_mut() else {
            return Ok(false);
        };
        open.members += 1;
        let class = self.nodes[open.id as usize].class;
        self.space();
        match (self.peek(), class) {
            (Some(b','), Class::Object) => {
                self.at += 1;
                self.space();
                self.key().map(|()| false)
            }
            (Some(b','), _) => {
                self.at += 1;
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
        if open.suspect && self.repeats_a_key(open.id) {
            return Err("a key is given twice");
        }
        Ok(())
    }

    fn key(&mut self) -> Result<(), &'static str> {
        if self.peek() != Some(b'"') {
            return Err("expected a key");
        }
        let start = self.at;
        let escaped = self.string()?;
        let id = self.push(Class::Key, start, escaped);
        let inner = &self.source[start + 1..self.at - 1];
        let hash = hash(if escaped {
            Text::Escaped(inner)
        } else {
            Text::Plain(inner)
        });
        self.nodes[id as usize].extra = hash;
        if let Some(open) = self.open.last_mut() {
            let (word, bit) = ((hash >> 6 & 3) as usize, 1 << (hash & 63));
            open.suspect |= open.seen[word] & bit != 0;
            open.seen[word] |= bit;
        }
        self.space();
        if self.peek() != Some(b':') {
            return Err("expected a colon");
        }
        self.at += 1;
        Ok(())
    }

    /// Whether two keys of an object say the same. Sorted, so that it never takes quadratic time.
    fn repeats_a_key(&self, object: Id) -> bool {
        let end = self.nodes[object as usize].next;
        let mut keys = Vec::with_capacity(self.nodes[object as usize].extra as usize);
        let mut key = object + 1;
        while key < end {
            keys.push((self.nodes[key as usize].extra, key));
            key = self.nodes[key as usize + 1].next;
        }
        keys.sort_unstable();
        keys.chunk_by(|one, other| one.0 == other.0)
            .filter(|alike| alike.len() > 1)
            .any(|alike| {
                let mut names: Vec<_> = alike.iter().map(|(_, key)| self.name(*key)).collect();
                names.sort_unstable();
                names.windows(2).any(|pair| pair[0] == pair[1])
            })
    }

    fn name(&self, key: Id) -> Vec<u32> {
        let node = &self.nodes[key as usize];
        let inner = &self.source[node.start as usize + 1..node.end as usize - 1];
        let text = if node.escaped {
            Text::Escaped(inner)
        } else {
            Text::Plain(inner)
        };
        text.code_points().collect()
    }

    /// Reads a string from its opening quote, and says whether it has escapes.
    fn string(&mut self) -> Result<bool, &'static str> {
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at = plain_until(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err("a control character must be escaped"),
                None => return Err("a string does not end"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), &'static str> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 1..self.at + 5);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err("expected four hexadecimal digits");
                }
                self.at += 5;
            }
            _ => return Err("no such escape"),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), &'static str> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err("expected a digit"),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), &'static str> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start {
            return Err("expected a digit");
        }
        Ok(())
    }

    fn word(&mut self, word: &str, class: Class) -> Result<Class, &'static str> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err("expected a value");
        }
        self.at += word.len();
        Ok(class)
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Puts a node from `start` to here onto the tape.
    pub(super) fn push(&mut self, class: Class, start: usize, escaped: bool) -> Id {
        // Offsets and indices fit: the text is shorter than 4 GiB, and no node takes less than a byte.
        let id = self.nodes.len() as Id;
        self.nodes.push(Node {
            start: start as u32,
            end: self.at as u32,
            next: id + 1,
            extra: 0,
            class,
            escaped,
        });
        id
    }
}

/// The hash of a key of that name.
pub fn name_hash(name: &str) -> u32 {
    hash(Text::Plain(name))
}

fn hash(text: Text<'_>) -> u32 {
    let hash = HASHES.hash_one(text);
    (hash ^ (hash >> 32)) as u32
}

/// The next quote, backslash or control character from `at` on, eight bytes at a time.
fn plain_until(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    // The lowest of the marked bytes is exact; those above it may be false.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found = zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5C)) | control;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if matches!(byte, b'"' | b'\\' | ..0x20) {
            break;
        }
        at += 1;
    }
    at
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

    #[test]
    fn the_run_of_plain_bytes_ends_where_it_should() {
        for length in 0..20 {
            for stop in [b'"', b'\\', 0x00, 0x1f] {
                let mut bytes = vec![0xe9u8; length];
                bytes.push(stop);
                bytes.extend_from_slice(b"\"\"\"\"\"\"\"\"\"\"");
                assert_eq!(plain_until(&bytes, 0), length);
            }
            assert_eq!(plain_until(&vec![b' '; length], 0), length);
        }
    }
}
