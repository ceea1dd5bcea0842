//! The process's figures as OpenTelemetry instruments, read by Prometheus and pushed to a collector.
//!
//! Counts are not duplicated: instruments read the ledger and other sources on collection. Only histograms are recorded
//! as events happen, by [`Timings`]. Prometheus and the push share one reader, so that a measurement is aggregated
//! once.

mod families;
mod push;

pub use push::Push;

use crate::{
    budget::Budget,
    ledger::{Gauges, Ledger, RuleCount, Timings, timings::ANSWER_SECONDS},
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
    proto::{LabelPair, MetricFamily},
};
use std::{
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
    pub figures: Arc<dyn Figures>,
}

/// Figures computed on collection.
pub trait Figures: fmt::Debug + Send + Sync + 'static {
    /// The current verdict.
    fn verdict(&self) -> Verdict;

    /// How often each rule was evaluated, and how many differences it masked, since the start of the process.
    fn rules(&self) -> Vec<(Arc<str>, RuleCount)>;
}

/// The verdict in metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// One of `VERDICTS`.
    pub name: &'static str,
    /// Upper bound of each route's mismatch rate, from 0 to 1.
    pub upper_bounds: Vec<(Arc<str>, f64)>,
}

/// The values of the label `verdict`.
pub(crate) const VERDICTS: [&str; 3] = ["safe", "unsafe", "undecided"];

/// Maximum number of series of one metric for one route: methods times status classes times who answers.
const SERIES_PER_ROUTE: usize = 180;

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
            // Users rely on the metrics' names, so instruments carry them in full, suffixes included.
            .without_units()
            .without_counter_suffixes()
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
        let timings = Timings::register(&provider.meter("twinread"));
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
        families::register(&self.provider.meter("twinread"), sources);
    }

    /// All metrics in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut families = self.registry.gather();
        if let Some(ledger) = self.ledger.get() {
            drop_joined(&mut families, ledger);
        }
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
    let is_known = |label: &LabelPair| {
        label.name() != "route" || routes.iter().any(|route| **route.name() == *label.value())
    };
    let histograms = families
        .iter_mut()
        .filter(|family| family.name() == ANSWER_SECONDS);
    for family in histograms {
        let series = family.mut_metric();
        series.retain(|series| series.get_label().iter().all(is_known));
    }
    // A family without series cannot be encoded.
    families.retain(|family| !family.get_metric().is_empty());
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
