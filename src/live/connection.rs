//! The requests of one connection: each is checked, freed of the headers of this connection, observed and forwarded.

use super::{
    body::{request::RequestBody, response::ResponseBody},
    control,
    forward::{Forward, Forwarding},
    http1::hop::{self, Mark, Marks},
    limits::ListenerLimits,
    problem::Problem,
    sample::{Observed, Sampler},
    settings::LiveSettings,
    switch::{Switch, Undecided},
};
use crate::{
    http_client::{Instance, WriterHandle},
    ledger::Gauges,
    sample::Wish,
    settings::Current,
};
use futures_util::future::Either;
use http::{HeaderValue, Method, Request, Response, Version, header::UPGRADE};
use http_body::Body;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Instant,
};

/// The service of one connection.
#[derive(Debug)]
pub(super) struct ConnectionService {
    pub(super) shared: Arc<Shared>,
    pub(super) caller: Arc<Caller>,
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) live: Current<LiveSettings>,
    /// For finding requests that run in a loop.
    pub(super) instance: Option<Instance>,
    pub(super) sampler: Arc<Sampler>,
    pub(super) forward: Forward,
}

/// The caller's side of a connection.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) writer: Arc<WriterHandle>,
    pub(super) switch: Switch,
    pub(super) limits: ListenerLimits,
    pub(super) gauges: Gauges,
    /// Requests whose answer has not ended.
    exchanges: AtomicUsize,
}

/// Exists from a request to the end of its answer. Meanwhile, the idle timeout for the caller does not run.
#[derive(Debug)]
pub(super) struct Exchange(pub(super) Arc<Caller>);

/// A request without the headers of the caller's connection.
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

/// A request to switch protocols.
#[derive(Debug)]
pub(super) struct Upgrade {
    pub(super) protocol: HeaderValue,
    pub(super) connection: OnUpgrade,
    pub(super) decision: Undecided,
}

/// Waits for the answer to a request.
pub(super) struct Answering {
    answer: Forwarding,
    observed: Option<Observed>,
}

// === impl Caller ===

impl Caller {
    pub(super) fn new(limits: ListenerLimits, gauges: Gauges) -> Self {
        Self {
            writer: Arc::default(),
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

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.exchanges.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl ConnectionService ===

impl ConnectionService {
    fn admit(&self, request: Request<Incoming>) -> Result<Call, Problem> {
        let received = Instant::now();
        let mut request = request.map(RequestBody::new);
        let marks = Marks::of(request.headers());
        // With a body no upgrade can be granted, and the connection's reader does not wait for a decision.
        let asks_upgrade = marks.have(Mark::Upgrade) && request.body().is_end_stream();
        // From here on every end of the request, including a drop, decides the upgrade.
        let undecided = asks_upgrade.then(|| self.caller.switch.undecided());
        check_target(&request)?;
        let instance = self.shared.instance.as_ref();
        if instance.is_some_and(|instance| instance.is_in_loop(request.headers())) {
            self.caller.gauges.loops_refused.add(1);
            return Err(Problem::Loop);
        }
        let upgrade = undecided.and_then(|undecided| take_upgrade(&mut request, undecided));
        let live = self.shared.live.get();
        let wish = control::wish(request.headers(), marks, &live);
        let force = live.sampling.force_header.as_ref();
        hop::strip_request(request.headers_mut(), marks, force);
        Ok(Call {
            version: request.version(),
            request,
            live,
            caller: self.caller.begin(),
            received,
            marks,
            upgrade,
            wish,
        })
    }
}

impl hyper::service::Service<Request<Incoming>> for ConnectionService {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Either<Answering, Ready<Result<Response<ResponseBody>, Infallible>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        match self.admit(request) {
            Ok(mut call) => {
                let observed = self.shared.sampler.observe(&mut call);
                Either::Left(Answering {
                    answer: self.shared.forward.send(call),
                    observed: Some(observed),
                })
            }
            Err(problem) => Either::Right(ready(Ok(problem.answer()))),
        }
    }
}

// === impl Answering ===

impl Future for Answering {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer = ready!(self.answer.as_mut().poll(cx));
        if let Some(observed) = self.observed.take() {
            observed.answered(&mut answer);
        }
        Poll::Ready(Ok(answer))
    }
}

/// Takes the request for another protocol, if it may be granted.
fn take_upgrade(request: &mut Request<RequestBody>, decision: Undecided) -> Option<Box<Upgrade>> {
    let protocol = tunnelled_protocol(request)?;
    let connection = request.extensions_mut().remove::<OnUpgrade>()?;
    Some(Box::new(Upgrade {
        protocol,
        connection,
        decision,
    }))
}

/// The requested protocol. HTTP/2 is not tunnelled, because its requests would pass unseen.
fn tunnelled_protocol(request: &Request<RequestBody>) -> Option<HeaderValue> {
    let mut protocols = request.headers().get_all(UPGRADE).iter();
    let (Some(protocol), None) = (protocols.next(), protocols.next()) else {
        return None;
    };
    let names = protocol.to_str().ok()?;
    let is_http = names
        .split(',')
        .any(|name| matches!(name.trim().as_bytes(), [b'h' | b'H', ..]));
    let is_granted =
        request.version() == Version::HTTP_11 && request.method() != Method::CONNECT && !is_http;
    is_granted.then(|| protocol.clone())
}

/// A target has a path, or is `*` for OPTIONS (RFC 9112 3.2).
fn check_target(request: &Request<RequestBody>) -> Result<(), Problem> {
    let uri = request.uri();
    match *request.method() {
        Method::CONNECT => Err(Problem::Connect),
        Method::OPTIONS if uri.path() == "*" => Ok(()),
        _ if uri.path().starts_with('/') && is_http_or_origin(uri) => Ok(()),
        _ => Err(Problem::BadTarget),
    }
}

fn is_http_or_origin(uri: &http::Uri) -> bool {
    match uri.scheme_str() {
        None => uri.authority().is_none(),
        Some(scheme) => scheme == "http" || scheme == "https",
    }
}
