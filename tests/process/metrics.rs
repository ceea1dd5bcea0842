//! The metrics of the real program: how many series, and what an alert can be written with.

use crate::{
    ONE, OTHER,
    support::{Caller, Sidecar, Stack, eventually},
};
use std::fmt::Write as _;

fn text(sidecar: &Sidecar) -> String {
    let answer = Caller::connect(sidecar.admin).get("/metrics");
    String::from_utf8(answer.body).unwrap()
}

/// The value of the only series of a metric with this label.
fn value(sidecar: &Sidecar, name: &str, label: &str) -> Option<f64> {
    let text = text(sidecar);
    let mut lines = text.lines().filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(label))
    });
    let value = lines.next()?.rsplit(' ').next()?.parse().ok();
    assert_eq!(lines.next(), None, "one series");
    value
}

#[test]
fn a_route_that_only_matches_has_at_most_45_series() {
    const ROUTES: u64 = 124;
    let stack = Stack::json(ONE);
    let mut routes = String::from("routes:\n");
    for number in 0..ROUTES {
        writeln!(routes, "  - {{name: r{number}, path: /r{number}}}").unwrap();
    }
    let sidecar = Sidecar::start(
        stack.addr,
        stack.addr,
        &(routes + "allow_same_stack: true\n"),
    );
    let mut caller = sidecar.caller();
    for _ in 0..2 {
        (0..ROUTES).for_each(|number| drop(caller.get(&format!("/r{number}"))));
    }
    sidecar.judged(2 * ROUTES);
    eventually("the last route is judged", || {
        value(&sidecar, "twinread_coverage_ratio", "\"r123\"")
    });

    let text = text(&sidecar);
    let series = text.lines().filter(|line| !line.starts_with('#'));
    let (of_routes, others): (Vec<_>, Vec<_>) = series.partition(|line| line.contains("route=\""));
    assert!(of_routes.len() as u64 <= 45 * ROUTES, "{}", of_routes.len());
    assert!(others.len() <= 60, "{others:#?}");
}

#[test]
fn metrics_show_bounds_and_limit_of_the_verdict() {
    let (old, new) = (Stack::json(ONE), Stack::json(OTHER));
    let sidecar = Sidecar::start(old.addr, new.addr, "verdict: {max_mismatch: 0.01}\n");
    let mut caller = sidecar.caller();
    (0..20).for_each(|_| drop(caller.get("/items/17")));
    sidecar.judged(20);

    eventually("the verdict is shown", || {
        let is_unsafe = value(&sidecar, "twinread_verdict", "\"unsafe\"");
        (is_unsafe == Some(1.0)).then_some(())
    });
    let of_route = |name: &str| value(&sidecar, name, "route=\"GET /items/{}\"").unwrap();
    let limit = of_route("twinread_mismatch_limit_ratio");
    assert_eq!(limit, 0.01);
    assert!(of_route("twinread_mismatch_lower_bound_ratio") > limit);
    assert_eq!(of_route("twinread_mismatch_upper_bound_ratio"), 1.0);
    assert_eq!(of_route("twinread_coverage_ratio"), 1.0);
    assert_eq!(of_route("twinread_route_required"), 1.0);
    assert_eq!(value(&sidecar, "twinread_verdict", "\"safe\""), Some(0.0));
    assert!(value(&sidecar, "twinread_soak_clean_seconds", "").is_some());
    let alone = |name: &str| value(&sidecar, name, "");
    assert_eq!(alone("twinread_soak_required_seconds"), Some(0.0));
    assert_eq!(alone("twinread_coverage_limit_ratio"), Some(0.9));
}

#[test]
fn a_rule_is_in_force_until_the_end_of_its_day() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    let rule = "rules: [{id: later, why: w, at: $.id, do: ignore, expires: 2099-12-31}]";
    std::fs::write(&rules, rule).unwrap();
    let more = format!("rules: [{}]\n", rules.display());
    let (old, new) = (Stack::json(ONE), Stack::json(ONE));
    let sidecar = Sidecar::start(old.addr, new.addr, &more);
    let midnight = jiff::civil::date(2100, 1, 1).to_zoned(jiff::tz::TimeZone::UTC);
    let expected = midnight.unwrap().timestamp().as_second() as f64;
    let name = "twinread_rule_expiry_time_seconds";
    assert_eq!(value(&sidecar, name, r#"rule="later""#), Some(expected));
}
