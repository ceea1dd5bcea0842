//! The tables of routes and classes.

use crate::{
    admin::documents::{Class, Rate, RouteVerdict, Verdict},
    cli::verdict::Printable,
    verdict::Percent,
};
use comfy_table::{Cell, CellAlignment, Table, presets};
use std::collections::BTreeMap;

/// The table of routes; those that the verdict depends on come first.
pub(in crate::cli) fn routes(verdict: &Verdict) -> Table {
    let header = [
        "route",
        "state",
        "live",
        "sampled",
        "delayed",
        "match",
        "by rules",
        "mismatch",
        "lag",
        "noise",
        "errors",
        "not compared",
        "mismatch rate",
        "limit",
    ];
    let mut table = table(&header);
    let mut routes: Vec<_> = verdict.routes.iter().collect();
    routes.sort_by_key(|route| !route.required);
    for route in routes {
        table.add_row(row(route));
    }
    // All but the names are figures.
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// States the confidence of the intervals in the table of routes.
pub(in crate::cli) fn bounds(verdict: &Verdict) -> String {
    let percent = verdict.confidence * 100.0;
    format!("mismatch rate: each end holds at {percent} %, at every moment")
}

fn row(route: &RouteVerdict) -> Vec<Cell> {
    let state = if route.required {
        route.state.name().to_owned()
    } else {
        format!("({})", route.state)
    };
    let sum = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>().to_string();
    let counts = &route.counts;
    vec![
        Cell::new(Printable(&route.route)),
        Cell::new(state),
        Cell::new(counts.live),
        Cell::new(counts.sampled),
        Cell::new(counts.delayed),
        Cell::new(counts.matched.exact + counts.matched.rules),
        Cell::new(counts.matched.rules),
        Cell::new(counts.mismatch),
        Cell::new(counts.transient),
        Cell::new(counts.noise),
        Cell::new(sum(&counts.shadow_error)),
        Cell::new(sum(&counts.not_compared)),
        Cell::new(interval(&route.mismatch_rate)),
        Cell::new(Percent(route.mismatch_rate.limit)),
    ]
}

fn interval(rate: &Rate) -> String {
    let lower = Percent(rate.lower).digits();
    format!("{lower} to {}", Percent(rate.upper))
}

pub(super) fn classes(classes: &[Class]) -> Table {
    let mut table = table(&["last seen", "count", "route", "kind", "place", "class"]);
    for class in classes {
        table.add_row([
            Cell::new(class.last_seen),
            Cell::new(class.count).set_alignment(CellAlignment::Right),
            Cell::new(Printable(&class.route)),
            Cell::new(&class.kind),
            Cell::new(Printable(&class.place)),
            Cell::new(&class.id),
        ]);
    }
    table
}

pub(in crate::cli) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(header.iter().map(Cell::new));
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::status::look::tests::look;

    #[test]
    fn what_was_delayed_is_shown_of_each_route() {
        let table = routes(&look(70).verdict).to_string();
        let rows: Vec<Vec<_>> = table
            .lines()
            .map(|line| line.split(['│', '┆']).map(str::trim).collect())
            .collect();
        let column = rows[1].iter().position(|name| *name == "delayed");
        assert_eq!(rows[3][column.unwrap()], "3", "{table}");
    }
}
