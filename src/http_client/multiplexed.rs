//! Connections that carry many requests at once (HTTP/2).
//!
//! A request takes a place on the first connection that has one. If none has, it waits for a new connection, together
//! with the others that wait. So there are as few connections as the stack's limit of streams allows.

use super::{
    Client, Error, connection::Opened, connector::Offer, endpoint::Endpoint, pool::Origin,
    pooled_body::Outgoing,
};
use bytes::Buf;
use http_body::Body;
use hyper::client::conn::http2::SendRequest;
use std::{
    error::Error as StdError,
    fmt,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// The connections of one client.
pub(super) struct Multiplexed<B> {
    state: Mutex<State<B>>,
    /// A place may have become free, or a connection failed.
    changed: Notify,
}

struct State<B> {
    connections: Vec<Arc<Shared<B>>>,
    /// Requests that wait for a place.
    waiting: usize,
    dialing: usize,
    /// The most streams that the stack allowed on its last connection.
    streams: usize,
    /// Failed connections, and why the last of them did.
    failures: u64,
    failure: Option<Error>,
}

/// One connection.
pub(super) struct Shared<B> {
    tx: SendRequest<Outgoing<B>>,
    /// `None` if it cannot change.
    endpoint: Option<Arc<Endpoint>>,
    /// Changes under the lock only.
    taken: AtomicUsize,
    /// The most streams that the stack allows.
    streams: Arc<AtomicUsize>,
    has_answered: AtomicBool,
    /// The stack takes no new requests on it.
    is_ending: AtomicBool,
    /// When the last request ended.
    since: Mutex<Instant>,
    /// Requests that were given up.
    resets: AtomicUsize,
}

/// A place on a connection, free again when dropped.
pub(super) struct StreamSlot<B> {
    client: Client<B>,
    pub(super) connection: Arc<Shared<B>>,
    has_ended: bool,
}

/// A request that waits.
struct Waiting<'c, B>(&'c Client<B>);

/// More requests at once use another connection, whatever the stack allows.
pub(super) const MAX_STREAMS: usize = 100;
/// Requests given up on one connection before further ones use another. Servers end a connection with many resets, and
/// so fail the others on it: Netty after 200 within 30 s, nghttp2 after 1000. As many as [`MAX_STREAMS`] may follow.
const RESETS: usize = 100;

// === impl Multiplexed ===

impl<B> Multiplexed<B> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                connections: Vec::new(),
                waiting: 0,
                dialing: 0,
                streams: MAX_STREAMS,
                failures: 0,
                failure: None,
            }),
            changed: Notify::new(),
        }
    }

    /// Takes a connection that was opened for HTTP/1.1.
    pub(super) fn add(&self, connection: Shared<B>) {
        self.lock().connections.push(Arc::new(connection));
        self.changed.notify_waiters();
    }

    /// Closes connections that were idle for too long, and forgets those that the stack closed or whose endpoint is gone.
    pub(super) fn sweep(&self, idle_timeout: Duration) {
        let mut state = self.lock();
        state.connections.retain(|connection| {
            let is_idle = connection.taken.load(Ordering::Relaxed) == 0;
            connection.is_open() && !(is_idle && connection.idle() >= idle_timeout)
        });
    }

    fn lock(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl<B> State<B> {
    fn take(&mut self, idle_timeout: Duration) -> Option<Arc<Shared<B>>> {
        let (failures, failure) = (&mut self.failures, &mut self.failure);
        self.connections.retain(|connection| {
            if connection.is_open() {
                return true;
            }
            if connection.is_unused() && !connection.is_gone() {
                // Whoever waits must not try that without end.
                *failures += 1;
                *failure = Some(Error::gone());
            }
            false
        });
        let found = self.connections.iter().find(|connection| {
            let taken = connection.taken.load(Ordering::Relaxed);
            let is_fresh = connection.origin() == Origin::Fresh;
            let is_kept = taken > 0 || is_fresh || connection.idle() < idle_timeout;
            is_kept && taken < connection.room()
        });
        let Some(connection) = found.cloned() else {
            if let Some(last) = self.connections.last() {
                self.streams = last.room();
            }
            return None;
        };
        connection.taken.fetch_add(1, Ordering::Relaxed);
        Some(connection)
    }

    /// Whether those that wait are more than the coming connections will carry.
    fn needs_another(&self) -> bool {
        self.waiting > self.dialing * self.streams
    }
}

// === impl Shared ===

impl<B> Shared<B> {
    /// `streams`: how many the stack allows.
    pub(super) fn new(
        tx: SendRequest<Outgoing<B>>,
        endpoint: Option<Arc<Endpoint>>,
        streams: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            tx,
            endpoint,
            taken: AtomicUsize::new(0),
            streams,
            has_answered: AtomicBool::new(false),
            is_ending: AtomicBool::new(false),
            since: Mutex::new(Instant::now()),
            resets: AtomicUsize::new(0),
        }
    }

    fn is_open(&self) -> bool {
        !self.tx.is_closed() && !self.is_ending.load(Ordering::Relaxed) && !self.is_gone()
    }

    fn is_gone(&self) -> bool {
        self.endpoint.as_ref().is_some_and(|one| one.is_gone())
    }

    fn is_unused(&self) -> bool {
        self.origin() == Origin::Fresh && self.taken.load(Ordering::Relaxed) == 0
    }

    fn room(&self) -> usize {
        self.streams.load(Ordering::Relaxed).clamp(1, MAX_STREAMS)
    }

    fn idle(&self) -> Duration {
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.elapsed()
    }

    /// To send one request with.
    pub(super) fn tx(&self) -> SendRequest<Outgoing<B>> {
        self.tx.clone()
    }

    pub(super) fn origin(&self) -> Origin {
        if self.has_answered.load(Ordering::Relaxed) {
            Origin::Reused
        } else {
            Origin::Fresh
        }
    }

    pub(super) fn answered(&self) {
        self.has_answered.store(true, Ordering::Relaxed);
    }

    /// Takes no further requests.
    pub(super) fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }
}

