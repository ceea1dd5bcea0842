//! Scans a text before it is parsed, for what would take the parser too long.
//!
//! The parser compares each attribute of an element with those before it. For each element that declares a namespace,
//! it keeps a list of all in scope. Both are quadratic, so their cost is added up first. A text that is not well-formed
//! may be misread here after its first fault, but the parser stops there.

use super::Refused;
use memchr::{memchr, memchr3, memmem};

/// The maximum number of parser steps for all attributes and namespaces.
const MAX_WORK: usize = 1 << 26;

/// The maximum length of a namespace, because the parser compares them repeatedly.
const MAX_NAMESPACE: usize = 1 << 10;

/// What is open, and the cost so far.
#[derive(Debug, Default)]
struct Scan {
    /// For each open element, how many namespaces it declares.
    open: Vec<usize>,
    in_scope: usize,
    work: usize,
}

/// A start tag.
#[derive(Debug, Default)]
struct Tag {
    attributes: usize,
    /// How many of the attributes declare a namespace.
    declared: usize,
    longest: usize,
    is_empty: bool,
}

/// # Errors
/// More than `max_depth` open elements; attributes or namespaces that would take too long.
pub(super) fn scan(text: &str, max_depth: usize) -> Result<(), Refused> {
    let mut scan = Scan::default();
    let mut rest = text.as_bytes();
    while let Some(at) = memchr(b'<', rest) {
        rest = &rest[at..];
        let end = match rest {
            [b'<', b'!', b'-', b'-', ..] => after(rest, 4, b"-->"),
            [b'<', b'!', b'[', ..] => after(rest, 3, b"]]>"),
            [b'<', b'?', ..] => after(rest, 2, b"?>"),
            [b'<', b'/', ..] => {
                scan.close();
                after(rest, 2, b">")
            }
            _ => match Tag::read(rest) {
                Some((tag, end)) => {
                    scan.open(&tag, max_depth)?;
                    Some(end)
                }
                None => None,
            },
        };
        let Some(end) = end else { break };
        rest = &rest[end..];
    }
    Ok(())
}

/// The offset after `end`, searched from `from` on.
fn after(text: &[u8], from: usize, end: &[u8]) -> Option<usize> {
    memmem::find(&text[from..], end).map(|at| from + at + end.len())
}

// === impl Scan ===

impl Scan {
    fn open(&mut self, tag: &Tag, max_depth: usize) -> Result<(), Refused> {
        let in_scope = self.in_scope + tag.declared;
        self.work += tag.attributes * tag.attributes + (tag.attributes + 1) * in_scope;
        if self.work > MAX_WORK || tag.longest > MAX_NAMESPACE {
            return Err(Refused::TooLarge);
        }
        if self.open.len() >= max_depth {
            return Err(Refused::TooDeep);
        }
        if !tag.is_empty {
            self.open.push(tag.declared);
            self.in_scope = in_scope;
        }
        Ok(())
    }

    fn close(&mut self) {
        self.in_scope -= self.open.pop().unwrap_or_default();
    }
}

// === impl Tag ===

impl Tag {
    /// The tag at the beginning of `text`, and where it ends.
    fn read(text: &[u8]) -> Option<(Self, usize)> {
        let mut tag = Self::default();
        let mut at = 0;
        loop {
            let stop = at + memchr3(b'"', b'\'', b'>', &text[at..])?;
            if text[stop] == b'>' {
                tag.is_empty = text[stop - 1] == b'/';
                return Some((tag, stop + 1));
            }
            let length = memchr(text[stop], &text[stop + 1..])?;
            tag.attributes += 1;
            if memmem::find(&text[at..stop], b"xmlns").is_some() {
                tag.declared += 1;
                tag.longest = tag.longest.max(length);
            }
            at = stop + length + 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_whatever_stands_between() {
        let text = "<a x='>'><!-- <b> --><?p <b> ?><![CDATA[<b>]]><c/><c></c><d></d></a>";
        assert_eq!(scan(text, 2), Ok(()));
        assert_eq!(scan(text, 1), Err(Refused::TooDeep));
        assert_eq!(scan(&"<a>".repeat(10_000), 128), Err(Refused::TooDeep));
        assert_eq!(scan("</a></a><a", 1), Ok(()));
    }

    #[test]
    fn what_takes_the_parser_too_long_is_refused() {
        let attributes: String = (0..10_000).map(|n| format!(" a{n}=''")).collect();
        assert_eq!(
            scan(&format!("<a{attributes}/>"), 9),
            Err(Refused::TooLarge)
        );
        let spaces: String = (0..5_000).map(|n| format!(" xmlns:a{n}='u'")).collect();
        let items = "<i xmlns:x='u'/>".repeat(20_000);
        let nested = format!("<a{spaces}>{items}</a>");
        assert_eq!(scan(&nested, 9), Err(Refused::TooLarge));
        assert_eq!(scan(&format!("<a>{items}</a>"), 9), Ok(()));
        let long = format!("<a xmlns='{}'/>", "u".repeat(2_000));
        assert_eq!(scan(&long, 9), Err(Refused::TooLarge));
    }
}
