//! Accepts callers up to the connection limit, and serves each on a task of its own until the end.

use super::{
    connection::{Caller, ConnectionService, Observers, Shared},
    ending::{Ending, Ends, Signals},
    forward::Forward,
    forwarded::Scheme,
    http1::guard::Guard,
    http2,
    proxies::Proxies,
    sample::Sampler,
    settings::{Config, Handles},
    wire::{Protocol, Wire},
};
use crate::{
    drain,
    http_client::{Client, Http1Writer},
    ledger::{self, Gauges, ListenerName},
    settings::ListenerLimits,
    transport::{Address, Listener, ServerTls, Stream, TlsFailure},
};
use futures_util::FutureExt as _;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::unconstrained,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
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

/// The task that accepts callers, and what each connection gets from it.
struct Accepting {
    acceptor: Acceptor,
    signals: Signals,
    shared: Arc<Shared>,
    accepted: fn(),
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
pub fn bind(mut config: Config, handles: Handles) -> io::Result<Bound> {
    Ok(Bound {
        listener: Listener::open(&config.listen, config.inherited.take())?,
        config,
        handles,
    })
}

// === impl Bound ===

impl Bound {
    pub fn address(&self) -> &Address {
        self.listener.address()
    }

    /// Accepts and serves callers as long as `ends` says.
    pub async fn run(self, ends: Ends) {
        let (config, handles) = (self.config, self.handles);
        let (timings, accepted) = (handles.timings.clone(), handles.accepted);
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
            forward: Forward::new(clients, timings),
            sampler: Arc::new(Sampler::new(handles)),
        });
        let mut accepting = Accepting {
            acceptor: Acceptor::new(self.listener, config.limits, gauges, observers),
            signals: Signals::new(ends),
            shared,
            accepted,
        };
        let task = &mut accepting;
        drain::keep_alive("live", task, |task| task.run().boxed(), || ()).await;
    }
}

// === impl Accepting ===

impl Accepting {
    /// Returns when nobody is to be accepted any more.
    async fn run(&mut self) {
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.signals.stop() => break,
                _ = sweep.tick() => self.shared.forward.sweep(),
                accepted = self.acceptor.next() => match accepted {
                    Ok(accepted) => self.begin(accepted),
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => {
                        tracing::warn!(%error, "failed to accept a connection; backing off");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        // Closing the listener would reset those that the system has accepted already.
        while let Some(accepted) = unconstrained(self.acceptor.next()).now_or_never() {
            match accepted {
                Ok(accepted) => self.begin(accepted),
                Err(error) if is_of_one_connection(&error) => {}
                Err(_) => break,
            }
        }
    }

    fn begin(&self, mut accepted: Accepted) {
        (self.accepted)();
        let ending = self.signals.ending();
        accepted.caller.ending = Some(ending.clone());
        tokio::spawn(serve(accepted, self.shared.clone(), ending));
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
async fn serve(accepted: Accepted, shared: Arc<Shared>, mut ending: Ending) {
    let tls = shared.live.get().tls.clone();
    let begun = tokio::select! {
        begun = accepted.begin(&shared.proxies, tls.as_ref()) => begun,
        () = ending.over() => return,
    };
    let mut wire = match begun {
        Ok(wire) => wire,
        Err(error) => return tracing::debug!(%error, "a caller left before it was served"),
    };
    let caller = wire.caller.clone();
    let service = ConnectionService { shared, caller };
    match protocol(&mut wire, &mut ending).await {
        Some(Protocol::Http1) => serve_http1(wire, service, ending).await,
        Some(Protocol::Http2) => http2::serve(wire, service, ending).await,
        None => {}
    }
}

/// The protocol that the caller begins; `None` if nothing came until the end, or too little until the time limit.
async fn protocol(wire: &mut Wire, ending: &mut Ending) -> Option<Protocol> {
    let caller = wire.caller.clone();
    let mut over = pin!(ending.over());
    let begun = poll_fn(|cx| match wire.poll_protocol(cx) {
        Poll::Ready(protocol) => Poll::Ready(Some(protocol)),
        // A caller in the middle of its request may end it.
        Poll::Pending if !wire.stash.is_empty() => Poll::Pending,
        Poll::Pending => over.as_mut().poll(cx).map(|()| None),
    });
    let begun = timeout(caller.limits.head_timeout, begun).await;
    begun.unwrap_or_else(|_| {
        caller.gauges.bound_reached(ledger::Bound::HeadTimeout);
        None
    })
}

async fn serve_http1(wire: Wire, service: ConnectionService, mut ending: Ending) {
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
        () = ending.begun() => match last_request(connection.as_mut(), &caller, &ending).await {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    if let Err(error) = ended {
        if error.is_parse() {
            caller.refused(&error, &live.get());
        }
        tracing::debug!(%error, "a connection to a caller ended");
    }
}

/// Returns when a request has come whose answer can say that it is the last one, or when none came for so long: a caller
/// that sends its request just as we close gets no answer. Otherwise returns how the connection ended.
async fn last_request<C: Future>(
    mut connection: Pin<&mut C>,
    caller: &Caller,
    ending: &Ending,
) -> Option<C::Output> {
    // The answer to a request of before may have begun, and then it does not say so.
    let mut is_of_before = ending.is_of_before() && !caller.is_idle();
    let mut lingers = pin!(sleep(ending.linger));
    poll_fn(|cx| {
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            return Poll::Ready(Some(ended));
        }
        if is_of_before {
            if !caller.is_idle() {
                return Poll::Pending;
            }
            is_of_before = false;
            lingers.as_mut().reset(Instant::now() + ending.linger);
        }
        if !caller.is_idle() {
            return Poll::Ready(None);
        }
        lingers.as_mut().poll(cx).map(|()| None)
    })
    .await
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
