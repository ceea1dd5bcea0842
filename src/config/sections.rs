//! All settings: the root of the configuration, and the sections that no other module owns.

use super::stacks::{Control, StackSection};
use crate::{
    compare, export, intake,
    live::{AccessLog, Forwarded},
    redact::{self, Secret},
    route::Routes,
    sample::{Reads, Sampling},
    serve::Serve,
    settings::{Capture, Checks, Drain, ListenerLimits, QueueLimits},
    shadow::{Conditional, Recheck},
    spanned_yaml::{Change, Choice, Cursor, Form, Setting, reference, settings},
    stack::Stack,
    store,
    transport::{Address, InvalidAddress, ServerFiles, TrustedProxies},
    verdict,
};
use http::HeaderName;
use ipnet::IpNet;
use serde_json::json;
use std::sync::Arc;

settings! {
    /// Every setting, by its name in the file.
    #[derive(Clone, Debug)]
    pub struct Sections {
        /// Where callers send their requests: an address and port, or unix:/path; null: not in the path, and then
        /// mirror.listen or ext_proc.listen has to be set.
        #[setting(default: "127.0.0.1:8080")]
        pub listen: Option<Address>,
        /// Makes callers of `listen` speak TLS. Changed files take effect for new connections.
        #[setting(change: Change::File)]
        pub listen_tls: ServerFiles,
        /// Where the admin API listens; without an admin_token only a loopback address or unix:/path is accepted.
        #[setting(default: "127.0.0.1:9900")]
        pub admin: Address,
        /// The same for callers of `admin`.
        #[setting(change: Change::File)]
        pub admin_tls: ServerFiles,
        /// The bearer token that the admin API asks for.
        #[setting(secret: true, form: TOKEN)]
        pub admin_token: Option<String>,
        /// Whoever sends it in the header x-twinread-token of a live request may use control headers such as
        /// sample.force_header.
        #[setting(secret: true, change: Change::File)]
        pub live_token: Option<Secret>,
        /// Networks of proxies whose connections begin with a PROXY protocol header, version 1 or 2, such as 10.0.0.0/8;
        /// the header says who calls. Without a valid one their connections are closed.
        #[setting(default: "[]")]
        pub proxy_protocol: TrustedProxies,
        /// Whether old and new may be the same place, to see the noise of an A/A run; the verdict is then never safe.
        #[setting(default: "false")]
        pub allow_same_stack: bool,
        /// What becomes of x-forwarded-for, -proto and -host: they pass as they came, the caller is added, or they name
        /// the caller alone.
        #[setting(default: "keep", change: Change::File)]
        pub forwarded: Forwarded,
        /// One log line for each live request: for none, for all, or for errors (a status of 5xx, no whole answer, or
        /// one that twinread gave itself).
        #[setting(default: "none", change: Change::File)]
        pub access_log: AccessLog,
        /// Which stack answers callers.
        #[setting(change: Change::Runtime)]
        pub serve: Serve,
        /// How writes reach both stacks.
        #[setting(change: Change::File)]
        pub writes: Writes,
        /// Whether nothing is sampled for now.
        #[setting(default: "false", change: Change::Runtime)]
        pub paused: Checks,
        /// How much callers of the listener may take; each limit that is reached is counted.
        #[setting]
        pub limits: ListenerLimits,
        /// The stack that is to be replaced.
        #[setting]
        pub old: StackSection,
        /// The stack that is to serve in the end.
        #[setting]
        pub new: StackSection,
        /// A second instance of the old stack, to separate noise from difference; without one the old stack itself is read
        /// again.
        #[setting]
        pub control: Control,
        /// What may be replayed; the first that fits wins. Everything else is only forwarded.
        #[setting(change: Change::File)]
        pub reads: Arc<Reads>,
        /// What the messages of gRPC are made of.
        #[setting(change: Change::File)]
        pub grpc: Grpc,
        /// Names for figures and rules, tried in order.
        #[setting(default: "[]", change: Change::File)]
        pub routes: Routes,
        /// Files of OpenAPI documents (3, or 2.0): their paths become routes after those of `routes`, none of them
        /// required.
        #[setting(default: "[]", change: Change::File, form: FILES)]
        pub openapi: Vec<String>,
        /// Past so many every new route that is not declared is `other`.
        #[setting(default: "500", range: "1..100000")]
        pub max_routes: usize,
        /// Which reads are checked.
        #[setting(change: Change::Runtime)]
        pub sample: Sampling,
        /// What may be kept of live reads until their checks.
        #[setting(change: Change::Runtime)]
        pub capture: Capture,
        /// Samples that wait for their check.
        #[setting(change: Change::Runtime)]
        pub queue: QueueLimits,
        /// What differs is read again on both stacks.
        #[setting(change: Change::Runtime)]
        pub recheck: Recheck,
        /// A sampled read that the primary answered by its conditions (304, 412, a part by If-Range): read both again
        /// without them, or skip it.
        #[setting(default: "reread", change: Change::File)]
        pub conditional: Conditional,
        /// Copies of requests that another proxy mirrors here. They are answered 204 at once and never forwarded; the
        /// declared reads among them are read on both stacks.
        #[setting]
        pub mirror: intake::Mirror,
        /// What Envoy's external processing shows of each request and its answer; the live path stays Envoy's.
        #[setting]
        pub ext_proc: intake::ExtProc,
        /// Rule files, folders of them, and builtin:NAME, in order.
        #[setting(default: "['builtin:http']", change: Change::File, form: FILES)]
        pub rules: Vec<String>,
        /// How answers are compared.
        #[setting(change: Change::File)]
        pub compare: compare::Options,
        /// What is hidden of answers before they are logged, exported, stored or shown.
        #[setting(change: Change::File)]
        pub redact: redact::Config,
        /// Where checks are reported.
        #[setting]
        pub telemetry: export::Config,
        /// What the process logs about itself.
        #[setting]
        pub log: export::log::Config,
        /// What survives a restart.
        #[setting]
        pub store: store::Config,
        /// When the switch is safe.
        #[setting(change: Change::Runtime)]
        pub verdict: verdict::Limits,
        /// When figures begin again.
        #[setting]
        pub epoch: Epoch,
        /// How the process ends.
        #[setting]
        pub drain: Drain,
    }
}

