//! The requests of one connection: each is checked, freed of the headers of this connection, observed and forwarded.

use super::{
    access_log::Line,
    body::{
        request::RequestBody,
        response::{Origin, ResponseBody},
    },
    control::{self, Asked},
    ending::Ending,
    forward::{Forward, Forwarding},
    forwarded::Scheme,
    http2::websocket,
    problem::Problem,
    proxies::Proxies,
    sample::{Observed, Sampler},
    settings::LiveSettings,
    switch::{Switch, Undecided},
    target,
};
use crate::{
    heads::{
        hop::{self, Mark, Marks},
        http2::{adapt, head_bytes, is_grpc},
    },
    http_client::{Health, Instance, NoAnswer, WriterHandle},
    ledger::{AnsweredBy, Bound, Gauges, LiveFailure, Timings},
    settings::{Current, ListenerLimits},
    stack::Stack,
};
use futures_util::{future::Either, task::AtomicWaker};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header::UPGRADE};
use http_body::Body;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    net::IpAddr,
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
    pub(super) proxies: Proxies,
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
    observers: Arc<Observers>,
    /// Its address, as its proxy names it; `None` on a socket without addresses.
    pub(super) peer: Option<IpAddr>,
    pub(super) scheme: Scheme,
    pub(super) ending: Option<Ending>,
    /// Requests whose answer has not ended.
    exchanges: AtomicUsize,
    /// Woken when the last of them ends.
    pub(super) idle: AtomicWaker,
}

/// Where requests are reported; the ledger is apart.
#[derive(Debug)]
pub(super) struct Observers {
    pub(super) timings: Timings,
    /// Old first.
    pub(super) stacks: [Arc<Health>; 2],
}

/// Exists from a request to the end of its answer. Meanwhile, the idle timeout for the caller does not run.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) caller: Arc<Caller>,
    pub(super) received: Instant,
    /// `None` until there is an answer.
    answered_by: Option<AnsweredBy>,
    /// `None` if the request is not logged.
    pub(super) line: Option<Box<Line>>,
}

/// A request without the headers of the caller's connection.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) request: Request<RequestBody>,
    /// The settings for this request, from its beginning to its end.
    pub(super) live: Arc<LiveSettings>,
    pub(super) exchange: Exchange,
    pub(super) version: Version,
    pub(super) marks: Marks,
    pub(super) upgrade: Option<Box<Upgrade>>,
    pub(super) asked: Asked,
    pub(super) primary: Stack,
    /// A read by its head, and no upgrade: it may be sent to both stacks.
    pub(super) is_read: bool,
}

/// A request that no stack receives.
struct RefusedRequest {
    problem: Problem,
    exchange: Exchange,
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
    pub(super) fn new(
        limits: ListenerLimits,
        gauges: Gauges,
        observers: Arc<Observers>,
        peer: Option<IpAddr>,
    ) -> Self {
        Self {
            writer: Arc::default(),
            switch: Switch::default(),
            limits,
            gauges,
            observers,
            peer,
            scheme: Scheme::Http,
            ending: None,
            exchanges: AtomicUsize::new(0),
            idle: AtomicWaker::new(),
        }
    }

    pub(super) fn begin(self: &Arc<Self>) -> Exchange {
        self.exchanges.fetch_add(1, Ordering::Relaxed);
        Exchange {
            caller: self.clone(),
            received: Instant::now(),
            answered_by: None,
            line: None,
        }
    }

    /// hyper has answered a head that it cannot read.
    pub(super) fn refused(&self, error: &hyper::Error, live: &Arc<LiveSettings>) {
        let (cause, status) = if error.is_parse_too_large() {
            self.gauges.bound_reached(Bound::Headers);
            // As hyper answers.
            let status = match error.to_string().as_str() {
                "URI too long" => StatusCode::URI_TOO_LONG,
                _ => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            };
            (LiveFailure::Limit, status)
        } else {
            (LiveFailure::BadRequest, StatusCode::BAD_REQUEST)
        };
        self.gauges.live_failed(cause);
        if let Some(line) = Line::unreadable(live, status) {
            line.write();
        }
    }

    /// Whether every answer has ended.
    pub(super) fn is_idle(&self) -> bool {
        self.exchanges.load(Ordering::Relaxed) == 0
    }
}

// === impl Exchange ===

