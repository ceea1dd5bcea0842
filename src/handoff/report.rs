//! Redacted reports of checks, on their way to exporters and store.
//!
//! A [`Report`] is made by [`Checked::report`], before it enters any queue: nothing personal is in it unless the
//! configuration asks for it.

use super::ReadRequest;
use crate::{
    compare::{Answer, Class, Difference, Kind},
    redact::Redactor,
    telemetry::{Gauges, Signal},
    trace_context::TraceContext,
    verdict::Outcome,
};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::sync::mpsc;

/// All that is known of one check at its end, before redaction.
#[derive(Clone, Debug)]
pub struct Checked<'c> {
    pub outcome: Outcome,
    pub route: Arc<str>,
    /// The id of the epoch.
    pub epoch: Arc<str>,
    pub request: &'c ReadRequest,
    /// The check's own span; the replay carried it as `traceparent`.
    pub span: TraceContext,
    /// The span of the live request, if it had one.
    pub live: Option<TraceContext>,
    pub started: SystemTime,
    pub ended: SystemTime,
    /// `None` where that stack gave no whole answer.
    pub old: Option<Timed<'c>>,
    pub new: Option<Timed<'c>>,
    /// The differences kept.
    pub differences: &'c [Difference],
    /// How many there were.
    pub count: usize,
}

/// An answer, and how long it took from sending the request to its last byte.
#[derive(Clone, Copy, Debug)]
pub struct Timed<'c> {
    pub answer: &'c Answer,
    pub took: Duration,
}

/// Which checks become traces: `telemetry.traced`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Traced {
    /// Mismatch, transient, noise and shadow error.
    #[default]
    Mismatch,
    All,
    None,
}

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
    pub request_headers: Vec<(String, String)>,
    /// `None` where there was none.
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
#[derive(Clone, Debug, PartialEq)]
pub struct ToldAnswer {
    pub status: u16,
    pub duration: Duration,
    pub headers: Vec<(String, String)>,
    /// `None` where there is nothing to show.
    pub body: Option<String>,
    pub trailers: Vec<(String, String)>,
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

// === impl Checked ===

impl Checked<'_> {
    /// What is told of the check, redacted.
    pub fn report(self, redactor: &Redactor) -> Report {
        let request = self.request;
        let told = |difference| Told::of(difference, &self.route, redactor);
        Report {
            differences: self.differences.iter().map(told).collect(),
            outcome: self.outcome,
            route: self.route,
            epoch: self.epoch,
            method: request.method.to_string(),
            path: redactor.path(request.uri.path()),
            query: request.uri.query().map(|query| redactor.query(query)),
            request_headers: redactor.headers(&request.headers),
            request_body: redactor.body(&request.headers, &request.body),
            span: self.span,
            live: self.live,
            started: self.started,
            ended: self.ended,
            old: self.old.map(|timed| timed.told(redactor)),
            new: self.new.map(|timed| timed.told(redactor)),
            count: self.count,
        }
    }
}

// === impl Timed ===

impl Timed<'_> {
    fn told(self, redactor: &Redactor) -> ToldAnswer {
        let answer = self.answer;
        ToldAnswer {
            status: answer.status.as_u16(),
            duration: self.took,
            headers: redactor.headers(&answer.headers),
            body: redactor.body(&answer.headers, &answer.body),
            trailers: redactor.headers(&answer.trailers),
        }
    }
}

// === impl Traced ===

impl Traced {
    /// Whether a check that ended so becomes a trace.
    pub fn admits(self, outcome: Outcome) -> bool {
        match self {
            Self::Mismatch => outcome.is_deviation(),
            Self::All => true,
            Self::None => false,
        }
    }
}

// === impl Told ===

impl Told {
    fn of(difference: &Difference, route: &str, redactor: &Redactor) -> Self {
        let told = |value: &Option<_>| {
            let value = value.as_ref()?;
            Some(redactor.value(difference, value))
        };
        let place = redactor.place(&difference.place);
        // Of the place as it is told: an id made of the place as it is would confirm guesses of a masked name.
        let class = Class {
            route: route.to_owned(),
            place: place.class_text(),
            kind: difference.kind,
        };
        Self {
            place: place.to_string(),
            kind: difference.kind,
            class: class.id(),
            class_place: class.place,
            old: told(&difference.old),
            new: told(&difference.new),
        }
    }
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
