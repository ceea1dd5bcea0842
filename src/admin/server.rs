//! Listens for the admin API, and limits connections and the time that a caller may take.

use super::{
    AdminState,
    connections::{Connections, Slot},
    router::router,
};
use crate::{
    config::Running,
    drain::{self, Watch},
    ledger::{Gauges, ListenerName},
    transport::{Address, Inherited, Listener, Peer, Stream, TlsFailure},
};
use axum::{Router, body::Body};
use futures_util::FutureExt as _;
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{io, pin::pin, sync::Arc, time::Duration};
use tokio::time;
use tower::ServiceExt;
use tracing::debug;

#[derive(Debug)]
pub struct Config {
    pub listen: Address,
    /// Takes the place of `listen`.
    pub inherited: Option<Inherited>,
    /// Required for `/v1`. Without a token, only addresses that this host alone can reach are accepted.
    pub token: Option<String>,
    /// Maximum concurrent connections.
    pub connections: usize,
}

/// A bound admin API that does not answer yet.
#[derive(Debug)]
pub struct Bound {
    listener: Listener,
    router: Router,
    gauges: Gauges,
    /// Has the certificate in force.
    running: Arc<Running>,
    connections: usize,
}

/// Time limit for a TLS handshake, and for the head of a request on a new or a kept-alive connection.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// Time limit for calls under way when the drain begins.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Pause after a failed accept, usually because no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Binds the address; `Bound::run` answers calls.
///
/// # Errors
/// The address cannot be bound, or other hosts can reach it while there is no token.
pub fn bind(mut config: Config, state: AdminState) -> io::Result<Bound> {
    let listener = Listener::open(&config.listen, config.inherited.take())?;
    if config.token.is_none() && !listener.address().is_local() {
        let message = format!(
            "without a token the admin API listens on loopback addresses and unix sockets only, not on {}",
            listener.address()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(Bound {
        listener,
        gauges: state.gauges.clone(),
        running: state.running.clone(),
        connections: config.connections,
        router: router(state, &config),
    })
}

// === impl Bound ===

impl Bound {
    pub fn address(&self) -> &Address {
        self.listener.address()
    }

    /// Answers calls until the drain begins, then lets those under way end.
    pub async fn run(self, drain: Watch) {
        let connections = Connections::new(self.connections, self.gauges.clone());
        let mut serving = (self, connections, drain);
        drain::keep_alive(
            "admin",
            &mut serving,
            |(bound, connections, drain)| bound.accept_all(connections, drain).boxed(),
            || (),
        )
        .await;
        let (bound, mut connections, _drain) = serving;
        drop(bound.listener);
        // Dropping the connections cancels those that have not ended.
        let _ = time::timeout(END_WITHIN, connections.ended()).await;
    }

    async fn accept_all(&self, connections: &mut Connections, drain: &mut Watch) {
        loop {
            let accepted = async {
                connections.make_room().await;
                accept(&self.listener).await
            };
            let (stream, caller) = tokio::select! {
                () = drain.signaled() => break,
                accepted = accepted => accepted,
            };
            let (router, mut drain) = (self.router.clone(), drain.clone());
            let (running, gauges) = (self.running.clone(), self.gauges.clone());
            connections.serve(|slot| async move {
                let begun = tokio::select! {
                    begun = begin(stream, &running, &gauges) => begun,
                    () = slot.leave() => return,
                    () = drain.signaled() => return,
                };
                if let Some(stream) = begun {
                    serve((stream, caller), slot, router, drain).await;
                }
            });
        }
    }
}

async fn accept(listener: &Listener) -> (Stream, Peer) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                debug!(%error, "an admin connection was not accepted");
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Speaks TLS with the caller if that is set. `None` if that fails, which is counted.
async fn begin(stream: Stream, running: &Running, gauges: &Gauges) -> Option<Stream> {
    let Some(tls) = running.config().admin_tls.clone() else {
        return Some(stream);
    };
    let stream = tls.accept(stream, HEAD_WITHIN).await;
    let failed = |error: &io::Error| {
        gauges.tls_failed(ListenerName::Admin, TlsFailure::of(error));
        debug!(%error, "a caller of the admin API left before it was served");
    };
    stream.inspect_err(failed).ok()
}

async fn serve(
    (stream, caller): (Stream, Peer),
    slot: Arc<Slot>,
    router: Router,
    mut drain: Watch,
) {
    let own = slot.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        own.touch();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(own.clone());
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = slot.leave() => return,
        () = drain.signaled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "an admin connection broke");
    }
}
