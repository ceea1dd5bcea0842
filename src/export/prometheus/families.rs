//! The table of metrics: names, help and labels, and the source of each value.
//!
//! Series of a known route exist from its first request on, at 0, so that a rate over them misses nothing. Live
//! requests are the exception: most of their ten methods times six status classes never occur.

use super::{Sources, VERDICTS};
use crate::{
    ledger::{Bound, LiveFailure, Route, RuleCount, Signal},
    outcome::Outcome,
    value::Kind,
};
use opentelemetry::{
    KeyValue, StringValue,
    metrics::{AsyncInstrument, AsyncInstrumentBuilder, Meter},
};
use strum::VariantArray as _;

/// The metrics whose series grow with the routes.
pub(super) const PER_ROUTE: [&str; 7] = [
    "twinread_live_requests_total",
    "twinread_sampled_total",
    "twinread_checks_total",
    "twinread_checks_delayed_total",
    "twinread_differences_total",
    "twinread_answer_seconds",
    "twinread_mismatch_upper_bound",
];

/// A value with its labels.
type Series<N> = (N, Vec<KeyValue>);

/// A metric whose value is looked up on collection.
struct Family<N: 'static> {
    name: &'static str,
    help: &'static str,
    unit: &'static str,
    read: fn(&Sources) -> Vec<Series<N>>,
}

const COUNTERS: [Family<u64>; 13] = [
    Family::of(
        "twinread_live_requests_total",
        "{request}",
        "Requests that callers sent, by who answered; status_class none: no answer from whom was asked",
        live_requests,
    ),
    Family::of(
        "twinread_live_failures_total",
        "{request}",
        "Live requests that the primary did not answer, or not to the end, by cause",
        live_failures,
    ),
    Family::of(
        "twinread_sampled_total",
        "{read}",
        "Reads chosen to be checked; each ends in exactly one outcome of twinread_checks_total",
        |sources| per_route(sources, Route::sampled),
    ),
    Family::of(
        "twinread_checks_total",
        "{check}",
        "Checks that ended, by outcome",
        checks,
    ),
    Family::of(
        "twinread_checks_delayed_total",
        "{check}",
        "Checks that began later, for what they read had just been written through twinread",
        |sources| per_route(sources, Route::delayed),
    ),
    Family::of(
        "twinread_differences_total",
        "{difference}",
        "Differences found under the rules, by kind",
        differences,
    ),
    Family::of(
        "twinread_rule_masked_total",
        "{difference}",
        "Differences that would have been reported without the rule",
        |sources| per_rule(sources, |rule| rule.masked),
    ),
    Family::of(
        "twinread_rule_applied_total",
        "{application}",
        "How often the rule was looked at",
        |sources| per_rule(sources, |rule| rule.applied),
    ),
    Family::of(
        "twinread_export_dropped_total",
        "{item}",
        "Spans, metric exports, stored reports and log lines that were dropped",
        export_dropped,
    ),
    Family::of(
        "twinread_reload_failures_total",
        "{reload}",
        "Configurations that were refused while running",
        |sources| alone(sources.gauges.reload_failures.get()),
    ),
    Family::of(
        "twinread_store_failures_total",
        "{attempt}",
        "Attempts to write the store that failed; each is made again",
        |sources| alone(sources.gauges.store_failures.get()),
    ),
    Family::of(
        "twinread_store_set_aside_total",
        "{file}",
        "Damaged or foreign files of the store that were set aside",
        |sources| alone(sources.gauges.stores_set_aside.get()),
    ),
    Family::of(
        "twinread_bound_reached_total",
        "{time}",
        "How often a bound was reached without ending a check",
        bounds_reached,
    ),
];

const GAUGES: [Family<u64>; 12] = [
    Family::of(
        "twinread_captured_bytes",
        "By",
        "Bytes of requests and answers held now",
        |sources| alone(sources.budget.held() as u64),
    ),
    Family::of(
        "twinread_queue_length",
        "{sample}",
        "Samples waiting for their check",
        |sources| alone(sources.gauges.queue_length.get()),
    ),
    Family::of(
        "twinread_shadow_in_flight",
        "{replay}",
        "Replays awaiting the shadow",
        |sources| alone(sources.gauges.shadow_in_flight.get()),
    ),
    Family::of(
        "twinread_breaker_open",
        "1",
        "1 while the circuit breaker keeps requests from the shadow",
        |sources| alone(sources.gauges.breaker_open.get()),
    ),
    Family::of(
        "twinread_store_failing",
        "1",
        "1 while the store cannot be opened or written",
        |sources| alone(sources.gauges.store_failing.get()),
    ),
    Family::of(
        "twinread_clock_set_back",
        "1",
        "1 where the clock stood before what was stored when the process began, or was set back since",
        |sources| alone(sources.gauges.clock_set_back.get()),
    ),
    Family::of(
        "twinread_store_waiting",
        "{report}",
        "Reports of checks that are not written to the store yet",
        |sources| alone(sources.gauges.store_waiting.get()),
    ),
    Family::of(
        "twinread_settings_revision",
        "1",
        "Revision of the runtime settings in force",
        |sources| alone(sources.gauges.settings_revision.get()),
    ),
    Family::of(
        "twinread_config_last_reload_successful",
        "1",
        "1 unless the last reload of the configuration was refused",
        |sources| alone(1 - sources.gauges.reload_refused.get()),
    ),
    Family::of(
        "twinread_restart_needed",
        "1",
        "1 while a change in the configuration is not in force before a restart",
        |sources| alone(sources.gauges.restart_needed.get()),
    ),
    Family::of(
        "twinread_verdict",
        "1",
        "1 for the verdict as it stands",
        verdict,
    ),
    Family::of(
        "twinread_build_info",
        "1",
        "1, with the version of the program",
        |_| {
            let version = KeyValue::new("version", env!("CARGO_PKG_VERSION"));
            vec![(1, vec![version])]
        },
    ),
];

