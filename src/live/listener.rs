//! The listener: serves each connection on its own task until the drain.

use super::{
    accept::Acceptor,
    call::Caller,
    connection::{ConnectionService, Loops},
    forward::Forward,
    http1::guard::Guard,
    route::{Route, RouteLayer},
    sample::{Sample, SampleLayer},
    settings::{Config, Handles},
};
use crate::{drain, http_client::Http1Writer, ledger::Bound as Limit};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use std::{future::poll_fn, io, net::SocketAddr, pin::pin, sync::Arc, task::Poll, time::Duration};
use tokio::{
    net::{TcpListener, TcpSocket},
    time::{MissedTickBehavior, interval, sleep},
};
use tower::Layer;

/// Connections that the system completes before we accept them.
const BACKLOG: u32 = 1024;
/// How long accepting pauses when the process has no file descriptors left or the like.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often idle connections to the stacks are swept.
const SWEEP: Duration = Duration::from_secs(5);
/// hyper's default limit of header lines, which needs no allocation.
const HEADERS: usize = 100;

/// A live path that is bound to its address but does not serve yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    addr: SocketAddr,
    config: Config,
    handles: Handles,
}

type Layers = Route<Sample<Forward>>;

/// Binds the listening address.
///
/// # Errors
/// Those of the system, if the address is unavailable.
pub fn bind(config: Config, handles: Handles) -> io::Result<Bound> {
    let socket = match config.listen {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(config.listen)?;
    let listener = socket.listen(BACKLOG)?;
    let addr = listener.local_addr()?;
    Ok(Bound {
        listener,
        addr,
        config,
        handles,
    })
}

// === impl Bound ===

impl Bound {
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until the drain is signaled. Requests in progress hold `drain`; keep-alive connections are closed after
    /// their answer.
    pub async fn run(self, mut drain: drain::Watch) {
        let Self {
            listener,
            config,
            handles,
            ..
        } = self;
        let timings = handles.timings.clone();
        let forward = Forward::new(&config.old, &config.new, timings, drain.clone());
        let layers = RouteLayer::new(handles.ledger.clone(), handles.budget.clone())
            .layer(SampleLayer::new(handles.clone()).layer(forward.clone()));
        let loops = Loops::new(config.old.instance.clone(), handles.gauges.clone());
        let connection_drain = drain.clone();
        let mut acceptor = Acceptor::new(listener, &config.limits, handles.gauges.clone());
        let mut signaled = pin!(drain.signaled());
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut signaled => return,
                _ = sweep.tick() => forward.sweep(),
                accepted = acceptor.next() => match accepted {
                    Ok((stream, place)) => {
                        let caller = Caller::new(config.limits, handles.gauges.clone());
                        let caller = Arc::new(caller);
                        let entrance = ConnectionService::new(layers.clone(), handles.live.clone(), caller.clone(), loops.clone());
                        let guard = Guard::new(stream, caller.clone(), place);
                        tokio::spawn(serve(guard, entrance, caller, connection_drain.clone()));
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

/// Serves one connection until it ends.
async fn serve(
    guard: Guard,
    entrance: ConnectionService<Layers>,
    caller: Arc<Caller>,
    mut drain: drain::Watch,
) {
    if let Err(error) = guard.set_nodelay() {
        return tracing::debug!(%error, "a caller left before it was served");
    }
    poll_fn(|cx| {
        caller.line.written_by(cx.waker());
        Poll::Ready(())
    })
    .await;
    let io = TokioIo::new(Http1Writer::new(guard, caller.line.clone()));
    let mut builder = http1::Builder::new();
    builder
        .auto_date_header(false)
        .max_header_size(caller.limits.header_bytes);
    if caller.limits.headers.get() != HEADERS {
        builder.max_headers(caller.limits.headers.get());
    }
    let connection = builder.serve_connection(io, entrance).with_upgrades();
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
        if error.is_parse_too_large() {
            caller.gauges.bound_reached(Limit::Headers);
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
