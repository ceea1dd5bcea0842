//! The service that sends a request to the primary and receives its answer.

use super::{
    body::{
        request::RequestBody,
        response::{ResponseBody, Trailers, Unwanted},
    },
    connection::{Call, Exchange, Upgrade},
    http1::{
        expect_continue::{BodyGate, GateHandle},
        informational, upgrade,
    },
    problem::Problem,
    retry::{again, replayable},
};
use crate::{
    heads::hop::{self, Ambiguous, Mark, Marks},
    http_client::{Client, Error, Health, NoAnswer, PooledBody},
    ledger::timings::Timings,
    pipeline::CompactRequest,
    stack::Stack,
};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, UPGRADE},
    request::Parts,
};
use http_body::Body;
use hyper::upgrade::OnUpgrade;
use pin_project_lite::pin_project;
use std::{
    error::Error as StdError,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::time::{self, Sleep};

/// Forwards requests to the serving stack.
#[derive(Clone, Debug)]
pub(super) struct Forward(Arc<Stacks>);

#[derive(Debug)]
struct Stacks {
    /// By stack, [`Stack::Old`] first.
    clients: [Client<RequestBody>; 2],
    timings: Timings,
}

/// The parts of a request that its answer needs.
#[derive(Debug)]
struct Pending {
    method: Method,
    exchange: Exchange,
    version: Version,
    upgrade: Option<Box<Upgrade>>,
    handle: Option<GateHandle>,
    primary: Stack,
}

/// A read for the old stack, if the new one does not answer it.
#[derive(Debug)]
struct Rescue {
    request: CompactRequest,
    timeout: Duration,
    timer: Pin<Box<Sleep>>,
}

/// Why an answer of the primary does not reach the caller.
#[derive(Debug, thiserror::Error)]
enum Rejected {
    #[error(transparent)]
    Ambiguous(#[from] Ambiguous),
    #[error("it switches to a protocol that nobody asked for")]
    Unasked,
    /// A caller of HTTP/2 would take it for a granted one.
    #[error("it answers a request for another protocol without switching")]
    Ignored,
}

/// Resolves to the answer for the caller.
pub(super) type Forwarding = Pin<Box<dyn Future<Output = Response<ResponseBody>> + Send>>;
type Answered = Result<Response<PooledBody<RequestBody>>, Error>;
type Later = Pin<Box<dyn Future<Output = Answered> + Send>>;

pin_project! {
    /// Waits for the primary's answer. Written by hand, because an async block would store the answer's future twice.
    struct Waiting<F> {
        #[pin]
        answer: F,
        again: Option<CompactRequest>,
        rescue: Option<Box<Rescue>>,
        // Takes the place of `answer`.
        later: Option<Later>,
        pending: Option<Pending>,
        stacks: Arc<Stacks>,
        sent: Instant,
    }
}

const UNFINISHED: &str = "a future must not be polled after its end";

// === impl Forward ===

impl Forward {
    /// `clients` are by stack, [`Stack::Old`] first.
    pub(super) fn new(clients: [Client<RequestBody>; 2], timings: Timings) -> Self {
        Self(Arc::new(Stacks { clients, timings }))
    }

    /// Closes connections that have been idle for too long.
    pub(super) fn sweep(&self) {
        self.0.clients.iter().for_each(Client::sweep);
    }

    /// Sends a request to the primary.
    pub(super) fn send(&self, call: Call) -> Forwarding {
        let stacks = self.0.clone();
        let primary = call.primary;
        let client = &stacks.clients[primary as usize];
        let rescue = Rescue::of(&call);
        let (mut request, pending) = Pending::of(call, client);
        let again = replayable(&request, client.is_http2());
        pending.inform(&mut request);
        let sent = Instant::now();
        // `send` starts before the future is created, so that the future does not hold the request.
        let answer = client.send(request);
        Box::pin(Waiting {
            answer,
            again,
            rescue,
            later: None,
            pending: Some(pending),
            stacks,
            sent,
        })
    }
}

// === impl Waiting ===

impl<F: Future<Output = Answered>> Future for Waiting<F> {
    type Output = Response<ResponseBody>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let answer = match this.later {
                Some(later) => later.as_mut().poll(cx),
                None => this.answer.as_mut().poll(cx),
            };
            let pending = this.pending.as_mut().expect(UNFINISHED);
            if let Poll::Ready(Err(error)) = &answer
                && let Some(kept) = this.again.take_if(|kept| may_repeat(error, &kept.method))
            {
                *this.later = Some(this.stacks.clone().send_again(again(kept), pending));
                continue;
            }
            if let Some(rescue) = this.rescue.take_if(|rescue| rescue.is_due(&answer, cx)) {
                // It was for the new stack.
                *this.again = None;
                *this.later = Some(this.stacks.rescue(*rescue, pending, answer));
                *this.sent = Instant::now();
                continue;
            }
            let answer = ready!(answer);
            let pending = this.pending.take().expect(UNFINISHED);
            return Poll::Ready(this.stacks.answer(pending, answer, *this.sent));
        }
    }
}

