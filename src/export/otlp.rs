//! Finds the collector, and builds the exporters that send to it.
//!
//! The configuration overrides the environment, and a variable for one signal overrides that for all
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>). The exporters themselves read headers and
//! compression from the environment.

use crate::{
    http_client::{self, Connector, Via},
    ledger::Signal,
    spanned_yaml::{Choice, Form, http_url, is_reachable, reference, settings, without_user},
    transport::{ClientFiles, ClientTls, HTTP1, HTTP2},
};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig, tonic_types::metadata::MetadataMap,
};
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};

settings! {
    /// The section `telemetry.otlp` of the configuration; the environment decides fields that are `None`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Config: Default {
        /// Where the collector listens.
        #[setting(form: ENDPOINT)]
        pub endpoint: Option<String>,
        /// How it is spoken to.
        #[setting]
        pub protocol: Option<Protocol>,
        /// Sent with every export, such as a key of the collector.
        #[setting(default: "{}", secret: true)]
        pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
        /// How long one export may take.
        #[setting(range: "1ms..1m")]
        pub timeout: Option<Duration>,
        /// Whom to trust and what to show where the endpoint is https. Read at the start.
        #[setting]
        pub tls: ClientFiles,
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    #[default]
    Grpc,
    /// `http/protobuf`.
    Http,
}

/// Destination of one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub protocol: Protocol,
    /// For HTTP including the path, for gRPC the base url.
    pub url: String,
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    pub timeout: Duration,
    /// For an https url.
    pub tls: Option<ClientTls>,
}

/// Why nothing can be exported as configured.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    #[error("{name}: {message}")]
    File { name: String, message: String },
    #[error("telemetry.otlp.endpoint: expected http://host:port or https://host:port, found {}", without_user(.0))]
    Url(String),
    #[error("{name}: expected grpc or http/protobuf, found {value}")]
    Protocol { name: String, value: String },
    #[error("{name}: expected milliseconds, found {value}")]
    Timeout { name: String, value: String },
    #[error("the exporter refused its configuration")]
    Exporter(#[from] ExporterBuildError),
}

/// Looks up an environment variable; an empty one counts as absent.
pub(crate) type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

const ENDPOINT: Form<String> = Form {
    read: |at, _| {
        let what = "an absolute url such as http://127.0.0.1:4317";
        let (_, host) = http_url(at, what)?;
        if is_reachable(&host) {
            Ok(at.text()?.to_owned())
        } else {
            Err(at.expected(what).into())
        }
    },
    schema: |_| reference("url"),
};

/// Timeout of one export if neither configuration nor environment sets it.
const TIMEOUT: Duration = Duration::from_secs(5);

// === impl Protocol ===

impl Choice for Protocol {
    const WORDS: &'static [(&'static str, Self)] =
        &[("grpc", Self::Grpc), ("http/protobuf", Self::Http)];
}

// === impl Config ===

impl Config {
    /// The destination of `signal`; `None` without a collector. `tls` is what the section `tls` names, if it names
    /// anything.
    ///
    /// # Errors
    /// [`Invalid`] if the destination cannot be used.
    pub fn target(
        &self,
        signal: Signal,
        env: Env<'_>,
        tls: Option<&ClientTls>,
    ) -> Result<Option<Target>, Invalid> {
        let protocol = self.protocol(signal, env)?;
        let Some(url) = self.url(signal, protocol, env) else {
            return Ok(None);
        };
        let url = checked(url)?;
        let tls = match tls {
            _ if !url.starts_with("https:") => None,
            Some(tls) => Some(tls.clone()),
            None => Some(tls_of(signal, env)?),
        };
        Ok(Some(Target {
            protocol,
            tls,
            url,
            headers: self.headers.clone(),
            timeout: self.timeout(signal, env)?,
        }))
    }

