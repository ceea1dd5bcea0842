//! Reads the whole configuration from the merged tree.

use super::{
    addresses::{self, Addresses, Checked, LISTENERS},
    load::Inputs,
    sections::{Sections, Writes, WritesBy},
    stacks::{StackSection, StackUrl},
    warnings::{self, Valid},
};
use crate::{
    compare::CompareConfig,
    http_client::{Instance, Target},
    route::Routes,
    serve::{self, Serve},
    settings::{Capture, ListenerLimits},
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, Node, Section, Setting},
    stack::Stack,
    transport::{Address, ClientTls, ServerTls, is_same_socket},
};
use http::HeaderName;
use std::sync::Arc;

/// The validated configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// As the layers say it.
    pub settings: Sections,
    pub old: Arc<Target>,
    pub new: Arc<Target>,
    /// A second instance of the old stack.
    pub control: Option<Arc<Target>>,
    pub listen_tls: Option<ServerTls>,
    pub admin_tls: Option<ServerTls>,
    /// `None` if `telemetry.otlp.tls` names no files.
    pub collector_tls: Option<ClientTls>,
    /// Those of the settings, then those of the OpenAPI documents; they hide what `redact.fields` names.
    pub routes: Arc<Routes>,
    /// The compiled rules, with the section `compare`.
    pub comparing: Arc<CompareConfig>,
    /// Whether old and new are the same stack, as `allow_same_stack` permits. A verdict on such a run is never safe.
    pub is_same_stack: bool,
    /// Warnings: not errors, but worth attention.
    pub warnings: Vec<ConfigError>,
}

/// The stacks' addresses, compared with each other and with our own.
struct Stacks {
    old: Target,
    new: Target,
    control: Option<Target>,
    checked: Checked,
}

// === impl Config ===

impl Config {
    /// Reads the whole tree.
    ///
    /// # Errors
    /// Every fault of every section except `rules`, which is compiled before.
    pub(super) fn read(at: &Cursor<'_>, inputs: &Inputs) -> Result<Self, ConfigErrors> {
        let mut faults = ConfigErrors::default();
        let settings = faults.collect(Sections::read(at));
        // Each check reads its own part, because it must not be left out for a fault elsewhere.
        faults.collect(check_admin(at));
        faults.collect(check_listeners(at));
        faults.collect(check_path(at));
        faults.collect(check_serve(at));
        faults.collect(check_capture(at));
        faults.collect(check_version_header(at));
        let stacks = faults.collect(Stacks::read(at, inputs)).flatten();
        let Some((mut settings, stacks)) = settings.zip(stacks) else {
            return Err(faults);
        };
        let routes = settings.routes.clone();
        let routes = routes.followed_by(&inputs.documents.routes);
        let routes = routes.hiding(settings.redact.fields.clone());
        let rules = &inputs.rules.set;
        let mut warnings = stacks.checked.warnings;
        let valid = Valid {
            settings: &settings,
            routes: &routes,
            rules,
            descriptors: &inputs.described.descriptors,
            has_asked: settings.grpc.reflection.is_none() || inputs.described.reflected().is_some(),
        };
        warnings.extend(warnings::of(at, valid));
        let descriptors = &inputs.described.descriptors;
        settings.reads = Arc::new(settings.reads.without_streams(descriptors));
        let comparing = CompareConfig {
            descriptors: descriptors.clone(),
            ..CompareConfig::new(rules.clone(), settings.compare.clone())
        };
        faults.into_result(Self {
            old: Arc::new(stacks.old),
            new: Arc::new(stacks.new),
            control: stacks.control.map(Arc::new),
            listen_tls: inputs.certificates.listen.clone(),
            admin_tls: inputs.certificates.admin.clone(),
            collector_tls: inputs.certificates.collector.clone(),
            routes: Arc::new(routes),
            comparing: Arc::new(comparing),
            is_same_stack: stacks.checked.is_same_stack,
            warnings,
            settings,
        })
    }

