//! The tables of routes and classes.

use crate::{
    admin::documents::{Class, Counts, Rate, RouteVerdict, Verdict},
    cli::{
        print::{Printable, to_the_second},
        table::{Column, Table},
    },
    verdict::{Decision, Percent},
};
use std::{cmp::Ordering, collections::BTreeMap};

/// The table of routes.
pub(in crate::cli) fn routes<'r>(routes: impl IntoIterator<Item = &'r RouteVerdict>) -> Table {
    let mut table = Table::new(&[
        Column::names("route", 20),
        Column::words("state"),
        Column::figures("mismatch"),
        Column::figures("match"),
        Column::figures("mismatch rate"),
        Column::figures("limit"),
        Column::figures("errors"),
        Column::figures("not compared"),
        Column::figures("lag"),
        Column::figures("noise"),
        Column::figures("sampled"),
        Column::figures("live"),
        Column::figures("by rules"),
        Column::figures("delayed"),
    ]);
    for route in routes {
        table.add(row(route));
    }
    table
}

/// The worst routes first: those that the verdict depends on, by their state, then by their rates.
pub(in crate::cli) fn worst_first(verdict: &Verdict) -> Vec<&RouteVerdict> {
    let mut routes: Vec<_> = verdict.routes.iter().collect();
    let rate = |rate: &Rate| rate.estimate.unwrap_or_default();
    let grave = |route: &RouteVerdict| match route.state {
        Decision::Unsafe => 0,
        Decision::Undecided => 1,
        Decision::Safe => 2,
    };
    routes.sort_by(|one, other| {
        let falling = |of: fn(&RouteVerdict) -> &Rate| -> Ordering {
            rate(of(other)).total_cmp(&rate(of(one)))
        };
        (!one.required, grave(one))
            .cmp(&(!other.required, grave(other)))
            .then_with(|| falling(|route| &route.mismatch_rate))
            .then_with(|| falling(|route| &route.error_rate))
            .then_with(|| falling(|route| &route.transient_rate))
    });
    routes
}

/// States the confidence of the intervals in the table of routes.
pub(in crate::cli) fn bounds(verdict: &Verdict) -> String {
    let percent = verdict.confidence * 100.0;
    format!("mismatch rate: each end holds at {percent} %, at every moment")
}

fn row(route: &RouteVerdict) -> [String; 14] {
    let sum = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>().to_string();
    let Counts {
        live,
        sampled,
        delayed,
        matched,
        mismatch,
        transient,
        noise,
        shadow_error,
        not_compared,
        ..
    } = &route.counts;
    [
        Printable(&route.route).to_string(),
        state(route),
        mismatch.to_string(),
        (matched.exact + matched.rules).to_string(),
        interval(&route.mismatch_rate),
        Percent(route.mismatch_rate.limit).to_string(),
        sum(shadow_error),
        sum(not_compared),
        transient.to_string(),
        noise.to_string(),
        sampled.to_string(),
        live.to_string(),
        matched.rules.to_string(),
        delayed.to_string(),
    ]
}

/// In brackets if the verdict does not depend on the route.
fn state(route: &RouteVerdict) -> String {
    if route.exempt {
        "exempt".to_owned()
    } else if route.required {
        route.state.name().to_owned()
    } else {
        format!("({})", route.state)
    }
}

fn interval(rate: &Rate) -> String {
    let lower = Percent(rate.lower).digits();
    format!("{lower} to {}", Percent(rate.upper))
}

/// The table of classes.
pub(in crate::cli) fn classes<'c>(classes: impl IntoIterator<Item = &'c Class>) -> Table {
    let mut table = Table::new(&[
        Column::words("class"),
        Column::figures("checks"),
        Column::words("kind"),
        Column::names("place", 16),
        Column::names("route", 16),
        Column::words("last seen"),
    ]);
    for class in classes {
        table.add([
            class.id.clone(),
            class.count.to_string(),
            class.kind.clone(),
            Printable(&class.place).to_string(),
            Printable(&class.route).to_string(),
            to_the_second(&class.last_seen.to_string()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::status::look::tests::look;

    #[test]
    fn what_was_delayed_is_shown_of_each_route() {
        let look = look(70);
        let lines = routes(&look.verdict.routes).lines(200, 0);
        let last = |line: &str| line.split_whitespace().last().map(str::to_owned);
        assert_eq!(last(&lines[0]).as_deref(), Some("delayed"));
        assert_eq!(last(&lines[1]).as_deref(), Some("3"), "{lines:?}");
    }

    #[test]
    fn the_worst_routes_come_first() {
        let look = look(1);
        let mut verdict = Verdict::clone(&look.verdict);
        let model = verdict.routes[0].clone();
        let route = |name: &str, required, state, estimate| {
            let mut route = model.clone();
            route.route = name.into();
            (route.required, route.state) = (required, state);
            route.mismatch_rate.estimate = estimate;
            route
        };
        verdict.routes = vec![
            route("thin", false, Decision::Unsafe, Some(1.0)),
            route("safe", true, Decision::Safe, Some(0.0)),
            route("unseen", true, Decision::Undecided, None),
            route("worse", true, Decision::Undecided, Some(0.1)),
            route("worst", true, Decision::Unsafe, Some(0.2)),
        ];
        let names: Vec<_> = worst_first(&verdict)
            .into_iter()
            .map(|route| &*route.route)
            .collect();
        assert_eq!(names, ["worst", "worse", "unseen", "safe", "thin"]);
    }
}