// === impl StreamSlot ===

impl<B> StreamSlot<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Buf + Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    /// Waits for a place.
    ///
    /// # Errors
    /// That of a connection that was tried meanwhile.
    pub(super) async fn on(client: &Client<B>) -> Result<Self, Error> {
        let inner = &client.0;
        let multiplexed = &inner.multiplexed;
        let idle_timeout = inner.target.idle_timeout;
        let found = multiplexed.lock().take(idle_timeout);
        if let Some(connection) = found {
            return Ok(Self::new(client, connection));
        }
        let failures = multiplexed.lock().failures;
        let _waiting = Waiting::begin(client);
        let mut changed = pin!(multiplexed.changed.notified());
        loop {
            // Registered before the look, so that no change is missed.
            changed.as_mut().enable();
            {
                let mut state = multiplexed.lock();
                if let Some(connection) = state.take(idle_timeout) {
                    return Ok(Self::new(client, connection));
                }
                if let Some(failure) = state.failure.as_ref().filter(|_| state.failures > failures)
                {
                    return Err(failure.again());
                }
                if state.needs_another() {
                    state.dialing += 1;
                    tokio::spawn(dial(client.clone()));
                }
            }
            changed.as_mut().await;
            changed.set(multiplexed.changed.notified());
        }
    }
}

impl<B> StreamSlot<B> {
    fn new(client: &Client<B>, connection: Arc<Shared<B>>) -> Self {
        Self {
            client: client.clone(),
            connection,
            has_ended: false,
        }
    }

    /// Frees the place of a request that was not given up.
    pub(super) fn ended(mut self) {
        self.has_ended = true;
    }
}

impl<B> Drop for StreamSlot<B> {
    fn drop(&mut self) {
        let multiplexed = &self.client.0.multiplexed;
        let connection = &self.connection;
        if !self.has_ended && connection.resets.fetch_add(1, Ordering::Relaxed) + 1 >= RESETS {
            connection.end();
        }
        let since = Instant::now();
        *connection
            .since
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = since;
        let state = multiplexed.lock();
        connection.taken.fetch_sub(1, Ordering::Relaxed);
        let is_awaited = state.waiting > 0;
        drop(state);
        if is_awaited {
            multiplexed.changed.notify_waiters();
        }
    }
}

impl<B> fmt::Debug for StreamSlot<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamSlot").field(&self.client).finish()
    }
}

// === impl Waiting ===

impl<'c, B> Waiting<'c, B> {
    fn begin(client: &'c Client<B>) -> Self {
        client.0.multiplexed.lock().waiting += 1;
        Self(client)
    }
}

impl<B> Drop for Waiting<'_, B> {
    fn drop(&mut self) {
        self.0.0.multiplexed.lock().waiting -= 1;
    }
}

/// Opens a connection for whoever waits.
async fn dial<B>(client: Client<B>)
where
    B: Body + Send + Unpin + 'static,
    B::Data: Buf + Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    // Requests take places on open connections meanwhile, as they become free.
    let dialed = match client.open_or(Offer::All, || None).await {
        Ok(Opened::Http2(connection)) => Ok(connection),
        Ok(Opened::Http1(mut connection)) => {
            // If it is over by then, the next request finds out.
            let _ = connection.tx.ready().await;
            client.check_in(connection);
            Err(Error::ChoseHttp1)
        }
        Err(failure) => Err(failure),
    };
    let multiplexed = &client.0.multiplexed;
    let mut state = multiplexed.lock();
    state.dialing -= 1;
    match dialed {
        Ok(connection) => state.connections.push(Arc::new(connection)),
        Err(failure) => {
            state.failures += 1;
            state.failure = Some(failure);
        }
    }
    drop(state);
    multiplexed.changed.notify_waiters();
}
