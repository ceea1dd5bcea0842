//! The other document that a text is compared with while it is parsed.
//!
//! Everything copied from it was checked when it was parsed. A container counts as equal to its counterpart only if
//! each member has the same spelling, or is itself an equal container.

use super::{Class, Document, Id, Node};

/// No node.
pub(super) const NOWHERE: Id = Id::MAX;

/// Containers up to this many bytes are compared as a whole. It is bounded because each byte is compared once for every
/// container around it.
const SMALL: usize = 1024;

/// At most this many members of an object are searched for a key.
const FEW: usize = 16;

#[derive(Debug)]
pub(super) struct Reference<'o> {
    pub(super) document: Option<&'o Document<'o>>,
    nodes: &'o [Node],
    bytes: &'o [u8],
    /// Containers of the parsed document, each with the one it equals; none is within another.
    pub(super) equals: Vec<(Id, Id)>,
}

// === impl Reference ===

impl<'o> Reference<'o> {
    pub(super) fn nothing() -> Self {
        Self {
            document: None,
            nodes: &[],
            bytes: &[],
            equals: Vec::new(),
        }
    }

    pub(super) fn document(document: &'o Document<'o>) -> Self {
        Self {
            document: Some(document),
            nodes: &document.nodes,
            bytes: document.source.as_bytes(),
            equals: Vec::new(),
        }
    }

    /// The node that the value of the whole text is compared with.
    pub(super) fn root(&self) -> Id {
        match self.nodes {
            [] => NOWHERE,
            _ => Document::ROOT,
        }
    }

    pub(super) fn class(&self, id: Id) -> Option<Class> {
        self.nodes.get(id as usize).map(|node| node.class)
    }

    /// The number of members of a container; `None` if there is no such node.
    pub(super) fn len(&self, id: Id) -> Option<u32> {
        self.nodes.get(id as usize).map(|node| node.extra)
    }

    /// The key or element after one of a container, or the first one after the container itself.
    pub(super) fn member_behind(&self, container: Id, member: Id) -> Id {
        let Some(around) = self.nodes.get(container as usize) else {
            return NOWHERE;
        };
        let behind = match self.nodes.get(member as usize) {
            _ if member == container => container + 1,
            Some(node) if node.class == Class::Key => self.nodes[member as usize + 1].next,
            Some(node) => node.next,
            None => NOWHERE,
        };
        if behind < around.next {
            behind
        } else {
            NOWHERE
        }
    }

