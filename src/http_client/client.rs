//! A pooled HTTP/1.1 client for one stack.

use super::{
    Error, PooledBody, Target,
    pool::{Connection, Origin, Pool},
    pooled_body::Outgoing,
    writer::{Http1Writer, WriterHandle},
};
use crate::ledger::{Bound, Gauges};
use bytes::Buf;
use futures_util::future::Either;
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1},
};
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use std::{
    error::Error as StdError,
    fmt,
    future::{Future, ready},
    io,
    num::NonZeroUsize,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};

/// Sends requests to one stack, over connections kept for the next. Cheap to clone; clones share the connections.
///
/// Connections are driven by tasks on the runtime that sent the request.
pub struct Client<B>(Arc<Inner<B>>);

struct Inner<B> {
    target: Arc<Target>,
    pool: Pool<B>,
    room: Room,
}

/// For how many connections there is room.
#[derive(Debug)]
enum Room {
    /// As many as there are requests at once.
    Unbounded,
    Bounded(Arc<Semaphore>, Gauges),
}

type Answer<B> = Result<Response<PooledBody<B>>, Error>;

pin_project! {
    /// Waits for the answer to a request that was sent. Written out, for an async block would hold all of it twice.
    struct Sending<B, F> {
        #[pin]
        sent: F,
        lease: Option<(Client<B>, Connection<B>)>,
        // Where the request was not even begun: the next attempt.
        next: Option<Pin<Box<dyn Future<Output = Answer<B>> + Send>>>,
    }
}

/// Bytes read from a stack at once, and of an answer's head at most. Larger reads leave the processor's cache before they
/// are written on: 256 KiB are forwarded for a fifth more at hyper's own 408 KiB, which each connection may keep.
const MAX_READ: usize = 128 << 10;

// === impl Client ===

impl<B> Client<B> {
    pub fn new(target: Arc<Target>) -> Self {
        Self::with_room(target, Room::Unbounded)
    }

    /// A client that has at most `connections` open; a request that needs another fails with [`Error::NoRoom`].
    pub fn bounded(target: Arc<Target>, connections: NonZeroUsize, gauges: Gauges) -> Self {
        let places = connections.get().min(Semaphore::MAX_PERMITS);
        let room = Room::Bounded(Arc::new(Semaphore::new(places)), gauges);
        Self::with_room(target, room)
    }

    fn with_room(target: Arc<Target>, room: Room) -> Self {
        let pool = Pool::new(target.idle_timeout);
        Self(Arc::new(Inner { target, pool, room }))
    }

    pub fn target(&self) -> &Arc<Target> {
        &self.0.target
    }

    /// Closes connections idle for longer than the target's `idle_timeout`.
    pub fn sweep(&self) {
        self.0.pool.sweep();
    }

    pub(super) fn check_in(&self, connection: Connection<B>) {
        self.0.pool.check_in(connection);
    }
}

impl<B> Client<B>
where
    B: Body + Send + 'static,
    B::Data: Buf + Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    /// Sends a request that was [prepared](Target::prepare), and ends with the head of the answer.
    ///
    /// Takes a kept connection if one is ready; then the request is on its way when this returns. A connection that turns out to be
    /// closed before anything was written to it is replaced. The future is small, for it does not hold the request.
    ///
    /// # Errors
    /// [`Error`]; then there was no answer, though the stack may have seen the request.
    pub fn send(&self, request: Request<B>) -> impl Future<Output = Answer<B>> + Send + use<B> {
        match self.0.pool.check_out() {
            Some(connection) => Either::Left(self.clone().exchange(connection, request)),
            None => Either::Right(Box::pin(self.clone().connect_and_send(request))),
        }
    }

    /// Like [`send`](Self::send), on a new connection.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn send_fresh(&self, request: Request<B>) -> Answer<B> {
        self.clone().connect_and_send(request).await
    }

    async fn connect_and_send(self, request: Request<B>) -> Answer<B> {
        let connection = self.connect().await?;
        self.exchange(connection, request).await
    }

    /// Sends at once; the future waits for the answer.
    fn exchange(
        self,
        mut connection: Connection<B>,
        request: Request<B>,
    ) -> impl Future<Output = Answer<B>> + Send + use<B> {
        let request = request.map(|body| Outgoing::new(body, &connection.line));
        Sending {
            sent: connection.tx.try_send_request(request),
            lease: Some((self, connection)),
            next: None,
        }
    }

    /// Sends a request that another connection had no time for. A fresh connection that has none either has gone.
    fn send_next(
        self,
        request: Request<B>,
        origin: Origin,
    ) -> Pin<Box<dyn Future<Output = Answer<B>> + Send>> {
        match origin {
            Origin::Reused => Box::pin(self.send(request)),
            Origin::Fresh => {
                let gone = io::ErrorKind::ConnectionReset.into();
                Box::pin(ready(Err(Error::Connect(gone))))
            }
        }
    }

    async fn connect(&self) -> Result<Connection<B>, Error> {
        let place = self.0.room.take()?;
        let limit = self.0.target.connect_timeout;
        let stream = match time::timeout(limit, dial(&self.0.target)).await {
            Ok(dialled) => dialled.map_err(Error::Connect)?,
            Err(_) => return Err(Error::ConnectTimeout(limit)),
        };
        let line = Arc::<WriterHandle>::default();
        let io = TokioIo::new(Http1Writer::new(stream, line.clone()));
        let (tx, driver) = http1::Builder::new()
            .max_buf_size(MAX_READ)
            .max_headers(self.0.target.max_headers)
            .handshake(io)
            .await
            .map_err(Error::Protocol)?;
        // Ends when the connection or its `tx` does; how it failed is told to whoever waits for the answer.
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = driver.with_upgrades().await {
                tracing::debug!(%error, "connection to a stack ended");
            }
        });
        Ok(Connection {
            tx,
            line,
            origin: Origin::Fresh,
        })
    }
}

// === impl Room ===

impl Room {
    /// A place for one connection, taken until it is dropped.
    fn take(&self) -> Result<Option<OwnedSemaphorePermit>, Error> {
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
    B: Body + Send + 'static,
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
        let lease = this.lease.take();
        let (client, connection) = lease.expect("a future must not be polled after its end");
        let mut failed = match sent {
            Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
                return Poll::Ready(Ok(answer.map(PooledBody::last)));
            }
            Ok(answer) => {
                let answering = |body| PooledBody::new(body, client, connection);
                return Poll::Ready(Ok(answer.map(answering)));
            }
            Err(failed) => failed,
        };
        let Some(request) = failed.take_message() else {
            let error = Error::of(failed.into_error(), connection.origin);
            return Poll::Ready(Err(error));
        };
        let request = request.map(Outgoing::into_inner);
        let next = this
            .next
            .insert(client.send_next(request, connection.origin));
        next.as_mut().poll(cx)
    }
}

async fn dial(target: &Target) -> io::Result<TcpStream> {
    let authority = &target.authority;
    // An IPv6 literal stands in brackets in a URI.
    let host = authority.host();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
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
