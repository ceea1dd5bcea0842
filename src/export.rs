//! Exports what the checks found: traces and metrics to a collector, metrics to Prometheus, log lines.
//!
//! Nothing ever waits for an exporter: if a collector is down, slow or hanging, its data is dropped and counted.

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

/// The section `telemetry` of the configuration: what is sent where.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    pub otlp: otlp::Config,
    /// `None`: `OTEL_SERVICE_NAME`, or else `twinread`.
    pub service_name: Option<String>,
    /// Resource attributes, in addition to those of `OTEL_RESOURCE_ATTRIBUTES`.
    pub resource: BTreeMap<String, String>,
}

const SERVICE_NAME: &str = "twinread";

// === impl Config ===

impl Config {
    /// The resource of spans and metrics. `env` looks up an environment variable.
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
