//! Reads the whole configuration from the merged tree.

use super::{
    capture::{Capture, Queue},
    comparison, listener, not_yet,
    outputs::{self, Epoch, Telemetry},
    places::{Checked, Hosts, Places, SameStack},
    recheck::{self, Recheck},
    redaction, sampling,
    stacks::{self, Protection},
    values::{self, HOUR},
};
use crate::{
    compare::CompareConfig,
    export::log,
    http_client::{Instance, Target},
    live::{Checks, ListenerLimits},
    redact::{self, Secret},
    route::Routes,
    rules::RuleSet,
    sample::{Reads, Sampling},
    shadow::Conditional,
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, Fields, Node},
    stack::Stack,
    store,
    verdict::Limits,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// The validated configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    pub admin_token: Option<String>,
    /// Authorizes callers to control twinread by headers.
    pub live_token: Option<Secret>,
    /// Whether old and new are the same stack, as `allow_same_stack` permits. A verdict on such a run is never safe.
    pub is_same_stack: bool,
    /// Warnings: not errors, but worth attention.
    pub warnings: Vec<ConfigError>,
    /// The section `limits`; the field `limits` below is the section `verdict`.
    pub listener: ListenerLimits,
    /// The primary.
    pub serve_from: Stack,
    pub checks: Checks,
    pub old: Arc<Target>,
    pub new: Arc<Target>,
    /// A second instance of the old stack.
    pub control: Option<Arc<Target>>,
    /// For the new stack while it is the shadow.
    pub protection: Protection,
    pub reads: Arc<Reads>,
    pub routes: Arc<Routes>,
    pub max_routes: usize,
    pub sampling: Sampling,
    pub capture: Capture,
    pub queue: Queue,
    pub recheck: Recheck,
    pub conditional: Conditional,
    pub comparing: Arc<CompareConfig>,
    /// Time limit for aligning arrays and text.
    pub deadline: Duration,
    pub redact: redact::Config,
    pub telemetry: Telemetry,
    pub log: log::Config,
    pub store: store::Config,
    pub limits: Limits,
    pub epoch: Epoch,
    /// How long accepted checks may take after SIGTERM.
    pub grace: Duration,
}

/// The part of a [`Config`] about the results of checks.
struct OutputConfig {
    redact: redact::Config,
    telemetry: Telemetry,
    log: log::Config,
    store: store::Config,
    limits: Limits,
    epoch: Epoch,
    grace: Duration,
}

/// The part of a [`Config`] about listening: addresses and limits.
struct Addresses {
    listen: SocketAddr,
    listener: ListenerLimits,
    admin: SocketAddr,
    admin_token: Option<String>,
    live_token: Option<Secret>,
    same_stack: SameStack,
}

/// The part of a [`Config`] about the addresses of the stacks.
struct Stacks {
    old: Target,
    new: Target,
    control: Option<Target>,
    protection: Protection,
    checked: Checked,
}

// === impl Config ===

impl Config {
    /// Reads the whole tree.
    ///
    /// # Errors
    /// Every fault of every section except `rules`, which is compiled before.
    pub(super) fn read(
        at: &Cursor<'_>,
        rules: &Arc<RuleSet>,
        hosts: &Hosts,
    ) -> Result<Self, ConfigErrors> {
        let mut fields = not_yet::open(at.clone());
        let addresses = Addresses::take(&mut fields);
        let stacks = [("old", Stack::Old), ("new", Stack::New)];
        let serve_from = fields.optional("serve_from", |at| values::one_of(at, &stacks));
        let paused = [("true", Checks::Paused), ("false", Checks::Running)];
        let checks = fields.optional("paused", |at| values::one_of(at, &paused));
        let stacks = Stacks::take(&mut fields, addresses.as_ref(), hosts);
        let reads = fields.optional("reads", Reads::read);
        let routes = fields.optional("routes", Routes::read);
        let max_routes = fields.optional("max_routes", |at| values::count(at, 100_000));
        let sampling = fields.optional("sample", sampling::read);
        let capture = fields.optional("capture", Capture::read);
        let queue = fields.optional("queue", Queue::read);
        let recheck = fields.optional("recheck", Recheck::read);
        let conditional = fields.optional("conditional", recheck::conditional);
        fields.take("rules");
        let comparison = fields.optional("compare", comparison::read);
        let telling = OutputConfig::take(&mut fields);
        let read = || {
            let addresses = addresses?;
            let telling = telling?;
            let stacks = stacks?;
            let (options, deadline) = comparison?;
            let rules = rules.clone();
            Some(Self {
                listen: addresses.listen,
                admin: addresses.admin,
                admin_token: addresses.admin_token,
                live_token: addresses.live_token,
                is_same_stack: stacks.checked.is_same_stack,
                warnings: stacks.checked.warnings,
                listener: addresses.listener,
                serve_from: serve_from?,
                checks: checks?,
                old: Arc::new(stacks.old),
                new: Arc::new(stacks.new),
                control: stacks.control.map(Arc::new),
                protection: stacks.protection,
                reads: Arc::new(reads?),
                routes: Arc::new(routes?.hiding(telling.redact.fields.clone())),
                max_routes: max_routes?.get(),
                sampling: sampling?,
                capture: capture?,
                queue: queue?,
                recheck: recheck?,
                conditional: conditional?,
                comparing: Arc::new(CompareConfig { rules, options }),
                deadline,
                redact: telling.redact,
                telemetry: telling.telemetry,
                log: telling.log,
                store: telling.store,
                limits: telling.limits,
                epoch: telling.epoch,
                grace: telling.grace,
            })
        };
        let read = read().map(|config| config.warned(at));
        values::complete(fields, read)
    }

