//! The position of a character of a scalar in its file, for faults inside paths and patterns.

use super::{ConfigError, Cursor, Key, Position};
use regex::Regex;
use std::fmt;

// === impl Cursor ===

impl Cursor<'_> {
    /// `<path>: <message>`, at the character of the scalar in that column, from 1.
    pub fn fault_within(&self, column: usize, message: impl fmt::Display) -> ConfigError {
        let text = self.node.text().unwrap_or_default();
        self.fault_in((self.node.mark, text), column, message)
    }

    /// As [`fault_within`](Self::fault_within), in the name of the node.
    pub fn fault_in_key(
        &self,
        key: &Key,
        column: usize,
        message: impl fmt::Display,
    ) -> ConfigError {
        self.fault_in((key.mark, &key.name), column, message)
    }

    fn fault_in(
        &self,
        (mark, text): (Option<Position>, &str),
        column: usize,
        message: impl fmt::Display,
    ) -> ConfigError {
        let place = mark.zip(self.source);
        let within = place.and_then(|(mark, source)| within(source, mark, (text, column)));
        ConfigError {
            mark: within.or(mark),
            ..self.fault(message)
        }
    }

    pub fn pattern(&self) -> Result<Regex, ConfigError> {
        let text = self.text()?;
        Regex::new(text).map_err(|error| self.not_a_pattern(&error))
    }

    /// The fault of a regular expression, at its character.
    pub fn not_a_pattern(&self, error: &regex::Error) -> ConfigError {
        match self.text().ok().and_then(mistake) {
            Some((column, reason)) => {
                let message =
                    format!("not a regular expression, see its column {column}: {reason}");
                self.fault_within(column, message)
            }
            // All other faults are size limits.
            None => self.fault(format!("not a regular expression: {error}")),
        }
    }
}

/// The syntax fault of a regular expression, and its column.
fn mistake(pattern: &str) -> Option<(usize, String)> {
    let (offset, reason) = match regex_syntax::parse(pattern).err()? {
        regex_syntax::Error::Parse(error) => (error.span().start.offset, error.kind().to_string()),
        regex_syntax::Error::Translate(error) => {
            (error.span().start.offset, error.kind().to_string())
        }
        _ => return None,
    };
    Some((pattern[..offset].chars().count() + 1, reason))
}

/// The position of the character in that column of the scalar that begins at `mark`. `None` if it is on a later line of
/// a scalar, or if the file differs because a variable in the scalar was replaced. A block begins with its text.
fn within(source: &str, mark: Position, (text, column): (&str, usize)) -> Option<Position> {
    let line = source.lines().nth(mark.line - 1)?;
    let mut rest = line.chars().skip(mark.column - 1).peekable();
    let first = *rest.peek()?;
    let is_quoted = matches!(first, '\'' | '"');
    let mut at = mark.column;
    if is_quoted {
        rest.next();
        at += 1;
    }
    let mut read = text.chars();
    for _ in 1..column {
        let c = rest.next()?;
        let expected = read.next()?;
        // The number of characters in the file for one of the scalar.
        let spelled = match (c, is_quoted.then_some(first), rest.peek()) {
            ('\'', Some('\''), _) => 2,
            ('\\', Some('"'), Some('x')) => 4,
            ('\\', Some('"'), Some('u')) => 6,
            ('\\', Some('"'), Some('U')) => 10,
            ('\\', Some('"'), _) => 2,
            _ => 1,
        };
        if spelled == 1 && c != expected {
            return None;
        }
        rest.by_ref().take(spelled - 1).for_each(drop);
        at += spelled;
    }
    Some(Position {
        line: mark.line,
        column: at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spanned_yaml::{Fields, Node};
    use std::sync::Arc;

    /// The position at which the fault of the pattern at `a` is reported.
    fn fault(text: &str) -> String {
        let file = Arc::from("f.yaml");
        let node = Node::parse(&file, text).unwrap();
        let mut fields = Fields::of(Cursor::of_text(&file, &node, text));
        fields.required("a", |at| at.pattern());
        fields.finish().to_string()
    }

    #[test]
    fn a_fault_in_a_pattern_is_reported_at_its_character() {
        for (text, place) in [
            (
                "a: b(",
                "1:5: a: not a regular expression, see its column 2: unclosed group",
            ),
            ("a: 'b('", "1:6: a: "),
            ("{x: 1, a: \"b(\"}", "1:13: a: "),
            ("a: 'it''s('", "1:10: a: "),
            (r#"a: "\\d\u00e9\"(""#, "1:16: a: "),
            ("a: é(", "1:5: a: "),
            ("a: 'b\n  c('", "1:4: a: "),
            ("x: 1\na: |\n  b(\n", "3:4: a: "),
            ("a: >-\n    b(", "2:6: a: "),
            (
                "a: '[z-a]'",
                "1:6: a: not a regular expression, see its column 2: invalid character class range",
            ),
            (
                r"a: x\p{Foo}",
                "1:5: a: not a regular expression, see its column 2: Unicode property not found",
            ),
        ] {
            let found = fault(text);
            assert!(
                found.starts_with(&format!("f.yaml:{place}")),
                "{text}: {found}"
            );
        }
        assert_eq!(fault("a: b"), "");
    }

    #[test]
    fn fault_on_a_later_line_of_a_scalar_is_at_its_beginning() {
        assert!(fault("a: 'b\n  c('").starts_with("f.yaml:1:4: a: "));
        assert!(fault("a: |\n  b\n  c(\n").starts_with("f.yaml:2:3: a: "));
    }

    #[test]
    fn a_pattern_without_bound_is_refused() {
        assert!(fault(r"a: '(\w{500}){500}'").contains("not a regular expression: "));
    }
}
