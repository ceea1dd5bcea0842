//! One live request in the layers.

use super::{
    body::request::RequestBody,
    capture::{End, SharedCopy},
    http1::hop::Marks,
    limits::ListenerLimits,
    settings::LiveSettings,
    switch::{Switch, Undecided},
};
use crate::{
    http_client::WriterHandle,
    ledger::{Gauges, Ledger, Route},
    route::{Access, Head, Keys, Naming},
    sample::Wish,
};
use http::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use hyper::upgrade::OnUpgrade;
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

/// A request as the layers see it, without the headers of the caller's connection.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) request: Request<RequestBody>,
    /// The settings for this request, from its beginning to its end.
    pub(super) live: Arc<LiveSettings>,
    pub(super) caller: Exchange,
    pub(super) version: Version,
    pub(super) received: Instant,
    pub(super) marks: Marks,
    pub(super) upgrade: Option<Box<Upgrade>>,
    pub(super) wish: Wish,
}

/// The connection of a request.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) line: Arc<WriterHandle>,
    pub(super) switch: Switch,
    pub(super) limits: ListenerLimits,
    pub(super) gauges: Gauges,
    /// Requests whose answer has not ended.
    exchanges: AtomicUsize,
}

/// Exists from a request to the end of its answer. Meanwhile, the idle timeout for the caller does not run.
#[derive(Debug)]
pub(super) struct Exchange(Arc<Caller>);

/// A request to switch protocols.
#[derive(Debug)]
pub(super) struct Upgrade {
    pub(super) protocol: http::HeaderValue,
    pub(super) connection: OnUpgrade,
    pub(super) decision: Undecided,
}

/// The route of a request.
#[derive(Clone, Debug)]
pub(super) enum Routing {
    Known(Named),
    /// Known once the request's body is complete.
    ByBody(Arc<Unnamed>),
}

/// A route, and its own sampling rate.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) route: Route,
    pub(super) rate: Option<f64>,
    is_declared: bool,
}

/// A request whose route depends on its body.
#[derive(Debug)]
pub(super) struct Unnamed {
    pub(super) head: OwnedHead,
    pub(super) recording: SharedCopy,
    live: Arc<LiveSettings>,
    ledger: Ledger,
    named: OnceLock<Named>,
}

/// The head of a request, kept until its body is complete.
#[derive(Clone, Debug)]
pub(super) struct OwnedHead {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
}

// === impl Caller ===

impl Caller {
    pub(super) fn new(limits: ListenerLimits, gauges: Gauges) -> Self {
        Self {
            line: Arc::default(),
            switch: Switch::default(),
            limits,
            gauges,
            exchanges: AtomicUsize::new(0),
        }
    }

    pub(super) fn begin(self: &Arc<Self>) -> Exchange {
        self.exchanges.fetch_add(1, Ordering::Relaxed);
        Exchange(self.clone())
    }

    /// Whether every answer has ended.
    pub(super) fn is_idle(&self) -> bool {
        self.exchanges.load(Ordering::Relaxed) == 0
    }
}

// === impl Exchange ===

impl Exchange {
    pub(super) fn caller(&self) -> &Arc<Caller> {
        &self.0
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.exchanges.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Call ===

impl Call {
    pub(super) fn head(&self) -> Head<'_> {
        head(
            self.request.method(),
            self.request.uri(),
            self.request.headers(),
        )
    }
}

// === impl Routing ===

impl Routing {
    /// The route, which must be known by now. An incomplete body counts as empty.
    pub(super) fn named(&self) -> &Named {
        match self {
            Self::Known(named) => named,
            Self::ByBody(unnamed) => unnamed.named(),
        }
    }
}

// === impl Named ===

impl Named {
    /// `None` if the name depends on a body that is not given.
    pub(super) fn of(
        live: &LiveSettings,
        ledger: &Ledger,
        head: &Head<'_>,
        body: Option<&[u8]>,
    ) -> Option<Self> {
        match live.routes.name(head, body) {
            Naming::Named(name, Some(entry)) => Some(Self {
                route: ledger.route(&name),
                rate: entry.sample(),
                is_declared: true,
            }),
            Naming::Named(name, None) => Some(Self {
                route: ledger.undeclared(&name),
                rate: None,
                is_declared: false,
            }),
            Naming::NeedsBody => None,
        }
    }

    /// Counts the request by its answer. Names are only learned from paths that exist, so that probes of invented paths
    /// do not blur other names.
    pub(super) fn count_answer(&self, ledger: &Ledger, method: &Method, status: StatusCode) {
        self.route.count_live(method, Some(status));
        if !self.is_declared && (status.is_success() || status == StatusCode::NOT_MODIFIED) {
            ledger.learn(&self.route);
        }
    }
}

// === impl Unnamed ===

impl Unnamed {
    pub(super) fn new(
        head: OwnedHead,
        recording: SharedCopy,
        live: Arc<LiveSettings>,
        ledger: Ledger,
    ) -> Self {
        Self {
            head,
            recording,
            live,
            ledger,
            named: OnceLock::new(),
        }
    }

    fn named(&self) -> &Named {
        self.named.get_or_init(|| {
            self.with_body(|body| {
                Named::of(&self.live, &self.ledger, &self.head.borrow(), Some(body))
                    .expect("with a body given there must be a name")
            })
        })
    }

    /// The keys that it writes, as far as its body is known.
    pub(super) fn keys(&self) -> Keys {
        let routes = &self.live.routes;
        self.with_body(|body| routes.keys(&self.head.borrow(), Some(body), Access::Write))
    }

    fn with_body<T>(&self, use_it: impl FnOnce(&[u8]) -> T) -> T {
        let tape = self.recording.tape();
        use_it(match tape.end() {
            End::Whole => tape.kept(),
            _ => &[],
        })
    }
}

// === impl OwnedHead ===

impl OwnedHead {
    pub(super) fn of(request: &Request<RequestBody>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        }
    }

    pub(super) fn borrow(&self) -> Head<'_> {
        head(&self.method, &self.uri, &self.headers)
    }
}

fn head<'h>(method: &'h Method, uri: &'h Uri, headers: &'h HeaderMap) -> Head<'h> {
    Head {
        method,
        path: uri.path(),
        query: uri.query(),
        headers,
    }
}