    /// Marks every request to a stack with the instance that sends it.
    #[must_use]
    pub fn sent_by(&self, instance: &Instance) -> Self {
        let mark = |target: &Arc<Target>| {
            let mut target = Target::clone(target);
            target.instance = Some(instance.clone());
            Arc::new(target)
        };
        Self {
            old: mark(&self.old),
            new: mark(&self.new),
            control: self.control.as_ref().map(mark),
            ..self.clone()
        }
    }
}

// === impl Stacks ===

impl Stacks {
    /// `None` if one of the stacks cannot be read, which is reported elsewhere.
    fn read(root: &Cursor<'_>, inputs: &Inputs) -> Result<Option<Self>, ConfigErrors> {
        let tls = &inputs.certificates;
        let old = value::<StackSection>(root, &["old"]);
        let new = value::<StackSection>(root, &["new"]);
        let limits = value::<ListenerLimits>(root, &["limits"]);
        let max_headers = limits.map_or(0, |limits| limits.headers.get());
        let max_headers = max_headers.max(Target::MIN_HEADERS);
        let old = old.and_then(|old| old.endpoint.target(max_headers, tls.old.as_ref()));
        let new = new.and_then(|new| new.endpoint.target(max_headers, tls.new.as_ref()));
        let control = control(root, old.as_ref(), new.as_ref(), tls.old.as_ref())?;
        let same_stack = value::<bool>(root, &["allow_same_stack"]);
        let all = old.zip(new).zip(same_stack.zip(limits));
        let Some(((old, new), (allows_same_stack, _))) = all else {
            return Ok(None);
        };
        let addresses = Addresses {
            listeners: listeners(root).collect(),
            old: &old,
            new: &new,
            control: control.as_ref(),
            allows_same_stack,
        };
        let checked = addresses.check(root, &inputs.hosts)?;
        Ok(Some(Self {
            old,
            new,
            control,
            checked,
        }))
    }
}

/// The control instance: the old stack at another address.
fn control(
    root: &Cursor<'_>,
    old: Option<&Target>,
    new: Option<&Target>,
    tls: Option<&ClientTls>,
) -> Result<Option<Target>, ConfigError> {
    let Some(url) = value::<StackUrl>(root, &["control", "url"]) else {
        return Ok(None);
    };
    let control = old.and_then(|old| Some((old, url.via(tls, old.http2)?)));
    let control = control.map(|(old, via)| Target {
        authority: url.authority.clone(),
        via,
        base_path: url.base_path,
        ..old.clone()
    });
    let is_new = |control: &Target| new.is_some_and(|new| new.url() == control.url());
    // Otherwise every defect would count as noise.
    if control.as_ref().is_some_and(is_new) {
        let at = addresses::at(root, &["control", "url"]);
        return Err(at.expected("another instance of the old stack, not the new one"));
    }
    Ok(control)
}

/// The value at `path`, if it is there and has no fault.
fn value<T: Setting>(root: &Cursor<'_>, path: &[&str]) -> Option<T> {
    let at = addresses::at(root, path);
    T::of_node(&at).ok().filter(|_| !at.node.is_null())
}

fn check_admin(root: &Cursor<'_>) -> Result<(), ConfigError> {
    let Some(admin) = value::<Address>(root, &["admin"]) else {
        return Ok(());
    };
    let at = addresses::at(root, &["admin"]);
    let token = root.node.get("admin_token");
    if token.is_none_or(Node::is_null) && !admin.is_local() {
        let message = format!(
            "without an admin_token only a loopback address or a unix socket is accepted, found `{admin}`"
        );
        return Err(at.fault(message));
    }
    Ok(())
}

