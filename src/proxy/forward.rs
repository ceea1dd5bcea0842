//! The service that sends a request to the primary and takes up its answer.

use super::{
    again::Again,
    call::{Call, Caller, Upgrade},
    download::Download,
    gate::{Gate, Keeper},
    hop::{self, Mark, Marks},
    inform,
    problem::Problem,
    tunnel,
    upload::Upload,
};
use crate::{
    drain,
    stack::Stack,
    telemetry::timings::Timings,
    upstream::{Answering, Client, Error, Target},
};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, UPGRADE},
    request::Parts,
};
use http_body::Body;
use hyper::upgrade::OnUpgrade;
use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};
use tower::Service;

/// Forwards requests to the stack that serves.
#[derive(Clone, Debug)]
pub(super) struct Forward(Arc<Stacks>);

#[derive(Debug)]
struct Stacks {
    old: Client<Upload>,
    new: Client<Upload>,
    timings: Timings,
    drain: drain::Watch,
}

/// What is kept of a request while it is with the primary.
#[derive(Debug)]
struct Pending {
    method: Method,
    caller: Arc<Caller>,
    version: Version,
    received: Instant,
    upgrade: Option<Box<Upgrade>>,
    keeper: Option<Keeper>,
    primary: Stack,
}

// === impl Forward ===

impl Forward {
    pub(super) fn new(
        old: &Arc<Target>,
        new: &Arc<Target>,
        timings: Timings,
        drain: drain::Watch,
    ) -> Self {
        Self(Arc::new(Stacks {
            old: Client::new(old.clone()),
            new: Client::new(new.clone()),
            timings,
            drain,
        }))
    }

    /// Closes connections that have been idle for too long.
    pub(super) fn sweep(&self) {
        self.0.old.sweep();
        self.0.new.sweep();
    }
}

impl Service<Call> for Forward {
    type Response = Response<Download>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Download>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let stacks = self.0.clone();
        Box::pin(async move { Ok(stacks.forward(call).await) })
    }
}

// === impl Stacks ===

impl Stacks {
    async fn forward(&self, call: Call) -> Response<Download> {
        let primary = call.live.serve_from;
        let client = match primary {
            Stack::Old => &self.old,
            Stack::New => &self.new,
        };
        let (request, mut pending) = Pending::of(call, client.target());
        let caller = (pending.version == Version::HTTP_11).then_some(&pending.caller);
        let sent = Instant::now();
        let answer = send(client, request, caller, pending.keeper.as_ref()).await;
        let answered = Instant::now();
        let answer = match answer {
            Ok(answer) => pending.answer(answer, sent, &self.drain),
            Err(error) => {
                tracing::debug!(%error, stack = %primary, "no answer from the primary");
                problem(&error).answer()
            }
        };
        if pending.upgrade.is_some() {
            // It was not granted: what the caller sends next is a request.
            pending.caller.switch.refuse();
        }
        let added = (sent - pending.received) + answered.elapsed();
        self.timings.overhead(added);
        answer
    }
}

/// Sends a request, once more on a fresh connection where that cannot do harm.
async fn send(
    client: &Client<Upload>,
    request: Request<Upload>,
    caller: Option<&Arc<Caller>>,
    keeper: Option<&Keeper>,
) -> Result<Response<Answering<Upload>>, Error> {
    let again = Again::of(&request);
    let inform = |request: &mut Request<Upload>| {
        inform::pass_on(request, caller.map(|caller| &caller.line), keeper);
    };
    let mut request = request;
    inform(&mut request);
    match (client.send(request).await, again) {
        (Err(error), Some(again)) if error.is_stale() => {
            let mut request = again.request();
            inform(&mut request);
            client.send_fresh(request).await
        }
        (answer, _) => answer,
    }
}

fn problem(error: &Error) -> Problem {
    match error {
        Error::Connect(_) => Problem::NoConnection,
        Error::ConnectTimeout(_) => Problem::ConnectTimeout,
        Error::Reset { .. } => Problem::Reset,
        Error::Protocol(_) => Problem::NotHttp,
        Error::RequestBody(_) => Problem::BadRequest,
    }
}

// === impl Pending ===

impl Pending {
    /// Fits the request to the primary, and keeps what its answer will be fitted by.
    fn of(call: Call, target: &Target) -> (Request<Upload>, Self) {
        let (mut parts, mut body) = call.request.into_parts();
        target.prepare(&mut parts);
        if let Some(upgrade) = &call.upgrade {
            ask_for_upgrade(&mut parts, upgrade);
        }
        let mut keeper = None;
        if call.marks.have(Mark::Expect) && !body.is_end_stream() {
            let (gate, kept) = Gate::new();
            body.hold_back(gate);
            keeper = Some(kept);
        }
        let pending = Self {
            method: parts.method.clone(),
            caller: call.caller,
            version: call.version,
            received: call.received,
            upgrade: call.upgrade,
            keeper,
            primary: call.live.serve_from,
        };
        (Request::from_parts(parts, body), pending)
    }

    fn answer(
        &mut self,
        mut answer: Response<Answering<Upload>>,
        sent: Instant,
        drain: &drain::Watch,
    ) -> Response<Download> {
        let marks = Marks::of(answer.headers());
        if let Err(error) = hop::check_answer(&mut answer, marks) {
            tracing::debug!(%error, stack = %self.primary, "an answer was refused");
            return Problem::NotHttp.answer();
        }
        let status = answer.status();
        hop::strip_answer(status, answer.headers_mut(), marks);
        *answer.version_mut() = Version::HTTP_11;
        if status == StatusCode::SWITCHING_PROTOCOLS && !self.tunnel(&mut answer, drain) {
            return Problem::NotHttp.answer();
        }
        let mut answer = answer.map(|body| Download::new(body, self.primary, sent));
        self.refuse_body(&mut answer);
        if answer.body().size_hint().exact().is_none() {
            let body = answer.body_mut();
            match self.version {
                Version::HTTP_11 => body.put_trailers_on(self.caller.line.clone()),
                _ => body.ends_connection(self.caller.switch.clone()),
            }
        }
        if status == StatusCode::NOT_MODIFIED
            && self.method != Method::HEAD
            && let Some(length) = content_length(answer.headers())
        {
            answer.body_mut().leave_untold(length);
        }
        answer
    }

    /// Where the answer came before the body was wanted, the body will never be.
    fn refuse_body(&self, answer: &mut Response<Download>) {
        let Some(keeper) = &self.keeper else { return };
        if keeper.answered() {
            answer.body_mut().refuse_at_end(keeper.clone());
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(CONNECTION, close);
        }
    }

    /// Says whether the upgrade was asked for.
    fn tunnel(&mut self, answer: &mut Response<Answering<Upload>>, drain: &drain::Watch) -> bool {
        let stack = answer.extensions_mut().remove::<OnUpgrade>();
        let (Some(upgrade), Some(stack)) = (self.upgrade.take(), stack) else {
            return false;
        };
        self.caller.switch.grant();
        tunnel::open(upgrade.connection, stack, drain.clone());
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
