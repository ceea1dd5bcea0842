//! Tables that fit: what has no room is left out by whole columns, and names are cut before that.

use super::print::{fit, fit_middle, padded};
use unicode_width::UnicodeWidthStr;

/// Rows under names of columns, the most important column first. The first one always stays.
#[derive(Clone, Debug)]
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    name: &'static str,
    cells: Cells,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cells {
    Words,
    /// Aligned to the right.
    Figures,
    /// Cut in the middle where there is no room, but not below this width.
    Names(usize),
}

/// A column that has room.
#[derive(Clone, Copy, Debug)]
struct Shown {
    index: usize,
    width: usize,
    /// Of its longest cell.
    natural: usize,
}

const GAP: usize = 2;

// === impl Column ===

impl Column {
    pub(super) const fn words(name: &'static str) -> Self {
        let cells = Cells::Words;
        Self { name, cells }
    }

    pub(super) const fn figures(name: &'static str) -> Self {
        let cells = Cells::Figures;
        Self { name, cells }
    }

    pub(super) const fn names(name: &'static str, least: usize) -> Self {
        let cells = Cells::Names(least);
        Self { name, cells }
    }
}

// === impl Table ===

impl Table {
    pub(super) fn new(columns: &[Column]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row with a cell for each column.
    pub(super) fn add(&mut self, row: impl IntoIterator<Item = String>) {
        let row: Vec<_> = row.into_iter().collect();
        debug_assert_eq!(row.len(), self.columns.len());
        self.rows.push(row);
    }

    /// The names of the columns, then the rows, each at most `width` wide. `skipped` columns after the first are left out.
    pub(super) fn lines(&self, width: usize, skipped: usize) -> Vec<String> {
        let shown = self.shown(width, skipped);
        let names: Vec<_> = self.columns.iter().map(|column| column.name).collect();
        let rows = self.rows.iter().map(|row| self.line(row, &shown, width));
        std::iter::once(self.line(&names, &shown, width))
            .chain(rows)
            .collect()
    }

    /// How many columns at the end have no room.
    pub(super) fn left_out(&self, width: usize, skipped: usize) -> usize {
        let last = self
            .shown(width, skipped)
            .last()
            .map_or(0, |last| last.index);
        self.columns.len() - 1 - last
    }

    /// Chooses as many columns as have room at their least width, then widens those that were cut.
    fn shown(&self, width: usize, skipped: usize) -> Vec<Shown> {
        let (mut shown, mut used) = (Vec::<Shown>::new(), 0);
        let skipped = skipped.min(self.columns.len().saturating_sub(2));
        for index in (0..self.columns.len()).filter(|index| !(1..=skipped).contains(index)) {
            let natural = self.natural(index);
            let least = match self.columns[index].cells {
                Cells::Names(least) => natural.min(least),
                Cells::Words | Cells::Figures => natural,
            };
            let gap = if shown.is_empty() { 0 } else { GAP };
            if !shown.is_empty() && used + gap + least > width {
                break;
            }
            used += gap + least;
            let width = least;
            shown.push(Shown {
                index,
                width,
                natural,
            });
        }
        let mut left = width.saturating_sub(used);
        for column in &mut shown {
            let more = left.min(column.natural - column.width);
            column.width += more;
            left -= more;
        }
        shown
    }

    fn natural(&self, index: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[index].width());
        let name = self.columns[index].name.width();
        cells.fold(name, usize::max)
    }

    fn line(&self, row: &[impl AsRef<str>], shown: &[Shown], width: usize) -> String {
        let mut line = String::new();
        for (position, column) in shown.iter().enumerate() {
            if position > 0 {
                line.extend([' '; GAP]);
            }
            let cell = row[column.index].as_ref();
            match self.columns[column.index].cells {
                Cells::Figures => {
                    let blanks = column.width.saturating_sub(cell.width());
                    line.extend(std::iter::repeat_n(' ', blanks));
                    line.push_str(cell);
                }
                Cells::Names(_) | Cells::Words => {
                    line.push_str(&padded(&fit_middle(cell, column.width), column.width));
                }
            }
        }
        fit(line.trim_end(), width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[
            Column::names("route", 12),
            Column::words("state"),
            Column::figures("mismatch"),
            Column::figures("live"),
        ]);
        for (route, state, mismatch, live) in [
            ("GET /api/v1/customers/{}/orders", "unsafe", "20", "1000"),
            ("get-user", "safe", "0", "7"),
        ] {
            table.add([route, state, mismatch, live].map(str::to_owned));
        }
        table
    }

    #[test]
    fn names_are_cut_before_columns_go() {
        assert_eq!(
            table().lines(60, 0),
            [
                "route                            state   mismatch  live",
                "GET /api/v1/customers/{}/orders  unsafe        20  1000",
                "get-user                         safe           0     7",
            ]
        );
        assert_eq!(
            table().lines(40, 0),
            [
                "route             state   mismatch  live",
                "GET /…/{}/orders  unsafe        20  1000",
                "get-user          safe           0     7",
            ]
        );
        assert_eq!(table().left_out(40, 0), 0);
        assert_eq!(
            table().lines(30, 0),
            [
                "route         state   mismatch",
                "GET…}/orders  unsafe        20",
                "get-user      safe           0",
            ]
        );
        assert_eq!(table().left_out(30, 0), 1);
    }

    #[test]
    fn the_first_column_stays_when_others_are_scrolled_away() {
        let lines = table().lines(30, 2);
        assert_eq!(
            lines,
            [
                "route                     live",
                "GET /ap…tomers/{}/orders  1000",
                "get-user                     7",
            ]
        );
        assert_eq!(table().lines(30, 99), lines, "the last column stays");
    }

    #[test]
    fn every_width_is_kept_to() {
        for width in 0..70 {
            for skipped in 0..5 {
                for line in table().lines(width, skipped) {
                    assert!(line.width() <= width.max(1), "{width}: {line:?}");
                }
            }
        }
    }
}
