//! The table of metrics: names, help and labels, and the source of each value.
//!
//! Series of a known route exist from its first request on, at 0, so that a rate over them misses nothing. Live
//! requests are the exception: most of their ten methods times six status classes never occur.

use super::{Sources, VERDICTS};
use crate::{
    ledger::{
        Bound, Route, RuleCount, Signal,
        route::{METHODS, STATUS_CLASSES},
    },
    outcome::Outcome,
    value::Kind,
};
use opentelemetry::{
    KeyValue,
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
    Family {
        name: "twinread_live_requests_total",
        help: "Requests that callers sent; status_class none: no answer",
        unit: "{request}",
        read: live_requests,
    },
    Family {
        name: "twinread_live_failures_total",
        help: "Live requests that twinread answered itself, by cause",
        unit: "{request}",
        read: live_failures,
    },
    Family {
        name: "twinread_sampled_total",
        help: "Reads chosen to be checked; each ends in exactly one outcome of twinread_checks_total",
        unit: "{read}",
        read: |sources| per_route(sources, Route::sampled),
    },
    Family {
        name: "twinread_checks_total",
        help: "Checks that ended, by outcome",
        unit: "{check}",
        read: checks,
    },
    Family {
        name: "twinread_checks_delayed_total",
        help: "Checks that began later, for what they read had just been written through twinread",
        unit: "{check}",
        read: |sources| per_route(sources, Route::delayed),
    },
    Family {
        name: "twinread_differences_total",
        help: "Differences found under the rules, by kind",
        unit: "{difference}",
        read: differences,
    },
    Family {
        name: "twinread_rule_masked_total",
        help: "Differences that would have been reported without the rule",
        unit: "{difference}",
        read: |sources| per_rule(sources, |rule| rule.masked),
    },
    Family {
        name: "twinread_rule_applied_total",
        help: "How often the rule was looked at",
        unit: "{application}",
        read: |sources| per_rule(sources, |rule| rule.applied),
    },
    Family {
        name: "twinread_export_dropped_total",
        help: "Spans, metric exports, stored reports and log lines that were dropped",
        unit: "{item}",
        read: export_dropped,
    },
    Family {
        name: "twinread_reload_failures_total",
        help: "Configurations that were refused while running",
        unit: "{reload}",
        read: |sources| alone(sources.gauges.reload_failures.get()),
    },
    Family {
        name: "twinread_store_failures_total",
        help: "Attempts to write the store that failed; each is made again",
        unit: "{attempt}",
        read: |sources| alone(sources.gauges.store_failures.get()),
    },
    Family {
        name: "twinread_store_set_aside_total",
        help: "Damaged or foreign files of the store that were set aside",
        unit: "{file}",
        read: |sources| alone(sources.gauges.stores_set_aside.get()),
    },
    Family {
        name: "twinread_bound_reached_total",
        help: "How often a bound was reached without ending a check",
        unit: "{time}",
        read: bounds_reached,
    },
];

