//! The verdict of a running twinread, printed for people.

mod outside;

use super::compare::show::is_harmless;
use crate::{admin::documents::Verdict, verdict::Decision};
use anstyle::{AnsiColor, Style};
use outside::Outside;
use std::fmt;

/// The verdict on one line, and one line per reason.
pub(super) struct Summary<'v>(pub(super) &'v Verdict);

/// A span of time, in its two largest units.
pub(super) struct Span(pub(super) u64);

/// Text from live traffic. Escapes what would steer a terminal, or reorder or hide neighbouring text.
pub(super) struct Printable<'t>(pub(super) &'t str);

fn style(decision: Decision) -> Style {
    let colour = match decision {
        Decision::Safe => AnsiColor::Green,
        Decision::Unsafe => AnsiColor::Red,
        Decision::Undecided => AnsiColor::Yellow,
    };
    colour.on_default().bold()
}

// === impl Summary ===

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(verdict) = self;
        let (decision, style) = (verdict.verdict, style(verdict.verdict));
        write!(f, "{style}{decision}{style:#}  epoch ")?;
        match &verdict.epoch.label {
            Some(label) => write!(f, "{} ({})", Printable(label), verdict.epoch.id)?,
            None => f.write_str(&verdict.epoch.id)?,
        }
        if let Some(version) = &verdict.epoch.version {
            write!(f, " of version {}", Printable(version))?;
        }
        write!(f, " since {}", verdict.epoch.since)?;
        write!(f, ", confidence {} %", verdict.confidence * 100.0)?;
        if verdict.soak.required_seconds > 0 {
            let clean = Span(verdict.soak.clean_seconds);
            let required = Span(verdict.soak.required_seconds);
            write!(f, ", clean for {clean} of {required}")?;
        }
        for reason in &verdict.reasons {
            write!(f, "\n  {:<14}", reason.code)?;
            if let Some(route) = &reason.route {
                write!(f, " {}:", Printable(route))?;
            }
            write!(f, " {}", Printable(&reason.detail))?;
            if let Some(seconds) = reason.eta_seconds {
                write!(f, " (about {} at the present pace)", Span(seconds))?;
            }
        }
        Outside(verdict).fmt(f)
    }
}

// === impl Printable ===

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| {
            if is_harmless(letter) {
                write!(f, "{letter}")
            } else {
                write!(f, "{}", letter.escape_default())
            }
        })
    }
}

// === impl Span ===

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, hours) = (self.0 / 86_400, self.0 / 3_600 % 24);
        let (minutes, seconds) = (self.0 / 60 % 60, self.0 % 60);
        let (large, small) = match (days, hours, minutes) {
            (0, 0, 0) => return write!(f, "{seconds} s"),
            (0, 0, minutes) => ((minutes, "min"), (seconds, "s")),
            (0, hours, minutes) => ((hours, "h"), (minutes, "min")),
            (days, hours, _) => ((days, "d"), (hours, "h")),
        };
        write!(f, "{} {}", large.0, large.1)?;
        match small {
            (0, _) => Ok(()),
            (count, unit) => write!(f, " {count} {unit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_span_is_shown_in_two_units() {
        let text = |seconds| Span(seconds).to_string();
        assert_eq!(text(0), "0 s");
        assert_eq!(text(59), "59 s");
        assert_eq!(text(60), "1 min");
        assert_eq!(text(1_900), "31 min 40 s");
        assert_eq!(text(7_200), "2 h");
        assert_eq!(text(604_800 + 3_660), "7 d 1 h");
    }
}
