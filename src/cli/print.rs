//! Text on a terminal: it cannot steer the terminal and is no wider than it.

use jiff::Timestamp;
use std::{
    fmt::{self, Write as _},
    io::{IsTerminal as _, stderr},
    iter,
};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Text from live traffic. Escapes what would steer a terminal, or reorder or hide neighbouring text.
pub(in crate::cli) struct Printable<'t>(pub(in crate::cli) &'t str);

/// Marks a cut.
const CUT: char = '…';

/// Width of output that goes to no terminal.
const NO_TERMINAL: usize = 80;

/// Room for words in the narrowest terminal.
const LEAST: usize = 16;

/// How wide output may be: `COLUMNS`, as POSIX has it, or the terminal.
pub(in crate::cli) fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok();
    let columns = columns.and_then(|columns| columns.parse().ok());
    let columns = columns.filter(|columns| *columns > 0);
    columns.unwrap_or_else(|| match terminal_size::terminal_size() {
        Some((terminal_size::Width(width), _)) => width.into(),
        None => NO_TERMINAL,
    })
}

/// Prints why something failed, or what to mind. Only on a terminal are the lines folded: logs are searched.
pub(in crate::cli) fn complain(text: impl fmt::Display) {
    let mut text = text.to_string();
    if stderr().is_terminal() {
        let width = width();
        let lines = text.lines().map(|line| folded(line, width, 2));
        text = lines.collect::<Vec<_>>().join("\n");
    }
    anstream::eprintln!("{text}");
}

/// Escapes control characters, so that an answer cannot steer the terminal. Also escapes characters that reorder or
/// hide neighbouring text, so that two different values never look alike.
pub(in crate::cli) fn harmless(text: &str) -> String {
    Printable(text).to_string()
}

/// Whether it neither steers a terminal nor reorders or hides neighbouring text.
fn is_harmless(letter: char) -> bool {
    let turns_or_hides = matches!(
        letter,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
    );
    !letter.is_control() && !turns_or_hides
}

/// An instant without fractions of a second.
pub(in crate::cli) fn to_the_second(instant: &str) -> String {
    match instant.parse::<Timestamp>() {
        Ok(timestamp) => format!("{timestamp:.0}"),
        Err(_) => harmless(instant),
    }
}

/// The beginning of a line that fits into `columns`.
pub(in crate::cli) fn fit(line: &str, columns: usize) -> String {
    window(line, 0, columns)
}