const GAUGES: [Family<u64>; 10] = [
    Family {
        name: "twinread_captured_bytes",
        help: "Bytes of requests and answers held now",
        unit: "By",
        read: |sources| alone(sources.budget.held() as u64),
    },
    Family {
        name: "twinread_queue_length",
        help: "Samples waiting for their check",
        unit: "{sample}",
        read: |sources| alone(sources.gauges.queue_length.get()),
    },
    Family {
        name: "twinread_shadow_in_flight",
        help: "Replays awaiting the shadow",
        unit: "{replay}",
        read: |sources| alone(sources.gauges.shadow_in_flight.get()),
    },
    Family {
        name: "twinread_breaker_open",
        help: "1 while the circuit breaker keeps requests from the shadow",
        unit: "1",
        read: |sources| alone(sources.gauges.breaker_open.get()),
    },
    Family {
        name: "twinread_store_failing",
        help: "1 while the store cannot be opened or written",
        unit: "1",
        read: |sources| alone(sources.gauges.store_failing.get()),
    },
    Family {
        name: "twinread_clock_set_back",
        help: "1 where the clock stood before what was stored when the process began, or was set back since",
        unit: "1",
        read: |sources| alone(sources.gauges.clock_set_back.get()),
    },
    Family {
        name: "twinread_store_waiting",
        help: "Reports of checks that are not written to the store yet",
        unit: "{report}",
        read: |sources| alone(sources.gauges.store_waiting.get()),
    },
    Family {
        name: "twinread_settings_revision",
        help: "Revision of the runtime settings in force",
        unit: "1",
        read: |sources| alone(sources.gauges.settings_revision.get()),
    },
    Family {
        name: "twinread_verdict",
        help: "1 for the verdict as it stands",
        unit: "1",
        read: verdict,
    },
    Family {
        name: "twinread_build_info",
        help: "1, with the version of the program",
        unit: "1",
        read: |_| {
            let version = KeyValue::new("version", env!("CARGO_PKG_VERSION"));
            vec![(1, vec![version])]
        },
    },
];

const RATIOS: [Family<f64>; 1] = [Family {
    name: "twinread_mismatch_upper_bound",
    help: "Upper end of the confidence sequence for the mismatch rate, from 0 to 1",
    unit: "1",
    read: upper_bounds,
}];

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
    let series = rules.map(|(rule, counts)| (count(counts), vec![KeyValue::new("rule", rule)]));
    series.collect()
}

/// Omits a series until its first event.
fn live_failures(sources: &Sources) -> Vec<Series<u64>> {
    let causes = [("loop", sources.gauges.loops_refused.get())];
    let causes = causes.into_iter().filter(|(_, count)| *count > 0);
    causes
        .map(|(cause, count)| (count, vec![KeyValue::new("cause", cause)]))
        .collect()
}

fn live_requests(sources: &Sources) -> Vec<Series<u64>> {
    let mut series = Vec::new();
    for route in sources.ledger.routes() {
        for (method, method_name) in METHODS.into_iter().enumerate() {
            for (class, class_name) in STATUS_CLASSES.into_iter().enumerate() {
                let count = route.live(method, class);
                if count > 0 {
                    let method = KeyValue::new("method", method_name);
                    let class = KeyValue::new("status_class", class_name);
                    series.push((count, vec![label(&route), method, class]));
                }
            }
        }
    }
    series
}

fn checks(sources: &Sources) -> Vec<Series<u64>> {
    let mut series = Vec::new();
    for route in sources.ledger.routes() {
        series.extend(Outcome::ALL.map(|outcome| {
            let labels = vec![
                label(&route),
                KeyValue::new("outcome", outcome.name()),
                KeyValue::new("detail", outcome.detail()),
            ];
            (route.outcomes(outcome), labels)
        }));
    }
    series
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
    let series = Signal::VARIANTS.iter().map(|signal| {
        let dropped = sources.gauges.exports_dropped(*signal);
        (dropped, vec![KeyValue::new("signal", signal.into_str())])
    });
    series.collect()
}

fn bounds_reached(sources: &Sources) -> Vec<Series<u64>> {
    let series = Bound::VARIANTS.iter().map(|bound| {
        let reached = sources.gauges.bounds_reached(*bound);
        (reached, vec![KeyValue::new("bound", bound.into_str())])
    });
    series.collect()
}

fn verdict(sources: &Sources) -> Vec<Series<u64>> {
    let current = sources.figures.verdict().name;
    let series = VERDICTS.map(|verdict| {
        let is_current = u64::from(verdict == current);
        (is_current, vec![KeyValue::new("verdict", verdict)])
    });
    series.to_vec()
}

fn upper_bounds(sources: &Sources) -> Vec<Series<f64>> {
    let bounds = sources.figures.verdict().upper_bounds.into_iter();
    let series = bounds.map(|(route, bound)| (bound, vec![KeyValue::new("route", route)]));
    series.collect()
}
