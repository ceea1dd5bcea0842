//! Finds secrets in a path: after the name of a secret, in the next segment or in the same one.

use regex::Regex;

/// Visits the segments of a path in order.
#[derive(Debug)]
pub(crate) struct Walk<'f> {
    /// The names of secrets.
    fields: &'f [Regex],
    is_secret: bool,
}

// === impl Walk ===

impl<'f> Walk<'f> {
    pub(crate) fn new(fields: &'f [Regex]) -> Self {
        Self {
            fields,
            is_secret: false,
        }
    }

    /// The byte offset at which a secret begins in the next segment, after percent-decoding. Empty segments and `.`
    /// mean nothing to most stacks and hide nothing.
    pub(crate) fn hidden(&mut self, segment: &str) -> Option<usize> {
        if matches!(segment, "" | ".") {
            return None;
        }
        let (own, fields) = (self.is_secret, self.fields);
        // Matrix parameters have names of their own.
        let base = segment.split(';').next().unwrap_or_default();
        let is_blank = |c: char| c.is_whitespace() || c.is_control();
        if !matches!(base.trim_matches(is_blank), "" | "." | "..") {
            self.is_secret = names_secret(base, fields);
        }
        if own {
            return Some(0);
        }
        let mut start = 0;
        for (at, byte) in segment.bytes().enumerate() {
            if !matches!(byte, b':' | b'=' | b'.' | b';' | b'/') {
                continue;
            }
            let behind = at + 1;
            let is_followed = byte != b';' && behind < segment.len();
            if is_followed && names_secret(&segment[start..at], fields) {
                return Some(behind);
            }
            start = behind;
        }
        None
    }
}

fn names_secret(name: &str, fields: &[Regex]) -> bool {
    fields.iter().any(|field| field.is_match(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_after_a_secret_name_is_hidden() {
        let fields = [
            Regex::new("(?i)pass(word)?|token").unwrap(),
            Regex::new("^pin$").unwrap(),
        ];
        for (path, expected) in [
            ("token/hunter", [None, Some(0)]),
            ("token;a=1/hunter", [None, Some(0)]),
            ("token:hunter/x", [Some(6), Some(0)]),
            ("token=hunter/x", [Some(6), Some(0)]),
            ("key.token.hunter/x", [Some(10), Some(0)]),
            ("a:pin:7/x", [Some(6), None]),
            ("a;token=7/x", [Some(8), None]),
            ("token./x", [None, Some(0)]),
            ("pins:7/x", [None, None]),
            (";a=1/x", [None, None]),
        ] {
            let mut walk = Walk::new(&fields);
            let hidden: Vec<_> = path.split('/').map(|next| walk.hidden(next)).collect();
            assert_eq!(hidden, expected, "{path}");
        }
        let mut walk = Walk::new(&fields);
        let hidden = ["token", "", ".", ";", " ", "x", "y"].map(|next| walk.hidden(next));
        assert_eq!(hidden, [None, None, None, Some(0), Some(0), Some(0), None]);
        assert_eq!(Walk::new(&fields).hidden("token/x"), Some(6));
    }
}