settings! {
    /// The section `grpc`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Grpc: Default {
        /// Sets of file descriptors, .proto files, and folders of them, which imports are relative to. Messages of
        /// methods that they do not describe are compared as bytes.
        #[setting(default: "[]", form: FILES)]
        pub descriptors: Vec<String>,
        /// The stack that is asked by server reflection what describes its services, in the background. The files of
        /// `descriptors` win for what they define.
        #[setting]
        pub reflection: Option<Stack>,
    }
}

settings! {
    /// The section `writes`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Writes: Default {
        /// Who writes to both stacks: nobody, or the application itself.
        #[setting(default: "none")]
        pub by: WritesBy,
    }
}

/// Who writes to both stacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WritesBy {
    #[default]
    Nobody,
    Application,
}

settings! {
    /// The section `epoch`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Epoch: Default {
        /// Of the epoch that begins with the process.
        #[setting]
        pub label: Option<String>,
        /// In answers of the new stack: another value is another build, and begins an epoch.
        #[setting]
        pub version_header: Option<HeaderName>,
    }
}

/// A bearer token. It never appears in a fault.
const TOKEN: Form<String> = Form {
    read: |at, _| {
        let token = at.text().map_err(|_| at.fault("expected a text"))?;
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(at
                .fault("expected one or more visible ASCII characters")
                .into());
        }
        Ok(token.to_owned())
    },
    schema: |_| json!({"type": "string", "pattern": "^[!-~]+$"}),
};

/// Faults of this list are reported where its files are read.
const FILES: Form<Vec<String>> = Form {
    read: |at, _| {
        let items = at.items().unwrap_or_default();
        let texts = items.iter().filter_map(|at| at.text().ok());
        Ok(texts.map(str::to_owned).collect())
    },
    schema: |_| json!({"type": "array", "items": {"type": "string"}}),
};

// === impl WritesBy ===

impl Choice for WritesBy {
    const WORDS: &'static [(&'static str, Self)] =
        &[("none", Self::Nobody), ("application", Self::Application)];
}

// === impl Address ===

impl Setting for Address {
    const FORM: Form<Self> = Form {
        read: |at, _| match at.text().map_or(Err(InvalidAddress::Form), str::parse) {
            Ok(address) => Ok(address),
            Err(fault) => Err(at.expected(fault).into()),
        },
        schema: |_| reference("address"),
    };
}

// === impl TrustedProxies ===

impl Setting for TrustedProxies {
    const FORM: Form<Self> = Form {
        read: |at, _| {
            let network = |at: &Cursor<'_>| {
                let network = at.text().ok().and_then(|text| text.parse::<IpNet>().ok());
                let network = network.filter(|network| !is_mapped(network));
                Ok(network.ok_or_else(|| at.expected("a network such as 10.0.0.0/8"))?)
            };
            Ok(Self(at.each(network)?.into()))
        },
        schema: |_| json!({"type": "array", "items": {"type": "string"}}),
    };
}

/// Whether its addresses are those of IPv4, which no caller has in this form.
fn is_mapped(network: &IpNet) -> bool {
    matches!(network, IpNet::V6(network) if network.addr().to_ipv4_mapped().is_some())
}

// === impl Secret ===

impl Setting for Secret {
    const FORM: Form<Self> = Form {
        read: |at, range| (TOKEN.read)(at, range).map(|token| Self::new(&token)),
        schema: TOKEN.schema,
    };
}