    /// The key at `id`, if it belongs to that object and has the same spelling as the beginning of `rest`.
    pub(super) fn key_at(&self, object: Id, id: Id, rest: &[u8]) -> Option<&'o Node> {
        let around = self.nodes.get(object as usize)?;
        let key = self.nodes.get(id as usize)?;
        let is_its_own = (object..around.next).contains(&id)
            && key.class == Class::Key
            && key.depth == around.depth + 1;
        (is_its_own && self.begins(rest, key)).then_some(key)
    }

    /// The key of an object with the same spelling as the beginning of `rest`, among its first members.
    pub(super) fn find(&self, object: Id, rest: &[u8]) -> Id {
        if object == NOWHERE {
            return NOWHERE;
        }
        let keys = std::iter::successors(Some(self.member_behind(object, object)), |key| {
            Some(self.member_behind(object, *key))
        });
        let mut keys = keys.take_while(|key| *key != NOWHERE).take(FEW);
        let found = keys.find(|key| self.begins(rest, &self.nodes[*key as usize]));
        found.unwrap_or(NOWHERE)
    }

    /// The length of the value at `id`, if `rest` begins with a value of the same spelling.
    pub(super) fn spelled_alike(&self, id: Id, rest: &[u8]) -> Option<usize> {
        let node = self.nodes[id as usize];
        let is_container = matches!(node.class, Class::Array | Class::Object);
        if is_container && node.len() > SMALL || !self.begins(rest, &node) {
            return None;
        }
        // A number has ended only if no more of it follows.
        let more = rest.get(node.len());
        let is_cut = node.class == Class::Number
            && matches!(more, Some(b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
        (!is_cut).then_some(node.len())
    }

    fn begins(&self, rest: &[u8], node: &Node) -> bool {
        begin_alike(rest, &self.bytes[node.start as usize..], node.len())
    }

    /// Appends the nodes of a value with the same spelling to `nodes`; it begins at byte `at`.
    pub(super) fn copy(&mut self, id: Id, at: usize, nodes: &mut Vec<Node>) {
        let node = self.nodes[id as usize];
        let here = nodes.len() as Id;
        let moved = |copied: &Node| Node {
            start: copied.start - node.start + at as u32,
            end: copied.end - node.start + at as u32,
            next: match copied.class {
                Class::Key => 0,
                _ => copied.next - id + here,
            },
            ..*copied
        };
        let all = &self.nodes[id as usize..node.next as usize];
        nodes.extend(all.iter().map(moved));
        if matches!(node.class, Class::Array | Class::Object) {
            self.equals.push((here, id));
        }
    }
}

/// Whether two texts begin with the same `length` bytes. Most are short and compared in a few steps, without a call.
pub(super) fn begin_alike(one: &[u8], other: &[u8], length: usize) -> bool {
    let word = |text: &[u8], at: usize| {
        let word = text.get(at..).and_then(<[u8]>::first_chunk::<8>);
        word.map(|word| u64::from_le_bytes(*word))
    };
    if (1..=16).contains(&length)
        && let (Some(first), Some(second)) = (word(one, 0), word(other, 0))
    {
        let unlike = first ^ second;
        if length <= 8 {
            return unlike << (64 - 8 * length) == 0;
        }
        return unlike == 0
            && word(one, length - 8) == word(other, length - 8)
            && one.len() >= length;
    }
    match (one.get(..length), other.get(..length)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::json::Framing;
    use crate::value::tests::generated::{documents, respelled};
    use proptest::prelude::*;
    use serde_json::Value as Json;

    /// Everything that a document exposes.
    fn tape(document: &Document<'_>) -> Vec<(Class, String, usize, Id, u32, u16)> {
        let nodes = 0..document.nodes.len() as Id;
        let all = nodes.map(|id| {
            let class = document.class(id);
            let is_key = class == Class::Key;
            let next = if is_key { id + 1 } else { document.next(id) };
            let hash = if is_key { document.hash(id) } else { 0 };
            let depth = document.nodes[id as usize].depth;
            (
                class,
                document.raw(id).to_owned(),
                document.len(id),
                next,
                hash,
                depth,
            )
        });
        all.collect()
    }

    /// Reads a text against another, checks that the result is the same as without it, and returns what was found equal.
    fn check(old: &str, new: &str) -> Vec<(String, String)> {
        let old = Document::parse(old.as_bytes(), 128).unwrap();
        let plain = Document::parse(new.as_bytes(), 128).map(|document| tape(&document));
        let reference = Document::read_against(new.as_bytes(), Framing::One, 128, &old);
        assert_eq!(reference.as_ref().map(tape).map_err(|e| *e), plain, "{new}");
        let Ok(reference) = reference else {
            return Vec::new();
        };
        assert!(reference.equals.is_sorted());
        let equals = reference.equals.iter();
        let found: Vec<_> = equals
            .map(|(new, like)| (old.raw(*like).to_owned(), reference.raw(*new).to_owned()))
            .collect();
        for (old, new) in &found {
            let value = |text| serde_json::from_str::<Json>(text).unwrap();
            assert_eq!(value(old), value(new));
        }
        found
    }

    #[test]
    fn equal_documents_match_in_any_order_of_members() {
        let old = r#"{"a":[{"id":1,"b":[1,2],"c":{"id":1}},{"id":2,"b":[],"c":{"id":2}}],"t":2}"#;
        let new =
            r#"{"t":2,"a":[{"c":{"id":1},"b":[1, 2],"id":1},{"c":{"id":2},"b":[ ],"id":2} ]}"#;
        assert_eq!(check(old, new), [(old.to_owned(), new.to_owned())]);
    }

    #[test]
    fn what_differs_is_never_found_equal() {
        for (old, new) in [
            (r#"{"x":{"id":1},"id":2}"#, r#"{"id":1,"x":{"id":2}}"#),
            (r#"[{"x":{"id":1},"id":2}]"#, r#"[{"id":1,"x":{"id":1}}]"#),
            (r#"{"a":1,"b":2}"#, r#"{"a":1,"c":2}"#),
            (r#"{"a":1,"b":2}"#, r#"{"a":1}"#),
            (r#"{"a":1}"#, r#"{"a":1,"b":2}"#),
            ("[1,2]", "[1]"),
            ("[1]", "[1,2]"),
            ("[]", "[1]"),
            ("[1]", "[]"),
            ("[1]", "[12]"),
            ("[1]", "[1.5]"),
            ("[1]", "[1e5]"),
            ("[[1],[2]]", "[[2],[1]]"),
            (r#"["a"]"#, r#"["a""]"#),
            ("{}", "[]"),
        ] {
            let found = check(old, new);
            assert!(
                !found.contains(&(old.to_owned(), new.to_owned())),
                "{old} {new}"
            );
        }
    }

    #[test]
    fn what_was_found_equal_is_so_in_that_document_only() {
        let (text, other) = ("[[1]]", "[[2]]");
        let old = Document::parse(text.as_bytes(), 9).unwrap();
        let new = Document::read_against(text.as_bytes(), Framing::One, 9, &old).unwrap();
        let other = Document::parse(other.as_bytes(), 9).unwrap();
        assert!(new.equals(Document::ROOT, (&old, Document::ROOT)));
        assert!(!new.equals(Document::ROOT, (&other, Document::ROOT)));
    }

    #[test]
    fn what_is_not_json_is_refused_against_what_is() {
        for (old, new) in [
            ("[1]", "[1 2]"),
            ("[1]", "[1-]"),
            ("[true]", "[truer]"),
            (r#"{"a":1,"b":2}"#, r#"{"a":1,"a":1}"#),
            (r#"{"a":1,"b":2}"#, r#"{"b":2,"b":2}"#),
            (
                r#"[{"a":1,"b":2},{"a":1,"b":2}]"#,
                r#"[{"b":2,"a":1},{"b":2,"b":2}]"#,
            ),
            (r#"[{"a":1,"b":2}]"#, r#"[{"a":1,"b":2}"#),
            ("1", "1 1"),
        ] {
            check(old, new);
            let old = Document::parse(old.as_bytes(), 128).unwrap();
            assert!(
                Document::read_against(new.as_bytes(), Framing::One, 128, &old).is_err(),
                "{new}"
            );
        }
    }

    #[test]
    fn records_are_found_equal_one_by_one() {
        let old = b"{\"a\":1,\"b\":2}\n{\"a\":2,\"b\":3}\n[4]";
        let new = b"{\"b\":2,\"a\":1}\n\n{\"b\":3,\"a\":3}\n[4]\n[5]";
        let old = Document::read(old, Framing::Lines, 9).unwrap();
        let new = Document::read_against(new, Framing::Lines, 9, &old).unwrap();
        let (olds, news): (Vec<_>, Vec<_>) = (
            old.elements(Document::ROOT).collect(),
            new.elements(Document::ROOT).collect(),
        );
        let equal = |at: usize| new.equals(news[at], (&old, olds[at]));
        assert_eq!([equal(0), equal(1), equal(2)], [true, false, true]);
        assert_eq!(news.len(), 4);
    }

    #[test]
    fn texts_begin_alike_or_not_at_any_length() {
        let text = b"abcdefghijklmnopqrstuvwxyz";
        for length in 0..text.len() {
            assert!(begin_alike(text, text, length));
            assert!(begin_alike(&text[..length], text, length));
            assert!(!begin_alike(&text[..length], text, length + 1));
            for at in 0..length {
                let mut other = *text;
                other[at] ^= 0x20;
                assert!(!begin_alike(text, &other, length), "{length} {at}");
                assert!(begin_alike(text, &other, at));
            }
        }
    }

    proptest! {
        #[test]
        fn a_text_is_read_the_same_against_any_other(old in documents(), new in documents(), seed: u64) {
            check(&old.to_string(), &respelled(&new, &mut { seed }));
            let records = |document: &Json| format!("[{document},{document},{new},{document}]");
            check(&records(&old), &records(&old));
            check(&records(&old), &respelled(&serde_json::from_str(&records(&old)).unwrap(), &mut { seed }));
            check(&records(&new), &records(&old));
        }

        #[test]
        fn a_text_is_refused_the_same_against_any_other(old in documents(), new in r#"[\[\]{}":,0-2.\\ab ]{0,24}"#) {
            check(&old.to_string(), &new);
            check(r#"[{"a":1,"b":[0,1]},{"b":[],"a":"b"}]"#, &new);
        }
    }
}
