//! Excerpts on the terminal: old above new, or side by side.

use super::excerpt::Row;
use crate::cli::print::{fit, fit_both, padded};
use anstyle::{AnsiColor, Style};
use std::io::{self, Write};

pub(in crate::cli) const PLACE: Style = Style::new().bold();
pub(in crate::cli) const FAINT: Style = Style::new().dimmed();
const OLD: Style = AnsiColor::Red.on_default();
const NEW: Style = AnsiColor::Green.on_default();

/// How old and new are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum View {
    /// Old above new
    #[default]
    Unified,
    /// Old left, new right
    SideBySide,
}

/// Width before each line of the unified view.
const MARGIN: usize = 4;

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
            Self::SideBySide => rows
                .iter()
                .try_for_each(|row| side_by_side(row, columns, out)),
        }
    }
}

/// In a run of changed rows, prints all of old before all of new.
fn unified(rows: &[Row], columns: usize, out: &mut impl Write) -> io::Result<()> {
    let mut news = Vec::new();
    for row in rows {
        if row.is_changed {
            let (old, new) = fitted(row, columns);
            if let Some(old) = old {
                writeln!(out, "{OLD}  - {old}{OLD:#}")?;
            }
            news.extend(new);
        } else {
            write_news(&mut news, out)?;
            let line = row.old.as_deref().or(row.new.as_deref());
            let line = fit(line.unwrap_or_default(), columns);
            writeln!(out, "{FAINT}    {line}{FAINT:#}")?;
        }
    }
    write_news(&mut news, out)
}

fn write_news(news: &mut Vec<String>, out: &mut impl Write) -> io::Result<()> {
    news.drain(..)
        .try_for_each(|new| writeln!(out, "{NEW}  + {new}{NEW:#}"))
}

fn side_by_side(row: &Row, columns: usize, out: &mut impl Write) -> io::Result<()> {
    let (left, rule, right) = if row.is_changed {
        (OLD, " ≠ ", NEW)
    } else {
        (FAINT, " │ ", FAINT)
    };
    let (old, new) = fitted(row, columns);
    let (old, new) = (
        padded(&old.unwrap_or_default(), columns),
        new.unwrap_or_default(),
    );
    writeln!(out, "  {left}{old}{left:#}{rule}{right}{new}{right:#}")
}

/// Both lines, cut where they differ.
fn fitted(row: &Row, columns: usize) -> (Option<String>, Option<String>) {
    match (&row.old, &row.new) {
        (Some(old), Some(new)) if old != new => {
            let (old, new) = fit_both(old, new, columns);
            (Some(old), Some(new))
        }
        (old, new) => {
            let fit = |line: &String| fit(line, columns);
            (old.as_ref().map(fit), new.as_ref().map(fit))
        }
    }
}
