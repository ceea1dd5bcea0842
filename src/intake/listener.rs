//! Accepts connections of another proxy, over HTTP/1.1 or HTTP/2 with prior knowledge, and serves each to its end.

use super::{
    ext_proc,
    requests::Intake,
    settings::{Config, Handles, Taken},
    silence::{Open, Requests},
};
use crate::{
    drain::{self, Watch},
    ledger,
    settings::ListenerLimits,
    transport::{Address, Listener, Stream},
};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response, Version};
use http_body_util::Empty;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use std::{convert::Infallible, io, pin::pin, sync::Arc, time::Duration};
use tokio::{task::JoinSet, time};

/// Pause after a failed accept, usually because no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Least size of the buffer that a head has to fit into, as hyper requires it.
const MIN_BUFFER: usize = 8 << 10;
/// Bytes that may come ahead on all streams of an HTTP/2 connection, so that one that is read late holds up no other.
const AHEAD: u32 = 8 << 20;
/// A proxy that vanished silently is noticed after this and [`PATIENCE`].
const PING: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(20);

/// An intake that is bound to its address but takes nothing yet.
#[derive(Debug)]
pub struct Bound {
    listener: Listener,
    server: Server,
}

/// What serves each connection.
#[derive(Clone, Debug)]
struct Server {
    takes: Taken,
    limits: ListenerLimits,
    intake: Arc<Intake>,
}

/// Binds the address that another proxy sends to.
///
/// # Errors
/// Those of the system, if the address is unavailable.
pub fn bind(config: Config, handles: Handles) -> io::Result<Bound> {
    Ok(Bound {
        listener: Listener::bind(&config.listen)?,
        server: Server {
            takes: config.takes,
            limits: config.limits,
            intake: Arc::new(Intake {
                instance: config.instance,
                body_stall: config.limits.body_stall,
                handles,
            }),
        },
    })
}

// === impl Bound ===

impl Bound {
    pub fn address(&self) -> &Address {
        self.listener.address()
    }

    /// Takes requests until the drain begins, then lets those under way end.
    pub async fn run(self, drain: Watch) {
        let name = self.server.takes.name();
        let mut serving = (self, JoinSet::new(), drain);
        drain::keep_alive(
            name,
            &mut serving,
            |(bound, served, drain)| bound.accept_all(served, drain).boxed(),
            || (),
        )
        .await;
        let (bound, mut served, _drain) = serving;
        drop(bound.listener);
        while served.join_next().await.is_some() {}
    }

    async fn accept_all(&self, served: &mut JoinSet<()>, drain: &mut Watch) {
        loop {
            // Ended tasks would otherwise be kept.
            while served.try_join_next().is_some() {}
            let accepted = tokio::select! {
                () = drain.signaled() => return,
                accepted = self.accept(served) => accepted,
            };
            match accepted {
                Ok(stream) => {
                    served.spawn(self.server.clone().serve(stream, drain.clone()));
                }
                Err(error) => {
                    let intake = self.server.takes.name();
                    tracing::warn!(%error, intake, "failed to accept a connection; backing off");
                    time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Accepts the next connection once there is room for it.
    async fn accept(&self, served: &mut JoinSet<()>) -> io::Result<Stream> {
        if served.len() >= self.server.limits.connections.get() {
            let gauges = &self.server.intake.handles.gauges;
            gauges.bound_reached(ledger::Bound::Connections);
            served.join_next().await;
        }
        let (stream, _) = self.listener.accept().await?;
        stream.set_nodelay()?;
        Ok(stream)
    }
}

// === impl Server ===

impl Server {
    /// Serves one connection until it ends.
    async fn serve(self, stream: Stream, mut drain: Watch) {
        let requests = Requests::new();
        let service = service_fn(|request| {
            let (server, open) = (self.clone(), requests.begin());
            server.count_streams(&request, requests.open());
            async move { Ok::<_, Infallible>(server.answer(request, open).await) }
        });
        let builder = self.builder();
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = drain.signaled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            bound = requests.silent(&self.limits) => {
                self.intake.handles.gauges.bound_reached(bound);
                connection.as_mut().graceful_shutdown();
                let ended = time::timeout(self.limits.head_timeout, connection).await;
                ended.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            let intake = self.takes.name();
            tracing::debug!(%error, intake, "a connection of the other proxy broke");
        }
    }

    async fn answer(self, request: Request<Incoming>, open: Open) -> Response<Empty<Bytes>> {
        match self.takes {
            Taken::Mirror => {
                let answer = self.intake.answer(request).await;
                drop(open);
                answer
            }
            Taken::ExtProc => ext_proc::answer(self.intake, request, open).await,
        }
    }

    /// A proxy knows the limit, and opens another connection instead of passing it.
    fn count_streams(&self, request: &Request<Incoming>, open: usize) {
        let most = usize::try_from(self.limits.streams.get()).unwrap_or(usize::MAX);
        if request.version() == Version::HTTP_2 && open >= most {
            let gauges = &self.intake.handles.gauges;
            gauges.bound_reached(ledger::Bound::Streams);
        }
    }

    fn builder(&self) -> auto::Builder<TokioExecutor> {
        let limits = &self.limits;
        let streams = limits.streams.get();
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            // Silence has its limits, whatever the protocol.
            .header_read_timeout(None)
            .max_headers(limits.headers.get())
            .max_buf_size(limits.header_bytes.max(MIN_BUFFER));
        builder
            .http2()
            .timer(TokioTimer::new())
            .initial_connection_window_size(AHEAD)
            .max_concurrent_streams(streams)
            // A process that was frozen finds many that were given up meanwhile.
            .max_pending_accept_reset_streams(usize::try_from(streams).ok())
            .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(PING)
            .keep_alive_timeout(PATIENCE);
        match self.takes {
            Taken::Mirror => builder,
            Taken::ExtProc => builder.http2_only(),
        }
    }
}

// === impl Taken ===

impl Taken {
    fn name(self) -> &'static str {
        match self {
            Self::Mirror => "mirror",
            Self::ExtProc => "ext_proc",
        }
    }
}