/// Our own addresses, by the paths of their settings.
fn listeners(root: &Cursor<'_>) -> impl Iterator<Item = (&'static [&'static str], Address)> {
    let read = move |path| Some((path, value(root, path)?));
    LISTENERS.into_iter().filter_map(read)
}

/// None of our listeners may take another one's address.
fn check_listeners(root: &Cursor<'_>) -> Result<(), ConfigErrors> {
    let mut faults = ConfigErrors::default();
    let listeners: Vec<_> = listeners(root).collect();
    for (index, (path, address)) in listeners.iter().enumerate() {
        let mut earlier = listeners[..index].iter();
        if let Some((by, other)) = earlier.find(|(_, other)| collide(other, address)) {
            let message = format!("`{address}` is taken by {}, `{other}`", by.join("."));
            faults.push(addresses::at(root, path).fault(message));
        }
    }
    faults.into_result(())
}

/// Out of the path, requests have to come in another way, and the switch is not ours.
fn check_path(root: &Cursor<'_>) -> Result<(), ConfigErrors> {
    let mut faults = ConfigErrors::default();
    let listen = addresses::at(root, &["listen"]);
    let intakes = [["mirror", "listen"], ["ext_proc", "listen"]];
    let is_set = |path: &[&str; 2]| value::<Address>(root, path).is_some();
    if listen.node.is_null() && !intakes.iter().any(is_set) {
        let message = "null takes twinread out of the path, and then mirror.listen or ext_proc.listen has to be set";
        faults.push(listen.fault(message));
    }
    let serve = value::<Serve>(root, &["serve"]).filter(|_| listen.node.is_null());
    if serve.is_some_and(|serve| serve.serves(Stack::New)) {
        let message =
            "nobody is served from here while listen is null, expected the old stack for all";
        faults.push(addresses::at(root, &["serve"]).fault(message));
    }
    faults.into_result(())
}

/// A partial percent needs `serve.by`. Writes to the new stack need somebody who writes to the old one.
fn check_serve(root: &Cursor<'_>) -> Result<(), ConfigErrors> {
    let mut faults = ConfigErrors::default();
    let Some(serve) = value::<Serve>(root, &["serve"]) else {
        return Ok(());
    };
    if serve.has_partial_percent() && serve.by.is_none() {
        let message = format!("a percent between 0 and 100 needs {}", serve::KEY);
        faults.push(addresses::at(root, &["serve", "by"]).fault(message));
    }
    let writes = value::<Writes>(root, &["writes"]);
    if serve.writes == Stack::New && writes.is_some_and(|writes| writes.by == WritesBy::Nobody) {
        let message =
            "nothing writes to the old stack then, expected old, or writes.by: application";
        faults.push(addresses::at(root, &["serve", "writes"]).fault(message));
    }
    faults.into_result(())
}

/// Whether both cannot be bound at once. Port 0 is any free one.
fn collide(one: &Address, other: &Address) -> bool {
    let (one, other) = match (one, other) {
        (Address::Tcp(one), Address::Tcp(other)) => (one, other),
        (Address::Unix(one), Address::Unix(other)) => return is_same_socket(one, other),
        _ => return false,
    };
    let same_ip =
        one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && same_ip
}

fn check_capture(root: &Cursor<'_>) -> Result<(), ConfigError> {
    let capture = value::<Capture>(root, &["capture"]);
    if capture.is_some_and(|capture| capture.max_body > capture.max_total) {
        let at = addresses::at(root, &["capture"]);
        return Err(at.fault("max_body is more than max_total"));
    }
    Ok(())
}

/// A redacted header cannot name the build, because its value would be shown.
fn check_version_header(root: &Cursor<'_>) -> Result<(), ConfigError> {
    let path = ["epoch", "version_header"];
    let redacted = value::<Vec<HeaderName>>(root, &["redact", "headers"]).unwrap_or_default();
    match value::<HeaderName>(root, &path).filter(|name| redacted.contains(name)) {
        Some(name) => Err(addresses::at(root, &path).fault(format!(
            "`{name}` is one of redact.headers, and versions are shown"
        ))),
        None => Ok(()),
    }
}