// === impl Stacks ===

impl Stacks {
    fn send_again(self: Arc<Self>, mut request: Request<RequestBody>, pending: &Pending) -> Later {
        pending.inform(&mut request);
        let primary = pending.primary as usize;
        Box::pin(async move { self.clients[primary].send_fresh(request).await })
    }

    /// Sends a read to the old stack that the new one did not answer.
    fn rescue(&self, rescue: Rescue, pending: &mut Pending, answer: Poll<Answered>) -> Later {
        let health = self.clients[pending.primary as usize].health();
        match answer {
            Poll::Ready(Err(error)) => drop(problem(&error, pending.primary, health)),
            Poll::Pending => health.failed(NoAnswer::Timeout(rescue.timeout), None),
            Poll::Ready(Ok(_)) => {}
        }
        pending.exchange.caller.gauges.served_rescued.add(1);
        pending.primary = Stack::Old;
        let client = &self.clients[Stack::Old as usize];
        let (mut parts, body) = again(rescue.request).into_parts();
        client.target().prepare(&mut parts);
        let mut request = Request::from_parts(parts, body);
        pending.inform(&mut request);
        Box::pin(client.send(request))
    }

    fn answer(
        &self,
        mut pending: Pending,
        answer: Answered,
        sent: Instant,
    ) -> Response<ResponseBody> {
        let answered = Instant::now();
        let primary = pending.primary;
        let health = self.clients[primary as usize].health();
        let answer = match answer {
            Ok(answer) => pending.answer(answer, sent).map_err(|rejected| {
                health.failed(NoAnswer::Protocol, Some(&rejected));
                Problem::NoAnswer(primary, NoAnswer::Protocol)
            }),
            Err(error) => Err(problem(&error, primary, health)),
        };
        let answer = answer.inspect(|_| health.answered());
        let mut answer = answer.unwrap_or_else(Problem::answer);
        let added = (sent - pending.exchange.received) + answered.elapsed();
        self.timings.overhead(added);
        pending.exchange.until_end_of(&mut answer);
        answer
    }
}

/// Whether the stack certainly did not act on the request, or acting twice is the same as once.
fn may_repeat(error: &Error, method: &Method) -> bool {
    error.is_refused() || (error.is_stale() && method.is_idempotent())
}

/// Why there is no answer. Reports it if the stack is at fault.
fn problem(error: &Error, primary: Stack, health: &Health) -> Problem {
    let Some(why) = error.why() else {
        return match error {
            Error::RequestBody(error) if is_timeout(&**error) => Problem::BodyTimeout,
            _ => Problem::BadRequest,
        };
    };
    health.failed(why, error.source());
    Problem::NoAnswer(primary, why)
}

/// Whether one of its causes is a timeout.
fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let error_of_io = error.downcast_ref::<io::Error>();
        if error_of_io.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

// === impl Rescue ===

impl Rescue {
    /// `None` if the request may not be sent to another stack, or cannot be.
    fn of(call: &Call) -> Option<Box<Self>> {
        let rescue = &call.live.serve.rescue;
        if !rescue.enabled || call.primary == Stack::Old || !call.is_read {
            return None;
        }
        let request = replayable(&call.request, true)?;
        let timer = Box::pin(time::sleep(rescue.timeout));
        Some(Box::new(Self {
            request,
            timeout: rescue.timeout,
            timer,
        }))
    }

