//! Text on a terminal: it cannot steer the terminal and is no wider than it.

use std::fmt::Write as _;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Marks a cut.
const CUT: char = '…';

/// Escapes control characters, so that an answer cannot steer the terminal. Also escapes characters that reorder or
/// hide neighbouring text, so that two different values never look alike.
pub(in crate::cli) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_harmless(letter) {
            out.push(letter)
        } else {
            write!(out, "{}", letter.escape_default()).expect("a string takes any text")
        }
    }
    out
}

/// Whether it neither steers a terminal nor reorders or hides neighbouring text.
pub(in crate::cli) fn is_harmless(letter: char) -> bool {
    let turns_or_hides = matches!(
        letter,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
    );
    !letter.is_control() && !turns_or_hides
}

/// The beginning of a line that fits into `columns`.
pub(super) fn fit(line: &str, columns: usize) -> String {
    window(line, 0, columns)
}

/// For two different lines, the part that fits into `columns` and holds the first different character.
pub(super) fn fit_both(old: &str, new: &str, columns: usize) -> (String, String) {
    if old.width().max(new.width()) <= columns {
        return (old.to_owned(), new.to_owned());
    }
    let pairs = old.chars().zip(new.chars());
    let alike = pairs.take_while(|(old, new)| old == new).count();
    // A third of the width shows what comes before.
    let start = alike.saturating_sub(columns / 3);
    let start = if start <= 1 { 0 } else { start };
    (window(old, start, columns), window(new, start, columns))
}

/// The part of a line from character `start` that fits into `columns`. A mark replaces what is cut off.
fn window(line: &str, start: usize, columns: usize) -> String {
    let mut rest: &str = match line.char_indices().nth(start) {
        Some((at, _)) => &line[at..],
        None => "",
    };
    let mut out = String::new();
    let mut left = columns;
    if start > 0 {
        out.push(CUT);
        left = left.saturating_sub(1);
    }
    if rest.width() > left {
        rest = &rest[..end_within(rest, left.saturating_sub(1))];
        out.push_str(rest);
        out.push(CUT);
        return out;
    }
    out.push_str(rest);
    out
}

/// End of the longest prefix of `text` that fits into `columns`.
fn end_within(text: &str, columns: usize) -> usize {
    let mut used = 0;
    for (at, letter) in text.char_indices() {
        used += letter.width().unwrap_or(0);
        if used > columns {
            return at;
        }
    }
    text.len()
}

/// Pads the line with blanks to `columns`.
pub(super) fn padded(line: &str, columns: usize) -> String {
    let blanks = columns.saturating_sub(line.width());
    format!("{line}{:blanks$}", "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_steers_the_terminal_or_hides_is_escaped() {
        for (text, reported) in [
            ("grüße 漢字", "grüße 漢字"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\tb\r", "a\\tb\\r"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("abc\u{202e}cba", "abc\\u{202e}cba"),
            ("a\u{200b}", "a\\u{200b}"),
        ] {
            assert_eq!(harmless(text), reported);
        }
    }

    #[test]
    fn long_lines_are_cut_where_they_differ() {
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(fit("漢字漢字", 5), "漢字…");
        let (old, new) = ("x".repeat(90) + "1yyyyyyyyy", "x".repeat(90) + "2yyyyyyyyy");
        let (old, new) = fit_both(&old, &new, 15);
        assert_eq!(old, "…xxxxx1yyyyyyy…");
        assert_eq!(new, "…xxxxx2yyyyyyy…");
        assert_eq!(fit_both("ab", "ac", 2), ("ab".into(), "ac".into()));
    }

    proptest! {
        #[test]
        fn a_cut_line_always_fits(old in ".{0,40}", new in ".{0,40}", columns in 4usize..30) {
            let (old, new) = (harmless(&old), harmless(&new));
            let both = fit_both(&old, &new, columns);
            for line in [fit(&old, columns), both.0, both.1] {
                prop_assert!(line.width() <= columns, "{line:?}");
            }
        }
    }
}
