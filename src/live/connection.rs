//! The entry point of a connection's requests: removes the headers of this connection, and passes the requests to the
//! layers.

use super::{
    body::{request::RequestBody, response::ResponseBody},
    call::{Call, Caller, Upgrade},
    control,
    http1::hop::{self, Mark, Marks},
    problem::Problem,
    settings::LiveSettings,
    switch::Undecided,
};
use crate::{http_client::Instance, ledger::Gauges, settings::Current};
use futures_util::future::Either;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version, header::UPGRADE};
use http_body::Body;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use std::{
    cell::RefCell,
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    time::Instant,
};
use tower::Service;

/// The service of one connection.
#[derive(Debug)]
pub(super) struct ConnectionService<S> {
    layers: RefCell<S>,
    live: Current<LiveSettings>,
    caller: Arc<Caller>,
    loops: Loops,
}

/// Refuses requests that run in a loop.
#[derive(Clone, Debug)]
pub(super) struct Loops {
    instance: Option<Instance>,
    gauges: Gauges,
}

// === impl ConnectionService ===

impl<S> ConnectionService<S> {
    pub(super) fn new(
        layers: S,
        live: Current<LiveSettings>,
        caller: Arc<Caller>,
        loops: Loops,
    ) -> Self {
        Self {
            layers: RefCell::new(layers),
            live,
            caller,
            loops,
        }
    }

    fn admit(&self, request: Request<Incoming>) -> Result<Call, Problem> {
        let received = Instant::now();
        let mut request = request.map(RequestBody::new);
        let marks = Marks::of(request.headers());
        // With a body no upgrade can be granted, and the connection's reader does not wait for a decision.
        let asks_upgrade = marks.have(Mark::Upgrade) && request.body().is_end_stream();
        // From here on every end of the request, including a drop, decides the upgrade.
        let undecided = asks_upgrade.then(|| self.caller.switch.undecided());
        check_target(&request)?;
        self.loops.check(request.headers())?;
        let upgrade = undecided.and_then(|undecided| take_upgrade(&mut request, undecided));
        let live = self.live.get();
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

// === impl Loops ===

impl Loops {
    pub(super) fn new(instance: Option<Instance>, gauges: Gauges) -> Self {
        Self { instance, gauges }
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let instance = self.instance.as_ref();
        if instance.is_some_and(|instance| instance.is_in_loop(headers)) {
            self.gauges.loop_refused();
            return Err(Problem::Loop);
        }
        Ok(())
    }
}

impl<S> hyper::service::Service<Request<Incoming>> for ConnectionService<S>
where
    S: Service<Call, Response = Response<ResponseBody>, Error = Infallible>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response<ResponseBody>, Infallible>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        match self.admit(request) {
            // The layers are always ready.
            Ok(call) => Either::Left(self.layers.borrow_mut().call(call)),
            Err(problem) => Either::Right(ready(Ok(problem.answer()))),
        }
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
