//! Excerpts on the terminal: old above new, or side by side.

use super::{
    excerpt::Row,
    print::{fit, fit_both, padded},
};
use anstyle::{AnsiColor, Style};
use std::io::{self, Write};

pub(super) const PLACE: Style = Style::new().bold();
pub(super) const FAINT: Style = Style::new().dimmed();
const OLD: Style = AnsiColor::Red.on_default();
const NEW: Style = AnsiColor::Green.on_default();

/// How old and new are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum View {
    /// Old above new
    #[default]
    Unified,
    /// Old left, new right
    SideBySide,
}

/// Width before each line of the unified view.
const MARGIN: usize = 4;

/// Separators of the columns, for equal and for different rows.
const RULES: [&str; 2] = [" │ ", " ≠ "];

// === impl View ===

impl View {
    /// Columns for each line, given the total width.
    pub(super) fn columns(self, width: usize) -> usize {
        match self {
            Self::Unified => width.saturating_sub(MARGIN).max(16),
            Self::SideBySide => (width.saturating_sub(2 + 3) / 2).max(16),
        }
    }

    pub(super) fn write(
        self,
        rows: &[Row],
        columns: usize,
        out: &mut impl Write,
    ) -> io::Result<()> {
        match self {
            Self::Unified => unified(rows, columns, out),
            Self::SideBySide => rows.iter().try_for_each(|row| beside(row, columns, out)),
        }
    }
}

/// In a run of changed rows, prints all of old before all of new.
fn unified(rows: &[Row], columns: usize, out: &mut impl Write) -> io::Result<()> {
    let mut news = Vec::new();
    for row in rows {
        if !matches!(row, Row::Changed { .. }) {
            write_news(&mut news, out)?;
        }
        match row {
            Row::Same(line) => same(line, columns, out)?,
            Row::Masked { old, new } => {
                let line = old.as_ref().or(new.as_ref());
                line.map_or(Ok(()), |line| same(line, columns, out))?;
            }
            Row::Gap => writeln!(out, "{FAINT}    …{FAINT:#}")?,
            Row::Changed { old, new } => {
                let (old, new) = cut(old.as_deref(), new.as_deref(), columns);
                if let Some(old) = old {
                    writeln!(out, "{OLD}  - {old}{OLD:#}")?;
                }
                news.extend(new);
            }
        }
    }
    write_news(&mut news, out)
}

fn same(line: &str, columns: usize, out: &mut impl Write) -> io::Result<()> {
    let line = fit(line, columns);
    writeln!(out, "{FAINT}    {line}{FAINT:#}")
}

fn write_news(news: &mut Vec<String>, out: &mut impl Write) -> io::Result<()> {
    news.drain(..)
        .try_for_each(|new| writeln!(out, "{NEW}  + {new}{NEW:#}"))
}

fn beside(row: &Row, columns: usize, out: &mut impl Write) -> io::Result<()> {
    let ((old, new), [left, right], rule) = match row {
        Row::Same(line) => {
            let line = fit(line, columns);
            ((line.clone(), line), [FAINT; 2], RULES[0])
        }
        Row::Gap => (("…".to_owned(), "…".to_owned()), [FAINT; 2], RULES[0]),
        Row::Masked { old, new } => (both(old, new, columns), [FAINT; 2], RULES[0]),
        Row::Changed { old, new } => (both(old, new, columns), [OLD, NEW], RULES[1]),
    };
    let old = padded(&old, columns);
    writeln!(out, "  {left}{old}{left:#}{rule}{right}{new}{right:#}")
}

fn both(old: &Option<String>, new: &Option<String>, columns: usize) -> (String, String) {
    let (old, new) = cut(old.as_deref(), new.as_deref(), columns);
    (old.unwrap_or_default(), new.unwrap_or_default())
}

fn cut(old: Option<&str>, new: Option<&str>, columns: usize) -> (Option<String>, Option<String>) {
    match (old, new) {
        (Some(old), Some(new)) => {
            let (old, new) = fit_both(old, new, columns);
            (Some(old), Some(new))
        }
        (old, new) => (
            old.map(|line| fit(line, columns)),
            new.map(|line| fit(line, columns)),
        ),
    }
}
