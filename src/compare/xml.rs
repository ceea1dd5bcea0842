//! XML as a tree for places, rules and the walk: it is written as JSON.
//!
//! ```text
//! <order id="7">                                   {"order": {"@id": "7",
//!   <line>pen</line><line/>                          "line": [{"#text": "pen"}, {}],
//!   <p:note xmlns:p="urn:n">hi</p:note>              "note": {"@xmlns": "urn:n", "#text": "hi"}}}
//! </order>
//! ```
//!
//! - Elements are members by local name, the root's first; an element without content is `{}`. Siblings with different
//!   names are members of an object, so their order makes no difference.
//! - A name that repeats below one element is an array at that place, ignoring indices, in both compared documents: one
//!   additional `<line>` is one `extra`, not a `type`.
//! - Attributes are `@name`, with a namespace `@{uri}name`, with that of XML itself `@xml:lang`. Namespace declarations
//!   are not attributes. An element whose namespace is not that of its parent has a member `@xmlns`: prefixes do not
//!   matter, namespaces do.
//! - Text is `#text`, with CDATA and references resolved. Elements between texts make it an array, and `#order` lists
//!   the names of everything in such mixed content, so that moved text is detected.
//! - Comments do not matter, nor does text of only white space, unless `xml:space="preserve"` applies. Processing
//!   instructions are `?target`.
//! - DTDs are rejected, and with them every entity that is not predefined.

mod layout;
mod scan;

use crate::value::charset::{self, NoText};
use layout::Layout;
use memchr::memmem;
use roxmltree::{Error, ParsingOptions, TextPos};
use std::borrow::Cow;

/// Elements, texts, comments and instructions of one document: each takes about a hundred bytes.
const MAX_NODES: u32 = 1 << 20;

/// A well-formed XML text with resolved namespaces.
#[derive(Debug)]
pub struct Source<'t>(roxmltree::Document<'t>);

/// Why a text is not compared as XML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not well-formed, or has a DTD.
    #[error("not well-formed XML without a DTD at byte {at}")]
    Malformed {
        /// Offset from 0, in UTF-8.
        at: usize,
    },
    /// Its elements are nested too deep.
    #[error("nested too deep")]
    TooDeep,
    /// Reading it would take too long or too much memory.
    #[error("too large or too involved to be read in time")]
    TooLarge,
}

/// The text of a document: decoded by its byte order mark, the charset of its content type, or its own declaration.
///
/// # Errors
/// See [`charset::decode`].
pub fn decode<'b>(bytes: &'b [u8], charset: Option<&str>) -> Result<Cow<'b, str>, NoText> {
    charset::decode(bytes, charset.or_else(|| declared(bytes)))
}

/// The encoding that the XML declaration names.
fn declared(bytes: &[u8]) -> Option<&str> {
    let head = bytes.strip_prefix(b"<?xml")?;
    let head = std::str::from_utf8(&head[..memmem::find(head, b"?>")?]).ok()?;
    let (_, value) = head.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value[1..].split(quote).next()
}

/// Writes compared documents as JSON texts.
///
/// # Errors
/// One of them takes more than `max` bytes.
pub fn json<const N: usize>(
    sources: [&Source<'_>; N],
    max: usize,
) -> Result<[Vec<u8>; N], Refused> {
    let mut layout = Layout::default();
    sources.iter().for_each(|source| layout.add(source));
    let mut texts = [const { Vec::new() }; N];
    for (source, text) in sources.into_iter().zip(&mut texts) {
        *text = layout.json(source, max).ok_or(Refused::TooLarge)?;
    }
    Ok(texts)
}

// === impl Source ===

impl<'t> Source<'t> {
    /// # Errors
    /// The text is not well-formed, has a DTD, or exceeds `max_depth` or the limits of this module.
    pub fn read(text: &'t str, max_depth: usize) -> Result<Self, Refused> {
        scan::scan(text, max_depth)?;
        let options = ParsingOptions {
            nodes_limit: MAX_NODES,
            ..ParsingOptions::default()
        };
        match roxmltree::Document::parse_with_options(text, options) {
            Ok(document) => Ok(Self(document)),
            Err(Error::NodesLimitReached | Error::NamespacesLimitReached) => Err(Refused::TooLarge),
            Err(error) => Err(Refused::Malformed {
                at: offset(text, error.pos()),
            }),
        }
    }
}

fn offset(text: &str, at: TextPos) -> usize {
    let (row, column) = (at.row as usize - 1, at.col as usize - 1);
    let rows = text.split_inclusive('\n');
    let before: usize = rows.clone().take(row).map(str::len).sum();
    let row = rows.clone().nth(row).unwrap_or_default();
    let within = row.char_indices().nth(column);
    before + within.map_or(row.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_names_the_encoding() {
        for (bytes, declared_as) in [
            (
                &b"<?xml version='1.0' encoding=\"latin1\"?><a/>"[..],
                Some("latin1"),
            ),
            (b"<?xml version='1.0' encoding = 'x' ?><a/>", Some("x")),
            (b"<?xml version='1.0'?><a encoding='x'/>", None),
            (b"<a encoding='x'?>", None),
            (b"<?xml encoding=", None),
        ] {
            assert_eq!(declared(bytes), declared_as);
        }
    }

    #[test]
    fn what_is_not_well_formed_or_has_a_dtd_is_refused() {
        for (text, at) in ["<a>\n  <é/></b>", "<a b='1' b='2'/>", ""]
            .into_iter()
            .zip([11, 9, 0])
        {
            assert_eq!(
                Source::read(text, 128).err(),
                Some(Refused::Malformed { at }),
                "{text}"
            );
        }
        for text in [
            "text",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<p:a/>",
            "<a b='1' b='2'/>",
            "<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>",
            "<a>&nbsp;</a>",
            "<a>&#0;</a>",
            "<a>\u{1}</a>",
            "<!DOCTYPE a><a/>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
            "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        ] {
            let read = Source::read(text, 128);
            assert!(matches!(read, Err(Refused::Malformed { .. })), "{text}");
        }
    }
}
