//! Accepts connections of the mirroring proxy, over HTTP/1.1 or HTTP/2 with prior knowledge, and serves each to its end.

use super::{
    copy::Intake,
    settings::{Config, Handles},
};
use crate::{
    drain::{self, Watch},
    ledger,
    settings::ListenerLimits,
    transport::{Address, Listener, Stream},
};
use futures_util::FutureExt as _;
use hyper::service::service_fn;
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

/// An intake that is bound to its address but takes nothing yet.
#[derive(Debug)]
pub struct Bound {
    listener: Listener,
    limits: ListenerLimits,
    intake: Arc<Intake>,
}

/// Binds the address for mirrored requests.
///
/// # Errors
/// Those of the system, if the address is unavailable.
pub fn bind(config: Config, handles: Handles) -> io::Result<Bound> {
    Ok(Bound {
        listener: Listener::bind(&config.listen)?,
        limits: config.limits,
        intake: Arc::new(Intake {
            instance: config.instance,
            body_stall: config.limits.body_stall,
            handles,
        }),
    })
}

// === impl Bound ===

impl Bound {
    pub fn address(&self) -> &Address {
        self.listener.address()
    }

    /// Takes copies until the drain begins, then lets those under way end.
    pub async fn run(self, drain: Watch) {
        let mut serving = (self, JoinSet::new(), drain);
        drain::keep_alive(
            "mirror",
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
                    let intake = self.intake.clone();
                    served.spawn(serve(stream, intake, self.limits, drain.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a mirrored connection; backing off");
                    time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Accepts the next connection once there is room for it.
    async fn accept(&self, served: &mut JoinSet<()>) -> io::Result<Stream> {
        if served.len() >= self.limits.connections.get() {
            let gauges = &self.intake.handles.gauges;
            gauges.bound_reached(ledger::Bound::Connections);
            served.join_next().await;
        }
        let (stream, _) = self.listener.accept().await?;
        stream.set_nodelay()?;
        Ok(stream)
    }
}

/// Serves one connection until it ends.
async fn serve(stream: Stream, intake: Arc<Intake>, limits: ListenerLimits, mut drain: Watch) {
    let service = service_fn(move |request| {
        let intake = intake.clone();
        async move { Ok::<_, Infallible>(intake.answer(request).await) }
    });
    let builder = builder(&limits);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.signaled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection of the mirroring proxy broke");
    }
}

fn builder(limits: &ListenerLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle_timeout)
        .max_headers(limits.headers.get())
        .max_buf_size(limits.header_bytes.max(MIN_BUFFER));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams.get())
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX));
    builder
}
