//! The table of metrics: names, help and labels, and the source of each value.
//!
//! Names are OpenTelemetry's. For Prometheus they get underscores, the unit and `_total`, and labels lose the prefix
//! `twinread.`: `twinread.live.requests` is `twinread_live_requests_total`.
//!
//! A series with labels exists from its first event on, because most of what labels could say never happens. A counter
//! without labels exists from the start, at 0.

use super::{
    Sources,
    series::{
        self, Series, alone, bounds_reached, checks, differences, export_dropped, judged,
        live_failures, live_requests, of_process, per_route, per_rule, tls_failures,
    },
};
use crate::ledger::{Route, timings::ANSWER};
use opentelemetry::metrics::{AsyncInstrument, AsyncInstrumentBuilder, Meter};

/// The metrics whose series grow with the routes.
pub(super) const PER_ROUTE: &[&str] = &[
    "twinread.live.requests",
    "twinread.sampled",
    "twinread.checks",
    "twinread.checks.delayed",
    "twinread.differences",
    ANSWER,
    "twinread.mismatch.upper_bound",
    "twinread.mismatch.lower_bound",
    "twinread.mismatch.limit",
    "twinread.coverage",
    "twinread.route.required",
];

/// A metric whose value is looked up on collection.
#[derive(Clone, Copy)]
struct Family<N: 'static> {
    name: &'static str,
    help: &'static str,
    unit: &'static str,
    read: fn(&Sources) -> Vec<Series<N>>,
}

const COUNTERS: &[Family<u64>] = &[
    Family::of(
        "twinread.live.requests",
        "{request}",
        "Requests that callers sent, by who answered; status_class none: the caller got no answer",
        live_requests,
    ),
    Family::of(
        "twinread.live.failures",
        "{request}",
        "Live requests without a whole answer of the primary, by cause",
        live_failures,
    ),
    Family::of(
        "twinread.tls.failures",
        "{connection}",
        "Connections of callers that ended in the TLS handshake, by listener and cause",
        tls_failures,
    ),
    Family::of(
        "twinread.sampled",
        "{read}",
        "Reads chosen to be checked; each ends in exactly one outcome of twinread_checks_total",
        |sources| per_route(sources, Route::sampled),
    ),
    Family::of(
        "twinread.checks",
        "{check}",
        "Checks that ended, by outcome",
        checks,
    ),
    Family::of(
        "twinread.checks.delayed",
        "{check}",
        "Checks that began later, for what they read had just been written through twinread",
        |sources| per_route(sources, Route::delayed),
    ),
    Family::of(
        "twinread.differences",
        "{difference}",
        "Differences found under the rules, by kind",
        differences,
    ),
    Family::of(
        "twinread.rule.masked",
        "{difference}",
        "Differences that would have been reported without the rule",
        |sources| per_rule(sources, |rule| rule.masked),
    ),
    Family::of(
        "twinread.rule.applied",
        "{application}",
        "How often the rule was looked at",
        |sources| per_rule(sources, |rule| rule.applied),
    ),
    Family::of(
        "twinread.export.dropped",
        "{item}",
        "Spans, metric exports, stored reports and log lines that were dropped",
        export_dropped,
    ),
    Family::of(
        "twinread.shadow.restarts",
        "{restart}",
        "How often the shadow was started again after a panic",
        |sources| alone(sources.gauges.shadow_restarts.get()),
    ),
    Family::of(
        "twinread.panics",
        "{panic}",
        "Panics of any thread, those that ended a single check included",
        |sources| alone(sources.gauges.panics.get()),
    ),
    Family::of(
        "twinread.reload.failures",
        "{reload}",
        "Configurations that were refused while running",
        |sources| alone(sources.gauges.reload_failures.get()),
    ),
    Family::of(
        "twinread.store.failures",
        "{attempt}",
        "Attempts to write the store that failed; each is made again",
        |sources| alone(sources.gauges.store_failures.get()),
    ),
    Family::of(
        "twinread.store.set_aside",
        "{file}",
        "Damaged or foreign files of the store that were set aside",
        |sources| alone(sources.gauges.stores_set_aside.get()),
    ),
    Family::of(
        "twinread.serve.keyless",
        "{read}",
        "Reads that the old stack answered because they have no key for the percent",
        |sources| alone(sources.gauges.served_keyless.get()),
    ),
    Family::of(
        "twinread.serve.rescued",
        "{read}",
        "Reads that the old stack answered because the new one did not",
        |sources| alone(sources.gauges.served_rescued.get()),
    ),
    Family::of(
        "twinread.bound.reached",
        "{time}",
        "How often a bound was reached without ending a check",
        bounds_reached,
    ),
];

