//! Sends checks as spans to a collector, in batches.
//!
//! Does not use the SDK's batch processor, which draws its own span ids and does not report how many spans it dropped.

use super::{Delivery, Target, otlp::Invalid, scope, span};
use crate::{
    ledger::{Gauges, Signal},
    pipeline::{Sent, Traced},
};
use opentelemetry::InstrumentationScope;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use std::time::Duration;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

/// Maximum number of spans per batch. A single check may have more.
const MAX_BATCH: usize = 512;

/// How long a span waits for others to be sent with it.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Consumes reports until every sender is dropped.
#[derive(Debug)]
pub struct Traces {
    reports: mpsc::Receiver<Sent>,
    traced: Traced,
    exporter: SpanExporter,
    timeout: Duration,
    scope: InstrumentationScope,
    delivery: Delivery,
}

// === impl Traces ===

impl Traces {
    /// Must be called within a tokio runtime. Connects on first use.
    ///
    /// # Errors
    /// [`Invalid::Exporter`].
    pub fn new(
        reports: mpsc::Receiver<Sent>,
        traced: Traced,
        (target, resource): (&Target, &Resource),
        gauges: Gauges,
    ) -> Result<Self, Invalid> {
        let mut exporter = target.span_exporter()?;
        exporter.set_resource(resource);
        Ok(Self {
            reports,
            traced,
            exporter,
            timeout: target.timeout,
            scope: scope(),
            delivery: Delivery::new(Signal::Traces, gauges),
        })
    }

    /// Ends when every sender is dropped and the remaining spans are exported or, after `timeout`, dropped and counted.
    pub async fn run(mut self) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        let mut last_call = None;
        while self.fill(&mut batch).await {
            if self.reports.is_closed() && last_call.is_none() {
                last_call = Some(Instant::now() + self.timeout);
            }
            self.export(&mut batch, last_call).await;
        }
    }

    /// Waits for a report, then briefly for more; `false` if there will be none.
    async fn fill(&mut self, batch: &mut Vec<Sent>) -> bool {
        if self.reports.recv_many(batch, MAX_BATCH).await == 0 {
            return false;
        }
        let deadline = Instant::now() + MAX_WAIT;
        while batch.len() < MAX_BATCH {
            let more = self.reports.recv_many(batch, MAX_BATCH - batch.len());
            if !matches!(timeout_at(deadline, more).await, Ok(1..)) {
                break;
            }
        }
        true
    }

    async fn export(&mut self, batch: &mut Vec<Sent>, last_call: Option<Instant>) {
        let mut spans = Vec::new();
        for report in batch.drain(..) {
            if !self.traced.admits(report.outcome) {
                continue;
            }
            let more = span::spans(&report, &self.scope);
            if spans.len() + more.len() > MAX_BATCH {
                let full = std::mem::replace(&mut spans, more);
                self.send(full, last_call).await;
            } else {
                spans.extend(more);
            }
        }
        self.send(spans, last_call).await;
    }

    async fn send(&mut self, spans: Vec<SpanData>, last_call: Option<Instant>) {
        let count = spans.len() as u64;
        if spans.is_empty() {
            return;
        }
        let now = Instant::now();
        let until = last_call.map_or(self.timeout, |last_call| last_call - now);
        if until.is_zero() {
            self.delivery.gave_up(count);
            return;
        }
        let result = timeout(until, self.exporter.export(spans)).await;
        self.delivery.attempted(count, result);
    }
}
