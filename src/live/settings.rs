//! The settings of the live path, and the handles it uses.

use super::{access_log::AccessLog, forwarded::Forwarded};
use crate::{
    budget::Budget,
    compare::CompareConfig,
    http_client::{Health, Target},
    ledger::{Gauges, Ledger, timings::Timings},
    pipeline::{Queue, ReadSampler, Writes},
    redact::{self, HashKey, Redactor, Secret},
    route::Routes,
    sample::{Reads, Sampling},
    serve::Serve,
    settings::{Capture, Checks, Current, ListenerLimits},
    transport::{Address, Inherited, ServerTls, TrustedProxies},
};
use std::sync::Arc;

/// Settings that are fixed from start to end.
#[derive(Debug)]
pub struct Config {
    pub listen: Address,
    /// Takes the place of `listen`.
    pub inherited: Option<Inherited>,
    pub old: Arc<Target>,
    pub new: Arc<Target>,
    pub limits: ListenerLimits,
    pub proxies: TrustedProxies,
}

/// Settings that may change at any time. Each request uses one snapshot.
#[derive(Clone, Debug)]
pub struct LiveSettings {
    /// Which stack is primary.
    pub serve: Arc<Serve>,
    pub checks: Checks,
    pub reads: Arc<Reads>,
    pub routes: Arc<Routes>,
    pub sampling: Sampling,
    pub capture: Capture,
    /// Lets a caller control twinread; `None` lets nobody.
    pub live_token: Option<Secret>,
    pub comparing: Arc<CompareConfig>,
    pub forwarded: Forwarded,
    pub access_log: AccessLog,
    /// For new connections; `None` speaks no TLS.
    pub tls: Option<ServerTls>,
    /// For the access log.
    pub redactor: Arc<Redactor>,
}

/// Handles that the live path shares with the rest of the process.
#[derive(Clone, Debug)]
pub struct Handles {
    pub live: Current<LiveSettings>,
    pub ledger: Ledger,
    pub gauges: Gauges,
    pub budget: Budget,
    pub sampler: ReadSampler,
    pub queue: Queue,
    pub timings: Timings,
    pub writes: Writes,
    /// Old first.
    pub stacks: [Arc<Health>; 2],
    /// Called for each accepted connection, on the task that accepts: a test may panic there.
    pub accepted: fn(),
}

// === impl LiveSettings ===

impl Default for LiveSettings {
    fn default() -> Self {
        Self {
            serve: Arc::default(),
            checks: Checks::Running,
            reads: Arc::default(),
            routes: Arc::default(),
            sampling: Sampling::default(),
            capture: Capture::default(),
            live_token: None,
            comparing: Arc::default(),
            forwarded: Forwarded::Keep,
            access_log: AccessLog::None,
            tls: None,
            redactor: Arc::new(Redactor::new(redact::Config::default(), HashKey([0; 16]))),
        }
    }
}