const GAUGES: &[Family<u64>] = &[
    Family::of(
        "twinread.captured",
        "By",
        "Bytes of requests and answers held now",
        |sources| alone(sources.budget.held() as u64),
    ),
    Family::of(
        "twinread.queue.length",
        "{sample}",
        "Samples waiting for their check",
        |sources| alone(sources.gauges.queue_length.get()),
    ),
    Family::of(
        "twinread.shadow.in_flight",
        "{replay}",
        "Replays awaiting the shadow",
        |sources| alone(sources.gauges.shadow_in_flight.get()),
    ),
    Family::of(
        "twinread.breaker.open",
        "",
        "1 while the circuit breaker keeps requests from the shadow",
        |sources| alone(sources.gauges.is_breaker_open().into()),
    ),
    Family::of(
        "twinread.store.failing",
        "",
        "1 while the store cannot be opened or written",
        |sources| alone(sources.gauges.store_failing.get()),
    ),
    Family::of(
        "twinread.clock.set_back",
        "",
        "1 where the clock stood before what was stored when the process began, or was set back since",
        |sources| alone(sources.gauges.clock_set_back.get()),
    ),
    Family::of(
        "twinread.store.waiting",
        "{report}",
        "Reports of checks that are not written to the store yet",
        |sources| alone(sources.gauges.store_waiting.get()),
    ),
    Family::of(
        "twinread.settings.revision",
        "",
        "Revision of the runtime settings in force",
        |sources| alone(sources.gauges.settings_revision.get()),
    ),
    Family::of(
        "twinread.config.last_reload_successful",
        "",
        "1 unless the last reload of the configuration was refused",
        |sources| alone(1 - sources.gauges.reload_refused.get()),
    ),
    Family::of(
        "twinread.restart_needed",
        "",
        "1 while a change in the configuration is not in force before a restart",
        |sources| alone(sources.gauges.restart_needed.get()),
    ),
    Family::of(
        "twinread.verdict",
        "",
        "1 for the verdict as it stands",
        series::verdict,
    ),
    Family::of(
        "twinread.route.required",
        "",
        "1 for a route that has to be within its limits before the verdict is safe",
        |sources| judged(sources, |route| Some(u64::from(route.is_required))),
    ),
    Family::of(
        "process.memory.usage",
        "By",
        "Resident memory of the process",
        |_| of_process(|process| process.resident_bytes),
    ),
    Family::of(
        "process.unix.file_descriptor.count",
        "{file_descriptor}",
        "Open files of the process",
        |_| series::open_files(),
    ),
    Family::of(
        "twinread.process.max_open_files",
        "{file_descriptor}",
        "Limit of open files of the process",
        |_| series::max_open_files(),
    ),
    Family::of(
        "twinread.build_info",
        "",
        "1, with the version of the program",
        |_| series::build_info(),
    ),
];

const MEASURES: &[Family<f64>] = &[
    Family::of(
        "twinread.serve.new",
        "1",
        "serve.new as a share from 0 to 1, without the percents of routes",
        |sources| alone(sources.gauges.serve_new.get() as f64 / 10_000.0),
    ),
    Family::of(
        "twinread.mismatch.upper_bound",
        "1",
        "Upper end of the confidence sequence for the mismatch rate",
        |sources| judged(sources, |route| Some(route.upper)),
    ),
    Family::of(
        "twinread.mismatch.lower_bound",
        "1",
        "Lower end of the confidence sequence for the mismatch rate; above the limit, the route is proven to be worse",
        |sources| judged(sources, |route| Some(route.lower)),
    ),
    Family::of(
        "twinread.mismatch.limit",
        "1",
        "The mismatch rate that is accepted",
        |sources| judged(sources, |route| Some(route.limit)),
    ),
    Family::of(
        "twinread.coverage",
        "1",
        "Share of the samples that came to a comparison",
        |sources| judged(sources, |route| route.coverage),
    ),
    Family::of(
        "twinread.coverage.limit",
        "1",
        "The share that every required route needs",
        |sources| series::overall(sources, |verdict| verdict.coverage_limit),
    ),
    Family::of(
        "twinread.soak.clean",
        "s",
        "How long the record of every required route has been clean",
        |sources| series::overall(sources, |verdict| verdict.soak_clean_seconds as f64),
    ),
    Family::of(
        "twinread.soak.required",
        "s",
        "How long it has to be clean",
        |sources| series::overall(sources, |verdict| verdict.soak_required_seconds as f64),
    ),
    Family::of(
        "twinread.rule.expiry_time",
        "s",
        "When a rule ends to apply, since 1970",
        series::expiries,
    ),
    Family::of(
        "twinread.process.start_time",
        "s",
        "When the process started, since 1970",
        |_| of_process(|process| process.start_seconds),
    ),
];

/// Counted as a fraction.
const CPU_TIME: Family<f64> = Family::of(
    "process.cpu.time",
    "s",
    "Processor time of the process, user and system",
    |_| of_process(|process| process.cpu_seconds),
);

/// Creates an instrument for each family.
pub(super) fn register(meter: &Meter, sources: &Sources) {
    for family in COUNTERS {
        let builder = meter.u64_observable_counter(family.name);
        let has_begun = |(count, labels): &Series<u64>| *count > 0 || labels.is_empty();
        family.observe(builder, sources, has_begun).build();
    }
    for family in GAUGES {
        let builder = meter.u64_observable_gauge(family.name);
        family.observe(builder, sources, |_| true).build();
    }
    for family in MEASURES {
        let builder = meter.f64_observable_gauge(family.name);
        family.observe(builder, sources, |_| true).build();
    }
    let builder = meter.f64_observable_counter(CPU_TIME.name);
    CPU_TIME.observe(builder, sources, |_| true).build();
}

impl<N: Copy + 'static> Family<N> {
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
        is_shown: fn(&Series<N>) -> bool,
    ) -> AsyncInstrumentBuilder<'m, I, N> {
        let sources = sources.clone();
        builder
            .with_description(self.help)
            .with_unit(self.unit)
            .with_callback(move |observer: &dyn AsyncInstrument<N>| {
                let series = (self.read)(&sources);
                for (value, labels) in series.iter().filter(|series| is_shown(series)) {
                    observer.observe(*value, labels);
                }
            })
    }
}
