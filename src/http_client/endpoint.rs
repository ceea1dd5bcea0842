//! One address of a stack, and connecting to the first of several that accepts.

use super::error::is_out_of_files;
use crate::transport::Stream;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// One address of a stack. The connections to it share it.
#[derive(Debug)]
pub(super) struct Endpoint {
    address: SocketAddr,
    /// Comes last for this long once no connection could be made.
    pause: Duration,
    avoided_until: Mutex<Option<Instant>>,
    /// The stack's name no longer has it.
    is_gone: AtomicBool,
}

/// A connection that is being made. The endpoint is avoided if it fails, or is given up because it is slow.
#[derive(Debug)]
pub(super) struct Attempt {
    endpoint: Arc<Endpoint>,
    /// From then on it is slow.
    slow: Instant,
    end: Option<End>,
}

#[derive(Debug)]
enum End {
    Reached,
    Failed,
}

/// How long an attempt stays the only one (RFC 8305 section 5), if there is time for several.
const STAGGER: Duration = Duration::from_millis(250);
/// A slow attempt takes at most this part of the time that there is.
const PART: u32 = 4;

/// Connects to the first that accepts. The next one is tried when one has failed or is slow. `limit` is how long all of
/// them may take; the caller enforces it.
///
/// # Errors
/// That of the last one.
pub(super) async fn connect(
    endpoints: Vec<Arc<Endpoint>>,
    limit: Duration,
) -> io::Result<(Stream, Attempt)> {
    let stagger = STAGGER.min(limit / PART);
    let mut untried = endpoints.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failure = io::ErrorKind::AddrNotAvailable.into();
    loop {
        attempts.extend(untried.next().map(|next| Attempt::make(next, stagger)));
        tokio::select! {
            made = attempts.next() => match made {
                Some(Ok(made)) => return Ok(made),
                Some(Err(error)) => failure = error,
                None => return Err(failure),
            },
            () = sleep(stagger), if untried.len() > 0 => {}
        }
    }
}

// === impl Endpoint ===

impl Endpoint {
    pub(super) fn new(address: SocketAddr, pause: Duration) -> Self {
        Self {
            address,
            pause,
            avoided_until: Mutex::default(),
            is_gone: AtomicBool::new(false),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn is_avoided(&self, now: Instant) -> bool {
        self.avoid(|until| until.is_some_and(|until| now < until))
    }

    pub(super) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    /// Its connections take no further requests.
    pub(super) fn end(&self) {
        self.is_gone.store(true, Ordering::Relaxed);
    }

    fn avoid<T>(&self, change: impl FnOnce(&mut Option<Instant>) -> T) -> T {
        let until = self.avoided_until.lock();
        change(&mut until.unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl Attempt ===

impl Attempt {
    async fn make(endpoint: Arc<Endpoint>, stagger: Duration) -> io::Result<(Stream, Self)> {
        let address = endpoint.address;
        let mut attempt = Self {
            endpoint,
            slow: Instant::now() + stagger,
            end: None,
        };
        match Stream::connect(address).await {
            Ok(stream) => Ok((stream, attempt)),
            Err(error) => {
                if !is_out_of_files(&error) {
                    attempt.end = Some(End::Failed);
                }
                Err(error)
            }
        }
    }

    /// The connection is complete.
    pub(super) fn reached(mut self) -> Arc<Endpoint> {
        self.end = Some(End::Reached);
        self.endpoint.clone()
    }

    /// What is spoken over TCP could not begin.
    pub(super) fn failed(mut self) {
        self.end = Some(End::Failed);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let now = Instant::now();
        let until = match self.end {
            Some(End::Reached) => None,
            // Another one was faster, or the caller has gone.
            None if now < self.slow => return,
            None | Some(End::Failed) => Some(now + self.endpoint.pause),
        };
        self.endpoint.avoid(|avoided| *avoided = until);
    }
}
