//! Raw JSON strings, compared by meaning.

use std::{
    borrow::Cow,
    hash::{Hash, Hasher},
};

/// The inside of a valid JSON string.
#[derive(Clone, Copy, Debug)]
pub enum Text<'b> {
    /// Without escapes: the raw text is the value.
    Plain(&'b str),
    /// With escapes, as written.
    Escaped(&'b str),
}

/// The code points of a string. A lone surrogate is a code point of its own.
#[derive(Clone, Debug)]
struct CodePoints<'b> {
    rest: std::str::Chars<'b>,
}

// === impl Text ===

impl<'b> Text<'b> {
    /// The inside of a string, given whether it has escapes.
    pub(super) fn of(inside: &'b str, escaped: bool) -> Self {
        if escaped {
            Self::Escaped(inside)
        } else {
            Self::Plain(inside)
        }
    }

    /// As characters; a lone surrogate becomes U+FFFD.
    pub fn to_str(self) -> Cow<'b, str> {
        match self {
            Self::Plain(text) => Cow::Borrowed(text),
            Self::Escaped(_) => self
                .code_points()
                .map(|code| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect::<String>()
                .into(),
        }
    }

    /// As characters; `None` if there is a lone surrogate.
    pub fn exact(self) -> Option<Cow<'b, str>> {
        match self {
            Self::Plain(text) => Some(Cow::Borrowed(text)),
            Self::Escaped(_) => self
                .code_points()
                .map(char::from_u32)
                .collect::<Option<String>>()
                .map(Cow::Owned),
        }
    }

    /// Code points, including lone surrogates.
    pub fn code_points(self) -> impl Iterator<Item = u32> {
        let (plain, escaped) = match self {
            Self::Plain(text) => (text, ""),
            Self::Escaped(text) => ("", text),
        };
        let unescaped = CodePoints {
            rest: escaped.chars(),
        };
        plain.chars().map(u32::from).chain(unescaped)
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Self::Plain(one), Self::Plain(other)) => one == other,
            (Self::Escaped(one), Self::Escaped(other)) if one == other => true,
            (one, other) => one.code_points().eq(other.code_points()),
        }
    }
}

impl Eq for Text<'_> {}

impl Hash for Text<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match *self {
            Self::Plain(text) => state.write(text.as_bytes()),
            Self::Escaped(_) => {
                // Unescaped, so that it hashes like the same text without escapes.
                let mut spelled = Vec::new();
                for code in self.code_points() {
                    match char::from_u32(code) {
                        Some(c) => spelled.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                        None => spelled.extend_from_slice(&code.to_le_bytes()),
                    }
                }
                state.write(&spelled);
            }
        }
    }
}

// === impl CodePoints ===

impl CodePoints<'_> {
    /// The four digits after `\u`. The parser has checked them.
    fn unit(&mut self) -> u32 {
        let digits = self.rest.by_ref().take(4);
        digits.fold(0, |unit, digit| {
            (unit << 4) | digit.to_digit(16).unwrap_or(0)
        })
    }

    /// The low surrogate that follows, if there is one.
    fn low_surrogate(&mut self) -> Option<u32> {
        let mut ahead = self.clone();
        if !ahead.rest.as_str().starts_with("\\u") {
            return None;
        }
        ahead.rest.nth(1);
        let unit = ahead.unit();
        if !(0xDC00..0xE000).contains(&unit) {
            return None;
        }
        *self = ahead;
        Some(unit)
    }
}

impl Iterator for CodePoints<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let c = self.rest.next()?;
        if c != '\\' {
            return Some(u32::from(c));
        }
        let code = match self.rest.next()? {
            'b' => 0x08,
            'f' => 0x0C,
            'n' => 0x0A,
            'r' => 0x0D,
            't' => 0x09,
            'u' => {
                let unit = self.unit();
                if (0xD800..0xDC00).contains(&unit) {
                    self.low_surrogate().map_or(unit, |low| {
                        0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)
                    })
                } else {
                    unit
                }
            }
            other => u32::from(other),
        };
        Some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_say_what_they_spell() {
        for (plain, escaped) in [
            ("a/b", "a\\/b"),
            ("é", "\\u00e9"),
            ("😀", "\\uD83D\\uDE00"),
            ("\u{8}\u{c}\n\r\t\"\\", "\\b\\f\\n\\r\\t\\\"\\\\"),
        ] {
            assert_eq!(Text::Plain(plain), Text::Escaped(escaped));
            assert_eq!(Text::Escaped(escaped).to_str(), plain);
        }
    }

    #[test]
    fn lone_surrogates_are_equal_to_themselves_only() {
        let lone = Text::Escaped("\\ud800x");
        assert_eq!(lone, Text::Escaped("\\uD800x"));
        assert_ne!(lone, Text::Escaped("\\ud801x"));
        assert_ne!(lone, Text::Plain("\u{fffd}x"));
        assert_eq!(Text::Escaped("\\ud800\\u0041").to_str(), "\u{fffd}A");
    }
}
