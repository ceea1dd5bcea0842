//! Accepts callers up to the connection limit, and serves each on a task of its own until the drain.

use super::{
    connection::{Caller, ConnectionService, Observers, Shared},
    forward::Forward,
    forwarded::Scheme,
    http1::guard::Guard,
    http2,
    limits::ListenerLimits,
    proxies::Proxies,
    sample::Sampler,
    settings::{Config, Handles},
    wire::{Protocol, Wire},
};
use crate::{
    drain,
    http_client::{Client, Http1Writer},
    ledger::{self, Gauges, ListenerName},
    transport::{Address, Listener, ServerTls, Stream, TlsFailure},
};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use std::{
    future::{Future as _, poll_fn},
    io,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

/// How long accepting pauses when the process has no file descriptors left or the like.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often idle connections to the stacks are swept.
const SWEEP: Duration = Duration::from_secs(5);
/// hyper's default limit of header lines, which needs no allocation.
const HEADERS: usize = 100;

/// A live path that is bound to its address but does not serve yet.
#[derive(Debug)]
pub struct Bound {
    listener: Listener,
    config: Config,
    handles: Handles,
}

/// Accepts callers. Those past the limit wait in the system's backlog.
#[derive(Debug)]
struct Acceptor {
    listener: Listener,
    slots: Arc<Semaphore>,
    /// Reserved for the next caller.
    next: Option<OwnedSemaphorePermit>,
    /// Callers are waiting, and that is already counted.
    is_full: bool,
    limits: ListenerLimits,
    gauges: Gauges,
    observers: Arc<Observers>,
}

/// A connection that was accepted, and nothing more.
struct Accepted {
    stream: Stream,
    caller: Caller,
    place: OwnedSemaphorePermit,
}

/// Binds the listening address.
///
/// # Errors
/// Those of the system, if the address is unavailable.
pub fn bind(config: Config, handles: Handles) -> io::Result<Bound> {
    Ok(Bound {
        listener: Listener::bind(&config.listen)?,
        config,
        handles,
    })
}

// === impl Bound ===

impl Bound {
    pub fn address(&self) -> &Address {
        self.listener.address()
    }

    /// Serves until the drain is signaled. Requests in progress hold `drain`; keep-alive connections are closed after
    /// their answer.
    pub async fn run(self, mut drain: drain::Watch) {
        let (config, handles) = (self.config, self.handles);
        let timings = handles.timings.clone();
        let gauges = handles.gauges.clone();
        let observers = Arc::new(Observers {
            timings: timings.clone(),
            stacks: handles.stacks.clone(),
        });
        let [old, new] = handles.stacks.clone();
        let clients = [
            Client::new(config.old.clone(), old),
            Client::new(config.new, new),
        ];
        let shared = Arc::new(Shared {
            live: handles.live.clone(),
            instance: config.old.instance.clone(),
            proxies: Proxies::new(config.proxies),
            forward: Forward::new(clients, timings, drain.clone()),
            sampler: Arc::new(Sampler::new(handles)),
        });
        let connection_drain = drain.clone();
        let mut acceptor = Acceptor::new(self.listener, config.limits, gauges, observers);
        let mut signaled = pin!(drain.signaled());
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut signaled => return,
                _ = sweep.tick() => shared.forward.sweep(),
                accepted = acceptor.next() => match accepted {
                    Ok(accepted) => {
                        let connection = serve(accepted, shared.clone(), connection_drain.clone());
                        tokio::spawn(connection);
                    }
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => {
                        tracing::warn!(%error, "failed to accept a connection; backing off");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }
}

// === impl Acceptor ===

impl Acceptor {
    fn new(
        listener: Listener,
        limits: ListenerLimits,
        gauges: Gauges,
        observers: Arc<Observers>,
    ) -> Self {
        let slots = limits.connections.get().min(Semaphore::MAX_PERMITS);
        Self {
            listener,
            slots: Arc::new(Semaphore::new(slots)),
            next: None,
            is_full: false,
            limits,
            gauges,
            observers,
        }
    }

    /// Accepts the next caller. Cancel safe.
    ///
    /// # Errors
    /// Those of the system.
    async fn next(&mut self) -> io::Result<Accepted> {
        if self.next.is_none() {
            self.next = Some(self.free_slot().await);
        }
        let (stream, peer) = self.listener.accept().await?;
        let place = self.next.take().expect("a slot was taken above");
        let (gauges, observers) = (self.gauges.clone(), self.observers.clone());
        Ok(Accepted {
            stream,
            caller: Caller::new(self.limits, gauges, observers, peer.ip()),
            place,
        })
    }

    async fn free_slot(&mut self) -> OwnedSemaphorePermit {
        if let Ok(permit) = self.slots.clone().try_acquire_owned() {
            return permit;
        }
        if !self.is_full {
            self.is_full = true;
            self.gauges.bound_reached(ledger::Bound::Connections);
        }
        let permit = self.slots.clone().acquire_owned().await;
        self.is_full = false;
        permit.expect("the semaphore is never closed")
    }
}

// === impl Accepted ===

impl Accepted {
    /// Learns the caller from its proxy, and speaks TLS with it, as far as these are set. Failures are counted.
    async fn begin(mut self, proxies: &Proxies, tls: Option<&ServerTls>) -> io::Result<Wire> {
        self.stream.set_nodelay()?;
        proxies.name(&mut self.caller, &mut self.stream).await?;
        if let Some(tls) = tls {
            let limit = self.caller.limits.head_timeout;
            let stream = tls.accept(self.stream, limit).await;
            self.stream = stream.inspect_err(|error| count(&self.caller, error))?;
            self.caller.scheme = Scheme::Https;
        }
        Ok(Wire::new(self.stream, Arc::new(self.caller), self.place))
    }
}

/// Counts a handshake that failed.
fn count(caller: &Caller, error: &io::Error) {
    let failure = TlsFailure::of(error);
    caller.gauges.tls_failed(ListenerName::Live, failure);
    if failure == TlsFailure::Timeout {
        caller.gauges.bound_reached(ledger::Bound::HeadTimeout);
    }
}

/// Serves one connection until it ends.
async fn serve(accepted: Accepted, shared: Arc<Shared>, mut drain: drain::Watch) {
    let tls = shared.live.get().tls.clone();
    let begun = tokio::select! {
        begun = accepted.begin(&shared.proxies, tls.as_ref()) => begun,
        () = drain.signaled() => return,
    };
    let mut wire = match begun {
        Ok(wire) => wire,
        Err(error) => return tracing::debug!(%error, "a caller left before it was served"),
    };
    let caller = wire.caller.clone();
    let service = ConnectionService { shared, caller };
    match protocol(&mut wire, &mut drain).await {
        Some(Protocol::Http1) => serve_http1(wire, service, drain).await,
        Some(Protocol::Http2) => http2::serve(wire, service, drain).await,
        None => {}
    }
}

/// The protocol that the caller begins; `None` if nothing came until the drain, or too little until the time limit.
async fn protocol(wire: &mut Wire, drain: &mut drain::Watch) -> Option<Protocol> {
    let caller = wire.caller.clone();
    let mut drained = pin!(drain.signaled());
    let begun = poll_fn(|cx| match wire.poll_protocol(cx) {
        Poll::Ready(protocol) => Poll::Ready(Some(protocol)),
        // A caller in the middle of its request may end it.
        Poll::Pending if !wire.stash.is_empty() => Poll::Pending,
        Poll::Pending => drained.as_mut().poll(cx).map(|()| None),
    });
    let begun = timeout(caller.limits.head_timeout, begun).await;
    begun.unwrap_or_else(|_| {
        caller.gauges.bound_reached(ledger::Bound::HeadTimeout);
        None
    })
}

async fn serve_http1(wire: Wire, service: ConnectionService, mut drain: drain::Watch) {
    let (caller, live) = (service.caller.clone(), service.shared.live.clone());
    poll_fn(|cx| {
        caller.writer.written_by(cx.waker());
        Poll::Ready(())
    })
    .await;
    let io = TokioIo::new(Http1Writer::new(Guard::new(wire), caller.writer.clone()));
    let mut builder = http1::Builder::new();
    builder
        .auto_date_header(false)
        .max_header_size(caller.limits.header_bytes);
    if caller.limits.headers.get() != HEADERS {
        builder.max_headers(caller.limits.headers.get());
    }
    let connection = builder.serve_connection(io, service).with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = drain.signaled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        if error.is_parse() {
            caller.refused(&error, &live.get());
        }
        tracing::debug!(%error, "a connection to a caller ended");
    }
}

/// Whether the error concerns only one caller, so that accepting need not pause.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
