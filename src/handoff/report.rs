//! Redacted reports of checks, on their way to exporters and store.
//!
//! A [`Report`] is made by `redact`, before it enters any queue: nothing personal is in it unless the
//! configuration asks for it.

use crate::{
    compare::Kind,
    telemetry::{Gauges, Signal},
    trace_context::TraceContext,
    verdict::Outcome,
};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::sync::mpsc;

/// What is told of one check, after redaction.
#[derive(Clone, Debug)]
pub struct Report {
    pub outcome: Outcome,
    pub route: Arc<str>,
    /// The id of the epoch.
    pub epoch: Arc<str>,
    pub method: String,
    pub path: String,
    pub query: Option<String>,
    /// Request headers, then the body if there was one.
    pub request_headers: Vec<(String, String)>,
    pub request_body: Option<String>,
    /// The check's own span; the replay carried it as `traceparent`.
    pub span: TraceContext,
    /// The span of the live request, if it had one.
    pub live: Option<TraceContext>,
    pub started: SystemTime,
    pub ended: SystemTime,
    pub old: Option<ToldAnswer>,
    pub new: Option<ToldAnswer>,
    /// The differences kept.
    pub differences: Vec<Told>,
    /// How many there were.
    pub count: usize,
}

/// What is told of one answer.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ToldAnswer {
    pub status: u16,
    pub duration: Duration,
    pub headers: Vec<(String, String)>,
    /// `None` where there is nothing to show.
    pub body: Option<String>,
}

/// What is told of one difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub place: String,
    pub kind: Kind,
    /// The id of its class.
    pub class: String,
    /// The place with array indices as `[*]`.
    pub class_place: String,
    pub old: Option<String>,
    pub new: Option<String>,
}

/// Hands reports to every listener without ever waiting; what a listener cannot take is dropped and counted.
#[derive(Clone, Debug)]
pub struct Reports {
    listeners: Vec<(Signal, mpsc::Sender<Arc<Report>>)>,
    gauges: Gauges,
}

// === impl Reports ===

impl Reports {
    pub fn new(gauges: Gauges) -> Self {
        Self {
            listeners: Vec::new(),
            gauges,
        }
    }

    /// Adds a listener that may fall behind by `max_length` reports.
    pub fn listen(&mut self, signal: Signal, max_length: usize) -> mpsc::Receiver<Arc<Report>> {
        let (tx, rx) = mpsc::channel(max_length);
        self.listeners.push((signal, tx));
        rx
    }

    pub fn send(&self, report: Report) {
        let report = Arc::new(report);
        for (signal, listener) in &self.listeners {
            if listener.try_send(report.clone()).is_err() {
                self.gauges.export_dropped(*signal, 1);
            }
        }
    }
}
