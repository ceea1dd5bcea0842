//! The settings of the intake, and the handles it uses.

use crate::{
    budget::Budget,
    compare::CompareConfig,
    http_client::Instance,
    ledger::{Gauges, Ledger},
    pipeline::{Queue, ReadSampler, Writes},
    route::Routes,
    sample::{Reads, Sampling},
    settings::{Capture, Checks, Current, ListenerLimits},
    spanned_yaml::settings,
    transport::Address,
};
use http::HeaderName;
use std::sync::Arc;

settings! {
    /// The section `mirror`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Mirror: Default {
        /// Where another proxy mirrors requests to (`mirror` of nginx, `request_mirror_policies` of Envoy): an address and
        /// port, or unix:/path, over HTTP/1.1 or HTTP/2 without TLS.
        #[setting]
        pub listen: Option<Address>,
    }
}

settings! {
    /// The section `ext_proc`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ExtProc: Default {
        /// Where Envoy's filter `ext_proc` sends what it shows, in observability mode: an address and port, or unix:/path,
        /// without TLS.
        #[setting]
        pub listen: Option<Address>,
    }
}

/// What a proxy sends to the intake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Copies of requests.
    Mirror,
    /// Requests and their answers, as messages of Envoy's external processing.
    ExtProc,
}

/// Settings that are fixed from start to end.
#[derive(Debug)]
pub struct Config {
    pub takes: Taken,
    pub listen: Address,
    pub limits: ListenerLimits,
    /// For finding requests of our own that come back.
    pub instance: Option<Instance>,
}

/// Settings that may change at any time. Each request uses one snapshot.
#[derive(Clone, Debug)]
pub struct Settings {
    pub checks: Checks,
    pub reads: Arc<Reads>,
    pub routes: Arc<Routes>,
    pub sampling: Sampling,
    /// `serve.header`: forces nothing here, and reaches no stack.
    pub serve_header: Option<HeaderName>,
    pub capture: Capture,
    pub comparing: Arc<CompareConfig>,
}

/// Handles that the intake shares with the rest of the process.
#[derive(Clone, Debug)]
pub struct Handles {
    pub settings: Current<Settings>,
    pub ledger: Ledger,
    pub gauges: Gauges,
    pub budget: Budget,
    pub sampler: ReadSampler,
    pub queue: Queue,
    pub writes: Writes,
}
