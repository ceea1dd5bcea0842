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
    problem::{self, Problem},
    rescue::{Answered, FailedRead, RescuableRead, read_out},
    retry::{again, replayable},
};
use crate::{
    heads::hop::{self, Ambiguous, Mark, Marks},
    http_client::{Client, Error, NoAnswer, PooledBody},
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
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

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
    /// From the request's arrival to its first sending.
    before: Duration,
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
type SecondAttempt = Pin<Box<dyn Future<Output = Answered> + Send>>;

pin_project! {
    /// Waits for the primary's answer. Written by hand, because an async block would store the answer's future twice.
    struct Waiting<F> {
        #[pin]
        answer: Option<F>,
        // Takes the place of `answer`.
        second: Option<SecondAttempt>,
        kept: Option<CompactRequest>,
        is_repeated: bool,
        rescue: Option<Box<RescuableRead>>,
        failed: Option<Box<FailedRead>>,
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
        let client = &stacks.clients[call.primary as usize];
        let rescue = RescuableRead::of(&call);
        let kept = replayable(&call.request, client.is_http2() || rescue.is_some());
        let (mut request, mut pending) = Pending::of(call, client);
        pending.inform(&mut request);
        let sent = Instant::now();
        pending.before = sent - pending.exchange.received;
        // `send` starts before the future is created, so that the future does not hold the request.
        let answer = client.send(request);
        Box::pin(Waiting {
            answer: Some(answer),
            second: None,
            kept,
            is_repeated: false,
            rescue,
            failed: None,
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
            let answer = match (this.second.as_mut(), this.answer.as_mut().as_pin_mut()) {
                (Some(second), _) => second.as_mut().poll(cx),
                (None, first) => first.expect(UNFINISHED).poll(cx),
            };
            let pending = this.pending.as_mut().expect(UNFINISHED);
            if let (Poll::Ready(Err(error)), Some(kept), false) =
                (&answer, &this.kept, *this.is_repeated)
                && may_repeat(error, &kept.method)
            {
                *this.is_repeated = true;
                let again = this.stacks.clone().send_again(kept.clone(), pending);
                *this.second = Some(again);
                continue;
            }
            if let Some(kept) = &this.kept
                && let Some(rescue) = this.rescue.take_if(|rescue| rescue.is_due(&answer, cx))
            {
                // Cancels what the new stack has begun.
                this.answer.set(None);
                *this.is_repeated = false;
                let health = this.stacks.clients[Stack::New as usize].health();
                let failed = FailedRead::new(&rescue, health, answer, *this.sent);
                *this.failed = Some(Box::new(failed));
                *this.second = Some(this.stacks.send_to_old(kept.clone(), pending));
                *this.sent = Instant::now();
                continue;
            }
            let mut answer = ready!(answer);
            let mut pending = this.pending.take().expect(UNFINISHED);
            if let Some(failed) = this.failed.take() {
                answer = this
                    .stacks
                    .rescued(*failed, answer, (&mut pending, this.sent));
            }
            return Poll::Ready(this.stacks.answer(pending, answer, *this.sent));
        }
    }
}

// === impl Stacks ===

impl Stacks {
    /// On a connection of its own.
    fn send_again(self: Arc<Self>, kept: CompactRequest, pending: &Pending) -> SecondAttempt {
        let primary = pending.primary as usize;
        let request = pending.prepared(again(kept), &self.clients[primary]);
        Box::pin(async move { self.clients[primary].send_fresh(request).await })
    }

    fn send_to_old(&self, kept: CompactRequest, pending: &mut Pending) -> SecondAttempt {
        pending.primary = Stack::Old;
        let client = &self.clients[Stack::Old as usize];
        Box::pin(client.send(pending.prepared(again(kept), client)))
    }

    /// What old says to a read that new has failed. If old fails, too, the caller gets what new said.
    fn rescued(
        &self,
        FailedRead(said): FailedRead,
        answer: Answered,
        (pending, sent): (&mut Pending, &mut Instant),
    ) -> Answered {
        match (answer, said) {
            (Err(error), Some((said, then))) => {
                let health = self.clients[Stack::Old as usize].health();
                let _ = problem::of(&error, Stack::Old, health);
                (pending.primary, *sent) = (Stack::New, then);
                Ok(said)
            }
            (answer, said) => {
                if answer.is_ok() {
                    pending.exchange.caller.gauges.served_rescued.add(1);
                }
                if let Some((said, _)) = said {
                    tokio::spawn(read_out(said.into_body()));
                }
                answer
            }
        }
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
            Err(error) => Err(problem::of(&error, primary, health)),
        };
        let answer = answer.inspect(|_| health.answered());
        let mut answer = answer.unwrap_or_else(Problem::answer);
        let added = pending.before + answered.elapsed();
        self.timings.overhead(added);
        pending.exchange.until_end_of(&mut answer);
        answer
    }
}

/// Whether the stack certainly did not act on the request, or acting twice is the same as once.
fn may_repeat(error: &Error, method: &Method) -> bool {
    error.is_refused() || (error.is_stale() && method.is_idempotent())
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
            before: Duration::ZERO,
        };
        (Request::from_parts(parts, body), pending)
    }

    /// A kept request, adapted to the stack.
    fn prepared(
        &self,
        request: Request<RequestBody>,
        client: &Client<RequestBody>,
    ) -> Request<RequestBody> {
        let (mut parts, body) = request.into_parts();
        client.target().prepare(&mut parts);
        if let Some(upgrade) = &self.upgrade {
            ask_for_upgrade(&mut parts, upgrade);
        }
        let mut request = Request::from_parts(parts, body);
        self.inform(&mut request);
        request
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
