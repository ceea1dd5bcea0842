//! The process's figures as OpenTelemetry instruments, read by Prometheus and pushed to a collector.
//!
//! Counts are not duplicated: instruments read the ledger and other sources on collection. Only histograms are recorded
//! as events happen, by [`Timings`]. Prometheus and the push share one reader, so that a measurement is aggregated
//! once.

mod families;
mod process;
mod push;
mod series;

pub use push::Push;

use super::scope;
use crate::{
    budget::Budget,
    ledger::{Gauges, Ledger, RuleCount, Timings},
};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_prometheus::PrometheusExporter;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{
        Instrument, InstrumentKind, Pipeline, SdkMeterProvider, Stream, Temporality,
        data::ResourceMetrics, reader::MetricReader,
    },
};
use prometheus::{
    Registry, TextEncoder,
    proto::{LabelPair, MetricFamily, MetricType},
};
use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

/// All metrics of the process. Cheap to clone; clones share the instruments.
#[derive(Clone, Debug)]
pub struct Metrics {
    provider: SdkMeterProvider,
    reader: Reader,
    registry: Registry,
    timings: Timings,
    ledger: Arc<OnceLock<Ledger>>,
}

/// Sources of the counts.
#[derive(Clone, Debug)]
pub struct Sources {
    pub ledger: Ledger,
    pub gauges: Gauges,
    pub budget: Budget,
    pub figures: Arc<dyn GaugeSource>,
}

/// Figures that other modules provide.
pub trait GaugeSource: fmt::Debug + Send + Sync + 'static {
    /// The verdict as of the last look, at most a second ago; `None` before the first. Does not judge, because a scrape
    /// must stay cheap.
    fn verdict(&self) -> Option<Arc<Verdict>>;

    /// How often each rule was evaluated, and how many differences it masked, since the start of the process.
    fn rules(&self) -> Vec<(Arc<str>, RuleCount)>;

    /// From when on each rule that ends does not apply any more, in seconds since 1970.
    fn expiries(&self) -> Vec<(Arc<str>, f64)>;
}

/// The verdict in metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// One of `VERDICTS`.
    pub name: &'static str,
    /// The coverage that every required route needs.
    pub coverage_limit: f64,
    pub soak_clean_seconds: u64,
    pub soak_required_seconds: u64,
    pub routes: Vec<RouteGauges>,
}

/// One route of the verdict. Rates are from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteGauges {
    pub route: Arc<str>,
    pub is_required: bool,
    /// The bounds of the mismatch rate, and its limit.
    pub lower: f64,
    pub upper: f64,
    pub limit: f64,
    /// `None` without evidence.
    pub coverage: Option<f64>,
}

/// The values of the label `verdict`.
pub(crate) const VERDICTS: [&str; 3] = ["safe", "unsafe", "undecided"];

/// Maximum number of series of one metric for one route: methods times status classes times who answers.
const SERIES_PER_ROUTE: usize = 180;

/// Names of Prometheus' own for what the exporter names after OpenTelemetry's conventions.
const WELL_KNOWN: [(&str, &str); 5] = [
    (
        "process_cpu_time_seconds_total",
        "process_cpu_seconds_total",
    ),
    (
        "process_memory_usage_bytes",
        "process_resident_memory_bytes",
    ),
    ("process_unix_file_descriptor_count", "process_open_fds"),
    ("twinread_process_max_open_files", "process_max_fds"),
    (
        "twinread_process_start_time_seconds",
        "process_start_time_seconds",
    ),
];

/// The reader that Prometheus and the push share.
#[derive(Clone, Debug)]
struct Reader(Arc<PrometheusExporter>);

// === impl Metrics ===

impl Metrics {
    /// `max_routes` bounds the series of each metric. [`Metrics::observe`] adds the counts.
    pub fn new(resource: Resource, max_routes: usize) -> Self {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_target_info()
            .scope_info_enabled(false)
            .build()
            .expect("a new registry must take its first collector");
        let reader = Reader(Arc::new(exporter));
        // Otherwise the SDK folds every series after the 2000th into one.
        let limit = max_routes
            .saturating_add(1)
            .saturating_mul(SERIES_PER_ROUTE);
        let stream = move |instrument: &Instrument| {
            let is_per_route = families::PER_ROUTE.contains(&instrument.name());
            let stream = Stream::builder().with_cardinality_limit(limit);
            is_per_route.then(|| stream.build().ok()).flatten()
        };
        let provider = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(reader.clone())
            .with_view(stream)
            .build();
        let timings = Timings::register(&provider.meter_with_scope(scope()));
        Self {
            provider,
            reader,
            registry,
            timings,
            ledger: Arc::default(),
        }
    }

    /// The histograms to record into.
    pub fn timings(&self) -> Timings {
        self.timings.clone()
    }

    /// Registers the counts of `sources`. Call it once.
    pub fn observe(&self, sources: &Sources) {
        let _ = self.ledger.set(sources.ledger.clone());
        families::register(&self.provider.meter_with_scope(scope()), sources);
    }

    /// All metrics in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut families = self.registry.gather();
        if let Some(ledger) = self.ledger.get() {
            drop_joined(&mut families, ledger);
        }
        families.iter_mut().for_each(name_for_prometheus);
        let mut text = String::new();
        TextEncoder::new()
            .encode_utf8(&families, &mut text)
            .expect("families with names and series must be encodable");
        text
    }
}

/// Drops the histograms of routes that were merged into others: their names are no longer shown.
fn drop_joined(families: &mut Vec<MetricFamily>, ledger: &Ledger) {
    let routes = ledger.routes();
    let names: HashSet<&str> = routes.iter().map(|route| &**route.name()).collect();
    let is_known =
        |label: &LabelPair| label.name() != "twinread_route" || names.contains(label.value());
    let histograms = families
        .iter_mut()
        .filter(|family| family.get_field_type() == MetricType::HISTOGRAM);
    for family in histograms {
        let series = family.mut_metric();
        series.retain(|series| series.get_label().iter().all(is_known));
    }
    // A family without series cannot be encoded.
    families.retain(|family| !family.get_metric().is_empty());
}

/// Shortens the labels, which are unique within a metric, and gives the process's metrics their usual names.
fn name_for_prometheus(family: &mut MetricFamily) {
    if let Some((_, usual)) = WELL_KNOWN.iter().find(|(own, _)| *own == family.name()) {
        family.set_name((*usual).to_owned());
    }
    for series in family.mut_metric() {
        for label in series.mut_label() {
            if let Some(short) = label.name().strip_prefix("twinread_") {
                label.set_name(short.to_owned());
            }
        }
    }
}

// === impl Reader ===

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}
