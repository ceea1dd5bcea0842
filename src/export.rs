//! Exports what the checks found: traces and metrics to a collector, metrics to Prometheus, log lines.
//!
//! Nothing ever waits for an exporter: if a collector is down, slow or hanging, its data is dropped and counted.

pub(crate) mod delivery;
pub(crate) mod log;
mod log_writer;
pub(crate) mod otlp;
pub(crate) mod prometheus;
pub(crate) mod span;
pub(crate) mod traces;

pub(crate) use delivery::Delivery;
pub(crate) use log_writer::{count_in, flush};
pub use otlp::Protocol;
pub(crate) use otlp::{Invalid, Target};
pub(crate) use prometheus::GaugeSource;
pub use prometheus::{Metrics, Push, Sources};
pub use traces::Traces;

use crate::{
    pipeline::{Trace, Traced},
    spanned_yaml::{Form, settings},
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::{
    Resource,
    resource::{EnvResourceDetector, TelemetryResourceDetector},
};
use serde_json::json;
use std::collections::BTreeMap;

settings! {
    /// The section `telemetry` of the configuration: what is sent where.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Config: Default {
        /// An OpenTelemetry collector; OTEL_EXPORTER_OTLP_* stand in for what is absent.
        #[setting]
        pub otlp: otlp::Config,
        /// The attribute service.name; null: OTEL_SERVICE_NAME, or twinread.
        #[setting(form: NAME)]
        pub service_name: Option<String>,
        /// Attributes of the resource.
        #[setting(default: "{}")]
        pub resource: BTreeMap<String, String>,
        /// link: a check is a trace of its own, linked to the live one; child: it is in the live trace.
        #[setting(default: "link")]
        pub trace: Trace,
        /// Which checks become spans: those that did not match, all or none.
        #[setting(default: "mismatch")]
        pub traced: Traced,
        /// Where a trace can be looked at; `{trace_id}` in it becomes its id. Stored examples link to it.
        #[setting(form: TRACE_URL)]
        pub trace_url: Option<String>,
    }
}

const NAME: Form<String> = Form {
    read: |at, _| match at.text()? {
        "" => Err(at.expected("a name").into()),
        name => Ok(name.to_owned()),
    },
    schema: |_| json!({"type": "string", "minLength": 1}),
};

const TRACE_URL: Form<String> = Form {
    read: |at, _| {
        let text = at.text()?;
        let is_url = text.starts_with("http://") || text.starts_with("https://");
        if is_url && text.contains(TRACE_ID) {
            Ok(text.to_owned())
        } else {
            Err(at
                .expected("a url such as https://traces.example/trace/{trace_id}")
                .into())
        }
    },
    schema: |_| json!({"type": "string", "pattern": r"^https?://.*\{trace_id\}"}),
};

const TRACE_ID: &str = "{trace_id}";

const SERVICE_NAME: &str = "twinread";

/// The version of OpenTelemetry's conventions that attributes are named by.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// The scope of all spans and metrics.
fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(SERVICE_NAME)
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(SCHEMA_URL)
        .build()
}

// === impl Config ===

impl Config {
    /// Where the trace with this id can be looked at.
    pub(crate) fn link(&self, trace_id: &str) -> Option<String> {
        let url = self.trace_url.as_ref()?;
        Some(url.replace(TRACE_ID, trace_id))
    }

    /// The resource of spans and metrics of the process `instance`. `env` looks up an environment variable.
    pub fn resource(&self, instance: &str, env: otlp::Env<'_>) -> Resource {
        let defaults = [
            KeyValue::new("service.name", SERVICE_NAME),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance.to_owned()),
        ];
        let name = self.service_name.clone();
        let name = name.or_else(|| env("OTEL_SERVICE_NAME"));
        let attributes = self.resource.iter();
        let attributes = attributes.map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        // The later ones win.
        Resource::builder_empty()
            .with_schema_url(defaults, SCHEMA_URL)
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_detector(Box::new(EnvResourceDetector::new()))
            .with_attributes(name.map(|name| KeyValue::new("service.name", name)))
            .with_attributes(attributes)
            .build()
    }
}