    /// Adds warnings about sections that do not fit together.
    fn warned(mut self, at: &Cursor<'_>) -> Self {
        let keys = sampling::too_few_keys(at, &self.sampling, &self.limits);
        self.warnings.extend(keys);
        self
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

// === impl OutputConfig ===

impl OutputConfig {
    fn take(fields: &mut Fields<'_>) -> Option<Self> {
        let redact = fields.optional("redact", redaction::read);
        let telemetry = fields.optional("telemetry", Telemetry::read);
        let log = fields.optional("log", outputs::log);
        let store = fields.optional("store", outputs::store);
        let limits = fields.optional("verdict", Limits::read);
        let redacted = redact.as_ref().map_or(&[][..], |redact| &redact.headers);
        let epoch = fields.optional("epoch", |at| outputs::epoch(at, redacted));
        let grace = fields.optional("drain", drain);
        Some(Self {
            redact: redact?,
            telemetry: telemetry?,
            log: log?,
            store: store?,
            limits: limits?,
            epoch: epoch?,
            grace: grace?,
        })
    }
}

// === impl Stacks ===

impl Stacks {
    /// `addresses` is `None` if they have a fault; then nothing is compared with them.
    fn take(fields: &mut Fields<'_>, addresses: Option<&Addresses>, hosts: &Hosts) -> Option<Self> {
        let old = fields.required("old", stacks::old);
        let new = fields.required("new", stacks::new);
        let of_control =
            |at: &Cursor<'_>| recheck::control(at, old.as_ref(), new.as_ref().map(|(new, _)| new));
        let control = fields.optional("control", of_control).flatten();
        let (addresses, mut old) = (addresses?, old?);
        let (mut new, protection) = new?;
        let mut control = control;
        let max_headers = addresses.listener.headers.get().max(Target::MIN_HEADERS);
        for target in [&mut old, &mut new].into_iter().chain(&mut control) {
            target.max_headers = max_headers;
        }
        let places = Places {
            listeners: [("listen", addresses.listen), ("admin", addresses.admin)],
            old: &old,
            new: &new,
            control: control.as_ref(),
            same_stack: addresses.same_stack,
        };
        let checked = places.check(fields.at(), hosts);
        let checked = fields.collect(checked)?;
        Some(Self {
            old,
            new,
            control,
            protection,
            checked,
        })
    }
}

// === impl Addresses ===

impl Addresses {
    fn take(fields: &mut Fields<'_>) -> Option<Self> {
        let listen = fields.optional("listen", address);
        let listener = fields.optional("limits", listener::read);
        let admin_token = fields.optional("admin_token", token);
        let live_token =
            fields.optional("live_token", |at| token(at).map(|text| Secret::new(&text)));
        let choices = [("true", SameStack::Allowed), ("false", SameStack::Refused)];
        let same_stack = fields.optional("allow_same_stack", |at| values::one_of(at, &choices));
        let token = fields.at().node.get("admin_token");
        let is_open = token.is_none_or(Node::is_null);
        let admin = fields.optional("admin", |at| {
            let admin = address(at)?;
            if is_open && !admin.ip().is_loopback() {
                let message = format!(
                    "without an admin_token only a loopback address is accepted, found `{admin}`"
                );
                return Err(at.fault(message));
            }
            match listen.filter(|listen| collide(*listen, admin)) {
                Some(listen) => Err(at.fault(format!("`{admin}` is taken by listen, `{listen}`"))),
                None => Ok(admin),
            }
        });
        Some(Self {
            listen: listen?,
            listener: listener?,
            admin: admin?,
            admin_token,
            live_token,
            same_stack: same_stack?,
        })
    }
}

fn address(at: &Cursor<'_>) -> Result<SocketAddr, ConfigError> {
    at.parse("an address and port such as 127.0.0.1:8080")
}

/// Whether both cannot be bound at once. Port 0 is any free one.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let same_ip =
        one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && same_ip
}

/// A bearer token. It never appears in a fault.
fn token(at: &Cursor<'_>) -> Result<String, ConfigError> {
    let token = at.text().map_err(|_| at.fault("expected a text"))?;
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(at.fault("expected one or more visible ASCII characters"));
    }
    Ok(token.to_owned())
}

fn drain(at: &Cursor<'_>) -> Result<Duration, ConfigErrors> {
    let mut fields = not_yet::open(at.clone());
    let grace = fields.optional("grace", |at| values::duration(at, Duration::ZERO, HOUR));
    values::complete(fields, grace)
}