    fn url(&self, signal: Signal, protocol: Protocol, env: Env<'_>) -> Option<String> {
        let with_path = |base: String| match protocol {
            Protocol::Grpc => base,
            Protocol::Http => format!("{}/v1/{}", base.trim_end_matches('/'), signal.into_str()),
        };
        if let Some(base) = &self.endpoint {
            return Some(with_path(base.clone()));
        }
        // A signal's own variable holds the whole url.
        let own = present(env, &variable(signal, "ENDPOINT"));
        own.or_else(|| present(env, "OTEL_EXPORTER_OTLP_ENDPOINT").map(with_path))
    }

    fn protocol(&self, signal: Signal, env: Env<'_>) -> Result<Protocol, Invalid> {
        match (self.protocol, first(env, signal, "PROTOCOL")) {
            (Some(protocol), _) => Ok(protocol),
            (None, None) => Ok(Protocol::default()),
            (None, Some((name, value))) => {
                Protocol::from_word(&value).ok_or(Invalid::Protocol { name, value })
            }
        }
    }

    fn timeout(&self, signal: Signal, env: Env<'_>) -> Result<Duration, Invalid> {
        match (self.timeout, first(env, signal, "TIMEOUT")) {
            (Some(timeout), _) => Ok(timeout),
            (None, None) => Ok(TIMEOUT),
            (None, Some((name, value))) => {
                let millis = value.parse().map(Duration::from_millis);
                millis.map_err(|_| Invalid::Timeout { name, value })
            }
        }
    }
}

// === impl Target ===

impl Target {
    /// Connects on first use. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Invalid::Exporter`].
    pub fn span_exporter(&self) -> Result<SpanExporter, Invalid> {
        let builder = SpanExporter::builder();
        Ok(match self.protocol {
            Protocol::Grpc => self.grpc(builder.with_tonic())?.build()?,
            Protocol::Http => self.http(builder.with_http())?.build()?,
        })
    }

    /// Connects on first use. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Invalid::Exporter`].
    pub fn metric_exporter(&self) -> Result<MetricExporter, Invalid> {
        let builder = MetricExporter::builder()
            .with_temporality(opentelemetry_sdk::metrics::Temporality::Cumulative);
        Ok(match self.protocol {
            Protocol::Grpc => self.grpc(builder.with_tonic())?.build()?,
            Protocol::Http => self.http(builder.with_http())?.build()?,
        })
    }

    fn grpc<B: WithExportConfig + WithTonicConfig>(&self, builder: B) -> Result<B, Invalid> {
        let headers = self.headers.iter().cloned().collect();
        let builder = builder
            .with_endpoint(&self.url)
            .with_timeout(self.timeout)
            .with_metadata(MetadataMap::from_headers(headers));
        Ok(match &self.tls {
            Some(tls) => builder.with_channel(self.channel(tls)?),
            None => builder,
        })
    }

    fn channel(&self, tls: &ClientTls) -> Result<Channel, Invalid> {
        let invalid = |_| Invalid::Url(self.url.clone());
        let endpoint = Endpoint::from_shared(self.url.clone()).map_err(invalid)?;
        let connector = self.connector(tls.speaking(HTTP2))?;
        let endpoint = endpoint.timeout(self.timeout);
        Ok(endpoint.connect_with_connector_lazy(connector))
    }

    fn connector(&self, tls: ClientTls) -> Result<Connector, Invalid> {
        let url = self.url.parse::<http::Uri>().ok();
        let authority = url.and_then(|url| url.authority().cloned());
        let authority = authority.ok_or_else(|| Invalid::Url(self.url.clone()))?;
        Ok(Connector::new(http_client::Target {
            via: Via::Tls(tls),
            connect_timeout: self.timeout,
            ..http_client::Target::new(authority)
        }))
    }

    fn http<B: WithExportConfig + WithHttpConfig>(&self, builder: B) -> Result<B, Invalid> {
        let headers = self.headers.iter();
        let headers = headers
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
        let builder = builder
            .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
            .with_endpoint(&self.url)
            .with_timeout(self.timeout)
            .with_headers(headers.collect());
        let Some(tls) = &self.tls else {
            return Ok(builder);
        };
        let connector = self.connector(tls.speaking(HTTP1))?;
        Ok(builder.with_http_client(HyperClient::new(connector, self.timeout, None)))
    }
}

