//! A client for one stack: a pool of connections for HTTP/1.1, few shared ones for HTTP/2.

use super::{
    Error, Health, PooledBody, Target,
    connection::Opened,
    connector::Offer,
    multiplexed::{Multiplexed, StreamSlot},
    pool::{Connection, Lease, Origin, Pool},
    pooled_body::{BrokenBody, Outgoing},
    resolver::Endpoints,
};
use crate::{
    ledger::{Bound, Gauges},
    transport::TlsFailure,
};
use bytes::Buf;
use futures_util::future::Either;
use http::{Request, Response, StatusCode, header::UPGRADE};
use http_body::Body;
use hyper::{body::Incoming, client::conn::TrySendError};
use pin_project_lite::pin_project;
use std::{
    error::Error as StdError,
    fmt,
    future::{Future, ready},
    num::NonZeroUsize,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

/// Sends requests to one stack over pooled connections. Cheap to clone; clones share the connections.
///
/// Tasks on the runtime that sent the request drive the connections.
pub struct Client<B>(pub(super) Arc<Inner<B>>);

pub(super) struct Inner<B> {
    pub(super) target: Arc<Target>,
    /// `None` if the target has no name.
    pub(super) endpoints: Option<Arc<Endpoints>>,
    health: Arc<Health>,
    pool: Pool<B>,
    pub(super) multiplexed: Multiplexed<B>,
    pub(super) room: Room,
    /// Whether requests go over HTTP/2: if connections decide, whether the last one did. HTTP/2 comes first, because
    /// requests then wait for one connection together.
    pub(super) is_http2: AtomicBool,
}

/// Limits the open connections.
#[derive(Debug)]
pub(super) enum Room {
    /// As many connections as the requests at once need.
    Unbounded,
    Bounded(Arc<Semaphore>, Gauges),
}

type Answer<B> = Result<Response<PooledBody<B>>, Error>;
type Boxed<B> = Pin<Box<dyn Future<Output = Answer<B>> + Send>>;

pin_project! {
    /// Waits for the answer to a request. Written by hand, because an async block would store it twice.
    struct Sending<B, F> {
        #[pin]
        sent: F,
        held: Option<(Client<B>, Connection<B>)>,
        // Set if sending did not even start: the next attempt.
        next: Option<Boxed<B>>,
    }
}

/// Connections that one request tries if each of them ends before it is sent.
const ATTEMPTS: usize = 4;
/// Time between two tries, while no file can be opened.
const GLANCE: Duration = Duration::from_millis(5);

// === impl Client ===

impl<B> Client<B> {
    pub fn new(target: Arc<Target>, health: Arc<Health>) -> Self {
        Self::with_room(target, health, Room::Unbounded)
    }

    /// A client with at most `connections` open connections. A request that needs another one fails with
    /// [`Error::NoRoom`].
    pub fn bounded(
        target: Arc<Target>,
        health: Arc<Health>,
        connections: NonZeroUsize,
        gauges: Gauges,
    ) -> Self {
        let places = connections.get().min(Semaphore::MAX_PERMITS);
        let room = Room::Bounded(Arc::new(Semaphore::new(places)), gauges);
        Self::with_room(target, health, room)
    }

    fn with_room(target: Arc<Target>, health: Arc<Health>, room: Room) -> Self {
        let pool = Pool::new(target.idle_timeout);
        Self(Arc::new(Inner {
            endpoints: Endpoints::of(&target, &health),
            is_http2: AtomicBool::new(target.http2 || target.negotiates()),
            target,
            health,
            pool,
            multiplexed: Multiplexed::new(),
            room,
        }))
    }

    /// Whether the next request goes over HTTP/2, as far as is known.
    pub(crate) fn is_http2(&self) -> bool {
        self.0.is_http2.load(Ordering::Relaxed)
    }

    pub fn target(&self) -> &Arc<Target> {
        &self.0.target
    }

    /// Whoever waits for an answer reports there whether it came.
    pub fn health(&self) -> &Health {
        &self.0.health
    }

    /// Closes connections that were idle longer than the target's `idle_timeout`.
    pub fn sweep(&self) {
        self.0.pool.sweep();
        self.0.multiplexed.sweep(self.0.target.idle_timeout);
    }

    pub(super) fn check_in(&self, connection: Connection<B>) {
        self.0.pool.check_in(connection);
    }
}

impl<B> Client<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Buf + Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    /// Sends a [prepared](Target::prepare) request, and resolves to the head of the answer.
    ///
    /// Reuses a pooled connection if one is ready; then the request is already sent when this returns. If a connection
    /// was closed before anything was written to it, another one is used. The future is small, because it does not hold
    /// the request.
    ///
    /// # Errors
    /// [`Error`] if there was no answer. The stack may still have seen the request.
    pub fn send(&self, request: Request<B>) -> impl Future<Output = Answer<B>> + Send + use<B> {
        if let Some(endpoints) = &self.0.endpoints {
            endpoints.keep_current();
        }
        if self.shares(&request) {
            let sent: Boxed<B> = Box::pin(self.clone().share_and_send(request));
            return Either::Right(sent);
        }
        match self.0.pool.check_out() {
            Some(connection) => Either::Left(self.clone().exchange(connection, request)),
            None => Either::Right(Box::pin(self.clone().connect_and_send(request))),
        }
    }

    /// Like [`send`](Self::send), on a new connection if a file can be opened. Over HTTP/2 on any that takes requests, because a connection
    /// that is dead takes none.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn send_fresh(&self, request: Request<B>) -> Answer<B> {
        if self.shares(&request) {
            return self.clone().share_and_send(request).await;
        }
        self.clone().connect_and_send(request).await
    }

    /// Whether a request goes over HTTP/2.
    fn shares(&self, request: &Request<B>) -> bool {
        let offer = self.offer(request);
        offer == Offer::All && self.is_http2()
    }

    /// An upgrade exists over HTTP/1.1 alone.
    fn offer(&self, request: &Request<B>) -> Offer {
        if self.0.target.negotiates() && request.headers().contains_key(UPGRADE) {
            Offer::Http1
        } else {
            Offer::All
        }
    }

    /// Sends on a connection that carries other requests, too.
    async fn share_and_send(self, mut request: Request<B>) -> Answer<B> {
        for _ in 0..ATTEMPTS {
            let place = match StreamSlot::on(&self).await {
                Err(Error::ChoseHttp1) => return self.send_next(request, Origin::Reused).await,
                place => place?,
            };
            let origin = place.connection.origin();
            let (mut parts, body) = request.into_parts();
            self.0.target.prepare_http2(&mut parts);
            let broken = BrokenBody::default();
            let outgoing = Outgoing::shared(body, broken.clone());
            let prepared = Request::from_parts(parts, outgoing);
            let mut failed = match place.connection.tx().try_send_request(prepared).await {
                Ok(answer) => {
                    place.connection.answered();
                    return Ok(answer.map(|body| PooledBody::new(body, Lease::Shared(place))));
                }
                Err(failed) => failed,
            };
            let Some(unsent) = failed.take_message() else {
                let error = failed.into_error();
                return Err(match broken.get() {
                    Some(broken) => Error::RequestBody(broken.into()),
                    None => Error::of_stream(error, origin),
                });
            };
            place.connection.end();
            let (mut parts, outgoing) = unsent.into_parts();
            Target::prepare_http1(&mut parts);
            request = Request::from_parts(parts, outgoing.into_inner());
        }
        Err(Error::gone())
    }

    async fn connect_and_send(self, request: Request<B>) -> Answer<B> {
        let offer = self.offer(&request);
        let given_back = || self.0.pool.check_out().map(Opened::Http1);
        match self.open_or(offer, given_back).await? {
            Opened::Http1(connection) => self.exchange(connection, request).await,
            Opened::Http2(connection) => {
                self.0.multiplexed.add(connection);
                self.send_next(request, Origin::Reused).await
            }
        }
    }

    /// Opens a connection. While no file can be opened, it waits for one, or for a connection that `other` finds, for
    /// the target's `connect_timeout` at most.
    pub(super) async fn open_or(
        &self,
        offer: Offer,
        other: impl Fn() -> Option<Opened<B>>,
    ) -> Result<Opened<B>, Error> {
        let end = Instant::now() + self.0.target.connect_timeout;
        loop {
            match self.open(offer).await {
                Err(error) if error.is_out_of_files() && Instant::now() < end => {}
                opened => return opened,
            }
            sleep(GLANCE).await;
            if let Some(found) = other() {
                return Ok(found);
            }
        }
    }

    /// Sends at once; the future waits for the answer.
    fn exchange(
        self,
        mut connection: Connection<B>,
        request: Request<B>,
    ) -> impl Future<Output = Answer<B>> + Send + use<B> {
        let request = request.map(|body| Outgoing::new(body, &connection.handle));
        Sending {
            sent: connection.tx.try_send_request(request),
            held: Some((self, connection)),
            next: None,
        }
    }

    /// Retries a request that a connection closed without sending. If a fresh connection does that, it is gone.
    fn send_next(self, request: Request<B>, origin: Origin) -> Boxed<B> {
        match origin {
            Origin::Reused => Box::pin(self.send(request)),
            Origin::Fresh => Box::pin(ready(Err(Error::gone()))),
        }
    }
}

