//! Pushes the metrics to a collector, at intervals.

use super::Metrics;
use crate::{
    drain,
    export::{
        Delivery, Target,
        otlp::{Env, Invalid, present},
    },
    ledger::{Gauges, Signal},
};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::metrics::{
    data::ResourceMetrics, exporter::PushMetricExporter, reader::MetricReader,
};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Default of `OTEL_METRIC_EXPORT_INTERVAL` in the OpenTelemetry specification.
const INTERVAL: Duration = Duration::from_secs(60);

/// Pushes until the drain, and then once more.
#[derive(Debug)]
pub struct Push {
    metrics: Metrics,
    exporter: MetricExporter,
    timeout: Duration,
    interval: Duration,
    delivery: Delivery,
}

// === impl Push ===

impl Push {
    /// Must be called within a tokio runtime. Connects on first use.
    ///
    /// # Errors
    /// [`Invalid`]: the exporter fails, or an interval in the environment is no number of milliseconds.
    pub fn new(
        metrics: Metrics,
        target: &Target,
        gauges: Gauges,
        env: Env<'_>,
    ) -> Result<Self, Invalid> {
        Ok(Self {
            metrics,
            exporter: target.metric_exporter()?,
            timeout: target.timeout,
            interval: export_interval(env)?,
            delivery: Delivery::new(Signal::Metrics, gauges),
        })
    }

    /// Ends after the drain began and one last export was delivered or timed out.
    pub async fn run(mut self, mut drain: drain::Watch) {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is immediate, when there is nothing to export yet.
        ticks.tick().await;
        let mut is_last = false;
        while !is_last {
            is_last = tokio::select! {
                _ = ticks.tick() => false,
                () = drain.signaled() => true,
            };
            self.export().await;
        }
    }

    async fn export(&mut self) {
        let mut metrics = ResourceMetrics::default();
        if let Err(error) = self.metrics.reader.collect(&mut metrics) {
            tracing::debug!(%error, "the metrics could not be read");
            return;
        }
        let result = timeout(self.timeout, self.exporter.export(&metrics)).await;
        self.delivery.attempted(1, result);
    }
}

fn export_interval(env: Env<'_>) -> Result<Duration, Invalid> {
    let name = "OTEL_METRIC_EXPORT_INTERVAL";
    let Some(value) = present(env, name) else {
        return Ok(INTERVAL);
    };
    let millis = value.parse().ok().filter(|millis| *millis > 0);
    let name = name.to_owned();
    millis
        .map(Duration::from_millis)
        .ok_or(Invalid::Timeout { name, value })
}