/// What the environment says about TLS.
fn tls_of(signal: Signal, env: Env<'_>) -> Result<ClientTls, Invalid> {
    let [ca, cert, key] = ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"]
        .map(|suffix| first(env, signal, suffix));
    let path = |variable: &Option<(String, String)>| {
        let path = variable.as_ref().map(|(_, path)| path);
        path.map(Into::into)
    };
    let named = ClientFiles {
        ca: path(&ca),
        cert: path(&cert),
        key: path(&key),
        server_name: None,
    };
    named.load_once().map_err(|fault| {
        let variable = match fault.field {
            "ca" => ca,
            "cert" => cert,
            _ => key,
        };
        let name = variable.map_or_else(|| fault.field.to_owned(), |(name, _)| name);
        let message = fault.message;
        Invalid::File { name, message }
    })
}

fn checked(url: String) -> Result<String, Invalid> {
    match url.parse::<http::Uri>() {
        Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() => {
            Ok(url)
        }
        _ => Err(Invalid::Url(url)),
    }
}

/// The signal's own variable if set, else the one for all signals.
fn first(env: Env<'_>, signal: Signal, suffix: &str) -> Option<(String, String)> {
    let names = [
        variable(signal, suffix),
        format!("OTEL_EXPORTER_OTLP_{suffix}"),
    ];
    names
        .into_iter()
        .find_map(|name| present(env, &name).map(|value| (name, value)))
}

fn variable(signal: Signal, suffix: &str) -> String {
    let signal = signal.into_str().to_ascii_uppercase();
    format!("OTEL_EXPORTER_OTLP_{signal}_{suffix}")
}

pub(super) fn present(env: Env<'_>, name: &str) -> Option<String> {
    env(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(config: &Config, env: &[(&str, &str)]) -> Result<Option<Target>, Invalid> {
        let lookup = |name: &str| {
            let found = env.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        config.target(Signal::Traces, &lookup, None)
    }

    #[test]
    fn nothing_is_exported_unless_somebody_names_a_collector() {
        assert_eq!(target(&Config::default(), &[]).unwrap(), None);
        let empty = [("OTEL_EXPORTER_OTLP_ENDPOINT", "")];
        assert_eq!(target(&Config::default(), &empty).unwrap(), None);
    }

    #[test]
    fn the_file_goes_before_the_environment_and_a_signal_before_all() {
        let env = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318/"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
        ];
        let all = target(&Config::default(), &env).unwrap().unwrap();
        assert_eq!(all.url, "http://all:4318/v1/traces");
        assert_eq!(all.protocol, Protocol::Http);
        assert_eq!(all.timeout, Duration::from_millis(1500));

        let own = [
            env[0],
            env[1],
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://own/in"),
        ];
        let own = target(&Config::default(), &own).unwrap().unwrap();
        assert_eq!(own.url, "http://own/in");
        assert_eq!(own.timeout, TIMEOUT);

        let config = Config {
            endpoint: Some("http://file:4317".to_owned()),
            protocol: Some(Protocol::Grpc),
            ..Config::default()
        };
        let file = target(&config, &env).unwrap().unwrap();
        assert_eq!(file.url, "http://file:4317");
        assert_eq!(file.protocol, Protocol::Grpc);
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        for (name, value, message) in [
            (
                "OTEL_EXPORTER_OTLP_CERTIFICATE",
                "/nowhere/ca.pem",
                "OTEL_EXPORTER_OTLP_CERTIFICATE: cannot read /nowhere/ca.pem: No such file or directory (os error 2)",
            ),
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "c:4317",
                "telemetry.otlp.endpoint: expected http://host:port or https://host:port, found c:4317",
            ),
            (
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
                "http/json",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: expected grpc or http/protobuf, found http/json",
            ),
        ] {
            let default = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:4317");
            let error = target(&Config::default(), &[(name, value), default]).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
