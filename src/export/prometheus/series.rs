//! The series of each metric, read from their sources. Of most labels few values occur, so the others are not made.

use super::{
    RouteGauges, Sources, VERDICTS, Verdict,
    process::{self, Process},
};
use crate::{
    ledger::{Bound, ListenerName, LiveFailure, Route, RuleCount, Signal},
    outcome::Outcome,
    transport::TlsFailure,
    value::Kind,
};
use opentelemetry::{KeyValue, StringValue};
use strum::VariantArray as _;

/// A value with its labels.
pub(super) type Series<N> = (N, Vec<KeyValue>);

pub(super) fn alone<N>(value: N) -> Vec<Series<N>> {
    vec![(value, Vec::new())]
}

fn label(route: &Route) -> KeyValue {
    KeyValue::new("twinread.route", route.name().clone())
}

pub(super) fn per_route(sources: &Sources, count: fn(&Route) -> u64) -> Vec<Series<u64>> {
    let routes = sources.ledger.routes();
    let series = routes
        .iter()
        .map(|route| (count(route), vec![label(route)]));
    series.collect()
}

pub(super) fn per_rule(sources: &Sources, count: fn(RuleCount) -> u64) -> Vec<Series<u64>> {
    let rules = sources.figures.rules().into_iter();
    labelled(
        "twinread.rule",
        rules.map(|(rule, counts)| (rule, count(counts))),
    )
}

/// A series for each value of one label.
fn labelled<N, V: Into<StringValue>>(
    name: &'static str,
    values: impl IntoIterator<Item = (V, N)>,
) -> Vec<Series<N>> {
    let series = values.into_iter();
    let series = series.map(|(label, value)| (value, vec![KeyValue::new(name, label.into())]));
    series.collect()
}

pub(super) fn live_failures(sources: &Sources) -> Vec<Series<u64>> {
    let failures = |cause: &LiveFailure| (cause.into_str(), sources.gauges.live_failures(*cause));
    labelled("twinread.cause", LiveFailure::VARIANTS.iter().map(failures))
}

pub(super) fn tls_failures(sources: &Sources) -> Vec<Series<u64>> {
    let of_listener = |listener: &ListenerName| {
        let listener = *listener;
        TlsFailure::VARIANTS.iter().filter_map(move |cause| {
            let count = sources.gauges.tls_failures(listener, *cause);
            let labels = vec![
                KeyValue::new("twinread.listener", listener.into_str()),
                KeyValue::new("twinread.cause", cause.into_str()),
            ];
            (count > 0).then_some((count, labels))
        })
    };
    ListenerName::VARIANTS
        .iter()
        .flat_map(of_listener)
        .collect()
}

pub(super) fn live_requests(sources: &Sources) -> Vec<Series<u64>> {
    let of_route = |route: Route| {
        let counts = route.live_counts().into_iter();
        counts.map(move |live| {
            let labels = vec![
                label(&route),
                KeyValue::new("twinread.method", live.method),
                KeyValue::new("twinread.status_class", live.status_class),
                KeyValue::new("twinread.answered_by", live.answered_by.into_str()),
            ];
            (live.count, labels)
        })
    };
    let routes = sources.ledger.routes().into_iter();
    routes.flat_map(of_route).collect()
}

pub(super) fn checks(sources: &Sources) -> Vec<Series<u64>> {
    let mut series = Vec::new();
    for route in sources.ledger.routes() {
        for outcome in Outcome::ALL {
            let count = route.outcomes(outcome);
            if count > 0 {
                let name = KeyValue::new("twinread.outcome", outcome.name());
                let detail = KeyValue::new("twinread.detail", outcome.detail());
                series.push((count, vec![label(&route), name, detail]));
            }
        }
    }
    series
}

pub(super) fn differences(sources: &Sources) -> Vec<Series<u64>> {
    let mut series = Vec::new();
    for route in sources.ledger.routes() {
        for kind in Kind::VARIANTS {
            let count = route.differences(*kind);
            if count > 0 {
                let kind = KeyValue::new("twinread.kind", kind.name());
                series.push((count, vec![label(&route), kind]));
            }
        }
    }
    series
}

pub(super) fn export_dropped(sources: &Sources) -> Vec<Series<u64>> {
    let dropped = |signal: &Signal| (signal.into_str(), sources.gauges.exports_dropped(*signal));
    labelled("twinread.signal", Signal::VARIANTS.iter().map(dropped))
}

pub(super) fn bounds_reached(sources: &Sources) -> Vec<Series<u64>> {
    let reached = |bound: &Bound| (bound.into_str(), sources.gauges.bounds_reached(*bound));
    labelled("twinread.bound", Bound::VARIANTS.iter().map(reached))
}

pub(super) fn verdict(sources: &Sources) -> Vec<Series<u64>> {
    let Some(current) = sources.figures.verdict() else {
        return Vec::new();
    };
    let states = VERDICTS.map(|name| (name, u64::from(name == current.name)));
    labelled("twinread.verdict", states)
}

/// A series for each route of the verdict.
pub(super) fn judged<N>(sources: &Sources, value: fn(&RouteGauges) -> Option<N>) -> Vec<Series<N>> {
    let verdict = sources.figures.verdict();
    let routes = verdict.iter().flat_map(|verdict| &verdict.routes);
    // The verdict may be from before the route's name was collapsed.
    let routes = routes.filter(|route| !sources.ledger.is_joined(&route.route));
    let values = routes.filter_map(|route| Some((route.route.clone(), value(route)?)));
    labelled("twinread.route", values)
}

pub(super) fn of_process<N>(figure: fn(&Process) -> N) -> Vec<Series<N>> {
    let process = Process::current();
    process
        .iter()
        .flat_map(|process| alone(figure(process)))
        .collect()
}

pub(super) fn open_files() -> Vec<Series<u64>> {
    process::open_files().into_iter().flat_map(alone).collect()
}

pub(super) fn max_open_files() -> Vec<Series<u64>> {
    process::max_open_files()
        .into_iter()
        .flat_map(alone)
        .collect()
}

pub(super) fn build_info() -> Vec<Series<u64>> {
    let version = KeyValue::new("twinread.version", env!("CARGO_PKG_VERSION"));
    vec![(1, vec![version])]
}

/// A figure that is not about one route.
pub(super) fn overall(sources: &Sources, figure: fn(&Verdict) -> f64) -> Vec<Series<f64>> {
    let verdict = sources.figures.verdict();
    let figure = verdict.map(|verdict| (figure(&verdict), Vec::new()));
    figure.into_iter().collect()
}

pub(super) fn expiries(sources: &Sources) -> Vec<Series<f64>> {
    labelled("twinread.rule", sources.figures.expiries())
}
