//! Gauges and process-wide counters that belong to no route.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Clones share the values.
#[derive(Clone, Debug, Default)]
pub struct Gauges(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    queue_length: AtomicU64,
    shadow_in_flight: AtomicU64,
    breaker_open: AtomicU64,
    control_open: AtomicU64,
    settings_revision: AtomicU64,
    reload_failures: AtomicU64,
    loops: AtomicU64,
    store_failures: AtomicU64,
    store_failing: AtomicU64,
    store_set_aside: AtomicU64,
    clock_set_back: AtomicU64,
    store_waiting: AtomicU64,
    export_dropped: [AtomicU64; Signal::ALL.len()],
    bound_reached: [AtomicU64; Bound::NAMES.len()],
}

/// What an exporter sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Traces,
    Metrics,
    /// The store of mismatches.
    Store,
    /// Log lines about mismatches.
    Logs,
}

/// A limit that was reached without ending a check: `twinread_bound_reached_total{bound}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Bytes received after a request for an upgrade: the connection was closed.
    Upgrade,
    /// Bytes of informational answers that wait for a caller: one was dropped.
    Informational,
    /// Open files: a check needed a connection and got none.
    OpenFiles,
}

/// Counts one replay as in flight until dropped.
#[derive(Debug)]
#[must_use = "the replay is counted only while the guard lives"]
pub struct InFlight(Gauges);

// === impl Gauges ===

impl Gauges {
    pub fn queue_length(&self) -> u64 {
        self.0.queue_length.load(Ordering::Relaxed)
    }

    /// Counts one more in the queue, and returns the previous length.
    pub fn enter_queue(&self) -> u64 {
        self.0.queue_length.fetch_add(1, Ordering::Relaxed)
    }

    pub fn leave_queue(&self) {
        self.0.queue_length.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn begin_replay(&self) -> InFlight {
        self.0.shadow_in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    pub fn shadow_in_flight(&self) -> u64 {
        self.0.shadow_in_flight.load(Ordering::Relaxed)
    }

    pub fn set_breaker_open(&self, open: bool) {
        self.0.breaker_open.store(open.into(), Ordering::Relaxed);
    }

    pub fn set_control_open(&self, open: bool) {
        self.0.control_open.store(open.into(), Ordering::Relaxed);
    }

    /// 1 while the circuit breaker of the control instance is open.
    pub fn control_open(&self) -> u64 {
        self.0.control_open.load(Ordering::Relaxed)
    }

    /// 1 while the circuit breaker is open.
    pub fn breaker_open(&self) -> u64 {
        self.0.breaker_open.load(Ordering::Relaxed)
    }

    pub fn set_settings_revision(&self, revision: u64) {
        self.0.settings_revision.store(revision, Ordering::Relaxed);
    }

    pub fn settings_revision(&self) -> u64 {
        self.0.settings_revision.load(Ordering::Relaxed)
    }

    pub fn reload_failed(&self) {
        self.0.reload_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub fn reload_failures(&self) -> u64 {
        self.0.reload_failures.load(Ordering::Relaxed)
    }

    /// A live request was refused because it came back to the instance that sent it.
    pub fn loop_refused(&self) {
        self.0.loops.fetch_add(1, Ordering::Relaxed);
    }

    pub fn loops_refused(&self) -> u64 {
        self.0.loops.load(Ordering::Relaxed)
    }

    /// A write of the store failed.
    pub fn store_failed(&self) {
        self.0.store_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub fn store_failures(&self) -> u64 {
        self.0.store_failures.load(Ordering::Relaxed)
    }

    pub fn set_store_failing(&self, failing: bool) {
        self.0
            .store_failing
            .store(failing.into(), Ordering::Relaxed);
    }

    /// 1 while the store cannot be written.
    pub fn store_failing(&self) -> u64 {
        self.0.store_failing.load(Ordering::Relaxed)
    }

    /// A damaged file of the store was set aside.
    pub fn store_set_aside(&self) {
        self.0.store_set_aside.fetch_add(1, Ordering::Relaxed);
    }

    pub fn stores_set_aside(&self) -> u64 {
        self.0.store_set_aside.load(Ordering::Relaxed)
    }

    /// The clock was set back, before the start or since.
    pub fn set_clock_set_back(&self) {
        self.0.clock_set_back.store(1, Ordering::Relaxed);
    }

    /// 1 if the clock was set back.
    pub fn clock_set_back(&self) -> u64 {
        self.0.clock_set_back.load(Ordering::Relaxed)
    }

    /// A report was sent to the store.
    pub fn enter_store(&self) {
        self.0.store_waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// `count` reports were written or discarded.
    pub fn leave_store(&self, count: u64) {
        self.0.store_waiting.fetch_sub(count, Ordering::Relaxed);
    }

    /// Reports sent to the store and not written yet.
    pub fn store_waiting(&self) -> u64 {
        self.0.store_waiting.load(Ordering::Relaxed)
    }

    pub fn export_dropped(&self, signal: Signal, count: u64) {
        self.0.export_dropped[signal as usize].fetch_add(count, Ordering::Relaxed);
    }

    pub fn exports_dropped(&self, signal: Signal) -> u64 {
        self.0.export_dropped[signal as usize].load(Ordering::Relaxed)
    }

    pub fn bound_reached(&self, bound: Bound) {
        self.bound_reached_times(bound, 1);
    }

    pub fn bound_reached_times(&self, bound: Bound, times: u64) {
        self.0.bound_reached[bound as usize].fetch_add(times, Ordering::Relaxed);
    }

    pub fn bounds_reached(&self, bound: Bound) -> u64 {
        self.0.bound_reached[bound as usize].load(Ordering::Relaxed)
    }
}

// === impl Signal ===

impl Signal {
    pub const ALL: [Self; 4] = [Self::Traces, Self::Metrics, Self::Store, Self::Logs];

    pub fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Store => "store",
            Self::Logs => "logs",
        }
    }
}

// === impl Bound ===

impl Bound {
    /// Each bound with the value of its label.
    pub const NAMES: [(Self, &'static str); 22] = [
        (Self::SamplesPerSecond, "samples_per_second"),
        (Self::Routes, "routes"),
        (Self::Mismatches, "mismatches"),
        (Self::Classes, "classes"),
        (Self::Differences, "differences"),
        (Self::Bijections, "bijections"),
        (Self::Rechecks, "rechecks"),
        (Self::Suggestions, "suggestions"),
        (Self::Versions, "versions"),
        (Self::Writes, "writes"),
        (Self::AdminConnections, "admin_connections"),
        (Self::Noise, "noise"),
        (Self::AdminCalls, "admin_calls"),
        (Self::Epochs, "epochs"),
        (Self::Connections, "connections"),
        (Self::Headers, "headers"),
        (Self::HeadTimeout, "head_timeout"),
        (Self::IdleTimeout, "idle_timeout"),
        (Self::BodyStall, "body_stall"),
        (Self::Upgrade, "upgrade"),
        (Self::Informational, "informational"),
        (Self::OpenFiles, "open_files"),
    ];
}

// === impl InFlight ===

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.0.shadow_in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
