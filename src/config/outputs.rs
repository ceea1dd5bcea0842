//! The sections `telemetry`, `log`, `store` and `epoch`: what is reported about checks, and where.

use super::{
    not_yet, stacks,
    values::{self, DAY, HOUR, MINUTE, MS},
};
use crate::{
    export::{self, Protocol, log, otlp},
    pipeline::Traced,
    shadow::Trace,
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, Data},
    store,
};
use http::{HeaderName, Uri};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use tracing::level_filters::LevelFilter;

/// The section `epoch`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Epoch {
    /// Label of the epoch that begins with the process.
    pub label: Option<String>,
    /// Header of the new stack's answers that names its build.
    pub version_header: Option<HeaderName>,
}

/// The section `telemetry`.
#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry {
    pub report: export::Config,
    pub trace: Trace,
    pub traced: Traced,
}

/// Ten years. A longer duration is a typing mistake.
const LONGEST_KEPT: Duration = Duration::from_secs(3_650 * DAY.as_secs());

// === impl Telemetry ===

impl Telemetry {
    pub(super) fn read(at: &Cursor<'_>) -> Result<Self, ConfigErrors> {
        let mut fields = not_yet::open(at.clone());
        let otlp = fields.optional("otlp", otlp);
        let service_name = fields.optional("service_name", name);
        let resource = fields.optional("resource", resource);
        let traces = [("link", Trace::Link), ("child", Trace::Child)];
        let trace = fields.optional("trace", |at| values::one_of(at, &traces));
        let choices = [
            ("mismatch", Traced::Mismatch),
            ("all", Traced::All),
            ("none", Traced::None),
        ];
        let traced = fields.optional("traced", |at| values::one_of(at, &choices));
        let read = || {
            let report = export::Config {
                otlp: otlp?,
                service_name,
                resource: resource?,
            };
            Some(Self {
                report,
                trace: trace?,
                traced: traced?,
            })
        };
        let read = read();
        values::complete(fields, read)
    }
}

fn name(at: &Cursor<'_>) -> Result<String, ConfigError> {
    match at.text()? {
        "" => Err(at.expected("a name")),
        name => Ok(name.to_owned()),
    }
}

fn resource(at: &Cursor<'_>) -> Result<BTreeMap<String, String>, ConfigErrors> {
    let mut faults = ConfigErrors::default();
    let mut attributes = BTreeMap::new();
    for (key, at) in at.entries()? {
        let value = at.text().map_err(ConfigErrors::from);
        if let Some(value) = faults.collect(value) {
            attributes.insert(key.name.clone(), value.to_owned());
        }
    }
    faults.into_result(attributes)
}

/// Absent fields stay `None`, because the environment comes between the configuration and the defaults.
fn otlp(at: &Cursor<'_>) -> Result<otlp::Config, ConfigErrors> {
    let mut fields = not_yet::open(at.clone());
    let endpoint = fields.optional("endpoint", endpoint);
    let protocols = [("grpc", Protocol::Grpc), ("http/protobuf", Protocol::Http)];
    let protocol = fields.optional("protocol", |at| values::one_of(at, &protocols));
    let headers = fields.optional("headers", |at| stacks::pairs(at, |_, name| Ok(name)));
    let timeout = fields.optional("timeout", |at| values::duration(at, MS, MINUTE));
    let config = headers.map(|headers| otlp::Config {
        endpoint,
        protocol,
        headers,
        timeout,
    });
    values::complete(fields, config)
}

fn endpoint(at: &Cursor<'_>) -> Result<String, ConfigError> {
    let what = "an absolute url such as http://127.0.0.1:4317";
    let uri: Uri = at.parse(what)?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(host)) if stacks::is_reachable(host) => Ok(at.text()?.to_owned()),
        (Some("https"), Some(_)) => Err(at.fault("https is not available yet, only http is")),
        _ => Err(at.expected(what)),
    }
}

/// Reads `log`.
pub(super) fn log(at: &Cursor<'_>) -> Result<log::Config, ConfigErrors> {
    let mut fields = not_yet::open(at.clone());
    let formats = [("text", log::Format::Text), ("json", log::Format::Json)];
    let format = fields.optional("format", |at| values::one_of(at, &formats));
    let levels = [
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("trace", LevelFilter::TRACE),
    ];
    let level = fields.optional("level", |at| values::one_of(at, &levels));
    let read = format.zip(level);
    let log = read.map(|(format, level)| log::Config { format, level });
    values::complete(fields, log)
}

/// Reads `store`.
pub(super) fn store(at: &Cursor<'_>) -> Result<store::Config, ConfigErrors> {
    let mut fields = not_yet::open(at.clone());
    let keep_mismatches = fields.optional("keep_mismatches", |at| values::count(at, 10_000_000));
    let keep_per_class = fields.optional("keep_per_class", |at| values::count(at, 100_000));
    let path = fields.optional("path", path);
    let keep = fields.optional("keep", |at| values::duration(at, HOUR, LONGEST_KEPT));
    let max_bytes = fields.optional("max_bytes", values::room);
    let read = || {
        Some(store::Config {
            path,
            keep_mismatches: keep_mismatches?.get(),
            keep_per_class: keep_per_class?.get(),
            keep: keep?,
            max_bytes,
            ..store::Config::default()
        })
    };
    let read = read();
    values::complete(fields, read)
}

/// The path of a file. Does not check that its folder exists: the configuration may be checked on another machine.
fn path(at: &Cursor<'_>) -> Result<PathBuf, ConfigError> {
    match at.text() {
        Ok(path) if !path.is_empty() => Ok(path.into()),
        _ => Err(at.expected("the path of a file")),
    }
}

/// Reads `epoch`. A redacted header cannot name the build, because its value would be shown.
pub(super) fn epoch(at: &Cursor<'_>, redacted: &[HeaderName]) -> Result<Epoch, ConfigErrors> {
    let mut fields = not_yet::open(at.clone());
    let label = fields.optional("label", |at| match &at.node.data {
        Data::Plain(label) | Data::Quoted(label) => Ok(label.clone()),
        _ => Err(at.expected("a text")),
    });
    let version_header = fields.optional("version_header", |at| {
        let name = stacks::header(at)?;
        if redacted.contains(&name) {
            Err(at.fault(format!(
                "`{name}` is one of redact.headers, and versions are shown"
            )))
        } else {
            Ok(name)
        }
    });
    fields.finish().into_result(Epoch {
        label,
        version_header,
    })
}
