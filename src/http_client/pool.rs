//! The pool of idle connections to one stack. The last used comes first.

use super::{
    Client, endpoint::Endpoint, multiplexed::StreamSlot, pooled_body::Outgoing,
    writer::WriterHandle,
};
use crate::transport::TlsFailure;
use hyper::client::conn::http1::SendRequest;
use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

/// Further idle connections are closed, so that a burst does not leave its sockets open.
const MAX_IDLE: usize = 512;

#[derive(Debug)]
pub(super) struct Pool<B> {
    idle: Mutex<Vec<Idle<B>>>,
    idle_timeout: Duration,
}

/// A connection with exclusive use.
#[derive(Debug)]
pub(super) struct Connection<B> {
    pub(super) tx: SendRequest<Outgoing<B>>,
    pub(super) handle: Arc<WriterHandle>,
    /// `None` if it cannot change.
    pub(super) endpoint: Option<Arc<Endpoint>>,
    pub(super) origin: Origin,
    /// Why TLS ended the connection, if it did.
    pub(super) tls_end: Arc<OnceLock<TlsFailure>>,
}

/// What an answer has to give back when it ends.
pub(super) enum Lease<B> {
    /// A connection, to its client's pool.
    Exclusive {
        client: Client<B>,
        connection: Connection<B>,
    },
    /// A place on a connection that carries other requests, too.
    Shared(StreamSlot<B>),
}

/// Whether a connection has answered before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Fresh,
    Reused,
}

#[derive(Debug)]
struct Idle<B> {
    connection: Connection<B>,
    since: Instant,
}

// === impl Pool ===

impl<B> Pool<B> {
    pub(super) fn new(idle_timeout: Duration) -> Self {
        Self {
            idle: Mutex::default(),
            idle_timeout,
        }
    }

    /// Takes the ready connection that was used last.
    pub(super) fn check_out(&self) -> Option<Connection<B>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = idle.len();
        while last > 0 {
            last -= 1;
            let connection = &idle[last].connection;
            if connection.is_over() {
                idle.remove(last);
            } else if connection.tx.is_ready() {
                let found = idle.remove(last);
                if found.since.elapsed() < self.idle_timeout {
                    return Some(found.connection);
                }
            }
            // Otherwise its answer has ended, but its task has not run yet.
        }
        None
    }

    /// Returns a connection whose answer has ended.
    pub(super) fn check_in(&self, mut connection: Connection<B>) {
        if connection.is_over() {
            return;
        }
        connection.origin = Origin::Reused;
        let since = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(Idle { connection, since });
        }
    }

    /// Closes connections that were idle for too long, that the stack closed, or whose endpoint is gone.
    pub(super) fn sweep(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| !idle.connection.is_over() && idle.since.elapsed() < self.idle_timeout);
    }
}

// === impl Connection ===

impl<B> Connection<B> {
    /// Whether it takes no further request.
    fn is_over(&self) -> bool {
        let is_gone = self.endpoint.as_ref().is_some_and(|one| one.is_gone());
        is_gone || self.tx.is_closed()
    }
}