const RATIOS: [Family<f64>; 1] = [Family::of(
    "twinread_mismatch_upper_bound",
    "1",
    "Upper end of the confidence sequence for the mismatch rate, from 0 to 1",
    upper_bounds,
)];

/// Creates an instrument for each family.
pub(super) fn register(meter: &Meter, sources: &Sources) {
    for family in COUNTERS {
        let builder = meter.u64_observable_counter(family.name);
        family.observe(builder, sources).build();
    }
    for family in GAUGES {
        let builder = meter.u64_observable_gauge(family.name);
        family.observe(builder, sources).build();
    }
    for family in RATIOS {
        let builder = meter.f64_observable_gauge(family.name);
        family.observe(builder, sources).build();
    }
}

impl<N: 'static> Family<N> {
    const fn of(
        name: &'static str,
        unit: &'static str,
        help: &'static str,
        read: fn(&Sources) -> Vec<Series<N>>,
    ) -> Self {
        Self {
            name,
            help,
            unit,
            read,
        }
    }

    fn observe<'m, I>(
        self,
        builder: AsyncInstrumentBuilder<'m, I, N>,
        sources: &Sources,
    ) -> AsyncInstrumentBuilder<'m, I, N> {
        let sources = sources.clone();
        builder
            .with_description(self.help)
            .with_unit(self.unit)
            .with_callback(move |observer: &dyn AsyncInstrument<N>| {
                for (value, labels) in (self.read)(&sources) {
                    observer.observe(value, &labels);
                }
            })
    }
}

fn alone<N>(value: N) -> Vec<Series<N>> {
    vec![(value, Vec::new())]
}

fn label(route: &Route) -> KeyValue {
    KeyValue::new("route", route.name().clone())
}

fn per_route(sources: &Sources, count: fn(&Route) -> u64) -> Vec<Series<u64>> {
    let routes = sources.ledger.routes();
    let series = routes
        .iter()
        .map(|route| (count(route), vec![label(route)]));
    series.collect()
}

fn per_rule(sources: &Sources, count: fn(RuleCount) -> u64) -> Vec<Series<u64>> {
    let rules = sources.figures.rules().into_iter();
    labelled("rule", rules.map(|(rule, counts)| (rule, count(counts))))
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

/// Omits a series until its first event.
fn live_failures(sources: &Sources) -> Vec<Series<u64>> {
    let failures = |cause: &LiveFailure| (cause.into_str(), sources.gauges.live_failures(*cause));
    let causes = LiveFailure::VARIANTS.iter().map(failures);
    labelled("cause", causes.filter(|(_, count)| *count > 0))
}

fn live_requests(sources: &Sources) -> Vec<Series<u64>> {
    let of_route = |route: Route| {
        let counts = route.live_counts().into_iter();
        counts.map(move |live| {
            let labels = vec![
                label(&route),
                KeyValue::new("method", live.method),
                KeyValue::new("status_class", live.status_class),
                KeyValue::new("answered_by", live.answered_by.into_str()),
            ];
            (live.count, labels)
        })
    };
    let routes = sources.ledger.routes().into_iter();
    routes.flat_map(of_route).collect()
}

fn checks(sources: &Sources) -> Vec<Series<u64>> {
    let of_route = |route: Route| {
        Outcome::ALL.map(|outcome| {
            let name = KeyValue::new("outcome", outcome.name());
            let detail = KeyValue::new("detail", outcome.detail());
            (route.outcomes(outcome), vec![label(&route), name, detail])
        })
    };
    let routes = sources.ledger.routes().into_iter();
    routes.flat_map(of_route).collect()
}

fn differences(sources: &Sources) -> Vec<Series<u64>> {
    let mut series = Vec::new();
    for route in sources.ledger.routes() {
        series.extend(Kind::VARIANTS.iter().map(|kind| {
            let labels = vec![label(&route), KeyValue::new("kind", kind.name())];
            (route.differences(*kind), labels)
        }));
    }
    series
}

fn export_dropped(sources: &Sources) -> Vec<Series<u64>> {
    let dropped = |signal: &Signal| (signal.into_str(), sources.gauges.exports_dropped(*signal));
    labelled("signal", Signal::VARIANTS.iter().map(dropped))
}

fn bounds_reached(sources: &Sources) -> Vec<Series<u64>> {
    let reached = |bound: &Bound| (bound.into_str(), sources.gauges.bounds_reached(*bound));
    labelled("bound", Bound::VARIANTS.iter().map(reached))
}

fn verdict(sources: &Sources) -> Vec<Series<u64>> {
    let current = sources.figures.verdict().name;
    labelled(
        "verdict",
        VERDICTS.map(|name| (name, u64::from(name == current))),
    )
}

fn upper_bounds(sources: &Sources) -> Vec<Series<f64>> {
    labelled("route", sources.figures.verdict().upper_bounds)
}