impl Exchange {
    /// Moves into the body of the answer, so that it ends with it.
    pub(super) fn until_end_of(mut self, answer: &mut Response<ResponseBody>) {
        let origin = answer.body().origin;
        let by = origin.answered_by();
        self.answered_by = Some(by);
        if let Some(line) = &mut self.line {
            line.answered(by, answer.status());
        }
        if let Origin::Own(problem) = origin {
            self.caller.gauges.live_failed(problem.failure());
            if let Some(line) = &mut self.line {
                line.answered_with(problem);
            }
        }
        if answer.body().is_sent_unasked()
            && let Some(line) = &mut self.line
        {
            line.complete();
        }
        answer.body_mut().exchange = Some(self);
    }

    /// The stack broke off its answer.
    pub(super) fn truncated(&mut self) {
        self.caller.gauges.live_failed(LiveFailure::Truncated);
        let [old, new] = &self.caller.observers.stacks;
        match self.answered_by {
            Some(AnsweredBy::Old) => old.failed(NoAnswer::Truncated, None),
            Some(AnsweredBy::New) => new.failed(NoAnswer::Truncated, None),
            _ => {}
        }
        if let Some(line) = &mut self.line {
            line.truncated();
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.caller.exchanges.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.caller.idle.wake();
        }
        let took = self.received.elapsed();
        let observers = &self.caller.observers;
        if let Some(by) = self.answered_by {
            observers.timings.live(by, took);
        }
        if let Some(mut line) = self.line.take() {
            line.ended(took);
            line.write();
        }
    }
}

// === impl ConnectionService ===

impl ConnectionService {
    fn admit(&self, request: Request<Incoming>) -> Result<Call, RefusedRequest> {
        let mut exchange = self.caller.begin();
        let live = self.shared.live.get();
        exchange.line = Line::of(&request, &live);
        let mut request = request.map(RequestBody::new);
        let version = request.version();
        if version == Version::HTTP_2
            && let Err(problem) = self.translate(&mut request)
        {
            return Err(RefusedRequest { problem, exchange });
        }
        let marks = Marks::of(request.headers());
        // With a body no upgrade can be granted, and the connection's reader does not wait for a decision.
        let asks_upgrade = marks.have(Mark::Upgrade) && request.body().is_end_stream();
        // From here on every end of the request, including a drop, decides the upgrade.
        let undecided = asks_upgrade.then(|| self.caller.switch.undecided());
        if let Err(problem) = self.check(&request) {
            return Err(RefusedRequest { problem, exchange });
        }
        let upgrade = undecided.and_then(|undecided| take_upgrade(&mut request, undecided));
        let asked = control::asked(request.headers(), marks, &live);
        let ours = [&live.sampling.force_header, &live.serve.header];
        hop::strip_request(request.headers_mut(), marks, ours.map(Option::as_ref));
        let caller = (self.caller.peer, self.caller.scheme);
        live.forwarded.apply(&mut request, caller);
        Ok(Call {
            version,
            request,
            exchange,
            marks,
            upgrade,
            asked,
            // A read may have another one.
            primary: live.serve.writes,
            is_read: false,
            live,
        })
    }

    /// Makes a request of HTTP/2 one of HTTP/1.1.
    fn translate(&self, request: &mut Request<RequestBody>) -> Result<(), Problem> {
        let limits = &self.caller.limits;
        let bytes = head_bytes(request);
        if request.headers().len() > limits.headers.get() || bytes > limits.header_bytes {
            self.caller.gauges.bound_reached(Bound::Headers);
            return Err(Problem::HeadTooLarge);
        }
        websocket::ask(request);
        if request.method() != Method::CONNECT {
            adapt(request).map_err(|_| Problem::BadHead)?;
        }
        if !is_grpc(request.headers()) {
            request.body_mut().limit_stall(&self.caller);
        }
        Ok(())
    }

    fn check(&self, request: &Request<RequestBody>) -> Result<(), Problem> {
        target::check(request)?;
        let instance = self.shared.instance.as_ref();
        match instance.filter(|instance| instance.is_in_loop(request.headers())) {
            Some(_) => Err(Problem::Loop),
            None => Ok(()),
        }
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
            Err(RefusedRequest { problem, exchange }) => {
                let mut answer = problem.answer();
                exchange.until_end_of(&mut answer);
                Either::Right(ready(Ok(answer)))
            }
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
        if answer.body().is_for_http2() {
            websocket::grant(&mut answer);
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