/// For two different lines, the part that fits into `columns` and holds the first different character.
pub(in crate::cli) fn fit_both(old: &str, new: &str, columns: usize) -> (String, String) {
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

/// The line in `columns`: what has no room is left out in its middle, because the end of a path or place says the most.
pub(in crate::cli) fn fit_middle(line: &str, columns: usize) -> String {
    if line.width() <= columns {
        return line.to_owned();
    }
    let room = columns.saturating_sub(1);
    let start = &line[..end_within(line, room / 3)];
    let (mut left, mut at) = (room - start.width(), line.len());
    for (index, letter) in line.char_indices().rev() {
        match left.checked_sub(letter.width().unwrap_or(0)) {
            Some(less) => (left, at) = (less, index),
            None => break,
        }
    }
    if columns == 0 {
        String::new()
    } else {
        format!("{start}{CUT}{}", &line[at..])
    }
}

/// The words of a text on lines that fit into `width`. Every line but the first begins with `hang` blanks. A word that has
/// no room is cut into pieces. A percent sign stays with its number.
pub(in crate::cli) fn folded(text: &str, width: usize, hang: usize) -> String {
    let room = width.max(hang + LEAST);
    let mut out = String::new();
    let mut used = 0;
    for (index, word) in words(text).enumerate() {
        let mut word = word;
        if index > 0 {
            let has_room = used + 1 + word.width() <= room;
            let helps = hang + word.width() <= room || used + 2 > room;
            if !has_room && used > hang && helps {
                used = begin(&mut out, hang);
            } else {
                out.push(' ');
                used += 1;
            }
        }
        loop {
            let end = end_within(word, room.saturating_sub(used));
            if end == word.len() {
                break;
            }
            out.push_str(&word[..end]);
            word = &word[end..];
            used = begin(&mut out, hang);
        }
        out.push_str(word);
        used += word.width();
    }
    out
}

/// The parts between blanks, without those before percent signs.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    iter::from_fn(move || {
        let text = rest?;
        let mut blanks = text.match_indices(' ').map(|(at, _)| at);
        let end = blanks.find(|at| !text[at + 1..].starts_with('%'));
        rest = end.map(|at| &text[at + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

/// Begins a line with `hang` blanks.
fn begin(out: &mut String, hang: usize) -> usize {
    out.truncate(out.trim_end_matches(' ').len());
    write!(out, "\n{:hang$}", "").expect("a string takes any text");
    hang
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
pub(in crate::cli) fn padded(line: &str, columns: usize) -> String {
    let blanks = columns.saturating_sub(line.width());
    format!("{line}{:blanks$}", "")
}

// === impl Printable ===

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| {
            if is_harmless(letter) {
                f.write_char(letter)
            } else {
                write!(f, "{}", letter.escape_default())
            }
        })
    }
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

    #[test]
    fn a_path_loses_its_middle() {
        let path = "GET /api/v1/customers/{}/orders";
        assert_eq!(fit_middle(path, 40), path);
        assert_eq!(fit_middle(path, 16), "GET /…/{}/orders");
        assert_eq!(fit_middle("漢字漢字漢字", 6), "…漢字");
        assert_eq!(fit_middle("abc", 0), "");
    }

    #[test]
    fn words_are_folded_with_a_hanging_indent() {
        let text = "  more_checks    get-user: 3174 more clean checks are needed";
        assert_eq!(
            folded(text, 40, 4),
            "  more_checks    get-user: 3174 more\n    clean checks are needed"
        );
        assert_eq!(
            folded("a/very/long/path/without/blanks", 20, 2),
            "a/very/long/path/wit\n  hout/blanks"
        );
        assert_eq!(folded("", 20, 2), "");
        let endless = folded(&"x".repeat(1 << 20), 18, 2);
        assert_eq!(endless.lines().count(), (1 << 20) / 16);
        let rate = folded("at least 16 %, the limit is 5.0 %", 31, 2);
        assert_eq!(rate, "at least 16 %, the limit is\n  5.0 %");
    }

    #[test]
    fn what_would_steer_a_terminal_is_escaped() {
        let printed = |text: &str| Printable(text).to_string();
        assert_eq!(printed("a\u{1b}[2Jé"), "a\\u{1b}[2Jé");
        for turning in ["200e", "200f", "202a", "202e", "2066", "2069"] {
            let letter = char::from_u32(u32::from_str_radix(turning, 16).unwrap()).unwrap();
            let label = format!("build {letter}812");
            assert_eq!(printed(&label), format!("build \\u{{{turning}}}812"));
        }
    }

    proptest! {
        #[test]
        fn a_cut_line_always_fits(old in ".{0,40}", new in ".{0,40}", columns in 4usize..30) {
            let (old, new) = (harmless(&old), harmless(&new));
            let both = fit_both(&old, &new, columns);
            for line in [fit(&old, columns), fit_middle(&old, columns), both.0, both.1] {
                prop_assert!(line.width() <= columns, "{line:?}");
            }
        }

        #[test]
        fn folded_lines_fit_and_lose_nothing(text in "[a-zé漢]{0,9}( [a-zé漢]{0,40}){0,9}", width in 0usize..90, hang in 0usize..9) {
            let folded = folded(&text, width, hang);
            for line in folded.lines() {
                prop_assert!(line.width() <= width.max(hang + LEAST), "{line:?}");
            }
            let letters = |text: &str| text.replace([' ', '\n'], "");
            prop_assert_eq!(letters(&folded), letters(&text));
        }
    }
}