// === impl Room ===

impl Room {
    /// Takes a permit for one connection, held until dropped.
    pub(super) fn take(&self) -> Result<Option<OwnedSemaphorePermit>, Error> {
        let Self::Bounded(places, gauges) = self else {
            return Ok(None);
        };
        places.clone().try_acquire_owned().map(Some).map_err(|_| {
            gauges.bound_reached(Bound::OpenFiles);
            Error::NoRoom
        })
    }
}

// === impl Sending ===

type Sent<B> = Result<Response<Incoming>, TrySendError<Request<Outgoing<B>>>>;

impl<B, F> Future for Sending<B, F>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Buf + Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
    F: Future<Output = Sent<B>>,
{
    type Output = Answer<B>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer<B>> {
        let this = self.project();
        if let Some(next) = this.next {
            return next.as_mut().poll(cx);
        }
        let sent = ready!(this.sent.poll(cx));
        let held = this.held.take();
        let (client, connection) = held.expect("a future must not be polled after its end");
        let mut failed = match sent {
            Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
                return Poll::Ready(Ok(answer.map(PooledBody::last)));
            }
            Ok(answer) => {
                let lease = Lease::Exclusive { client, connection };
                return Poll::Ready(Ok(answer.map(|body| PooledBody::new(body, lease))));
            }
            Err(failed) => failed,
        };
        let origin = connection.origin;
        let Some(request) = failed.take_message() else {
            return Poll::Ready(Err(Error::of(failed.into_error(), origin)));
        };
        // With TLS 1.3, the stack's judgement on our certificate comes after the handshake.
        let error = failed.into_error();
        let refused = connection.tls_end.get().copied();
        if origin == Origin::Fresh
            && let Some(failure) = TlsFailure::found_in(&error).or(refused)
        {
            let source = error.into();
            return Poll::Ready(Err(Error::Tls { failure, source }));
        }
        let request = request.map(Outgoing::into_inner);
        let next = this.next.insert(client.send_next(request, origin));
        next.as_mut().poll(cx)
    }
}

impl<B> Clone for Client<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B> fmt::Debug for Client<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.0.target).finish()
    }
}
