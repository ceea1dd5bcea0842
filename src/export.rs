//! Tells the outside what the checks found: traces and metrics to a collector, metrics to Prometheus, log lines.
//!
//! Nothing here is ever waited for: a collector that is down, slow or hanging costs what it should have been sent,
//! and that is counted.

pub mod delivery;
pub mod log;
pub mod otlp;
pub mod prometheus;
pub mod span;
pub mod traces;

pub use delivery::Delivery;
pub use otlp::{Invalid, Protocol, Target};
pub use prometheus::{Figures, Metrics, Push, Sources};
pub use traces::Traces;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use std::collections::BTreeMap;

/// The section `telemetry` of the configuration, as far as it says what is sent where.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    pub otlp: otlp::Config,
    /// `None`: `OTEL_SERVICE_NAME`, or else `twinread`.
    pub service_name: Option<String>,
    /// Resource attributes, beside those of `OTEL_RESOURCE_ATTRIBUTES`.
    pub resource: BTreeMap<String, String>,
}

const SERVICE_NAME: &str = "twinread";

// === impl Config ===

impl Config {
    /// Who the spans and metrics come from. `env` looks up an environment variable.
    pub fn resource(&self, env: otlp::Env<'_>) -> Resource {
        let name = self.service_name.clone();
        let name = name.or_else(|| env("OTEL_SERVICE_NAME"));
        let attributes = self
            .resource
            .iter()
            .map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        Resource::builder()
            .with_service_name(name.unwrap_or_else(|| SERVICE_NAME.to_owned()))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attributes(attributes)
            .build()
    }
}