    /// Whether the new stack has failed.
    fn is_due(&mut self, answer: &Poll<Answered>, cx: &mut Context<'_>) -> bool {
        match answer {
            Poll::Ready(Ok(answer)) => matches!(answer.status().as_u16(), 502..=504),
            Poll::Ready(Err(error)) => error.why().is_some(),
            Poll::Pending => self.timer.as_mut().poll(cx).is_ready(),
        }
    }
}

// === impl Pending ===

impl Pending {
    /// Adapts the request to the primary, and keeps what is needed to adapt its answer.
    fn of(call: Call, client: &Client<RequestBody>) -> (Request<RequestBody>, Self) {
        let (mut parts, mut body) = call.request.into_parts();
        client.target().prepare(&mut parts);
        if let Some(upgrade) = &call.upgrade {
            ask_for_upgrade(&mut parts, upgrade);
        }
        let mut handle = None;
        // hyper passes no `100 Continue` over HTTP/2, on either side, so nothing is gained by waiting.
        let may_wait = call.version != Version::HTTP_2 && !client.is_http2();
        if may_wait && call.marks.have(Mark::Expect) && !body.is_end_stream() {
            let (gate, kept) = BodyGate::new(call.exchange.caller.switch.clone());
            body.gate = Some(gate);
            handle = Some(kept);
        }
        let pending = Self {
            method: parts.method.clone(),
            exchange: call.exchange,
            version: call.version,
            upgrade: call.upgrade,
            handle,
            primary: call.primary,
        };
        (Request::from_parts(parts, body), pending)
    }

    /// Passes on the primary's informational answers. An HTTP/1.0 caller would not understand them.
    fn inform(&self, request: &mut Request<RequestBody>) {
        let caller = (self.version == Version::HTTP_11).then_some(&self.exchange.caller);
        informational::pass_on(request, caller, self.handle.as_ref());
    }

    fn answer(
        &mut self,
        mut answer: Response<PooledBody<RequestBody>>,
        sent: Instant,
    ) -> Result<Response<ResponseBody>, Rejected> {
        let marks = Marks::of(answer.headers());
        hop::check_answer(&mut answer, marks)?;
        let status = answer.status();
        hop::strip_answer(status, answer.headers_mut(), marks);
        *answer.version_mut() = Version::HTTP_11;
        if status == StatusCode::SWITCHING_PROTOCOLS && !self.tunnel(&mut answer) {
            return Err(Rejected::Unasked);
        }
        let is_http2 = self.version == Version::HTTP_2;
        if is_http2 && self.upgrade.is_some() && status.is_success() {
            return Err(Rejected::Ignored);
        }
        let mut answer = answer.map(|body| ResponseBody::new(body, self.primary, sent));
        self.refuse_body(&mut answer);
        if is_http2 {
            answer.body_mut().trailers = Trailers::Http2;
            // hyper keeps the length of a body that is not there.
            return Ok(answer);
        }
        if answer.body().size_hint().exact().is_none() {
            let body = answer.body_mut();
            let caller = &self.exchange.caller;
            match self.version {
                Version::HTTP_11 => body.trailers = Trailers::Http1(caller.writer.clone()),
                _ => body.ends_connection = Some(caller.switch.clone()),
            }
        }
        if status == StatusCode::NOT_MODIFIED
            && self.method != Method::HEAD
            && let Some(length) = content_length(answer.headers())
        {
            answer.body_mut().leave_untold(length);
        }
        Ok(answer)
    }

    /// Closes the connection if the answer came before the body was wanted, because the body will never be sent.
    fn refuse_body(&self, answer: &mut Response<ResponseBody>) {
        let Some(handle) = &self.handle else { return };
        if handle.answered() {
            answer.body_mut().unwanted = Some(Unwanted(handle.clone()));
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(CONNECTION, close);
        }
    }

    /// Opens the tunnel. Returns `false` if no upgrade was requested.
    fn tunnel(&mut self, answer: &mut Response<PooledBody<RequestBody>>) -> bool {
        let stack = answer.extensions_mut().remove::<OnUpgrade>();
        let (Some(upgrade), Some(stack)) = (self.upgrade.take(), stack) else {
            return false;
        };
        upgrade.decision.grant();
        let exchange = self.exchange.caller.begin();
        upgrade::open(upgrade.connection, stack, exchange);
        true
    }
}

fn ask_for_upgrade(parts: &mut Parts, upgrade: &Upgrade) {
    let headers = &mut parts.headers;
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, upgrade.protocol.clone());
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
