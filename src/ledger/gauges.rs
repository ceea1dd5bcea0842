//! Gauges and process-wide counters that belong to no route.

use crate::transport::TlsFailure;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use strum::VariantArray;

/// Clones share the values.
pub type Gauges = Arc<GaugeValues>;

#[derive(Debug, Default)]
pub struct GaugeValues {
    pub queue_length: Gauge,
    pub shadow_in_flight: Gauge,
    /// How often the shadow was started again after a panic.
    pub shadow_restarts: Gauge,
    /// Panics of the whole process, caught ones included.
    pub panics: Gauge,
    /// By stack, old first: 1 while the circuit breaker keeps requests from it as the shadow.
    pub shadow_open: [Gauge; 2],
    /// The same for reading the primary where no caller did.
    pub primary_open: Gauge,
    /// 1 while the circuit breaker of the control instance is open.
    pub control_open: Gauge,
    pub settings_revision: Gauge,
    /// `serve.new`, in hundredths of a percent.
    pub serve_new: Gauge,
    /// Reads that the old stack answered because they have no key.
    pub served_keyless: Gauge,
    /// Reads that the old stack answered because the new one did not.
    pub served_rescued: Gauge,
    pub reload_failures: Gauge,
    /// 1 if the last reload was refused.
    pub reload_refused: Gauge,
    /// 1 while a change in the configuration waits for a restart.
    pub restart_needed: Gauge,
    /// Failed writes of the store.
    pub store_failures: Gauge,
    /// 1 while the store cannot be written.
    pub store_failing: Gauge,
    /// Damaged files of the store that were set aside.
    pub stores_set_aside: Gauge,
    /// 1 if the clock was set back, before the start or since.
    pub clock_set_back: Gauge,
    /// Reports sent to the store and not written yet.
    pub store_waiting: Gauge,
    exports_dropped: [Gauge; Signal::VARIANTS.len()],
    bounds_reached: [Gauge; Bound::VARIANTS.len()],
    live_failures: [Gauge; LiveFailure::VARIANTS.len()],
    tls_failures: [[Gauge; TlsFailure::VARIANTS.len()]; ListenerName::VARIANTS.len()],
}

#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

/// What an exporter sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Signal {
    Traces,
    Metrics,
    /// The store of mismatches.
    Store,
    /// Log lines about mismatches.
    Logs,
    /// A recording of reads.
    Record,
}

/// Why a live request got no whole answer of the primary: `twinread_live_failures_total{cause}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum LiveFailure {
    /// There was no connection.
    Connect,
    /// There was no connection in time.
    Timeout,
    /// The TLS handshake failed.
    Tls,
    /// The connection broke before the head of an answer.
    Reset,
    /// What came was not acceptable HTTP.
    Protocol,
    /// The answer broke off after its head.
    Truncated,
    /// A limit of twinread's own: on heads, on silent callers, on open files.
    Limit,
    /// The caller's request is not acceptable.
    BadRequest,
    /// The request came back to the instance that sent it.
    Loop,
}

/// A listener whose callers may have to speak TLS: `twinread_tls_failures_total{listener}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum ListenerName {
    /// `listen`.
    Live,
    /// `admin`.
    Admin,
}

