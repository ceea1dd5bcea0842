//! Sends reports to their listeners.

use super::Report;
use crate::{
    budget::{Budget, Held},
    ledger::{Gauges, Signal},
};
use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};
use tokio::sync::mpsc;

/// Sends reports to every listener without waiting. A report that a listener cannot take is dropped and counted.
#[derive(Clone, Debug)]
pub struct Reports {
    listeners: Vec<Listener>,
    /// Receives every check while it listens.
    recorder: Arc<Mutex<Option<Listener>>>,
    gauges: Gauges,
}

/// Listens to what [`Reports`] sends for as long as anybody has a handle on those: it is none itself.
#[derive(Clone, Debug)]
pub struct Recorder(Weak<Mutex<Option<Listener>>>);

/// A report sent to one listener. Its bytes count as waiting until it is dropped.
#[derive(Debug)]
pub struct Sent {
    report: Arc<Report>,
    _held: Held,
}

#[derive(Clone, Debug)]
struct Listener {
    signal: Signal,
    tx: mpsc::Sender<Sent>,
    waiting: Budget,
}

/// Bytes of reports that may wait for one listener. Each listener has its own bound, so that a hanging collector cannot
/// crowd out the store.
const MAX_WAITING: usize = 16 << 20;

// === impl Reports ===

impl Reports {
    pub fn new(gauges: Gauges) -> Self {
        Self {
            listeners: Vec::new(),
            recorder: Arc::default(),
            gauges,
        }
    }

    pub fn recorder(&self) -> Recorder {
        Recorder(Arc::downgrade(&self.recorder))
    }

    /// Whether checks in order are reported, too.
    pub fn is_recorded(&self) -> bool {
        listening(&self.recorder).is_some()
    }

    /// Adds a listener that may fall behind by `max_length` reports, or by 16 MiB of them.
    pub fn listen(&mut self, signal: Signal, max_length: usize) -> mpsc::Receiver<Sent> {
        let (listener, rx) = Listener::new(signal, max_length);
        self.listeners.push(listener);
        rx
    }

    pub fn send(&self, report: impl Into<Arc<Report>>) {
        let report = report.into();
        let size = report.size();
        if let Some(recorder) = listening(&self.recorder).as_ref()
            && !recorder.takes(&report, size)
        {
            self.gauges.export_dropped(Signal::Record, 1);
        }
        for listener in &self.listeners {
            let is_for_store = listener.signal == Signal::Store;
            if is_for_store {
                // Count it before sending, because the listener may receive it at once.
                self.gauges.store_waiting.add(1);
            }
            if !listener.takes(&report, size) {
                self.gauges.export_dropped(listener.signal, 1);
                if is_for_store {
                    self.gauges.store_waiting.subtract(1);
                }
            }
        }
    }
}

/// The recorder, if it still listens.
fn listening(recorder: &Mutex<Option<Listener>>) -> MutexGuard<'_, Option<Listener>> {
    let mut recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
    if recorder
        .as_ref()
        .is_some_and(|recorder| recorder.tx.is_closed())
    {
        *recorder = None;
    }
    recorder
}

// === impl Recorder ===

impl Recorder {
    /// Listens to every check from now on, those in order included; `None` if somebody else does, or no check comes any more.
    pub fn record(&self, max_length: usize) -> Option<mpsc::Receiver<Sent>> {
        let recorder = self.0.upgrade()?;
        let mut recorder = listening(&recorder);
        if recorder.is_some() {
            return None;
        }
        let (listener, rx) = Listener::new(Signal::Record, max_length);
        *recorder = Some(listener);
        Some(rx)
    }
}

// === impl Listener ===

impl Listener {
    fn new(signal: Signal, max_length: usize) -> (Self, mpsc::Receiver<Sent>) {
        let (tx, rx) = mpsc::channel(max_length);
        let listener = Self {
            signal,
            tx,
            waiting: Budget::new(MAX_WAITING),
        };
        (listener, rx)
    }

    fn takes(&self, report: &Arc<Report>, size: usize) -> bool {
        let mut held = self.waiting.share();
        if !held.grow(size) {
            return false;
        }
        let sent = Sent {
            report: report.clone(),
            _held: held,
        };
        self.tx.try_send(sent).is_ok()
    }
}

// === impl Sent ===

impl Deref for Sent {
    type Target = Report;

    fn deref(&self) -> &Report {
        &self.report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        outcome::{Mark, Outcome},
        pipeline::{Rechecked, ReportedRequest},
        trace_context::TraceContext,
    };
    use std::time::SystemTime;

    fn report(bytes: usize) -> Report {
        Report {
            outcome: Outcome::Mismatch(Mark::Plain),
            route: "route".into(),
            template: None,
            epoch: "epoch".into(),
            request: ReportedRequest {
                body: Some("x".repeat(bytes)),
                ..ReportedRequest::default()
            },
            span: TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
                .unwrap(),
            live: None,
            sent: Vec::new(),
            started: SystemTime::UNIX_EPOCH,
            ended: SystemTime::UNIX_EPOCH,
            old: None,
            new: None,
            differences: Vec::new(),
            count: 0,
            rechecked: Rechecked::default(),
        }
    }

    #[test]
    fn a_listener_that_hangs_costs_the_others_nothing() {
        let gauges = Gauges::default();
        let mut reports = Reports::new(gauges.clone());
        let _hanging = reports.listen(Signal::Traces, 10);
        let mut store = reports.listen(Signal::Store, 10);
        for _ in 0..30 {
            reports.send(report(1));
            assert!(store.try_recv().is_ok());
        }
        assert_eq!(gauges.exports_dropped(Signal::Traces), 20);
        assert_eq!(gauges.exports_dropped(Signal::Store), 0);
        assert_eq!(gauges.store_waiting.get(), 30, "until they are written");
    }

    #[test]
    fn waiting_bytes_are_bounded_and_freed_on_drop() {
        let gauges = Gauges::default();
        let mut reports = Reports::new(gauges.clone());
        let mut received = reports.listen(Signal::Store, 100);
        reports.send(report(MAX_WAITING / 2));
        reports.send(report(MAX_WAITING / 2));
        assert_eq!(gauges.exports_dropped(Signal::Store), 1);
        drop(received.try_recv().unwrap());
        reports.send(report(MAX_WAITING / 2));
        assert_eq!(gauges.exports_dropped(Signal::Store), 1);
    }
}