/// A limit that was reached without ending a check: `twinread_bound_reached_total{bound}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Bound {
    /// `sample.max_per_second`: a read was not sampled.
    SamplesPerSecond,
    /// `max_routes`: a request was counted under `other`.
    Routes,
    /// `store.keep_mismatches`, `keep_per_class`, `keep`, `max_bytes`: an example was dropped.
    Mismatches,
    /// Mismatch classes kept: a mismatch was counted without a class of its own.
    Classes,
    /// `compare.max_differences`: a difference was counted but not kept.
    Differences,
    /// Pairs of a bijection: a pair was not remembered, and was reported as a difference.
    Bijections,
    /// Checks that wait for a re-check, or their bytes: a mismatch stayed unconfirmed, or a delayed check was not made.
    Rechecks,
    /// Differences probed for rules, per check or per second: for one, no rule is suggested.
    Suggestions,
    /// Builds of the new stack: another build was named too soon, and a check counted in the current epoch.
    Versions,
    /// Recently written keys: a write was forgotten, and checks of what it wrote are not delayed.
    Writes,
    /// Connections of the admin API: an idle one was closed, or a caller had to wait.
    AdminConnections,
    /// Places where the old stack's own readings differ: one was not remembered, and excuses nothing in later checks.
    Noise,
    /// Concurrent calls of the admin API: one was refused.
    AdminCalls,
    /// Epochs kept, and routes in them: the oldest was dropped.
    Epochs,
    /// `limits.connections`: callers had to wait.
    Connections,
    /// `limits.header_bytes` and `limits.headers`: a request was answered 431.
    Headers,
    /// `limits.head_timeout`: a connection was closed before its head was complete.
    HeadTimeout,
    /// `limits.idle_timeout`: an idle connection was closed.
    IdleTimeout,
    /// `limits.body_stall`: the connection of a caller that sent or received nothing was closed.
    BodyStall,
    /// `limits.streams`: a request on an HTTP/2 connection was refused.
    Streams,
    /// Frames of an HTTP/2 caller that carry no message, or requests that it gives up: its connection was closed.
    Frames,
    /// Bytes received after a request for an upgrade: the connection was closed.
    Upgrade,
    /// Bytes of informational answers that wait for a caller: one was dropped.
    Informational,
    /// Open files: a check needed a connection and got none.
    OpenFiles,
    /// `grpc.descriptors`: no descriptor has the method, so its messages were compared as bytes.
    Descriptors,
}

/// Counts one replay as in flight until dropped.
#[derive(Debug)]
#[must_use = "the replay is counted only while the guard lives"]
pub struct InFlight(Gauges);

// === impl Gauge ===

impl Gauge {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn set(&self, value: impl Into<u64>) {
        self.0.store(value.into(), Ordering::Relaxed);
    }

    /// Returns the value before.
    pub fn add(&self, count: u64) -> u64 {
        self.0.fetch_add(count, Ordering::Relaxed)
    }

    pub fn subtract(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }
}

// === impl GaugeValues ===

impl GaugeValues {
    pub fn begin_replay(self: &Arc<Self>) -> InFlight {
        self.shadow_in_flight.add(1);
        InFlight(self.clone())
    }

    /// Whether the circuit breaker of a shadow is open.
    pub fn is_breaker_open(&self) -> bool {
        self.shadow_open.iter().any(|open| open.get() > 0)
    }

    pub fn export_dropped(&self, signal: Signal, count: u64) {
        self.exports_dropped[signal as usize].add(count);
    }

    pub fn exports_dropped(&self, signal: Signal) -> u64 {
        self.exports_dropped[signal as usize].get()
    }

    pub fn bound_reached(&self, bound: Bound) {
        self.bound_reached_times(bound, 1);
    }

    pub fn bound_reached_times(&self, bound: Bound, times: u64) {
        self.bounds_reached[bound as usize].add(times);
    }

    pub fn bounds_reached(&self, bound: Bound) -> u64 {
        self.bounds_reached[bound as usize].get()
    }

    pub fn live_failed(&self, cause: LiveFailure) {
        self.live_failures[cause as usize].add(1);
    }

    pub fn live_failures(&self, cause: LiveFailure) -> u64 {
        self.live_failures[cause as usize].get()
    }

    pub fn tls_failed(&self, at: ListenerName, cause: TlsFailure) {
        self.tls_failures[at as usize][cause as usize].add(1);
    }

    pub fn tls_failures(&self, at: ListenerName, cause: TlsFailure) -> u64 {
        self.tls_failures[at as usize][cause as usize].get()
    }
}

// === impl InFlight ===

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.shadow_in_flight.subtract(1);
    }
}
